"""Copies the program and what it imports into a tree of its own: `installed_tree.py DIRECTORY`.

The tree's name is a digest of what is in it. So an update puts a new tree beside the old one,
and an engine that still runs goes on importing from its own; a tree that nobody runs from any more
is removed. Prints the tree's name.
"""

import compileall
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "wherry"
_ROOT = "wherry"


def main(directory: Path) -> str:
    """Make the tree below a directory, unless it is there already."""
    files = {**_program(), **_libraries()}
    name = _digest(files)
    tree = directory / name
    if not tree.exists():
        staged = directory / f".{name}.new"
        shutil.rmtree(staged, ignore_errors=True)
        for place, file in files.items():
            (staged / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, staged / place)
        # A process that compiles as it imports keeps a sixth more memory for good.
        compileall.compile_dir(staged, quiet=2, stripdir=staged, prependdir=tree, workers=0)
        staged.rename(tree)
    for other in directory.iterdir():
        if other != tree and not _is_in_use(other):
            shutil.rmtree(other)
    return name


def _program() -> dict[Path, Path]:
    """Every file of the package by its place in the tree."""
    return {
        file.relative_to(SOURCE.parent): file
        for file in SOURCE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def _libraries() -> dict[Path, Path]:
    """The files of all that the package requires, as they were installed for it."""
    found: dict[Path, Path] = {}
    for library in _required(_ROOT, set()):
        for file in library.files or ():
            path = Path(str(library.locate_file(file)))
            if ".." not in file.parts and "__pycache__" not in file.parts and path.is_file():
                found[Path(file)] = path
    return found


def _required(name: str, seen: set[str]) -> Iterator[Distribution]:
    """What a distribution requires here, with what that requires; extras are left out."""
    for requirement in distribution(name).requires or ():
        match = re.match(r"[\w.-]+", requirement)
        if match is None or "extra ==" in requirement or match[0] in seen:
            continue
        seen.add(match[0])
        try:
            library = distribution(match[0])
        except PackageNotFoundError:  # for another Python, or another system
            continue
        yield library
        yield from _required(match[0], seen)


def _digest(files: dict[Path, Path]) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for place in sorted(files):
        digest.update(f"{place}\0".encode() + hashlib.sha256(files[place].read_bytes()).digest())
    return digest.hexdigest()[:12]


def _is_in_use(tree: Path) -> bool:
    """Whether a process was started from the tree, or has a library of it mapped."""
    wanted = os.fsencode(f"{tree}/")
    return any(
        wanted in _read(process / about)
        for process in Path("/proc").glob("[0-9]*")
        for about in ("cmdline", "maps")
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile
        return b""


if __name__ == "__main__":
    print(main(Path(sys.argv[1]).resolve()))
