"""Mounts by descriptor: the mount API of Linux 5.2 and 5.12, and mount(2) where it is due.

A file system or a bind mount is made detached, given its attributes, and only then moved onto
a target that was opened beforehand, so no path is resolved in a tree that somebody else wrote.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.linux.syscall import number, syscall

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24
MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_RELATIME = 0x00
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6

_SYS_UMOUNT2 = number(166, 39)
_SYS_MOUNT = number(165, 40)
_SYS_PIVOT_ROOT = number(155, 41)
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_MOUNT_SETATTR = 442

AT_FDCWD = -100


class _MountAttributes(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")
    )


assert ctypes.sizeof(_MountAttributes) == 32, "struct mount_attr, linux/mount.h"


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2). Only for targets that the engine made itself. Raises: KernelError."""
    syscall(
        _SYS_MOUNT, os.fsencode(source), os.fsencode(target), kind.encode(), flags,
        os.fsencode(data) if data else None,
        name="mount", operands=(source, target, kind, hex(flags), data),
    )  # fmt: skip


def umount2(target: str, flags: int) -> None:
    """umount2(2). Raises: KernelError."""
    syscall(_SYS_UMOUNT2, os.fsencode(target), flags, name="umount2", operands=(target, flags))


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2). Raises: KernelError."""
    syscall(
        _SYS_PIVOT_ROOT, os.fsencode(new_root), os.fsencode(put_old),
        name="pivot_root", operands=(new_root, put_old),
    )  # fmt: skip


def fsopen(kind: str) -> int:
    """fsopen(2): a configuration context of a file system type. Raises: KernelError."""
    return syscall(_SYS_FSOPEN, kind.encode(), _FSOPEN_CLOEXEC, name="fsopen", operands=(kind,))


def fsconfig_string(context: int, key: str, value: str) -> None:
    """Set one option to a text of at most 255 bytes. Raises: KernelError."""
    syscall(
        _SYS_FSCONFIG, context, _FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0,
        name="fsconfig", operands=(key, value),
    )  # fmt: skip


def fsconfig_flag(context: int, key: str) -> None:
    """Set one option that has no value. Raises: KernelError."""
    syscall(
        _SYS_FSCONFIG, context, _FSCONFIG_SET_FLAG, key.encode(), None, 0,
        name="fsconfig", operands=(key,),
    )  # fmt: skip


def fsconfig_create(context: int) -> None:
    """Make or find the superblock that was configured. Raises: KernelError."""
    syscall(
        _SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0,
        name="fsconfig", operands=("FSCONFIG_CMD_CREATE",),
    )  # fmt: skip


def fsmount(context: int, attributes: int) -> int:
    """fsmount(2): a detached mount of the superblock, as a descriptor. Raises: KernelError."""
    return syscall(
        _SYS_FSMOUNT, context, _FSMOUNT_CLOEXEC, attributes,
        name="fsmount", operands=(hex(attributes),),
    )  # fmt: skip


def open_tree(directory: int, path: str, flags: int) -> int:
    """open_tree(2): with OPEN_TREE_CLONE a detached bind mount. Raises: KernelError."""
    return syscall(
        _SYS_OPEN_TREE, directory, os.fsencode(path), flags | OPEN_TREE_CLOEXEC,
        name="open_tree", operands=(path, hex(flags)),
    )  # fmt: skip


def move_mount(detached: int, target: int) -> None:
    """Attach a detached mount onto an opened target. Raises: KernelError."""
    syscall(
        _SYS_MOVE_MOUNT, detached, b"", target, b"",
        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        name="move_mount", operands=(detached, target),
    )  # fmt: skip


def mount_setattr(
    mounted: int,
    *,
    set_: int = 0,
    clear: int = 0,
    propagation: int = 0,
    recursive: bool = False,
    user_namespace: int = 0,
) -> None:
    """mount_setattr(2) on a mount's descriptor (Linux 5.12).

    `user_namespace` is the descriptor whose map MOUNT_ATTR_IDMAP shows owners through.

    Raises: KernelError.
    """
    attributes = _MountAttributes(set_, clear, propagation, user_namespace)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscall(
        _SYS_MOUNT_SETATTR, mounted, b"", flags, ctypes.byref(attributes),
        ctypes.sizeof(attributes),
        name="mount_setattr", operands=(hex(set_), hex(clear), hex(propagation)),
    )  # fmt: skip


def make_filesystem(
    kind: str, options: tuple[tuple[str, str | None], ...], attributes: int, source: str = ""
) -> int:
    """A detached mount of a new file system; options without a value are None.

    Raises: KernelError.
    """
    context = fsopen(kind)
    try:
        if source:
            fsconfig_string(context, "source", source)
        for key, value in options:
            if value is None:
                fsconfig_flag(context, key)
            else:
                fsconfig_string(context, key, value)
        fsconfig_create(context)
        return fsmount(context, attributes)
    finally:
        os.close(context)


@contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close a descriptor at the end of the block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)
