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


def failure_text(error: WherryError) -> str:
    """Why a program could not be run, in Docker's words."""
    return as_exit(error)[1]


def as_exit(error: WherryError) -> tuple[int, str]:
    """The exit code and text with which a failed start is remembered."""
    match error:
        case CommandNotFound(program=program, in_search_path=True):
            return EXIT_NOT_FOUND, f'exec: "{program}": executable file not found in $PATH'
        case CommandNotFound(program=program):
            return EXIT_NOT_FOUND, f'exec: "{program}": stat {program}: no such file or directory'
        case CommandNotExecutable(program=program, reason=reason):
            return EXIT_NOT_EXECUTABLE, f'exec: "{program}": {reason}'
        case UserNotFound(reference=reference, is_group=is_group):
            kind = "group" if is_group else "user"
            return EXIT_START_FAILED, f"unable to find {kind} {reference}"
        case StartFailed(cause=cause):
            return EXIT_START_FAILED, cause
        case _:
            return EXIT_START_FAILED, str(error)
