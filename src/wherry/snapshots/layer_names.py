"""The names in a layer's tar: where they lead, and which of them are whiteouts.

The rules of the OCI image specification ("Layer Filesystem Changeset"): `.wh.NAME` says that
NAME of the layers below is gone, `.wh..wh..opq` that all of the directory's is.
"""

from wherry.model.errors.images import ArchiveRefused

WHITEOUT_PREFIX = b".wh."
OPAQUE_MARKER = b".wh..wh..opq"
WHITEOUT_METADATA_PREFIX = b".wh..wh."
"""aufs's own bookkeeping in old layers: it means nothing here."""
_FUSE_OPAQUE_MARKER = b".wh..opq"

MOUNT_POINTS = frozenset((
    b".dockerenv", b"dev/console", b"dev/pts", b"dev/shm", b"dev/mqueue", b"etc/hostname",
    b"etc/hosts", b"etc/resolv.conf", b"proc", b"sys",
))  # fmt: skip
"""What every start mounts something on. Where a container has it empty, the engine made it, and
nobody means it by a difference between the container and its image."""
MOUNT_POINT_PARENTS = frozenset((b"", b"dev", b"etc"))


def clean(path: bytes) -> bytes:
    """A name relative to the root, without `.`, `..` or empty parts; empty for the root.

    An absolute name starts at the root, as in a chroot.

    Raises: ArchiveRefused for a name that leads above the root.
    """
    if b"//" not in path and b"." not in path and not path.startswith(b"/"):
        return path.rstrip(b"/")
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part in (b"", b"."):
            continue
        if part != b"..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise ArchiveRefused(f"name leads out of the archive: {shown(path)}")
    return b"/".join(parts)


def is_bookkeeping(name: bytes) -> bool:
    """Whether a driver made a file for itself: in a layer, another one would obey its name.

    fuse-overlayfs puts two beside the attribute that says that a directory is opaque.
    """
    return name.startswith(WHITEOUT_METADATA_PREFIX) or name == _FUSE_OPAQUE_MARKER


def whited_out(name: bytes) -> bytes:
    """The name that a whiteout hides.

    Raises: ArchiveRefused for one that would hide a directory itself, or its parent.
    """
    hidden = name.removeprefix(WHITEOUT_PREFIX)
    if hidden in (b"", b".", b".."):
        raise ArchiveRefused(f"invalid whiteout name: {shown(name)}")
    return hidden


def shown(name: bytes) -> str:
    """A name for people."""
    text = name.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 200 else text[:200] + "...")
