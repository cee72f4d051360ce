"""What a file tree looks like, as values that compare."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

Facts = tuple[object, ...]


def tree(root: str | Path, *, with_times: bool = True) -> dict[str, Facts]:
    """Every name below a directory and all that can be known of it, without following links."""
    first_names: dict[int, str] = {}
    return {
        name: _facts(path, name, first_names, with_times=with_times)
        for name, path in sorted(_walk(str(root)))
    }


def _walk(root: str) -> Iterator[tuple[str, str]]:
    yield ".", root
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            yield os.path.relpath(path, root), path


def _facts(path: str, name: str, first_names: dict[int, str], *, with_times: bool) -> Facts:
    state = os.lstat(path)
    kind = stat.S_IFMT(state.st_mode)
    content: object = None
    if kind == stat.S_IFREG:
        content = Path(path).read_bytes()
        same = first_names.setdefault(state.st_ino, name)
        if same != name:
            content = ("the same file as", same)
    elif kind == stat.S_IFLNK:
        content = os.readlink(path)
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        content = state.st_rdev
    attributes = {
        each: os.getxattr(path, each, follow_symlinks=False)
        for each in os.listxattr(path, follow_symlinks=False)
    }
    return (
        oct(state.st_mode),
        state.st_uid,
        state.st_gid,
        int(state.st_mtime) if with_times else None,
        content,
        tuple(sorted(attributes.items())),
    )
