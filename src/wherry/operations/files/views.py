"""A container's files put together for somebody outside: its root and what is mounted in it.

The result belongs to no namespace: a detached tree of mounts (open_tree(2), OPEN_TREE_CLONE) that
lives as long as its descriptor. Whoever has that resolves names in it as the container would,
and nothing that the container mounts or moves afterwards changes what the names lead to.

Preconditions: a mount namespace of one's own that gives nothing back to the host's.
"""

import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mounts as kernel
from wherry.linux.mounts import closing
from wherry.operations.files import targets
from wherry.operations.files.mounts import ROOT, held_tree
from wherry.operations.plan import Aspect, Call, Evidence, Hands, Operation

VIEW = "view"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachTree(Operation):
    """Attach a tree that was held from elsewhere, as the root of a view."""

    kind: ClassVar[str] = "attach-tree"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    destination: str
    """Under which the tree was held."""
    target: str

    def do(self, hands: Hands) -> Evidence:
        with (
            closing(hands.give(held_tree(self.destination))) as tree,
            closing(os.open(self.target, os.O_PATH | os.O_CLOEXEC)) as target,
        ):
            kernel.mount_setattr(tree, propagation=kernel.MS_PRIVATE)
            kernel.move_mount(tree, target)
        hands.hold(ROOT, os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return {}

    def describe(self) -> str:
        return f"attach what was held for {self.destination} as the root"

    def shell(self) -> str:
        return "# no command attaches a mount of another namespace"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("mount_setattr"), Call("move_mount"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeMountPoint(Operation):
    """Make the place of a mount in a root, as a start would; one that is there stays."""

    kind: ClassVar[str] = "make-mount-point"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    destination: str
    is_directory: bool

    def do(self, hands: Hands) -> Evidence:
        root = hands.get(ROOT)
        if self.is_directory:
            opened, made = targets.open_directory(root, self.destination)
        else:
            opened, made, _created = targets.open_file(root, self.destination)
        os.close(opened)
        return {"made": made}

    def describe(self) -> str:
        return f"make the mount point {self.destination}"

    def shell(self) -> str:
        place = f"rootfs{self.destination}"
        if self.is_directory:
            return shlex.join(("mkdir", "-p", place))
        made = shlex.join(("mkdir", "-p", os.path.dirname(place)))
        return f"{made} && {shlex.join(('touch', place))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmountRoot(Operation):
    """Take a root away again that was mounted to be prepared."""

    kind: ClassVar[str] = "unmount-root"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    target: str

    def do(self, hands: Hands) -> Evidence:
        hands.release(ROOT)
        kernel.umount2(self.target, 0)
        return {}

    def describe(self) -> str:
        return f"unmount {self.target}"

    def shell(self) -> str:
        return f"umount {shlex.quote(self.target)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("umount2", (f'"{self.target}"',)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachTree(Operation):
    """Hold a copy of the root's mounts that is in no namespace."""

    kind: ClassVar[str] = "detach-tree"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    def do(self, hands: Hands) -> Evidence:
        flags = kernel.OPEN_TREE_CLONE | kernel.AT_RECURSIVE | kernel.AT_EMPTY_PATH
        hands.hold(VIEW, kernel.open_tree(hands.get(ROOT), "", flags))
        return {}

    def describe(self) -> str:
        return "hold what was put together, in no namespace"

    def shell(self) -> str:
        return "# no command holds a detached tree of mounts"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("open_tree", ("OPEN_TREE_CLONE", "AT_RECURSIVE")),)
