"""Find the program to execute, as the container's user would."""

import errno
import os
import stat

from wherry.operations.plan import explain_error


class ProgramNotFound(Exception):
    """There is no such program; `kind` is one of `CreateFailed`'s."""

    def __init__(self, kind: str, program: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.program = program


def find_program(name: str, environment: tuple[str, ...]) -> str:
    """The path to execute for the first word of a command.

    A name with a slash is taken as it is, from the working directory; any other is looked up
    in the environment's PATH, where relative entries are skipped (execvp(3) would run what
    lies in the working directory).

    Raises: ProgramNotFound.
    """
    if "/" in name:
        _require_executable(name)
        return name
    for directory in _search_path(environment):
        candidate = os.path.join(directory, name)
        if name and directory.startswith("/") and _is_executable(candidate):
            return candidate
    raise ProgramNotFound(
        "command_not_found_in_path", name, f'exec: "{name}": executable file not found in $PATH'
    )


def _search_path(environment: tuple[str, ...]) -> list[str]:
    for variable in reversed(environment):
        if variable.startswith("PATH="):
            return variable.removeprefix("PATH=").split(":")
    return []


def _require_executable(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        words = explain_error(error)
        kind = "not_executable" if error.errno == errno.EACCES else "command_not_found"
        raise ProgramNotFound(kind, path, f'exec: "{path}": stat {path}: {words}') from error
    if stat.S_ISDIR(mode):
        raise ProgramNotFound("not_executable", path, f'exec: "{path}": is a directory')
    if not os.access(path, os.X_OK):
        raise ProgramNotFound("not_executable", path, f'exec: "{path}": permission denied')


def _is_executable(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK)
    except OSError:
        return False
