"""Failures of `exec`, which are told in the stream of its output."""

from wherry.api.errors import message_of
from wherry.api.errors.starts import not_executable, program_missing
from wherry.model.errors import WherryError
from wherry.model.errors.containers import CommandNotExecutable, CommandNotFound, StartFailed


def exec_refused(error: WherryError) -> str:
    """How a failed exec is told."""
    match error:
        case CommandNotFound():
            problem = program_missing(error)
        case CommandNotExecutable():
            problem = not_executable(error)
        case StartFailed():
            problem = error.cause
        case _:
            problem = message_of(error)
    return (
        "OCI runtime exec failed: exec failed: unable to start container process: "
        f"{problem}: unknown"
    )
