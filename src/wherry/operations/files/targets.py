"""Places in a container's root: found or made without ever following a link out of it.

The root is a directory descriptor; names are resolved by `open_in_root`, so that an absolute
link or a `..` written by the image's author ends inside the root (CVE-2024-45310 and its kin).
Missing directories are made one at a time through the descriptor of their parent.
"""

import errno
import os
import stat

from wherry.linux.files import open_in_root
from wherry.linux.syscall import KernelError

_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_MOST_LINKS = 40

_MOUNTABLE_IN_PROC = frozenset(
    {
        "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps",
        "/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/net/dev",
        "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
    }
)  # fmt: skip
"""Files of /proc that a mount may cover, as other runtimes have it: they only inform."""


class TargetRefused(OSError):
    """A mount must not be made here; the text says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(errno.EPERM, sentence)


def open_directory(root: int, path: str) -> tuple[int, int]:
    """Open a directory of the root (O_PATH), making it and its parents when missing.

    Returns the descriptor and how many directories were made. Raises: KernelError; OSError.
    """
    try:
        return open_in_root(root, path, _DIRECTORY), 0
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
    made = _make_directories(root, path, _MOST_LINKS)
    return open_in_root(root, path, _DIRECTORY), made


def open_file(root: int, path: str) -> tuple[int, int, bool]:
    """Open a file of the root (O_PATH), making it empty and its parents when missing.

    Returns the descriptor, how many directories were made, and whether the file was.
    Raises: KernelError; OSError, also where a directory is in its place.
    """
    try:
        opened = open_in_root(root, path, os.O_PATH)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
    else:
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            os.close(opened)
            # The kernel would say EINVAL when it is mounted on.
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return opened, 0, False
    made = _make_file(root, path, _MOST_LINKS)
    return open_in_root(root, path, os.O_PATH), made, True


def open_parent(root: int, path: str) -> tuple[int, str, int]:
    """Open the directory that a name is in, making it when missing.

    Returns its descriptor, the last part of the name, and how many directories were made.
    Raises: KernelError; OSError.
    """
    directory, name = os.path.split(path.rstrip("/"))
    parent, made = open_directory(root, directory or "/")
    return parent, name, made


def resolved_name(root: int, opened: int) -> str:
    """Where an opened place is, as seen from the root. Raises: TargetRefused if outside."""
    top = os.readlink(f"/proc/self/fd/{root}").rstrip("/")
    name = os.readlink(f"/proc/self/fd/{opened}")
    if name == top:
        return "/"
    if not name.startswith(f"{top}/"):
        raise TargetRefused(f"{name} is outside of the container's root")
    return name[len(top) :]


def refuse_hiding_proc(destination: str, resolved: str, filesystem: str, source: str) -> None:
    """Refuse what would let a container run without the kernel's own /proc and /sys.

    Masks and limits are applied below these paths; a link or a foreign mount there would send
    them elsewhere (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561).

    Raises: TargetRefused naming the path.
    """
    if filesystem in ("proc", "sysfs"):
        if resolved != os.path.normpath(destination):
            raise TargetRefused(
                f"refusing to mount {filesystem} on {destination}: "
                f"it is a symbolic link to {resolved} in the image"
            )
        return
    if resolved == "/proc" and source and _is_procfs(source):
        return
    inside = resolved == "/proc" or resolved.startswith("/proc/")
    if inside and resolved not in _MOUNTABLE_IN_PROC:
        raise TargetRefused(
            f"refusing to mount {source or filesystem} on {destination}: "
            f"{resolved} must show the kernel's own files"
        )


def _is_procfs(source: str) -> bool:
    try:
        return os.path.samefile(source, "/proc")
    except OSError:
        return False


def _make_file(root: int, path: str, links_left: int) -> int:
    """Make an empty file; a dangling link is followed inside the root. How many directories."""
    if links_left == 0:
        raise KernelError(errno.ELOOP, "openat", path)
    parent, name, made = open_parent(root, path)
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        os.close(os.open(name, flags, 0o755, dir_fd=parent))
    except FileExistsError:
        return made + _make_file(root, _aim(parent, name, os.path.dirname(path)), links_left - 1)
    finally:
        os.close(parent)
    return made


def _aim(parent: int, name: str, parent_path: str) -> str:
    """Where a link leads, as a path of the root."""
    link = os.readlink(name, dir_fd=parent)
    return link if link.startswith("/") else f"{parent_path}/{link}"


def _make_directories(root: int, path: str, links_left: int) -> int:
    """Make what is missing of a path; a dangling link is followed inside the root."""
    if links_left == 0:
        raise KernelError(errno.ELOOP, "mkdirat", path)
    made = 0
    walked = ""
    for part in path.split("/"):
        if not part:
            continue
        parent_path = walked or "/"
        walked = f"{walked}/{part}"
        try:
            os.close(open_in_root(root, walked, _DIRECTORY))
            continue
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
        parent = open_in_root(root, parent_path, _DIRECTORY)
        try:
            os.mkdir(part, 0o755, dir_fd=parent)
            made += 1
        except FileExistsError:
            made += _make_directories(root, _aim(parent, part, parent_path), links_left - 1)
        finally:
            os.close(parent)
    return made
