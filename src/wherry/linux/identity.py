"""Who the calling process is: groups, then group, then user (credentials(7))."""

import os

from wherry.linux.syscall import KernelError


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
