"""The exit code by which a program that could not be run is remembered."""

from wherry.model.errors.containers import CommandNotExecutable, CommandNotFound

EXIT_NOT_FOUND = 127
EXIT_NOT_EXECUTABLE = 126
EXIT_START_FAILED = 128


def exit_code_of(error: Exception) -> int:
    """The exit code with which a failed start, or exec, is remembered."""
    match error:
        case CommandNotFound():
            return EXIT_NOT_FOUND
        case CommandNotExecutable():
            return EXIT_NOT_EXECUTABLE
        case _:
            return EXIT_START_FAILED
