"""What a user asked for (`ContainerSpec`) and what we know of a container (`Container`)."""

from collections.abc import Mapping
from enum import Enum

import msgspec

from wherry.kit.values import dataclass, field
from wherry.model.devices import DeviceSpec
from wherry.model.health import Health, HealthCheck
from wherry.model.ids import ContainerId, ExecId, ImageId
from wherry.model.lifecycle import ContainerState
from wherry.model.limits import Limits
from wherry.model.networks import EndpointStatus, EndpointWish, NetworkMode, Port, PortBinding

# -- what the user asked ---------------------------------------------------------------------


class BindMount(msgspec.Struct, frozen=True, kw_only=True, tag="bind"):
    """A host path in the container. (A tagged struct: stored records tell mounts apart by it.)"""

    source: str
    target: str
    is_read_only: bool = False
    propagation: str = "rprivate"
    creates_source: bool = False
    """`-v` makes a missing host directory; `--mount` refuses it."""
    is_recursive: bool = True
    spares_submounts: bool = False
    """Read-only, what is mounted below stays writable (`bind-recursive=writable`)."""
    must_reach_submounts: bool = False
    """Read-only, a kernel that can't reach what is mounted below is a refusal
    (`bind-recursive=readonly`); without this wish it reaches as far as it can."""
    written_as: str | None = None
    """The `-v` text, where the mount came as one: inspect shows it again."""
    is_inherited: bool = False
    """It came by `--volumes-from`: the wish was another container's."""
    is_of_engine: bool = False
    """Its files belong to whom they belong to in images, where the container's ids are mapped."""


class VolumeMount(msgspec.Struct, frozen=True, kw_only=True, tag="volume"):
    """A volume in the container; made when the container is, where it isn't there yet."""

    name: str = ""
    """Empty in a wish for an anonymous volume; creation makes a name up."""
    target: str
    source: str = ""
    """The volume's directory on the host; creation fills it in."""
    driver: str = ""
    is_read_only: bool = False
    is_anonymous: bool = False
    """`rm -v` takes it along."""
    copies_image: bool = True
    """While the volume is empty, what the image has at the target is copied into it."""
    subpath: str = ""
    """The directory or file of the volume that is shown, instead of all of it."""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    """With `options`: what a volume is given that has to be made."""
    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    propagation: str = ""
    mode: str = ""
    """The words behind the target in a `-v` text, or in `--volumes-from`."""
    written_as: str | None = None
    from_mount_flag: bool = False
    """It came as `--mount`; neither this nor a text: by VOLUME, `-v /path`, or inherited."""


class TmpfsMount(msgspec.Struct, frozen=True, kw_only=True, tag="tmpfs"):
    """A temporary file system in the container."""

    target: str
    size_bytes: int = 0
    mode: int | None = None
    options: str = ""
    """As in `--tmpfs /run:rw,noexec,size=64m`."""
    from_mount_flag: bool = False


class ImageMount(msgspec.Struct, frozen=True, kw_only=True, tag="image"):
    """The files of another image in the container, read-only."""

    reference: str
    """As the user wrote it."""
    target: str
    subpath: str = ""
    """The directory or file of the image that is shown, instead of all of it."""
    snapshot: str = ""
    """What keeps its layers as long as the container is there; creation makes it."""
    layers: tuple[str, ...] = ()
    """Directories on the host to be stacked, topmost first; creation fills them in."""


MountSpec = BindMount | VolumeMount | TmpfsMount | ImageMount


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """How far the container's processes are kept from the host."""

    is_privileged: bool = False
    capabilities_added: tuple[str, ...] = ()
    capabilities_dropped: tuple[str, ...] = ()
    no_new_privileges: bool = False
    seccomp: str = ""
    """Empty: the default profile. `unconfined`, or the JSON text of a profile."""
    apparmor: str = ""
    """Name of an AppArmor profile. Empty: the default one, where the host has AppArmor."""
    masked_paths: tuple[str, ...] | None = None
    """None: the default list."""
    read_only_paths: tuple[str, ...] | None = None
    group_add: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """Parts of an SELinux label: `type:container_t`, or `disable`."""
    has_writable_cgroups: bool | None = None
    """None: only with `--privileged`."""
    options: tuple[str, ...] = ()
    """The `--security-opt` texts as they came, for inspect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespaces:
    """Which namespaces are shared. Empty: the engine's default, a namespace of its own."""

    pid: str = ""
    ipc: str = ""
    uts: str = ""
    cgroup: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSpec:
    """Where the container's output goes. An empty driver means the engine's default."""

    driver: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


class RestartMode(Enum):
    """When a container that has ended is started again. The values are Docker's words."""

    NO = "no"
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"
    ON_FAILURE = "on-failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """What happens after the container's end."""

    mode: RestartMode = RestartMode.NO
    most_retries: int = 0
    """With ON_FAILURE: how often; zero is without limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Another container on the default bridge, and the name that this one has for it."""

    target: str
    """What the user called it; the container's id once it was found."""
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """How the container is connected."""

    mode: NetworkMode = field(default_factory=NetworkMode)
    exposed: tuple[Port, ...] = ()
    bindings: tuple[PortBinding, ...] = ()
    publishes_all: bool = False
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    """`name:address`, the address may be `host-gateway`."""
    mac_address: str = ""
    links: tuple[Link, ...] = ()
    is_disabled: bool = False
    endpoints: tuple[EndpointWish, ...] = ()
    """Wishes for single networks; the one of `mode` may be among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Standard streams: what is open, and what the creating client said it would attach."""

    is_tty: bool = False
    opens_stdin: bool = False
    closes_stdin_after_first: bool = False
    """Close the container's stdin when the first attached client has finished."""
    attaches_stdin: bool = False
    attaches_stdout: bool = False
    attaches_stderr: bool = False
    rows: int = 0
    columns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What the user asked for, merged with the image's defaults once it is created.

    Before the merge, None in `entrypoint` and `command` means: what the image says.
    """

    image: str
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: tuple[str, ...] = ()
    environment_files: Mapping[str, str] = field(default_factory=dict)
    """Variables whose values are read from files of the host at each start: secrets of a build
    step, which no record may have."""
    working_directory: str = ""
    user: str = ""
    hostname: str = ""
    domainname: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    terminal: Terminal = field(default_factory=Terminal)
    stop_signal: str = ""
    stop_timeout_s: int | None = None
    runs_init: bool | None = None
    """None: the engine's default."""
    is_rootfs_read_only: bool = False
    removes_itself: bool = False
    ends_with_engine: bool = False
    """It is of a step of a build: nobody waits for it any more when the engine has died."""
    shm_bytes: int = 0
    """Zero: the engine's default of 64 MiB."""
    storage_options: Mapping[str, str] = field(default_factory=dict)
    """What the storage driver is asked for the writable layer, as `size`."""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    oom_score_adjust: int = 0
    cgroup_parent: str = ""
    runtime: str = ""
    isolation: str = ""
    """Windows has several; here it is `default`, or unsaid."""
    cid_file: str = ""
    mounts: tuple[MountSpec, ...] = ()
    declared_volumes: tuple[str, ...] = ()
    """Places that are volumes by `-v /path` or the image's VOLUME."""
    volumes_from: tuple[str, ...] = ()
    """Containers whose volumes this one has too, each with `:ro` or `:rw` at will."""
    volume_driver: str = ""
    """Of volumes that have to be made and don't say which."""
    limits: Limits = field(default_factory=Limits)
    devices: DeviceSpec = field(default_factory=DeviceSpec)
    security: Security = field(default_factory=Security)
    namespaces: Namespaces = field(default_factory=Namespaces)
    network: NetworkSpec = field(default_factory=NetworkSpec)
    log: LogSpec = field(default_factory=LogSpec)
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    health: HealthCheck | None = None
    """None: the image's, if it has one."""
    shell: tuple[str, ...] = ()
    """The image's SHELL: it runs a health check that is one line of text."""


# -- what we know ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """What happened to a container so far."""

    state: ContainerState
    pid: int = 0
    exit_code: int = 0
    was_oom_killed: bool = False
    error: str = ""
    """Why the last start failed; empty when it did not."""
    started_at_ns: int | None = None
    finished_at_ns: int | None = None
    lost_output_bytes: int = 0
    """What of the last run's output could not be written to its log."""
    restart_count: int = 0
    """How often its policy has restarted it since a user started it."""
    restart_delay_ns: int = 0
    """How long after the last end its policy waited, or waits; zero: it did not restart it yet."""
    health: Health | None = None
    """None: nothing probes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The record of a container."""

    id: ContainerId
    name: str
    """Without the leading slash that Docker's JSON has."""
    created_at_ns: int
    image_id: ImageId
    spec: ContainerSpec
    status: ContainerStatus
    endpoints: tuple[EndpointStatus, ...] = ()
    """Where it is connected; addresses are there only while it runs."""
    explicit_stop: bool = False
    """The user stopped it: restart policies leave it alone."""

    @property
    def is_alive(self) -> bool:
        """Whether it has processes: running or paused."""
        return self.status.state in (ContainerState.RUNNING, ContainerState.PAUSED)

    @property
    def counts_as_running(self) -> bool:
        """Whether Docker calls it running: it has processes, or will have some again by itself."""
        return self.is_alive or self.status.state is ContainerState.RESTARTING

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line: entrypoint, then command."""
        return (self.spec.entrypoint or ()) + (self.spec.command or ())


# -- processes that join ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecSpec:
    """A command to run inside a running container."""

    container_id: ContainerId
    command: tuple[str, ...]
    environment: tuple[str, ...] = ()
    working_directory: str = ""
    user: str = ""
    is_tty: bool = False
    is_privileged: bool = False
    attaches_stdin: bool = False
    attaches_stdout: bool = False
    attaches_stderr: bool = False
    detach_keys: str = ""
    rows: int = 0
    columns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecStatus:
    """What happened to an exec session."""

    id: ExecId
    spec: ExecSpec
    is_running: bool = False
    has_started: bool = False
    exit_code: int | None = None
    """None until it ended."""
    pid: int = 0
