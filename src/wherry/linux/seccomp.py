"""System call filters in the kernel: the words of seccomp(2), and the call that loads one.

A compiled filter is a small header with the flags for seccomp(2), then a classic BPF program, as
`seccomp_compiler` makes it. Compiling loads libseccomp; loading a filter does not.
"""

import ctypes
import struct

from wherry.linux.syscall import number, syscall

SYS_SECCOMP = number(317, 277)
SECCOMP_SET_MODE_FILTER = 1

FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1 << 0,
    "SECCOMP_FILTER_FLAG_LOG": 1 << 1,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 1 << 5,
}
"""Flags of seccomp(2) that a profile may name (linux/seccomp.h)."""
NEW_LISTENER, TSYNC_ESRCH = 1 << 3, 1 << 4

RET_ERRNO = 0x0005_0000
RET_TRACE = 0x7FF0_0000
RET_ALLOW = 0x7FFF_0000
RET_LOG = 0x7FFC_0000
RET_NOTIFY = 0x7FC0_0000
ACTIONS = {
    "SCMP_ACT_KILL": 0x0000_0000,
    "SCMP_ACT_KILL_THREAD": 0x0000_0000,
    "SCMP_ACT_KILL_PROCESS": 0x8000_0000,
    "SCMP_ACT_TRAP": 0x0003_0000,
    "SCMP_ACT_ERRNO": RET_ERRNO,
    "SCMP_ACT_TRACE": RET_TRACE,
    "SCMP_ACT_NOTIFY": RET_NOTIFY,
    "SCMP_ACT_LOG": RET_LOG,
    "SCMP_ACT_ALLOW": RET_ALLOW,
}
"""What a filter may answer, in the words of profiles."""
X32_SYSCALL_BIT = 0x4000_0000

INSTRUCTION = struct.Struct("=HBBI")
"""struct sock_filter (linux/filter.h)."""
_MAGIC = b"bpf1"
_HEADER = struct.Struct("<4sI")
HEADER_BYTES = _HEADER.size
"""Of a compiled filter: a mark, and the flags for seccomp(2)."""
_MOST_INSTRUCTIONS = 4096


def packed_filter(flags: int, program: bytes) -> bytes:
    """A compiled filter: what `load_filter` takes."""
    return _HEADER.pack(_MAGIC, flags) + program


class _SockFprog(ctypes.Structure):
    """struct sock_fprog (linux/filter.h)."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


assert ctypes.sizeof(_SockFprog) == 16, "struct sock_fprog, linux/filter.h"


def load_filter(compiled: bytes) -> int | None:
    """Put the calling thread, and what it becomes and forks, under a filter for ever.

    Returns the listener (seccomp_unotify(2)) of a filter that asks an agent, else None.

    Preconditions: CAP_SYS_ADMIN in the thread's user namespace, or no_new_privs set.

    Raises: ValueError for what is no compiled filter; KernelError.
    """
    flags, program = _unpacked(compiled)
    instructions = ctypes.create_string_buffer(program, len(program))
    fprog = _SockFprog(
        len(program) // INSTRUCTION.size, ctypes.cast(instructions, ctypes.c_void_p)
    )
    result = syscall(
        SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(fprog),
        name="seccomp", operands=("SECCOMP_SET_MODE_FILTER", fprog.len),
    )  # fmt: skip
    return result if flags & NEW_LISTENER else None


def _unpacked(compiled: bytes) -> tuple[int, bytes]:
    if len(compiled) < _HEADER.size:
        raise ValueError("seccomp: the compiled filter is cut short")
    magic, flags = _HEADER.unpack_from(compiled)
    program = compiled[_HEADER.size :]
    count, rest = divmod(len(program), INSTRUCTION.size)
    if magic != _MAGIC or rest or not 0 < count <= _MOST_INSTRUCTIONS:
        raise ValueError("seccomp: not a compiled filter")
    return flags, program
