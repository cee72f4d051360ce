"""What a client is told: one table from kinds of failure to a status and Docker's text.

A failure that Docker words differently depending on the verb is reworded by the route, with
`worded`. Whatever is not in the table is a bug of ours: a test demands that every subclass of
`WherryError` has a line here.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import responses
from typing import Any

from wherry.kit.random_ids import short_id
from wherry.kit.values import dataclass
from wherry.model import errors as kinds
from wherry.model.errors import WherryError

Sentence = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a kind of failure is told."""

    status: int
    sentence: Sentence


class Refusal(Exception):
    """A failure that is already in its final words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


# -- sentences -------------------------------------------------------------------------------

_TASK = "failed to create task for container: failed to create shim task: "
_CREATING = (
    f"{_TASK}OCI runtime create failed: "
    "wherry-runtime create failed: unable to start container process: "
)
"""The words around a failed start; the stock CLI looks for its exit code in what follows."""


def _plain(error: WherryError) -> str:
    return str(error)


def _program_missing(error: kinds.CommandNotFound) -> str:
    if error.in_search_path:
        return f'exec: "{error.program}": executable file not found in $PATH'
    return f'exec: "{error.program}": stat {error.program}: no such file or directory'


def _program_problem(error: WherryError) -> str:
    match error:
        case kinds.CommandNotFound():
            return _program_missing(error)
        case kinds.CommandNotExecutable():
            return f'exec: "{error.program}": {error.reason}'
        case kinds.UserNotFound():
            return _unknown_user(error)
        case kinds.StartFailed():
            return error.cause
        case _:
            return message_of(error)


def _builtin_network(error: kinds.NetworkIsBuiltin) -> str:
    if error.action == "remove":
        return f"{error.name} is a pre-defined network and cannot be removed"
    return f"operation is not permitted on predefined {error.name} network"


def _repository_denied(error: kinds.RepositoryDenied) -> str:
    return (
        f"pull access denied for {error.repository}, repository does not exist or may require "
        f"'docker login': {error.complaint}"
    )


def _manifest_unknown(error: kinds.ManifestUnknown) -> str:
    colon = "@" if error.reference.startswith("sha256:") else ":"
    return (
        f"manifest for {error.repository}{colon}{error.reference} not found: manifest unknown: "
        "manifest unknown"
    )


_OF_TWO_KINDS = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified"
    " host path exists and is the expected type"
)


def _start_refused(error: WherryError) -> str:
    return f"{_CREATING}error during container init: {_program_problem(error)}: unknown"


def _start_failed(error: kinds.StartFailed) -> str:
    advice = _OF_TWO_KINDS if "not a directory" in error.cause else ""
    if error.runtime:
        began = f"{_TASK}OCI runtime create failed: {error.runtime}: "
        return f"{began}{error.cause}: unknown{advice}"
    return f"{_CREATING}{error.cause}: unknown{advice}"


def exec_refused(error: WherryError) -> str:
    """How a failed exec is told, in the stream of its output."""
    return (
        "OCI runtime exec failed: exec failed: unable to start container process: "
        f"{_program_problem(error)}: unknown"
    )


def _unknown_user(error: kinds.UserNotFound) -> str:
    kind, file = ("group", "group") if error.is_group else ("user", "passwd")
    return f"unable to find {kind} {error.reference}: no matching entries in {file} file"


def _dockerfile_refused(error: kinds.DockerfileRefused) -> str:
    if not error.line:
        return error.problem
    return f"dockerfile parse error on line {error.line}: {error.problem}"


def _name_taken(error: kinds.ContainerNameTaken) -> str:
    name = error.name.removeprefix("/")
    return (
        f'Conflict. The container name "/{name}" is already in use by container '
        f'"{error.holder}". You have to remove (or rename) that container to be able to reuse '
        "that name."
    )


def running(name: str, state: str) -> str:
    """Why a container can't be removed."""
    cure = (
        "and must be unpaused first"
        if state == "paused"
        else ": stop the container before removing or force remove"
    )
    gap = " " if state == "paused" else ""
    return f'cannot remove container "{name}": container is {state}{gap}{cure}'


def _image_in_use(error: kinds.ImageInUse) -> str:
    holder = short_id(error.container)
    if error.is_running:
        return (
            f"conflict: unable to delete {short_id(error.reference)} (cannot be forced) - "
            f"image is being used by running container {holder}"
        )
    if error.reference == error.image:
        return (
            f"conflict: unable to delete {short_id(error.reference)} (must be forced) - "
            f"image is being used by stopped container {holder}"
        )
    return (
        f'conflict: unable to remove repository reference "{error.reference}" (must force) - '
        f"container {holder} is using its referenced image {short_id(error.image)}"
    )


def _invalid_reference(error: kinds.InvalidReference) -> str:
    if not error.problem or error.problem == "invalid reference format":
        return "invalid reference format"
    return f"invalid reference format: {error.problem}"


def _port_in_use(error: kinds.PortInUse) -> str:
    address = f"[{error.address}]" if ":" in error.address else error.address
    is_ours = error.owner.startswith("container ")
    problem = "port is already allocated" if is_ours else "address already in use"
    owner = f" by {error.owner}" if error.owner else ""
    return (
        "failed to set up container networking: driver failed programming external connectivity: "
        f"Bind for {address or '0.0.0.0'}:{error.port}/{error.protocol} failed: "
        f"{problem}{owner}"
    )


# -- the table -------------------------------------------------------------------------------

RULES: Mapping[type[WherryError], Rule] = {
    kinds.WherryError: Rule(500, _plain),
    kinds.NotFound: Rule(404, _plain),
    kinds.AlreadyExists: Rule(409, _plain),
    kinds.Conflict: Rule(409, _plain),
    kinds.InvalidRequest: Rule(400, _plain),
    kinds.Forbidden: Rule(403, _plain),
    kinds.Unauthorized: Rule(401, _plain),
    kinds.Unavailable: Rule(503, _plain),
    kinds.NotSupported: Rule(501, _plain),
    kinds.Cancelled: Rule(499, _plain),
    kinds.Broken: Rule(500, _plain),
    kinds.InvalidField: Rule(400, lambda e: f"invalid {e.field} {e.value!r}: {e.problem}"),
    kinds.InvalidValue: Rule(400, lambda e: e.sentence),
    kinds.FeatureMissing: Rule(501, lambda e: f"Wherry does not have this yet: {e.feature}"),
    kinds.HostLacks: Rule(501, lambda e: f"{e.feature} needs {e.missing}, which this host lacks"),
    kinds.StepFailed: Rule(500, lambda e: f"{e.step}: {e.cause}"),
    kinds.StateUnreadable: Rule(500, lambda e: f"{e.place} is unreadable: {e.problem}"),
    kinds.ContainerNotFound: Rule(404, lambda e: f"No such container: {e.reference}"),
    kinds.AmbiguousReference: Rule(
        400, lambda e: f"Multiple IDs found with provided prefix: {e.reference}"
    ),
    kinds.ContainerNameTaken: Rule(409, _name_taken),
    kinds.InvalidContainerName: Rule(
        400,
        lambda e: f"Invalid container name ({e.name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    ),
    kinds.ContainerNotRunning: Rule(409, lambda e: f"container {e.container} is not running"),
    kinds.NothingToKill: Rule(
        409,
        lambda e: f"cannot kill container: {e.reference}: container {e.container} is not running",
    ),
    kinds.LinkedContainerNotRunning: Rule(
        500,
        lambda e: (
            f"Cannot link to a non running container: /{e.target} AS /{e.container}/{e.alias}"
        ),
    ),
    kinds.JoinedContainerNotRunning: Rule(
        409, lambda e: f"cannot join network of a non running container: {e.container}"
    ),
    kinds.ContainerRunning: Rule(409, lambda e: running(e.container, e.state)),
    kinds.IpcNotShareable: Rule(
        400,
        lambda e: (
            f"can't join IPC of container {e.container}: non-shareable IPC"
            " (hint: use IpcMode:shareable for the donor container)"
        ),
    ),
    kinds.UpdateRefused: Rule(
        409, lambda e: f"Cannot update container {e.container}: {e.problem}"
    ),
    kinds.ContainerPaused: Rule(
        409,
        lambda e: f"container {e.container} is paused, unpause the container first",
    ),
    kinds.ContainerRestarting: Rule(
        409,
        lambda e: f"Container {e.container} is restarting, wait until the container is running",
    ),
    kinds.ContainerNotPaused: Rule(409, lambda e: f"Container {e.container} is not paused"),
    kinds.RemovalInProgress: Rule(
        409, lambda e: f"removal of container {e.container} is already in progress"
    ),
    kinds.CommandNotFound: Rule(400, _start_refused),
    kinds.CommandNotExecutable: Rule(400, _start_refused),
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
    kinds.LogsNotReadable: Rule(
        501, lambda e: "configured logging driver does not support reading"
    ),
    kinds.BindSourceMissing: Rule(
        400,
        lambda e: (
            f'invalid mount config for type "bind": bind source path does not exist: {e.path}'
        ),
    ),
    kinds.VolumeNotFound: Rule(404, lambda e: f"get {e.name}: no such volume"),
    kinds.VolumeInUse: Rule(
        409, lambda e: f"remove {e.name}: volume is in use - [{', '.join(e.containers)}]"
    ),
    kinds.VolumeNameTaken: Rule(
        409,
        lambda e: (
            f"create {e.name}: driver '{e.driver}' already has volume '{e.name}': "
            "volume name must be unique"
        ),
    ),
    kinds.VolumeDriverNotFound: Rule(
        404,
        lambda e: (
            f"create {e.name}: error looking up volume plugin {e.driver}: "
            f'plugin "{e.driver}" not found'
        ),
    ),
    kinds.VolumeExists: Rule(409, lambda e: f"there is a volume {e.name} already"),
    kinds.VolumeMounted: Rule(
        409,
        lambda e: (
            f"volume {e.name} is mounted by {', '.join(map(short_id, e.holders))}: stop what uses "
            "it, or ask for a restart"
        ),
    ),
    kinds.VolumeHasNoHistory: Rule(
        501, lambda e: f"volume {e.name} can have no snapshots: {e.reason}"
    ),
    kinds.VolumeSnapshotNotFound: Rule(
        404, lambda e: f"volume {e.volume} has no snapshot {e.snapshot}"
    ),
    kinds.VolumeSnapshotExists: Rule(
        409, lambda e: f"volume {e.volume} has a snapshot {e.snapshot} already"
    ),
    kinds.PluginNotFound: Rule(404, lambda e: f'plugin "{e.name}" not found'),
    kinds.PluginExists: Rule(409, lambda e: f'plugin "{e.name}" already exists'),
    kinds.PluginEnabled: Rule(
        409,
        lambda e: f"{e.why}{': ' if e.why else ''}plugin '{e.name}' is already enabled",
    ),
    kinds.PluginDisabled: Rule(409, lambda e: f"plugin '{e.name}' is already disabled"),
    kinds.PluginInUse: Rule(409, lambda e: f'plugin "{e.name}" is in use'),
    kinds.PluginPrivilegesWrong: Rule(403, lambda e: "incorrect privileges"),
    kinds.PluginFailed: Rule(
        500, lambda e: f"error while calling plugin {e.name}: {e.method}: {e.complaint}"
    ),
    kinds.PathNotFound: Rule(
        404, lambda e: f"Could not find the file {e.path} in container {e.container}"
    ),
    kinds.ImageNotFound: Rule(404, lambda e: f"No such image: {e.reference}"),
    kinds.ImageInUse: Rule(409, _image_in_use),
    kinds.ImageHasTags: Rule(
        409,
        lambda e: (
            f"conflict: unable to delete {short_id(e.image)} (must be forced) - "
            "image is referenced in multiple repositories"
        ),
    ),
    kinds.InvalidReference: Rule(400, _invalid_reference),
    kinds.ArchiveRefused: Rule(400, lambda e: f"invalid archive: {e.problem}"),
    kinds.DigestMismatch: Rule(
        400, lambda e: f"content has digest {e.actual}, expected {e.expected}"
    ),
    kinds.RegistryUnreachable: Rule(
        500, lambda e: f'{e.method.capitalize()} "{e.url}": {e.cause}'
    ),
    kinds.RegistryFailed: Rule(500, lambda e: e.complaint),
    kinds.RegistryUnauthorized: Rule(401, lambda e: f'Get "{e.place}": {e.complaint}'),
    kinds.LoginNeeded: Rule(500, lambda e: f'Get "{e.place}": {e.complaint}'),
    kinds.RegistryRefused: Rule(500, lambda e: e.complaint),
    kinds.RepositoryDenied: Rule(404, _repository_denied),
    kinds.ManifestUnknown: Rule(404, _manifest_unknown),
    kinds.PlatformMissing: Rule(
        404, lambda e: f"no matching manifest for {e.platform} in the manifest list entries"
    ),
    kinds.SystemUnusable: Rule(
        400,
        lambda e: (
            f'image operating system "{e.system}" cannot be used on this platform: operating '
            "system is not supported"
        ),
    ),
    kinds.OtherPlatform: Rule(
        404,
        lambda e: (
            f"image with reference {e.reference} was found but does not provide the specified "
            f"platform ({e.platform})"
        ),
    ),
    kinds.DownloadRefused: Rule(
        404,
        lambda e: (
            f"failed to GET {e.address} with status {e.status} {responses.get(e.status, '')}"
            + (f": {e.complaint}" if e.complaint else "")
        ),
    ),
    kinds.ManifestRefused: Rule(400, lambda e: f"invalid manifest: {e.problem}"),
    kinds.PruneRunning: Rule(409, lambda e: "a prune operation is already running"),
    kinds.NetworkNotFound: Rule(404, lambda e: f"network {e.reference} not found"),
    kinds.AmbiguousNetwork: Rule(
        400,
        lambda e: f"network {e.reference} is ambiguous ({e.count} matches found based on name)",
    ),
    kinds.ConfigurationNotFound: Rule(
        404, lambda e: f'configuration network "{e.name}" not found'
    ),
    kinds.NoCluster: Rule(
        503,
        lambda _: (
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to '
            "connect this node to swarm and try again."
        ),
    ),
    kinds.NetworkNameTaken: Rule(409, lambda e: f"network with name {e.name} already exists"),
    kinds.NetworkIsBuiltin: Rule(403, _builtin_network),
    kinds.NetworkInUse: Rule(
        403,
        lambda e: (
            f"error while removing network: network {e.name} has active endpoints ({e.holders})"
        ),
    ),
    kinds.SubnetTaken: Rule(
        403,
        lambda e: (
            "invalid pool request: Pool overlaps with other one on this address space: "
            f"{e.subnet} and {e.holder}"
        ),
    ),
    kinds.AddressTaken: Rule(403, lambda e: f"Address already in use: {e.address}"),
    kinds.AlreadyConnected: Rule(
        403,
        lambda e: f"endpoint with name {e.container} already exists in network {e.network}",
    ),
    kinds.NotConnected: Rule(
        403, lambda e: f"container {e.container} is not connected to network {e.network}"
    ),
    kinds.ConnectionRefused: Rule(403, lambda e: e.sentence),
    kinds.PortInUse: Rule(409, _port_in_use),
    kinds.NotInContext: Rule(
        400,
        lambda e: (
            "COPY failed: file not found in build context or excluded by .dockerignore: "
            f"stat {e.path}: file does not exist"
        ),
    ),
    kinds.ClientGone: Rule(499, lambda _: "the client of the build is gone"),
    kinds.DockerfileRefused: Rule(400, _dockerfile_refused),
    kinds.StepEndedBadly: Rule(
        400,
        lambda e: f"The command '{e.command}' returned a non-zero code: {e.exit_code}",
    ),
    kinds.AddressPoolExhausted: Rule(
        503, lambda e: f"no available IPv4 addresses on this network's address pools: {e.subnet}"
    ),
}


def paused_before(verb: str) -> Mapping[type[WherryError], Sentence]:
    """How a verb that needs a running container tells of a paused one; for `worded`."""
    return {
        kinds.ContainerPaused: lambda e: (
            f"container {e.container} is paused, unpause the container before {verb}"
        )
    }


def rule_of(error: WherryError) -> Rule:
    """The line for an error, of its own kind or of the nearest kind above it."""
    for kind in type(error).__mro__:
        rule = RULES.get(kind)
        if rule is not None:
            return rule
    raise AssertionError("the table has a line for WherryError itself")


OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""What a disk says that takes nothing more: no bug of ours, and told without a trace."""


def message_of(error: Exception) -> str:
    """What a client is told of any failure."""
    if isinstance(error, Refusal):
        return error.message
    if isinstance(error, WherryError):
        return rule_of(error).sentence(error)
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        return f"{os.strerror(error.errno).lower()}: {error.filename or 'the data root'}"
    return f"{type(error).__name__}: {error}"


def status_of(error: Exception) -> int:
    """The HTTP status of any failure."""
    if isinstance(error, Refusal):
        return error.status
    return rule_of(error).status if isinstance(error, WherryError) else 500


@contextmanager
def worded(sentences: Mapping[type[WherryError], Sentence]) -> Iterator[None]:
    """Tell some kinds of failure in the words of one verb; the statuses stay.

    Raises: Refusal.
    """
    try:
        yield
    except WherryError as error:
        sentence = sentences.get(type(error))
        if sentence is None:
            raise
        raise Refusal(rule_of(error).status, sentence(error)) from error
