"""What a shim refuses, in the engine's kinds of errors."""

from wherry.model.errors import (
    CommandNotExecutable,
    CommandNotFound,
    StartFailed,
    UserNotFound,
    WherryError,
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
            return CommandNotExecutable(refused.program, refused.message)
        case "user_not_found":
            return UserNotFound(refused.program, is_group=False)
        case "group_not_found":
            return UserNotFound(refused.program, is_group=True)
        case _:
            return StartFailed(refused.message)
