"""The runtime configuration: `config.json` of a bundle (OCI runtime-spec 1.2).

Fields carry the specification's names in our spelling; `decode` and `encode` in
`wherry.oci.runtime_json` are their JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
class Process:
    """The process that the container runs."""

    args: tuple[str, ...]
    cwd: str = "/"
    env: tuple[str, ...] = ()
    terminal: bool = False
    console_height: int = 0
    console_width: int = 0
    user: User = field(default_factory=User)
    capabilities: Capabilities | None = None
    rlimits: tuple[Rlimit, ...] = ()
    no_new_privileges: bool = False
    oom_score_adj: int | None = None
    apparmor_profile: str = ""
    selinux_label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The root file system: a path, absolute or relative to the bundle."""

    path: str = "rootfs"
    readonly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mount below the root, in mount(8)'s words for options."""

    destination: str
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()


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
    major: int
    minor: int
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """Shares, quota and period in microseconds, and the processors to run on."""

    shares: int | None = None
    quota: int | None = None
    period: int | None = None
    cpus: str = ""
    mems: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the container's cgroups may use."""

    devices: tuple[DeviceRule, ...] = ()
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids_limit: int | None = None
    """None or not positive: unlimited."""
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
class Linux:
    """What is Linux's own."""

    namespaces: tuple[Namespace, ...] = ()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSpec:
    """A container, complete."""

    oci_version: str = VERSION
    process: Process
    root: Root = field(default_factory=Root)
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    linux: Linux = field(default_factory=Linux)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootfsMount:
    """How to mount a container's root inside its mount namespace (ours, not OCI's).

    The same instruction for each snapshot driver; it crosses the shim protocol.
    """

    type: str
    """`overlay` or `bind`."""
    directory: str
    """Where relative names in `lower` start: a stack of 128 layers must fit in one page."""
    lower: tuple[str, ...] = ()
    """Read-only layers, topmost first."""
    upper: str = ""
    work: str = ""
    source: str = ""
    """For `bind`: the directory."""
