"""What a recipe for a base image gives, and the small trees that two of them write."""

from collections.abc import Callable, Iterator

from wherry.kit.values import dataclass
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import ExecutionDefaults
from wherry.snapshots import (
    DIRECTORY,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    TAR_END,
    TarEntry,
    Writable,
    tar_header,
    tar_padding,
)

SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """How to make a base image."""

    name: str
    created_by: str
    config: ExecutionDefaults
    write_layer: Callable[[str, Writable], Iterator[Progress]]
    """Write the layer's tar; the text is an empty directory to work in."""
    created_at_ns: Callable[[int], int]
    """When the image was created, given what time it is: the age of its parts, if it is known."""


class TreeWriter:
    """Writes a small tree as a tar: everything is root's and has one time."""

    def __init__(self, out: Writable, *, mtime_ns: int) -> None:
        self._out = out
        self._mtime_ns = mtime_ns

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory."""
        self._add(DIRECTORY, f"{path}/", mode=mode)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self._add(REGULAR, path, mode=mode, size=len(content))
        self._out.write(content)
        self._out.write(tar_padding(len(content)))

    def hard_link(self, path: str, target: str) -> None:
        """Add another name of a file that was added before."""
        self._add(HARD_LINK, path, link=target, mode=0o755)

    def symlink(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(SYMLINK, path, link=target, mode=0o777)

    def end(self) -> None:
        """Close the archive."""
        self._out.write(TAR_END)

    def _add(self, kind: bytes, path: str, *, mode: int, link: str = "", size: int = 0) -> None:
        self._out.write(
            tar_header(
                TarEntry(
                    kind, path.encode(), link.encode(), mode, 0, 0, size, self._mtime_ns, 0, 0
                )
            )
        )
