"""Bounds on what a tree may hold, where its file system keeps such.

btrfs counts for each subvolume; xfs, and ext4 made for it, for each project (`project_quotas`).
A tree's project has a number that nobody has used; it is written nowhere but in the tree, and
its limit goes with the tree.
"""

import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import btrfs, project_quotas
from wherry.linux.files import open_directory
from wherry.operations.plan import Aspect, Evidence, Hands, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTree(Operation):
    """Bound what an empty directory, or a subvolume, may come to hold."""

    kind: ClassVar[str] = "bound-tree"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    directory: str
    size_bytes: int

    def do(self, hands: Hands) -> Evidence:
        bound_tree(self.directory, self.size_bytes)
        return {"size_bytes": self.size_bytes}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        unbound_tree(self.directory)

    def describe(self) -> str:
        return f"bound {self.directory} to {self.size_bytes} bytes"

    def shell(self) -> str:
        return bounding_shell(self.directory, self.size_bytes)


def has_projects(directory: str) -> bool:
    """Whether any directory in a directory can be bounded."""
    with open_directory(directory) as opened:
        return project_quotas.are_enforced(opened)


def has_subvolumes(directory: str) -> bool:
    """Whether subvolumes in a directory can be bounded."""
    with open_directory(directory) as opened:
        return btrfs.is_btrfs(opened)


def bound_tree(directory: str, size_bytes: int) -> None:
    """Bound what an empty directory, or a subvolume, may come to hold. Raises: OSError."""
    with open_directory(directory) as tree:
        if btrfs.is_btrfs(tree):
            btrfs.enable_quotas(tree)
            btrfs.limit_referenced(tree, size_bytes)
            return
        project = _unused_project(tree)
        project_quotas.limit(tree, project, size_bytes)
        project_quotas.hand_down(tree, project)


def unbound_tree(directory: str) -> None:
    """A tree goes, and so does the limit that was its own. Raises: OSError."""
    with open_directory(directory) as tree, open_directory(os.path.dirname(directory)) as parent:
        if project_quotas.are_enforced(tree):
            project = project_quotas.project_of(tree)
            if project != project_quotas.project_of(parent):  # an operator's may be handed down
                project_quotas.limit(tree, project, 0)


def bounding_shell(directory: str, size_bytes: int) -> str:
    """The same by hand, where the file system has projects."""
    place = shlex.quote(directory)
    setting, limiting = f"project -s -p {place} 7", f"limit -p bhard={size_bytes} 7"
    return f"xfs_quota -x -c {shlex.quote(setting)} -c {shlex.quote(limiting)}"


def _unused_project(tree: int) -> int:
    while True:
        project = int.from_bytes(os.urandom(4), "big") >> 1
        if project and not project_quotas.is_known(tree, project):
            return project
