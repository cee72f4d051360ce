"""What plans need to know of the machine: read once, so that planning itself is pure."""

import os
from functools import cache

from wherry.kit.values import dataclass
from wherry.linux import apparmor, capabilities, cgroups
from wherry.linux.cgroups import CgroupLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Facts of the running kernel."""

    layout: CgroupLayout
    last_capability: int
    has_time_namespaces: bool = True
    has_kcore: bool = False
    has_apparmor: bool = False
    has_selinux: bool = False


@cache
def this_machine() -> Machine:
    """The facts of this machine, read at the first call. Raises: OSError."""
    return Machine(
        layout=cgroups.discover(),
        last_capability=capabilities.last_capability(),
        has_time_namespaces=os.path.exists("/proc/self/ns/time"),
        has_kcore=os.path.exists("/proc/kcore"),
        has_apparmor=apparmor.is_enabled(),
        has_selinux=os.path.exists("/sys/fs/selinux/enforce"),
    )
