"""What a shim refuses, in the engine's kinds of errors."""

from wherry.model.errors import WherryError
from wherry.model.errors.containers import (
    CommandNotExecutable,
    CommandNotFound,
    StartFailed,
    UserNotFound,
)
from wherry.shim.protocol import Refused


def to_model_error(refused: Refused) -> WherryError:
    """The error of a start or exec that a shim refused."""
    match refused.kind:
        case "command_not_found":
            return CommandNotFound(refused.program, in_search_path=False)
        case "command_not_found_in_path":
            return CommandNotFound(refused.program, in_search_path=True)
        case "not_executable":
            return CommandNotExecutable(refused.program, _reason(refused))
        case "user_not_found":
            return UserNotFound(refused.program, is_group=False)
        case "group_not_found":
            return UserNotFound(refused.program, is_group=True)
        case "runtime":
            return StartFailed(refused.message, runtime=refused.program)
        case _:
            return StartFailed(refused.message)


def _reason(refused: Refused) -> str:
    """The runtime's sentence without the program in front, which the error has as a field."""
    program, separator, reason = refused.message.partition(": ")
    if program == "exec":
        program, separator, reason = reason.partition(": ")
    return reason if separator else refused.message
