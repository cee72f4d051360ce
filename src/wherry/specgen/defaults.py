"""What every container gets unless it says otherwise: Docker's defaults of mid 2026."""

from wherry.oci.runtime_spec import DeviceRule, Mount

MOUNTS = (
    Mount(
        destination="/proc",
        type="proc",
        source="proc",
        options=("nosuid", "noexec", "nodev"),
    ),
    Mount(
        destination="/dev",
        type="tmpfs",
        source="tmpfs",
        options=("nosuid", "strictatime", "mode=755", "size=65536k"),
    ),
    Mount(
        destination="/dev/pts",
        type="devpts",
        source="devpts",
        options=("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    ),
    Mount(
        destination="/sys",
        type="sysfs",
        source="sysfs",
        options=("nosuid", "noexec", "nodev", "ro"),
    ),
    Mount(
        destination="/sys/fs/cgroup",
        type="cgroup",
        source="cgroup",
        options=("ro", "nosuid", "noexec", "nodev"),
    ),
    Mount(
        destination="/dev/mqueue",
        type="mqueue",
        source="mqueue",
        options=("nosuid", "noexec", "nodev"),
    ),
    Mount(
        destination="/dev/shm",
        type="tmpfs",
        source="shm",
        options=("nosuid", "noexec", "nodev", "mode=1777"),
    ),
)
"""In the order in which they are mounted."""

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""What tells of the host or of other containers; the thermal counters come from the host."""

READ_ONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)

NAMESPACES = ("mount", "network", "time", "uts", "pid", "ipc")
"""Each with a reason to be left out in `namespaces`; the cgroup namespace comes by version."""

DEVICE_RULES = (
    DeviceRule(allow=False),
    DeviceRule(allow=True, type="c", major=1, minor=5),  # /dev/zero
    DeviceRule(allow=True, type="c", major=1, minor=3),  # /dev/null
    DeviceRule(allow=True, type="c", major=1, minor=9),  # /dev/urandom
    DeviceRule(allow=True, type="c", major=1, minor=8),  # /dev/random
    DeviceRule(allow=True, type="c", major=5, minor=0),  # /dev/tty
    DeviceRule(allow=True, type="c", major=5, minor=1),  # /dev/console
    DeviceRule(allow=False, type="c", major=10, minor=229),  # /dev/fuse
)
"""The runtime adds its own: making any node, /dev/full, pseudo-terminals."""

SHM_BYTES = 64 << 20
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CGROUP_PARENT = "/docker"
