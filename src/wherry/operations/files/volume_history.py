"""The history of volumes: trees of files that are copied whole, put aside and put in place.

    volumes/NAME/_data             what containers have mounted
    volumes/NAME/snapshots/LABEL   how it was once

A directory that containers have mounted may be renamed: a mount goes by the directory, not by
its name. So putting another tree in place never changes what a running container sees.
"""

import os
import shlex
from typing import ClassVar

from wherry.kit.atomic_files import sync_directory
from wherry.kit.values import dataclass
from wherry.linux.files import rename_to_free
from wherry.operations.files.tree_work import TreeWork
from wherry.operations.files.volumes import remove_volume_tree
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
class CopyVolume(TreeWork):
    """Make a tree that is like another one; the room of volumes brings the work."""

    kind: ClassVar[str] = "copy-volume"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    source: str
    """A directory, or `an archive`."""
    target: str

    def do(self, hands: Hands) -> Evidence:
        try:
            return TreeWork.do(self, hands)
        except BaseException:
            remove_volume_tree(self.target)
            raise

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        remove_volume_tree(self.target)

    def describe(self) -> str:
        return f"copy {self.source} to {self.target}"

    def shell(self) -> str:
        if not self.source.startswith("/"):
            return shlex.join(
                ("tar", "--numeric-owner", "--xattrs", "-xpf", "-", "-C", self.target)
            )
        return shlex.join(("cp", "-a", "--reflink=auto", f"{self.source}/.", self.target))


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveVolume(Operation):
    """Give a tree another name, which must be free."""

    kind: ClassVar[str] = "move-volume"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    source: str
    target: str

    def do(self, hands: Hands) -> Evidence:
        rename_to_free(self.source, self.target)
        for directory in {os.path.dirname(self.source), os.path.dirname(self.target)}:
            sync_directory(directory)
        return {"inode": os.stat(self.target, follow_symlinks=False).st_ino}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        rename_to_free(self.target, self.source)

    def check(self, evidence: Evidence) -> Finding:
        try:
            inode = os.stat(self.target, follow_symlinks=False).st_ino
        except FileNotFoundError:
            return Finding(Verdict.GONE, self.target)
        return Finding(Verdict.STILL_TRUE, f"{self.target} is inode {inode}")

    def describe(self) -> str:
        return f"move {self.source} to {self.target}"

    def shell(self) -> str:
        return shlex.join(("mv", "--no-target-directory", self.source, self.target))

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("renameat2", (f'"{self.source}"', f'"{self.target}"', "RENAME_NOREPLACE")),)
