"""Kinds of failure. The edge maps each kind to a status and to Docker's text.

A failure carries fields, never ready-made prose: that is made where it is told. `__str__` is for
logs. The one exception are sentences that others have written: a registry's, a plugin's, Docker's.
"""

from typing import dataclass_transform

from wherry.kit.values import dataclass


@dataclass_transform(eq_default=False)
@dataclass(eq=False)
class WherryError(Exception):
    """Any failure that we understand; the annotations of a subclass are its fields."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(eq=False)(cls)

    def __str__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"


# -- kinds -----------------------------------------------------------------------------------


class NotFound(WherryError):
    """What was named does not exist."""


class AlreadyExists(WherryError):
    """The name is taken."""


class Conflict(WherryError):
    """The thing is in a state that does not allow this."""


class InvalidRequest(WherryError):
    """The request can never be right."""


class Forbidden(WherryError):
    """Understood and refused."""


class Unauthorized(WherryError):
    """Who asks is not known."""


class Unavailable(WherryError):
    """Not now: something that we need does not answer."""


class NotSupported(WherryError):
    """Not built yet, or this host can't do it."""


class Cancelled(WherryError):
    """Given up on request."""


class Broken(WherryError):
    """Our own fault, or the machine's."""


# -- general ---------------------------------------------------------------------------------


class InvalidField(InvalidRequest):
    """A value that a field can't have; `problem` is a clause such as `must be positive`."""

    field: str
    value: object
    problem: str


class InvalidValue(InvalidRequest):
    """A request that is wrong in a way that Docker has a sentence of its own for."""

    sentence: str


class FeatureMissing(NotSupported):
    """Something of Docker's that Wherry does not have yet."""

    feature: str


class HostLacks(NotSupported):
    """Something that this kernel or host does not offer."""

    feature: str
    missing: str


class StepFailed(Broken):
    """A step that should have worked did not; `cause` is what the machine said."""

    step: str
    cause: str


class StateUnreadable(Broken):
    """A file or row of our own that can't be understood."""

    place: str
    problem: str


class ContentDamaged(Broken):
    """Blobs that were not what they are called; they are removed."""

    damaged: int
    checked: int


class PruneRunning(Conflict):
    """Somebody else is pruning things of this kind."""

    kind: str


class NoCluster(Unavailable):
    """Something that a cluster's manager can do, asked of an engine that is in none."""


# -- containers ------------------------------------------------------------------------------


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


# -- volumes ---------------------------------------------------------------------------------


class BindSourceMissing(InvalidRequest):
    """`--mount` of a host path that is not there."""

    path: str


class VolumeNotFound(NotFound):
    """No volume has this name."""

    name: str


class VolumeInUse(Conflict):
    """Containers have the volume, whether they run or not."""

    name: str
    containers: tuple[str, ...]


class VolumeNameTaken(Conflict):
    """Another driver has a volume of this name."""

    name: str
    driver: str


class VolumeExists(AlreadyExists):
    """A volume was to get a name that another one has."""

    name: str


class VolumeMounted(Conflict):
    """Containers that run have the volume mounted, so nothing may take its place."""

    name: str
    holders: tuple[str, ...]


class VolumeHasNoHistory(NotSupported):
    """A volume whose files are not in a directory of ours."""

    name: str
    reason: str


class VolumeSnapshotNotFound(NotFound):
    """A volume has no snapshot of this name."""

    volume: str
    snapshot: str


class VolumeSnapshotExists(AlreadyExists):
    """A volume has a snapshot of this name."""

    volume: str
    snapshot: str


class VolumeDriverNotFound(NotFound):
    """No driver or plugin of this name is here."""

    name: str
    driver: str


# -- plugins ---------------------------------------------------------------------------------


class PluginNotFound(NotFound):
    """No plugin of this name, or none that does what is wanted."""

    name: str


class PluginExists(AlreadyExists):
    """A plugin was to get a name that another one has."""

    name: str


class PluginEnabled(Conflict):
    """A plugin runs, and the verb is for those that don't."""

    name: str
    why: str = ""
    """What the verb has to say of it."""


class PluginDisabled(Conflict):
    """A plugin does not run."""

    name: str


class PluginInUse(Conflict):
    """Something that exists is a plugin's."""

    name: str


class PluginPrivilegesWrong(Forbidden):
    """What was allowed is not exactly what a plugin wants."""


class PluginFailed(Broken):
    """A plugin can't be reached, answers nonsense, or complains."""

    name: str
    method: str
    complaint: str


# -- images ----------------------------------------------------------------------------------


class ImageNotFound(NotFound):
    """No image answers to the reference."""

    reference: str


class ImageInUse(Conflict):
    """A container or another tag needs the image."""

    reference: str
    container: str
    is_running: bool
    image: str = ""
    """Its id: the same as the reference where it was named by id."""


class ImageHasTags(Conflict):
    """Removal by id of an image with tags in several repositories."""

    image: str


class InvalidReference(InvalidRequest):
    """Text that is not an image reference."""

    reference: str
    problem: str


class UnusableReference(InvalidReference):
    """A reference, but none that can be what is asked of it: the problem is a sentence."""


class ArchiveRefused(InvalidRequest):
    """An image archive or layer that is malformed or unsafe."""

    problem: str


class DigestMismatch(InvalidRequest):
    """Content that is not what its digest says."""

    expected: str
    actual: str


# -- registries ------------------------------------------------------------------------------


class RegistryUnreachable(Unavailable):
    """A request that got no answer; `cause` is told in the words of Go's client."""

    method: str
    url: str
    cause: str
    is_not_tls: bool = False
    """Whether a TLS handshake was answered in plain HTTP."""
    may_pass: bool = True
    """Whether another attempt makes sense."""


class RegistryFailed(Unavailable):
    """The registry has a problem of its own (429, 5xx) that did not pass."""

    method: str
    url: str
    status: int
    complaint: str
    retry_after: str = ""


class RegistryUnauthorized(Unauthorized):
    """A registry or its token server does not take our credentials, or our lack of them."""

    place: str
    complaint: str


class LoginNeeded(Unavailable):
    """As `RegistryUnauthorized`, of a transfer: clients that are told 401 ask for a password."""

    place: str
    complaint: str


class RegistryRefused(Conflict):
    """A registry understood a request and did not do it."""

    action: str
    complaint: str
    status: int


class RepositoryDenied(NotFound):
    """No such repository, or not for us: registries don't tell which."""

    repository: str
    complaint: str


class ManifestUnknown(NotFound):
    """A repository that has no such tag or digest."""

    repository: str
    reference: str


class PlatformMissing(NotFound):
    """An index without an image for the platform."""

    platform: str
    reference: str


class SystemUnusable(InvalidRequest):
    """An image of an operating system that is not this machine's."""

    system: str


class OtherPlatform(NotFound):
    """An image that is here, but not for this platform."""

    reference: str
    platform: str


class DownloadRefused(NotFound):
    """A file on the web that its server doesn't give; `status` is HTTP's."""

    address: str
    status: int
    complaint: str


class ManifestRefused(InvalidRequest):
    """A manifest that is malformed, ambiguous or too large."""

    problem: str


# -- networks --------------------------------------------------------------------------------


class NetworkNotFound(NotFound):
    """No network has this id or name."""

    reference: str


class AmbiguousNetwork(InvalidRequest):
    """An id prefix or name that fits several networks."""

    reference: str
    count: int


class NetworkNameTaken(Conflict):
    """Another network has the name."""

    name: str


class NetworkIsBuiltin(Forbidden):
    """bridge, host and none can't be removed, nor made again."""

    name: str
    action: str
    """`remove` or `create`."""


class NetworkInUse(Forbidden):
    """Containers are on the network."""

    name: str
    network: str
    holders: str
    """Names and endpoint ids, as Docker lists them."""


class SubnetTaken(Forbidden):
    """Another network, or the host, has addresses of the subnet."""

    subnet: str
    holder: str


class AddressTaken(Forbidden):
    """Another endpoint has the address."""

    address: str


class AlreadyConnected(Forbidden):
    """The container is on the network."""

    container: str
    network: str


class NotConnected(Forbidden):
    """The container is not on the network."""

    container: str
    network: str
    is_running: bool = True


class EndpointNotFound(NotFound):
    """Nobody of this name is on a network."""

    container: str


class ConnectionRefused(Forbidden):
    """This container and this network don't go together; `sentence` is Docker's."""

    sentence: str


class PortInUse(Conflict):
    """The host port is taken; `owner` says by whom, as far as we can see."""

    protocol: str
    address: str
    port: int
    owner: str


class NetworkingFailed(Broken):
    """A container that is being started could not be put on its networks."""

    cause: WherryError


class AddressPoolExhausted(Unavailable):
    """The subnet has no free address."""

    subnet: str


class ConfigurationNotFound(NotFound):
    """No configuration-only network of this name."""

    name: str


# -- building --------------------------------------------------------------------------------


class DockerfileRefused(InvalidRequest):
    """A Dockerfile that is wrong; line 0 where no line is to blame."""

    line: int
    problem: str


class NotInContext(InvalidRequest):
    """A file that COPY or ADD names is not there, or left out by the patterns."""

    path: str
    """Below the root that it was looked for in."""
    source: str
    """As it was written."""
    is_pattern: bool = False
    instruction: str = "COPY"
    has_origin: bool = False
    """It was looked for in a stage or an image."""


class ClientGone(Cancelled):
    """The client of a build left, and with it what the build needs."""


class BuildNotFound(NotFound):
    """No build of this name is under way, or remembered."""

    ref: str


class StepEndedBadly(InvalidRequest):
    """The command of a RUN instruction ended with another code than zero."""

    command: str
    exit_code: int
