"""Layers and writable snapshots: bulk work on file trees, one operation whatever its size.

The trees are `snapshots`' own, which brings the work.
"""

import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux.files import remove_tree
from wherry.operations.files.tree_work import TreeWork
from wherry.operations.plan import (
    Aspect,
    Call,
    Evidence,
    Finding,
    Hands,
    Operation,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSnapshot(TreeWork):
    """Make the writable layer of a container: empty directories for overlayfs."""

    kind: ClassVar[str] = "prepare-snapshot"

    directory: str
    lower: str
    """The topmost read-only layer below it; empty for none."""
    by_hand: str = ""
    """The shell's words for a driver that does more than make directories."""

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        """Remove the writable layer and what was written to it."""
        _remove_directory(self.directory)

    def check(self, evidence: Evidence) -> Finding:
        """Whether its directories are there."""
        return _directory_finding(os.path.join(self.directory, "diff"))

    def describe(self) -> str:
        """The directory and what it stands on."""
        on = f"on layer {self.lower}" if self.lower else "on nothing"
        return f"prepare writable layer {self.directory} {on}"

    def shell(self) -> str:
        """The same by hand."""
        return (
            self.by_hand
            or f"mkdir -p {shlex.quote(self.directory)}/diff {shlex.quote(self.directory)}/work"
        )

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        """The directories that it makes."""
        key = os.path.basename(self.directory)
        return (
            Call("mkdir", (key,)),
            Call("mkdir", (f"{key}/diff",)),
            Call("mkdir", (f"{key}/work",)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSnapshot(TreeWork):
    """Remove the writable layer of a container. There is no way back."""

    kind: ClassVar[str] = "remove-snapshot"

    directory: str

    def check(self, evidence: Evidence) -> Finding:
        """Whether it is gone."""
        return _absence_finding(self.directory)

    def describe(self) -> str:
        """Which directory."""
        return f"remove writable layer {self.directory}"

    def shell(self) -> str:
        """The same by hand."""
        return f"rm -rf {shlex.quote(self.directory)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyLayer(TreeWork):
    """Unpack a layer's tar into a directory of its own."""

    kind: ClassVar[str] = "apply-layer"

    directory: str
    diff_id: str
    """Digest that the uncompressed tar must have; empty where nobody promised one."""

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        """Remove what was unpacked."""
        _remove_directory(self.directory)

    def check(self, evidence: Evidence) -> Finding:
        """Whether the directory is there."""
        return _directory_finding(os.path.join(self.directory, "diff"))

    def describe(self) -> str:
        """Which layer goes where."""
        return f"unpack layer {self.diff_id or 'of unknown digest'} into {self.directory}"

    def shell(self) -> str:
        """Close to it: tar(1) knows neither whiteouts nor opaque directories."""
        return f"tar --numeric-owner --xattrs -xpf LAYER -C {shlex.quote(self.directory)}/diff"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptLayer(Operation):
    """Make a tree that somebody has written a layer."""

    kind: ClassVar[str] = "adopt-layer"
    aspect: ClassVar[Aspect] = Aspect.IMAGE

    source: str
    directory: str
    """The layer's, which is made."""

    def do(self, hands: Hands) -> Evidence:
        os.mkdir(self.directory, 0o710)
        try:
            os.rename(self.source, os.path.join(self.directory, "diff"))
        except BaseException:
            os.rmdir(self.directory)
            raise
        return {}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        """Remove the tree: its owner has let go of it."""
        _remove_directory(self.directory)

    def check(self, evidence: Evidence) -> Finding:
        """Whether it is there."""
        return _directory_finding(os.path.join(self.directory, "diff"))

    def describe(self) -> str:
        """What becomes which layer."""
        return f"make {self.source} the layer {self.directory}"

    def shell(self) -> str:
        """The same by hand."""
        source, directory = shlex.quote(self.source), shlex.quote(self.directory)
        return f"mkdir -p {directory} && mv {source} {directory}/diff"


@dataclass(frozen=True, slots=True, kw_only=True)
class DressLayer(TreeWork):
    """Let the directories that a layer's tar leaves out look as in the layers below it."""

    kind: ClassVar[str] = "dress-layer"

    directory: str
    count: int

    def describe(self) -> str:
        """How many."""
        return f"dress {self.count} directories of {self.directory} as in the layers below"

    def shell(self) -> str:
        """In words: it is a chown and a chmod for each."""
        return f"# chown and chmod --reference of {self.count} directories"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLayer(TreeWork):
    """Write a tree as a layer's tar. It only reads."""

    kind: ClassVar[str] = "diff-layer"

    directory: str

    def describe(self) -> str:
        """Which tree."""
        return f"pack {self.directory} as a layer"

    def shell(self) -> str:
        """Close to it: tar(1) doesn't turn overlayfs's whiteouts into `.wh.` files."""
        return f"tar --numeric-owner --xattrs -cf LAYER -C {shlex.quote(self.directory)}/diff ."


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveLayer(TreeWork):
    """Remove a committed layer that nothing stands on. There is no way back."""

    kind: ClassVar[str] = "remove-layer"

    directory: str

    def check(self, evidence: Evidence) -> Finding:
        """Whether it is gone."""
        return _absence_finding(self.directory)

    def describe(self) -> str:
        """Which directory."""
        return f"remove layer {self.directory}"

    def shell(self) -> str:
        """The same by hand."""
        return f"rm -rf {shlex.quote(self.directory)}"


def _remove_directory(path: str) -> None:
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(parent, os.path.basename(path))
    finally:
        os.close(parent)


def _directory_finding(path: str) -> Finding:
    try:
        inode = os.stat(path, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return Finding(Verdict.GONE, path)
    return Finding(Verdict.STILL_TRUE, f"{path} is inode {inode}")


def _absence_finding(path: str) -> Finding:
    if os.path.lexists(path):
        return Finding(Verdict.CHANGED, f"{path} is there again")
    return Finding(Verdict.STILL_TRUE, f"no {path}")
