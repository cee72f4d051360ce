"""How a program that could not be run is remembered: an exit code and a text."""

from wherry.model.errors import (
    CommandNotExecutable,
    CommandNotFound,
    StartFailed,
    UserNotFound,
    WherryError,
)

EXIT_NOT_FOUND = 127
EXIT_NOT_EXECUTABLE = 126
EXIT_START_FAILED = 128


def exit_code_of(error: WherryError) -> int:
    """The exit code with which a failed start is remembered."""
    match error:
        case CommandNotFound():
            return EXIT_NOT_FOUND
        case CommandNotExecutable():
            return EXIT_NOT_EXECUTABLE
        case _:
            return EXIT_START_FAILED


def failure_text(error: WherryError) -> str:
    """Why a program could not be run, in Docker's words."""
    match error:
        case CommandNotFound(program=program, in_search_path=True):
            return f'exec: "{program}": executable file not found in $PATH'
        case CommandNotFound(program=program):
            return f'exec: "{program}": stat {program}: no such file or directory'
        case CommandNotExecutable(program=program, reason=reason):
            return f'exec: "{program}": {reason}'
        case UserNotFound(reference=reference, is_group=is_group):
            kind = "group" if is_group else "user"
            return f"unable to find {kind} {reference}"
        case StartFailed(cause=cause):
            return cause
        case _:
            return str(error)
