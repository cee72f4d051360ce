"""Extended attributes (xattr(7)), by descriptor or by a name in a directory.

The kernel got `setxattrat` only in 6.13, so a name in a directory is reached through the
directory's link in /proc/self/fd; the name itself is never followed.
"""

import errno
import os

CAPABILITY = "security.capability"
"""File capabilities (capabilities(7)); a chown removes them."""

OVERLAY_PREFIX = "trusted.overlay."
OVERLAY_OPAQUE = "trusted.overlay.opaque"
"""`y` on a directory of an overlay's upper layer hides what is below it
(Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories")."""


def path_at(directory: int, name: str | bytes) -> bytes:
    """A path that leads to a name in an open directory."""
    return b"/proc/self/fd/%d/%s" % (directory, os.fsencode(name))


def set_at(directory: int, name: str | bytes, attribute: str, value: bytes) -> None:
    """Set one attribute of a name, which is not followed. Raises: OSError."""
    os.setxattr(path_at(directory, name), attribute, value, follow_symlinks=False)


def get_at(directory: int, name: str | bytes, attribute: str) -> bytes | None:
    """One attribute of a name, which is not followed; None when it has none. Raises: OSError."""
    return _get(path_at(directory, name), attribute, follows=False)


def get(descriptor: int, attribute: str) -> bytes | None:
    """One attribute of an open file; None when it has none. Raises: OSError."""
    return _get(descriptor, attribute, follows=True)


def list_at(directory: int, name: str | bytes) -> list[str]:
    """The attributes of a name, which is not followed; none where the file system has none."""
    return _list(path_at(directory, name), follows=False)


def list_of(descriptor: int) -> list[str]:
    """The attributes of an open file; none where the file system has none."""
    return _list(descriptor, follows=True)


def _get(subject: int | bytes, attribute: str, *, follows: bool) -> bytes | None:
    try:
        return os.getxattr(subject, attribute, follow_symlinks=follows)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return None
        raise


def _list(subject: int | bytes, *, follows: bool) -> list[str]:
    try:
        return os.listxattr(subject, follow_symlinks=follows)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise
