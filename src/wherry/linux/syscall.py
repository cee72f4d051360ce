"""System calls by number, and the one error that they raise.

Python 3.11 has no wrapper for most of what containers need. Numbers are those of x86_64 and of
the generic table (aarch64) where they differ (asm/unistd_64.h, asm-generic/unistd.h).
"""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long

_IS_X86_64 = os.uname().machine == "x86_64"


def number(x86_64: int, generic: int) -> int:
    """The number of a call that differs between the two tables."""
    return x86_64 if _IS_X86_64 else generic


class KernelError(OSError):
    """A system call failed; says which one, on what.

    `errno` and `strerror` are OSError's. It is never one of OSError's subclasses such as
    FileNotFoundError: compare `errno`.
    """

    def __init__(self, errno: int, call: str, *operands: object) -> None:
        super().__init__(errno, os.strerror(errno))
        self.call = call
        self.operands = operands

    def __str__(self) -> str:
        shown = ", ".join(str(each) for each in self.operands)
        return f"{self.call}({shown}): {self.strerror}"


def syscall(nr: int, *arguments: object, name: str, operands: tuple[object, ...] = ()) -> int:
    """Make one call; pointers are ctypes objects or bytes, the rest are integers.

    Integers are widened to 64 bits here: ctypes would pass them as C ints.

    Raises: KernelError with the call's name and the operands that matter to a reader.
    """
    widened = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = _syscall(ctypes.c_long(nr), *widened)
    if result < 0:
        raise KernelError(ctypes.get_errno(), name, *operands)
    return result
