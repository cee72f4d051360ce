"""Mounts of another container, shared with one that is about to start.

A mount can be cloned only from inside its own mount namespace (open_tree(2): EINVAL elsewhere),
but the clone belongs to nobody until it is attached. So the starting process steps into the
other's namespace, clones, and steps back; `BindMount` finds the clone by its destination.
"""

import os
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mounts as kernel
from wherry.linux.files import open_in_root
from wherry.linux.mounts import closing
from wherry.linux.process import CLONE_NEWNS, setns
from wherry.operations.files.mounts import held_tree
from wherry.operations.plan import Aspect, Call, Evidence, Hands, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneForeignTree(Operation):
    """Hold a directory or file of another container, mount and all, for a later bind.

    Preconditions: one thread, whose root and working directory are the namespace's root; both
    are that again afterwards.
    """

    kind: ClassVar[str] = "clone-foreign-tree"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    pid: int
    """A process of the other container."""
    path: str
    """As that container sees it."""
    destination: str
    """Where the later bind puts it."""
    is_recursive: bool = False
    """With the mounts below it."""

    def do(self, hands: Hands) -> Evidence:
        with (
            closing(os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)) as own,
            closing(os.open(f"/proc/{self.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)) as other,
            closing(os.open(f"/proc/{self.pid}/root", os.O_PATH | os.O_CLOEXEC)) as root,
            closing(open_in_root(root, self.path, os.O_PATH)) as place,
        ):
            setns(other, CLONE_NEWNS)
            try:
                flags = kernel.OPEN_TREE_CLONE | kernel.AT_EMPTY_PATH
                if self.is_recursive:
                    flags |= kernel.AT_RECURSIVE
                tree = kernel.open_tree(place, "", flags)
            finally:
                setns(own, CLONE_NEWNS)
        hands.hold(held_tree(self.destination), tree)
        return {}

    def describe(self) -> str:
        return f"hold {self.path} of the container of process {self.pid}"

    def shell(self) -> str:
        return (
            f"# no command clones a mount of another namespace: /proc/{self.pid}/root{self.path}"
        )

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (
            Call("setns", ("CLONE_NEWNS",)),
            Call("open_tree", ("OPEN_TREE_CLONE",)),
            Call("setns", ("CLONE_NEWNS",)),
        )
