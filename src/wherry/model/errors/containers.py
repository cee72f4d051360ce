"""Failures of containers: of their names, their lives, their programs, their sessions."""

from wherry.model.errors import Broken, Conflict, InvalidRequest, NotFound, NotSupported


class ContainerNotFound(NotFound):
    """No container has this id, prefix or name."""

    reference: str


class AmbiguousReference(InvalidRequest):
    """An id prefix that fits several things."""

    kind: str
    reference: str


class ContainerNameTaken(Conflict):
    """Another container has the name."""

    name: str
    holder: str


class InvalidContainerName(InvalidRequest):
    """A name that no container can have."""

    name: str


class ContainerNotRunning(Conflict):
    """The verb needs a running container."""

    container: str


class NothingToKill(Conflict):
    """`kill` of a container that is not running."""

    reference: str
    container: str


class JoinedContainerNotRunning(Conflict):
    """The container whose network should be shared does not run."""

    container: str


class LinkedContainerNotRunning(Conflict):
    """A container that another one is linked to does not run."""

    target: str
    container: str
    alias: str


class ContainerRunning(Conflict):
    """The verb needs a container that is not running."""

    container: str
    state: str


class IpcNotShareable(InvalidRequest):
    """The container to join keeps its ipc namespace to itself."""

    container: str


class UpdateRefused(Conflict):
    """The wished change contradicts what the container has; `problem` is a sentence."""

    container: str
    problem: str


class ContainerPaused(Conflict):
    """The verb can't work on a paused container."""

    container: str


class ContainerRestarting(Conflict):
    """The verb needs a running container, and this one waits for its next start."""

    container: str


class ContainerNotPaused(Conflict):
    """Nothing to unpause."""

    container: str


class RemovalInProgress(Conflict):
    """Somebody else is removing the container."""

    container: str


class CommandNotFound(InvalidRequest):
    """The image has no such program (exit code 127)."""

    program: str
    in_search_path: bool
    """Whether `$PATH` was searched: a bare name, not a path."""


class CommandNotExecutable(InvalidRequest):
    """The program is there and can't be executed (exit code 126)."""

    program: str
    reason: str


class StartFailed(Broken):
    """The container could not be started; `cause` says which step and why."""

    cause: str
    runtime: str = ""
    """The other runtime whose words the cause is; empty: ours."""


class UnknownRuntime(InvalidRequest):
    """An OCI runtime that is neither ours nor configured."""

    name: str


class ReceiverUnreachable(Broken):
    """The container's log driver can't work; `cause` is its own sentence."""

    cause: str


class UserNotFound(InvalidRequest):
    """A user or group that the image does not have."""

    reference: str
    is_group: bool


class ExecNotFound(NotFound):
    """No exec session has this id."""

    exec_id: str


class ExecAlreadyStarted(Conflict):
    """An exec session runs once."""

    exec_id: str


class LogsNotReadable(NotSupported):
    """The container's log driver keeps nothing to read."""

    driver: str


class PathNotFound(NotFound):
    """Nothing is under this path in the container."""

    container: str
    path: str
