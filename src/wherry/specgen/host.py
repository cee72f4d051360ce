"""What a container's configuration depends on, read from this host once.

`runtime_spec` is pure: everything that it must know of the machine is in `HostFacts`.
"""

import os

from wherry.kit.values import dataclass, field
from wherry.linux import apparmor, cgroups
from wherry.linux.capabilities import names_of
from wherry.specgen.knobs import Knob, offered_knobs
from wherry.specgen.remapping import RemappedIds

DEFAULT_SYSCTLS = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}
"""What a network namespace of the container's own starts with, where the kernel has it."""

_CPU_DIRECTORY = "/sys/devices/system/cpu"
_CGROUP2_CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers"
_GO_ARCHITECTURES = {
    "x86_64": "amd64",
    "i386": "x86",
    "i686": "x86",
    "aarch64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "loongarch64": "loong64",
    "mips64": "mips64",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What specgen must know of the machine."""

    cgroup_version: int = 1
    kernel_version: tuple[int, int] = (6, 1)
    architecture: str = "amd64"
    """In Go's words, as seccomp profiles are written."""
    hostname: str = ""
    has_time_namespace: bool = True
    has_apparmor: bool = False
    knobs: frozenset[Knob] = frozenset(Knob)
    """What can be limited here."""
    controllers: frozenset[str] = frozenset()
    """The cgroup controllers that are mounted, of either version."""
    processors: int = 1
    """How many there are for `--cpus`."""
    cpuset_cpus: str = "0"
    """The processors that are online, as the kernel writes lists: `0-3,6`."""
    cpuset_mems: str = "0"
    """The memory nodes that are online."""
    has_selinux: bool = False
    remapped: RemappedIds | None = None
    """The engine's `userns-remap`; None where it has none."""
    thermal_throttle: tuple[str, ...] = ()
    """The existing per-processor directories that tell of the host's load."""
    capabilities: tuple[str, ...] = ()
    """What the daemon itself may hold, by number: all that a container can get."""
    sysctls: frozenset[str] = field(default_factory=lambda: frozenset(DEFAULT_SYSCTLS))
    """Which of the default sysctls this kernel has."""


def read_host_facts() -> HostFacts:
    """Read the facts of this machine. Raises: OSError."""
    layout = cgroups.discover()
    machine = os.uname()
    return HostFacts(
        cgroup_version=2 if os.path.exists(_CGROUP2_CONTROLLERS) else 1,
        kernel_version=parse_kernel_version(machine.release),
        architecture=_GO_ARCHITECTURES.get(machine.machine, machine.machine),
        hostname=machine.nodename,
        has_time_namespace=os.path.exists("/proc/self/ns/time"),
        has_apparmor=apparmor.is_enabled(),
        knobs=offered_knobs(layout),
        controllers=frozenset(name for each in layout.hierarchies() for name in each.controllers),
        processors=os.cpu_count() or 1,
        cpuset_cpus=_read_text(f"{_CPU_DIRECTORY}/online"),
        cpuset_mems=_memory_nodes(),
        has_selinux=os.path.exists("/sys/fs/selinux/enforce"),
        thermal_throttle=_thermal_throttle_directories(),
        capabilities=names_of(_bounding_set()),
        sysctls=frozenset(name for name in DEFAULT_SYSCTLS if _has_sysctl(name)),
    )


def parse_kernel_version(release: str) -> tuple[int, int]:
    """The first two numbers of a release such as `6.1.0-18-amd64`. Raises: ValueError."""
    major, _, rest = release.partition(".")
    minor = rest
    for index, character in enumerate(rest):
        if not character.isascii() or not character.isdigit():
            minor = rest[:index]
            break
    if not (major.isascii() and major.isdigit() and minor):
        raise ValueError(f"not a kernel release: {release!r}")
    return int(major), int(minor)


def _thermal_throttle_directories() -> tuple[str, ...]:
    """Counters per processor that tell one container what others do (GHSA-6fw5-f8r9-fgfm)."""
    processors = [
        int(name[3:])
        for name in os.listdir(_CPU_DIRECTORY)
        if name.startswith("cpu") and name[3:].isascii() and name[3:].isdigit()
    ]
    paths = (f"{_CPU_DIRECTORY}/cpu{each}/thermal_throttle" for each in sorted(processors))
    return tuple(path for path in paths if os.path.exists(path))


def _bounding_set() -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("CapBnd:"):
                return int(line.split()[1], 16)
    return 0


def _memory_nodes() -> str:
    """Kernels without NUMA have node 0 and don't say so."""
    try:
        return _read_text("/sys/devices/system/node/online")
    except FileNotFoundError:
        return "0"


def _has_sysctl(name: str) -> bool:
    return os.path.exists("/proc/sys/" + name.replace(".", "/"))


def _read_text(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()
