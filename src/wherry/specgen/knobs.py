"""What this host's cgroups can limit: a controller, and in version 1 a file of it, must be there.

Kernels are built with and without parts of a controller (swap accounting, real-time groups, a
weight-keeping I/O scheduler), and version 2 dropped some of version 1's knobs.
"""

import os
from enum import Enum

from wherry.kit.values import dataclass
from wherry.linux.cgroups import CgroupLayout


@dataclass(frozen=True, slots=True)
class _Place:
    """Version 1's controller and file, and version 2's controller; empty means there is none."""

    legacy: str
    file: str
    unified: str


class Knob(Enum):
    """Something that a cgroup can limit, and where."""

    MEMORY = _Place("memory", "memory.limit_in_bytes", "memory")
    SWAP = _Place("memory", "memory.memsw.limit_in_bytes", "memory")
    MEMORY_RESERVATION = _Place("memory", "memory.soft_limit_in_bytes", "memory")
    SWAPPINESS = _Place("memory", "memory.swappiness", "")
    OOM_KILL_DISABLE = _Place("memory", "memory.oom_control", "")
    PIDS = _Place("pids", "", "pids")
    CPU_SHARES = _Place("cpu", "cpu.shares", "cpu")
    CPU_QUOTA = _Place("cpu", "cpu.cfs_quota_us", "cpu")
    CPU_REALTIME = _Place("cpu", "cpu.rt_period_us", "")
    CPUSET = _Place("cpuset", "", "cpuset")
    BLOCK_WEIGHT = _Place("blkio", "blkio.weight", "io")
    BLOCK_DEVICE_WEIGHT = _Place("blkio", "blkio.weight_device", "io")
    READ_BPS = _Place("blkio", "blkio.throttle.read_bps_device", "io")
    WRITE_BPS = _Place("blkio", "blkio.throttle.write_bps_device", "io")
    READ_IOPS = _Place("blkio", "blkio.throttle.read_iops_device", "io")
    WRITE_IOPS = _Place("blkio", "blkio.throttle.write_iops_device", "io")


def offered_knobs(layout: CgroupLayout) -> frozenset[Knob]:
    """What the mounted controllers can do."""
    return frozenset(each for each in Knob if _is_offered(each, layout))


def _is_offered(knob: Knob, layout: CgroupLayout) -> bool:
    place = knob.value
    if layout.is_unified:
        if knob is Knob.SWAP and not os.path.exists("/proc/swaps"):
            return False
        return bool(place.unified) and layout.controlling(place.unified) is not None
    hierarchy = layout.controlling(place.legacy)
    if hierarchy is None:
        return False
    # A controller that has moved to the version 2 tree of a hybrid host has other files.
    if hierarchy.version == 2:
        return bool(place.unified)
    return os.path.exists(f"{hierarchy.mount_point}/{place.file}")
