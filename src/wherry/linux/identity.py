"""Who the calling process is: groups, then group, then user (credentials(7))."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.linux.process import prctl
from wherry.linux.syscall import KernelError, number, syscall

PR_GET_SECUREBITS, PR_SET_SECUREBITS = 27, 28
SECBIT_NO_SETUID_FIXUP = 1 << 2

_SYS_SETFSUID = number(122, 151)
_SYS_SETFSGID = number(123, 152)


def setgroups(groups: tuple[int, ...]) -> None:
    """setgroups(2). Raises: KernelError."""
    try:
        os.setgroups(groups)
    except OSError as error:
        raise KernelError(error.errno or 0, "setgroups", *groups) from None


def setresgid(gid: int) -> None:
    """Real, effective and saved group. Raises: KernelError."""
    try:
        os.setresgid(gid, gid, gid)
    except OSError as error:
        raise KernelError(error.errno or 0, "setresgid", gid) from None


def setresuid(uid: int) -> None:
    """Real, effective and saved user. Raises: KernelError."""
    try:
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise KernelError(error.errno or 0, "setresuid", uid) from None


@contextmanager
def making_files_as(uid: int, gid: int) -> Iterator[None]:
    """New files belong to somebody else meanwhile, with every right kept (setfsuid(2)).

    Raises: KernelError.
    """
    before = prctl(PR_GET_SECUREBITS)
    prctl(PR_SET_SECUREBITS, before | SECBIT_NO_SETUID_FIXUP)
    try:
        own_gid = syscall(_SYS_SETFSGID, gid, name="setfsgid", operands=(gid,))
        own_uid = syscall(_SYS_SETFSUID, uid, name="setfsuid", operands=(uid,))
        try:
            yield
        finally:
            syscall(_SYS_SETFSUID, own_uid, name="setfsuid", operands=(own_uid,))
            syscall(_SYS_SETFSGID, own_gid, name="setfsgid", operands=(own_gid,))
    finally:
        prctl(PR_SET_SECUREBITS, before)
