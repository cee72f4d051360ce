"""The system call filters of a living process, read back from the kernel by ptrace(2)."""

import ctypes
import errno
import os

_ATTACH, _DETACH, _GET_FILTER = 16, 17, 0x420C
_INSTRUCTION_BYTES = 8
_MOST = 64

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long


def loaded_filters(pid: int) -> list[bytes]:
    """The programs, the one that was loaded last first. Stops the process for a moment.

    Raises: OSError, with EIO on a kernel that was built without checkpoints.
    """
    _ptrace(_ATTACH, pid, 0, None)
    try:
        os.waitpid(pid, 0x40000000)  # __WALL
        return _read(pid)
    finally:
        _ptrace(_DETACH, pid, 0, None)


def _read(pid: int) -> list[bytes]:
    programs = []
    for number in range(_MOST):
        try:
            count = _ptrace(_GET_FILTER, pid, number, None)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL):  # No more; none at all.
                raise
            break
        buffer = ctypes.create_string_buffer(count * _INSTRUCTION_BYTES)
        _ptrace(_GET_FILTER, pid, number, buffer)
        programs.append(buffer.raw)
    return programs


def _ptrace(request: int, pid: int, number: int, data: object) -> int:
    result = int(_libc.ptrace(request, pid, ctypes.c_void_p(number), data))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")
    return result
