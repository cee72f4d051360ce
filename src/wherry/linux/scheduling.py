"""When a process runs, and what it takes the machine for (sched(7), ioprio_set(2), ...)."""

import ctypes
from collections.abc import Mapping

from wherry.linux.syscall import number, syscall

_SYS_PERSONALITY = number(135, 92)
_SYS_IOPRIO_SET = number(251, 30)
_SYS_SCHED_SETATTR = number(314, 274)

_IOPRIO_WHO_PROCESS = 1
_IOPRIO_CLASS_SHIFT = 13

IO_CLASSES: Mapping[str, int] = {
    "IOPRIO_CLASS_RT": 1,
    "IOPRIO_CLASS_BE": 2,
    "IOPRIO_CLASS_IDLE": 3,
}
"""linux/ioprio.h."""

POLICIES: Mapping[str, int] = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
POLICY_FLAGS: Mapping[str, int] = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
"""linux/sched.h."""

DOMAINS: Mapping[str, int] = {"LINUX": 0x0000, "LINUX32": 0x0008}
"""linux/personality.h."""


class _SchedulingAttributes(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


assert ctypes.sizeof(_SchedulingAttributes) == 48, "struct sched_attr, linux/sched/types.h"


def sched_setattr(
    policy: int,
    *,
    flags: int,
    nice: int,
    priority: int,
    runtime: int,
    deadline: int,
    period: int,
) -> None:
    """sched_setattr(2) on the calling thread; times in nanoseconds. Raises: KernelError."""
    attributes = _SchedulingAttributes(
        ctypes.sizeof(_SchedulingAttributes),
        policy,
        flags,
        nice,
        priority,
        runtime,
        deadline,
        period,
    )
    syscall(
        _SYS_SCHED_SETATTR, 0, ctypes.byref(attributes), 0,
        name="sched_setattr", operands=(policy, nice, priority),
    )  # fmt: skip


def ioprio_set(io_class: int, priority: int) -> None:
    """ioprio_set(2) on the calling thread. Raises: KernelError."""
    value = io_class << _IOPRIO_CLASS_SHIFT | priority
    syscall(
        _SYS_IOPRIO_SET, _IOPRIO_WHO_PROCESS, 0, value,
        name="ioprio_set", operands=(io_class, priority),
    )  # fmt: skip


def personality(persona: int) -> None:
    """personality(2). Raises: KernelError."""
    syscall(_SYS_PERSONALITY, persona, name="personality", operands=(hex(persona),))
