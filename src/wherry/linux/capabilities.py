"""Capabilities: names, sets as bit masks, and the calls that change them (capabilities(7))."""

import ctypes
import errno

from wherry.linux.process import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAP_AMBIENT_RAISE,
    PR_CAPBSET_DROP,
    PR_CAPBSET_READ,
    PR_SET_KEEPCAPS,
    prctl,
)
from wherry.linux.syscall import KernelError, number, syscall

NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
    "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
    "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE",
    "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ",
    "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
"""By number (linux/capability.h)."""

NUMBERS = {name: value for value, name in enumerate(NAMES)}

_VERSION_3 = 0x20080522
_SYS_CAPGET = number(125, 90)
_SYS_CAPSET = number(126, 91)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def mask(names: tuple[str, ...]) -> int:
    """The bit mask of a set of names. Raises: KeyError naming one that is unknown."""
    bits = 0
    for name in names:
        bits |= 1 << NUMBERS[name]
    return bits


def names_of(bits: int) -> tuple[str, ...]:
    """The names in a bit mask, by number; bits that have no name here are left out."""
    return tuple(name for value, name in enumerate(NAMES) if bits >> value & 1)


def last_capability() -> int:
    """The highest capability that this kernel knows. Raises: OSError."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        return int(file.read())


def capset(*, effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) for the calling thread. Raises: KernelError."""
    header = _Header(_VERSION_3, 0)
    halves = (_Sets * 2)()
    for half, shift in zip(halves, (0, 32), strict=True):
        half.effective = effective >> shift & 0xFFFFFFFF
        half.permitted = permitted >> shift & 0xFFFFFFFF
        half.inheritable = inheritable >> shift & 0xFFFFFFFF
    syscall(
        _SYS_CAPSET, ctypes.byref(header), halves,
        name="capset", operands=(hex(effective), hex(permitted), hex(inheritable)),
    )  # fmt: skip


def capget() -> tuple[int, int, int]:
    """The effective, permitted and inheritable sets of the calling thread. Raises: KernelError."""
    header = _Header(_VERSION_3, 0)
    halves = (_Sets * 2)()
    syscall(_SYS_CAPGET, ctypes.byref(header), halves, name="capget")
    low, high = halves
    return (
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
    )


def drop_from_bounding(capability: int) -> None:
    """PR_CAPBSET_DROP. Raises: KernelError."""
    prctl(PR_CAPBSET_DROP, capability)


def bounding() -> int:
    """The bounding set of the calling thread. Raises: KernelError."""
    bits = 0
    for capability in range(64):
        try:
            bits |= prctl(PR_CAPBSET_READ, capability) << capability
        except KernelError as error:
            if error.errno != errno.EINVAL:
                raise
            break
    return bits


def keep_over_setuid(*, keep: bool) -> None:
    """PR_SET_KEEPCAPS: the permitted set outlives a change of user. Raises: KernelError."""
    prctl(PR_SET_KEEPCAPS, int(keep))


def clear_ambient() -> None:
    """PR_CAP_AMBIENT_CLEAR_ALL. Raises: KernelError."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)


def raise_ambient(capability: int) -> None:
    """PR_CAP_AMBIENT_RAISE. Raises: KernelError."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
