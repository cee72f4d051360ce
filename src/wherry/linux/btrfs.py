"""Subvolumes and quota groups of btrfs, by ioctl(2) on a directory's descriptor.

Names and numbers are those of `include/uapi/linux/btrfs.h`. A subvolume is a tree of its own
that looks like a directory; a snapshot of one shares every block with it until either is
written to.
"""

import errno
import fcntl
import os
import struct

_MAGIC = 0x94


def _iow(number: int, size: int) -> int:
    return 1 << 30 | size << 16 | _MAGIC << 8 | number


_SUBVOL_CREATE = _iow(14, 4096)
_SNAP_DESTROY = _iow(15, 4096)
_SNAP_CREATE_V2 = _iow(23, 4096)
_FS_INFO = 2 << 30 | 1024 << 16 | _MAGIC << 8 | 31
_QUOTA_CTL = 3 << 30 | 16 << 16 | _MAGIC << 8 | 40
_QGROUP_LIMIT = 2 << 30 | 48 << 16 | _MAGIC << 8 | 43
_QUOTA_RESCAN_WAIT = _MAGIC << 8 | 46

_QUOTA_CTL_ENABLE = 1
_QGROUP_LIMIT_MAX_RFER = 1


def is_btrfs(descriptor: int) -> bool:
    """Whether an open directory is on btrfs."""
    try:
        fcntl.ioctl(descriptor, _FS_INFO, bytes(1024))
    except OSError:
        return False
    return True


def create_subvolume(directory: int, name: str) -> None:
    """Make an empty subvolume in an open directory. Raises: OSError."""
    fcntl.ioctl(directory, _SUBVOL_CREATE, _request("=q4088s", 0, _encoded(name)))


def create_snapshot(source: int, directory: int, name: str) -> None:
    """Make a writable snapshot of an open subvolume in an open directory. Raises: OSError."""
    # fd, transid, flags, then four reserved words, then the name (btrfs_ioctl_vol_args_v2).
    request = _request("=qQQ32x4040s", source, 0, 0, _encoded(name))
    fcntl.ioctl(directory, _SNAP_CREATE_V2, request)


def destroy_subvolume(directory: int, name: str) -> bool:
    """Remove a subvolume with all that is in it; False where none has the name.

    Raises: OSError (ENOTEMPTY when another subvolume is inside).
    """
    try:
        fcntl.ioctl(directory, _SNAP_DESTROY, _request("=q4088s", 0, _encoded(name)))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL, errno.ENOTTY):
            return False  # nothing there, a plain directory, another file system
        raise
    return True


def limit_referenced(subvolume: int, limit_bytes: int) -> None:
    """Bound what an open subvolume may refer to, shared blocks included. Raises: OSError.

    Quotas must be on: `enable_quotas`.
    """
    # qgroupid 0 is the subvolume of the descriptor; then flags and the four limits.
    request = struct.pack("=QQQQQQ", 0, _QGROUP_LIMIT_MAX_RFER, limit_bytes, 0, 0, 0)
    fcntl.ioctl(subvolume, _QGROUP_LIMIT, request)


def enable_quotas(directory: int) -> None:
    """Have the file system count per subvolume; waits for the first count. Raises: OSError."""
    fcntl.ioctl(directory, _QUOTA_CTL, struct.pack("=QQ", _QUOTA_CTL_ENABLE, 0))
    fcntl.ioctl(directory, _QUOTA_RESCAN_WAIT)


def _request(layout: str, *values: int | bytes) -> bytearray:
    """A structure for the kernel; Python copies no more than 1024 bytes of what is immutable."""
    return bytearray(struct.pack(layout, *values))


def _encoded(name: str) -> bytes:
    encoded = os.fsencode(name)
    if len(encoded) > 255 or b"/" in encoded:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name)
    return encoded
