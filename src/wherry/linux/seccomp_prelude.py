"""ENOSYS for system calls that are newer than the filter: instructions before the filter's own.

A program that was built against a newer libc than the filter's author knew tries a new call
first and falls back when the answer is ENOSYS, but not when it is EPERM. So numbers above the
newest one that the rules name get ENOSYS. libseccomp has no rule for a range of numbers.
"""

from collections.abc import Mapping

from wherry.linux.libseccomp import ARCHITECTURES, UNRESOLVED
from wherry.linux.seccomp import INSTRUCTION, RET_ERRNO, X32_SYSCALL_BIT

ENOSYS_ACTION = RET_ERRNO | 38

_X86_64 = ARCHITECTURES["SCMP_ARCH_X86_64"]
_X32 = ARCHITECTURES["SCMP_ARCH_X32"]

_LOAD_WORD = 0x20
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_GREATER = 0x25
_JUMP_IF_AT_LEAST = 0x35
_RETURN = 0x06
_OFFSET_OF_NUMBER = 0
_OFFSET_OF_ARCHITECTURE = 4


def enosys_prelude(newest: Mapping[int, int]) -> bytes:
    """Answer ENOSYS above the newest number of each architecture, else fall through.

    One block for each architecture (struct seccomp_data, linux/seccomp.h):

        load architecture;  other than this one?  -> next block
        load number;        above the newest?     -> ENOSYS, else next block

    x32 has the architecture word of x86_64 and is told apart by bit 30 of the number.
    """
    blocks = []
    for architecture, number_ in newest.items():
        if number_ < 0 or architecture == _X32:
            continue
        checks = [(_JUMP_IF_GREATER, 0, 1, number_)]
        if architecture == _X86_64:
            checks = _x86_64_checks(number_, newest.get(_X32, UNRESOLVED))
        block = [
            (_LOAD_WORD, 0, 0, _OFFSET_OF_ARCHITECTURE),
            (_JUMP_IF_EQUAL, 0, len(checks) + 2, architecture),
            (_LOAD_WORD, 0, 0, _OFFSET_OF_NUMBER),
            *checks,
            (_RETURN, 0, 0, ENOSYS_ACTION),
        ]
        blocks += [INSTRUCTION.pack(*each) for each in block]
    return b"".join(blocks)


def _x86_64_checks(newest: int, newest_x32: int) -> list[tuple[int, int, int, int]]:
    if newest_x32 < 0:
        return [
            (_JUMP_IF_AT_LEAST, 2, 0, X32_SYSCALL_BIT),
            (_JUMP_IF_GREATER, 0, 1, newest),
        ]
    return [
        (_JUMP_IF_AT_LEAST, 1, 0, X32_SYSCALL_BIT),
        (_JUMP_IF_GREATER, 1, 2, newest),
        (_JUMP_IF_GREATER, 0, 1, newest_x32),
    ]
