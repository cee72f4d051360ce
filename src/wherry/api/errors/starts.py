"""Programs that could not be started, in a new container or in one that runs."""

from wherry.api.errors.rules import Rule, Rules
from wherry.model.errors import containers as kinds

_TASK = "failed to create task for container: failed to create shim task: "
_CREATING = (
    f"{_TASK}OCI runtime create failed: "
    "wherry-runtime create failed: unable to start container process: "
)
"""The words around a failed start; the stock CLI looks for its exit code in what follows."""
_OF_TWO_KINDS = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified"
    " host path exists and is the expected type"
)


def program_missing(error: kinds.CommandNotFound) -> str:
    """What there is in the place of a program."""
    if error.in_search_path:
        return f'exec: "{error.program}": executable file not found in $PATH'
    return f'exec: "{error.program}": stat {error.program}: no such file or directory'


def not_executable(error: kinds.CommandNotExecutable) -> str:
    """Why a file is no program."""
    return f'exec: "{error.program}": {error.reason}'


def _refused(problem: str) -> str:
    return f"{_CREATING}error during container init: {problem}: unknown"


def _start_failed(error: kinds.StartFailed) -> str:
    advice = _OF_TWO_KINDS if "not a directory" in error.cause else ""
    if error.runtime:
        began = f"{_TASK}OCI runtime create failed: {error.runtime}: "
        return f"{began}{error.cause}: unknown{advice}"
    return f"{_CREATING}{error.cause}: unknown{advice}"


def _unknown_user(error: kinds.UserNotFound) -> str:
    kind, file = ("group", "group") if error.is_group else ("user", "passwd")
    return f"unable to find {kind} {error.reference}: no matching entries in {file} file"


RULES: Rules = {
    kinds.CommandNotFound: Rule(400, lambda e: _refused(program_missing(e))),
    kinds.CommandNotExecutable: Rule(400, lambda e: _refused(not_executable(e))),
    kinds.StartFailed: Rule(500, _start_failed),
    kinds.UnknownRuntime: Rule(400, lambda e: f"unknown or invalid runtime name: {e.name}"),
    kinds.ReceiverUnreachable: Rule(
        500,
        lambda e: (
            f"failed to create task for container: failed to initialize logging driver: {e.cause}"
        ),
    ),
    kinds.UserNotFound: Rule(400, _unknown_user),
    kinds.ExecNotFound: Rule(404, lambda e: f"No such exec instance: {e.exec_id}"),
    kinds.ExecAlreadyStarted: Rule(409, lambda e: f"exec command {e.exec_id} has already run"),
}
