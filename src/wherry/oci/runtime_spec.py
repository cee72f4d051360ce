"""The runtime configuration: `config.json` of a bundle (OCI runtime-spec 1.2).

Fields carry the specification's names in our spelling; `decode` and `encode` in
`wherry.oci.runtime_json` are their JSON.
"""

from collections.abc import Mapping

from wherry.kit.values import dataclass, field

VERSION = "1.2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who the process is, in numbers (config.md, "POSIX-platform User")."""

    uid: int = 0
    gid: int = 0
    umask: int | None = None
    additional_gids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The five capability sets, by names such as `CAP_CHOWN`."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rlimit:
    """One resource limit, such as `RLIMIT_NOFILE`."""

    type: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IoPriority:
    """When the process's turn at a disk comes: a class such as `IOPRIO_CLASS_BE`, and 0 to 7."""

    class_: str
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """How the kernel shares processors with the process (sched_setattr(2)); times in ns."""

    policy: str
    nice: int = 0
    priority: int = 0
    flags: tuple[str, ...] = ()
    runtime: int = 0
    deadline: int = 0
    period: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecCpuAffinity:
    """Processors (`0-3,7`) of an exec'd process: until it is in the cgroup, and from then on."""

    initial: str = ""
    final: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSize:
    """The size of a terminal in characters; 0: not known."""

    height: int = 0
    width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The process that the container runs."""

    args: tuple[str, ...]
    cwd: str = "/"
    env: tuple[str, ...] = ()
    terminal: bool = False
    console_size: ConsoleSize = field(default_factory=ConsoleSize)
    user: User = field(default_factory=User)
    capabilities: Capabilities | None = None
    rlimits: tuple[Rlimit, ...] = ()
    no_new_privileges: bool = False
    oom_score_adj: int | None = None
    apparmor_profile: str = ""
    selinux_label: str = ""
    io_priority: IoPriority | None = None
    scheduler: Scheduler | None = None
    exec_cpu_affinity: ExecCpuAffinity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The root file system: a path, absolute or relative to the bundle."""

    path: str = "rootfs"
    readonly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IdMapping:
    """A range of ids of a user namespace, and what they are in the namespace around it."""

    container_id: int
    host_id: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mount below the root, in mount(8)'s words for options."""

    destination: str
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    """With `gid_mappings`: who owns its files is shown through this map (idmapped mounts)."""
    gid_mappings: tuple[IdMapping, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A namespace to make, or with a path, to join.

    `type` is one of pid, network, ipc, mount, uts, user, cgroup, time.
    """

    type: str
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device node to make in the container."""

    path: str
    type: str
    major: int = 0
    minor: int = 0
    file_mode: int = 0o666
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRule:
    """A rule of the device controller; None for `major` or `minor` means all."""

    allow: bool
    type: str = "a"
    major: int | None = None
    minor: int | None = None
    access: str = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Limits in bytes; None leaves the kernel's default, -1 is unlimited."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    swappiness: int | None = None
    disable_oom_killer: bool = False
    kernel: int | None = None
    kernel_tcp: int | None = None
    use_hierarchy: bool = False
    check_before_update: bool = False
    """Refuse a limit below what is in use already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """Shares, quota and period in microseconds, and the processors to run on."""

    shares: int | None = None
    quota: int | None = None
    period: int | None = None
    cpus: str = ""
    mems: str = ""
    burst: int | None = None
    realtime_period: int | None = None
    realtime_runtime: int | None = None
    idle: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockWeight:
    """A block device's share of its time, 10 to 1000, for this cgroup."""

    major: int
    minor: int
    weight: int | None = None
    leaf_weight: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockThrottle:
    """The most that a block device may do for this cgroup, in bytes or operations a second."""

    major: int
    minor: int
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockIo:
    """Shares and limits of block devices (config-linux.md, "Block IO")."""

    weight: int | None = None
    leaf_weight: int | None = None
    weight_devices: tuple[BlockWeight, ...] = ()
    read_bps: tuple[BlockThrottle, ...] = ()
    write_bps: tuple[BlockThrottle, ...] = ()
    read_iops: tuple[BlockThrottle, ...] = ()
    write_iops: tuple[BlockThrottle, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HugepageLimit:
    """The most bytes in huge pages of a size such as `2MB`."""

    page_size: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfacePriority:
    """The priority of what leaves through a network interface (net_prio, version 1)."""

    name: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkClass:
    """How outgoing packets are marked (net_cls and net_prio, version 1)."""

    class_id: int | None = None
    priorities: tuple[InterfacePriority, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RdmaLimit:
    """The most handles and objects of one RDMA device; None is unlimited."""

    hca_handles: int | None = None
    hca_objects: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the container's cgroups may use."""

    devices: tuple[DeviceRule, ...] = ()
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids_limit: int | None = None
    """None or not positive: unlimited."""
    block_io: BlockIo | None = None
    hugepage_limits: tuple[HugepageLimit, ...] = ()
    network: NetworkClass | None = None
    rdma: Mapping[str, RdmaLimit] = field(default_factory=dict)
    """By the device's name."""
    unified: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeccompArgument:
    """A comparison of one argument of a system call."""

    index: int
    value: int
    op: str
    value_two: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeccompRule:
    """What to do for some system calls."""

    names: tuple[str, ...]
    action: str
    errno_ret: int | None = None
    args: tuple[SeccompArgument, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seccomp:
    """A system call filter (config-linux.md, "Seccomp")."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: tuple[SeccompRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOffset:
    """How far a clock of a time namespace is from the host's."""

    secs: int = 0
    nanosecs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """The execution domain (personality(2)): `LINUX` or `LINUX32`."""

    domain: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetDevice:
    """A network interface of the host that moves into the container; empty keeps its name."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linux:
    """What is Linux's own."""

    namespaces: tuple[Namespace, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    time_offsets: Mapping[str, TimeOffset] = field(default_factory=dict)
    """By the clock: `monotonic` and `boottime`."""
    devices: tuple[Device, ...] = ()
    cgroups_path: str = ""
    """Below each hierarchy's root, such as `/docker/ID`."""
    resources: Resources = field(default_factory=Resources)
    sysctl: Mapping[str, str] = field(default_factory=dict)
    seccomp: Seccomp | None = None
    rootfs_propagation: str = ""
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    mount_label: str = ""
    personality: Personality | None = None
    net_devices: Mapping[str, NetDevice] = field(default_factory=dict)
    """By the host's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A program of the host that is told of the container's state on its standard input."""

    path: str
    args: tuple[str, ...] = ()
    """With the name that it is called by; empty: the path."""
    env: tuple[str, ...] = ()
    timeout_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What is run around a container's life (config.md, "POSIX-platform Hooks")."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSpec:
    """A container, complete."""

    oci_version: str = VERSION
    process: Process
    root: Root = field(default_factory=Root)
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    hooks: Hooks = field(default_factory=Hooks)
    linux: Linux = field(default_factory=Linux)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootfsMount:
    """How to mount a container's root inside its mount namespace (ours, not OCI's).

    The same instruction for each snapshot driver; it crosses the shim protocol.
    """

    type: str
    """`overlay`, `fuse-overlayfs`, `device` or `bind`."""
    directory: str
    """Where relative names in `lower` start: a stack of 128 layers must fit in one page."""
    lower: tuple[str, ...] = ()
    """Read-only layers, topmost first."""
    upper: str = ""
    work: str = ""
    source: str = ""
    """For `bind`: the directory; for `device`: the block device."""
    filesystem: str = ""
    """What is on the device."""
    maps_owners: bool = False
    """Whether owners on the disk are ids inside the container's user namespace."""
