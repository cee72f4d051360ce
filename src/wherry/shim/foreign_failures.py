"""What other runtimes say of a failure, read for the kinds that have an exit code of their own."""

import re

from wherry.operations.plan import Journal, OperationFailed, explain_error
from wherry.operations.processes.foreign_runtime import RuntimeMissing, RuntimeRefused
from wherry.runtime.accounts import AccountNotFound
from wherry.runtime.container import CreateFailed

_PROGRAM_PROBLEM = re.compile(
    r'exec: "(?P<program>[^"]*)": (?P<reason>executable file not found in \$PATH'
    r"|stat [^:]*: no such file or directory|no such file or directory|permission denied"
    r"|is a directory)"
)
_CRUN_MISSING = re.compile(
    r"executable file `(?P<program>[^`]*)` not found(?P<reason> in \$PATH)?"
)


def create_failed(runtime: str, error: BaseException, journal: Journal) -> CreateFailed:
    """Why a container or process of a runtime could not be made, whoever failed: it or we."""
    cause = error.cause if isinstance(error, OperationFailed) else error
    match cause:
        case AccountNotFound():
            kind = "group_not_found" if cause.is_group else "user_not_found"
            return CreateFailed(kind, str(cause), cause.reference, journal)
        case RuntimeMissing():
            return CreateFailed("runtime", str(cause), runtime, journal)
        case RuntimeRefused():
            return _refused(runtime, str(cause), journal)
        case _:
            return CreateFailed("step", explain_error(cause), "", journal)


def _refused(runtime: str, words: str, journal: Journal) -> CreateFailed:
    found = _PROGRAM_PROBLEM.search(words) or _CRUN_MISSING.search(words)
    if found is None:
        return CreateFailed("runtime", words, runtime, journal)
    program, reason = found["program"], found["reason"] or ""
    if "$PATH" in reason:
        return CreateFailed("command_not_found_in_path", words, program, journal)
    if "no such file" in reason or found.re is _CRUN_MISSING:
        return CreateFailed("command_not_found", words, program, journal)
    return CreateFailed("not_executable", f"exec {program}: {reason}", program, journal)
