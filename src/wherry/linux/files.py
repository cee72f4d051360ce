"""Files below a directory descriptor, never outside of it.

Everything that touches a tree written by somebody else (a layer, a container's root) goes
through `open_in_root`: openat2(2) with RESOLVE_IN_ROOT resolves absolute links and `..` as if
the directory were the root, in the kernel, without a window for a race.
"""

import array
import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.linux.process import prctl
from wherry.linux.syscall import KernelError, number, syscall

SYS_OPENAT2 = 437
SYS_SYNCFS = number(306, 267)
SYS_RENAMEAT2 = number(316, 276)
SYS_FALLOCATE = number(285, 47)
SYS_SETFSUID = number(122, 151)
SYS_SETFSGID = number(123, 152)
_FALLOC_FL_KEEP_SIZE = 1

FICLONE = 0x40049409
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
FS_TOPDIR_FL = 0x00020000
RENAME_NOREPLACE = 0x01

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

O_PATH = os.O_PATH
_EAGAIN_TRIES = 128
_AT_FDCWD = -100
PR_GET_SECUREBITS, PR_SET_SECUREBITS = 27, 28
SECBIT_NO_SETUID_FIXUP = 1 << 2


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


assert ctypes.sizeof(_OpenHow) == 24, "struct open_how, linux/openat2.h"


def openat2(dirfd: int, path: str | bytes, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2): open relative to a directory under resolution rules; close-on-exec always.

    EAGAIN means that a rename raced with `..`: the kernel asks to try again, we do so a bounded
    number of times.

    Raises: KernelError.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    name = os.fsencode(path)
    for attempt in range(_EAGAIN_TRIES):
        try:
            return syscall(
                SYS_OPENAT2, dirfd, name, ctypes.byref(how), ctypes.sizeof(how),
                name="openat2", operands=(path,),
            )  # fmt: skip
        except KernelError as error:
            if error.errno != errno.EAGAIN or attempt == _EAGAIN_TRIES - 1:
                raise
    raise AssertionError("unreachable")


def open_in_root(root: int, path: str | bytes, flags: int, mode: int = 0) -> int:
    """Open a path as a process whose root is the directory would see it.

    Magic links of /proc are refused.

    Raises: KernelError.
    """
    return openat2(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)


def open_beneath(directory: int, path: str | bytes, flags: int, mode: int = 0) -> int:
    """Open a path that must not leave the directory, by links or `..` (EXDEV if it would).

    Raises: KernelError.
    """
    return openat2(directory, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)


def open_without_links(directory: int, path: str | bytes, flags: int) -> int:
    """Open a path below a directory that has no link anywhere in it (ELOOP if it has).

    For trees that a container may be changing: what was a directory a moment ago may be a link
    to anywhere now.

    Raises: KernelError.
    """
    return openat2(
        directory, path, flags | os.O_NOFOLLOW, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
    )


@contextmanager
def open_directory(path: str) -> Iterator[int]:
    """A directory of ours, which is no link, for a while. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def clone_content(source: int, target: int) -> bool:
    """Let an empty file share all blocks of another until either is written to (ioctl_ficlone(2)).

    False where the file system can't: nothing was done then. Raises: OSError.
    """
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL):
            return False
        raise
    return True


def mark_top_directory(directory: int) -> bool:
    """Say that the directories in a directory have nothing to do with each other (chattr(1), `T`).

    ext4 then puts each into a block group of its own choice, together with all that is in it.
    False where the file system takes no such advice.
    """
    flags = array.array("l", [0])
    try:
        fcntl.ioctl(directory, FS_IOC_GETFLAGS, flags)
        if not flags[0] & FS_TOPDIR_FL:
            flags[0] |= FS_TOPDIR_FL
            fcntl.ioctl(directory, FS_IOC_SETFLAGS, flags)
    except OSError:
        return False
    return True


def rename_to_free(source: str, target: str) -> None:
    """Rename to a name that nobody has: renameat2(2) with RENAME_NOREPLACE.

    Raises: KernelError (EEXIST).
    """
    syscall(
        SYS_RENAMEAT2, _AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target),
        RENAME_NOREPLACE, name="renameat2", operands=(source, target),
    )  # fmt: skip


def syncfs(descriptor: int) -> None:
    """syncfs(2): wait until all of the descriptor's file system is on its disk.

    Raises: KernelError.
    """
    syscall(SYS_SYNCFS, descriptor, name="syncfs", operands=(descriptor,))


def allocate(descriptor: int, size_bytes: int) -> None:
    """Give a file blocks up to a size, which stays what it was (fallocate(2), KEEP_SIZE).

    Raises: KernelError: ENOSPC; EOPNOTSUPP on file systems that can't.
    """
    syscall(SYS_FALLOCATE, descriptor, _FALLOC_FL_KEEP_SIZE, 0, size_bytes, name="fallocate",
            operands=(descriptor, size_bytes))  # fmt: skip


def file_creation_mask() -> int:
    """The process's umask; umask(2) itself could only tell by changing it for all threads."""
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    return 0o777  # before Linux 4.7: as if nothing passed


@contextmanager
def making_files_as(uid: int, gid: int) -> Iterator[None]:
    """New files of this thread belong to somebody else, with every right kept (setfsuid(2)).

    Raises: KernelError.
    """
    before = prctl(PR_GET_SECUREBITS)
    prctl(PR_SET_SECUREBITS, before | SECBIT_NO_SETUID_FIXUP)
    try:
        own_gid = syscall(SYS_SETFSGID, gid, name="setfsgid", operands=(gid,))
        own_uid = syscall(SYS_SETFSUID, uid, name="setfsuid", operands=(uid,))
        try:
            yield
        finally:
            syscall(SYS_SETFSUID, own_uid, name="setfsuid", operands=(own_uid,))
            syscall(SYS_SETFSGID, own_gid, name="setfsgid", operands=(own_gid,))
    finally:
        prctl(PR_SET_SECUREBITS, before)


def remove_tree(directory: int, name: str | bytes) -> int:
    """Remove whatever a directory has under a name, with all that is in it; count what went.

    Links are removed, never followed, and the depth of the tree doesn't matter: a directory
    that isn't empty is moved up to the top of the tree first, so that two descriptors are
    enough. Nothing under the name is no error.

    Raises: OSError (EBUSY where something is mounted).
    """
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return 0
    except IsADirectoryError:
        pass
    else:
        return 1
    top = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        removed = _empty_directory(top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=directory)
    return removed + 1


def _empty_directory(top: int) -> int:
    # The random part keeps our names apart from any that the tree's owner could have chosen.
    prefix = ".removing-" + os.urandom(8).hex()
    removed, moved, waiting = 0, 0, ["."]
    while waiting:
        name = waiting.pop()
        branch = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
        try:
            with os.scandir(branch) as entries:
                for entry in entries:
                    if entry.name.startswith(prefix):
                        continue  # moved here during this very scan
                    if _remove_one(branch, entry.name):
                        removed += 1
                        continue
                    moved += 1
                    above = f"{prefix}-{moved}"
                    if _move_up(branch, entry.name, top, above):
                        waiting.append(above)
                    else:
                        removed += remove_tree(branch, entry.name)
        finally:
            os.close(branch)
        if name != ".":
            os.rmdir(name, dir_fd=top)
            removed += 1
    return removed


def _move_up(branch: int, name: str, top: int, above: str) -> bool:
    """Move a directory to the top; False where it is a file system's tree of its own."""
    try:
        os.rename(name, above, src_dir_fd=branch, dst_dir_fd=top)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False  # what is in a subvolume of btrfs stays in it
    return True


def _remove_one(directory: int, name: str) -> bool:
    """Remove a file or an empty directory; False for a directory with content."""
    try:
        os.unlink(name, dir_fd=directory)
    except IsADirectoryError:
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            return False
    return True
