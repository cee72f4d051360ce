"""How a command ends early: its text, and its exit code."""


class CommandFailed(Exception):
    """Ends a command: the text goes to stderr when there is one, the code is the exit code."""

    def __init__(self, message: str = "", *, code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class UsageProblem(CommandFailed):
    """Ends a command with its message and the line that names `--help`."""
