"""Project quotas: bounds on what trees hold, on xfs, and on ext4 that was made with them.

A *project* is a number that inodes carry; a directory that hands its own down gives it to
whatever is made in it. The file system counts blocks by project and refuses what goes beyond a
limit (xfs(5), quotactl(2); `include/uapi/linux/{fs,dqblk_xfs}.h`). It does so where it was
mounted with `pquota` (ext4: `prjquota`).
"""

import ctypes
import errno
import fcntl
import struct

from wherry.linux.syscall import KernelError, syscall

_SYS_QUOTACTL_FD = 443
"""Linux 5.14: by a descriptor of the file system instead of its device's name."""
_PRJQUOTA = 2
_Q_XGETQUOTA = 0x5803
_Q_XSETQLIM = 0x5804
_Q_XGETQSTAT = 0x5805
_ENFORCED = 1 << 4 | 1 << 5
"""FS_QUOTA_PDQ_ACCT and FS_QUOTA_PDQ_ENFD."""

_QUOTA = struct.Struct("=bbHI6QiiHH4b3QiHh8x")
"""struct fs_disk_quota."""
_LIMITS = struct.Struct("=bbHIQQ")
"""Where it begins: version, kind, which fields are meant, project, hard and soft limit."""
_VERSION, _FS_PROJ_QUOTA = 1, 2
_FS_DQ_BSOFT, _FS_DQ_BHARD = 1 << 2, 1 << 3
_BLOCK_BYTES = 512
_STATE_BYTES = 80
"""struct fs_quota_stat."""

_FSGETXATTR, _FSSETXATTR = 0x801C581F, 0x401C5820
_ATTRIBUTES = struct.Struct("=IIIII8x")
"""struct fsxattr: flags, hint of extents' size, extents, project, the hint for copies."""
_FS_XFLAG_PROJINHERIT = 0x200


def are_enforced(directory: int) -> bool:
    """Whether the file system of an open directory keeps bounds of projects."""
    state = ctypes.create_string_buffer(_STATE_BYTES)
    try:
        _quotactl(directory, _Q_XGETQSTAT, 0, state)
    except KernelError:
        return False
    _version, flags = struct.unpack_from("=bxH", state.raw)
    return bool(flags & _ENFORCED == _ENFORCED)


def is_known(directory: int, project: int) -> bool:
    """Whether anything was ever counted or bounded under a project's number. Raises: OSError."""
    quota = ctypes.create_string_buffer(_QUOTA.size)
    try:
        _quotactl(directory, _Q_XGETQUOTA, project, quota)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            return False
        raise
    return any(_QUOTA.unpack(quota.raw)[4:10])  # limits and counts


def limit(directory: int, project: int, limit_bytes: int) -> None:
    """Bound what a project's files may take; 0: no bound. Raises: OSError."""
    blocks = -(-limit_bytes // _BLOCK_BYTES)
    mask = _FS_DQ_BSOFT | _FS_DQ_BHARD
    quota = ctypes.create_string_buffer(_QUOTA.size)
    _LIMITS.pack_into(quota, 0, _VERSION, _FS_PROJ_QUOTA, mask, project, blocks, blocks)
    _quotactl(directory, _Q_XSETQLIM, project, quota)


def project_of(directory: int) -> int:
    """The project of an open directory; 0 for none. Raises: OSError."""
    return int(_ATTRIBUTES.unpack(_attributes(directory))[3])


def hand_down(directory: int, project: int) -> None:
    """Let an open directory, and whatever is made in it from now on, be of a project.

    Raises: OSError.
    """
    flags, hint, extents, _old, cow_hint = _ATTRIBUTES.unpack(_attributes(directory))
    flags |= _FS_XFLAG_PROJINHERIT
    changed = _ATTRIBUTES.pack(flags, hint, extents, project, cow_hint)
    fcntl.ioctl(directory, _FSSETXATTR, changed)


def _attributes(directory: int) -> bytes:
    return fcntl.ioctl(directory, _FSGETXATTR, bytes(_ATTRIBUTES.size))


def _quotactl(directory: int, command: int, project: int, data: object) -> None:
    whole = command << 8 | _PRJQUOTA
    syscall(
        _SYS_QUOTACTL_FD, directory, whole, project, data,
        name="quotactl_fd", operands=(hex(command), project),
    )  # fmt: skip
