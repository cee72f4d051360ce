"""Mounts made with the host's rights, for a container that will not have them.

They are detached: nobody sees them until the container's process attaches them in its own
mount namespace. Descriptors travel in Hands, over the fork.
"""

import os
import shlex
from collections.abc import Mapping
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mounts as kernel
from wherry.linux.files import making_files_as
from wherry.linux.mounts import closing
from wherry.operations.files.momentary_mounts import (
    COVERING,
    ENTERING,
    LEAVING,
    cover_by_map,
    momentary_namespace,
)
from wherry.operations.files.mounts import (
    ROOT,
    held_filesystem,
    held_tree,
    new_filesystem_calls,
)
from wherry.operations.files.roots import layer_count, overlay_data
from wherry.operations.looking import mount_finding
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFilesystem(Operation):
    """Make a file system that shows a namespace of the host's: only its owner may."""

    kind: ClassVar[str] = "hold-filesystem"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    filesystem: str

    def do(self, hands: Hands) -> Evidence:
        made = kernel.make_filesystem(self.filesystem, (), 0, self.filesystem)
        hands.hold(held_filesystem(self.filesystem), made)
        return {}

    def describe(self) -> str:
        return f"make a {self.filesystem} of the joined namespace"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return new_filesystem_calls(self.filesystem, 0)


_OPTIONS_OF_SNAPSHOTS: Mapping[str, tuple[tuple[str, str | None], ...]] = {
    # A snapshot has the identity of what it was made of, which may be mounted, too.
    "xfs": (("nouuid", None),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldDevice(Operation):
    """Mount the file system on a block device, detached, for `AttachRoot`.

    A device that is mounted already is the same file system, seen once more.
    """

    kind: ClassVar[str] = "hold-device"
    aspect: ClassVar[Aspect] = Aspect.IMAGE

    device: str
    filesystem: str

    def do(self, hands: Hands) -> Evidence:
        options = _OPTIONS_OF_SNAPSHOTS.get(self.filesystem, ())
        made = kernel.make_filesystem(self.filesystem, options, 0, self.device)
        hands.hold(held_tree("/"), made)
        return {}

    def describe(self) -> str:
        return f"mount the {self.filesystem} of {self.device}"

    def shell(self) -> str:
        return self.mounted("rootfs")

    def mounted(self, target: str) -> str:
        """The command that mounts it where it is to be seen."""
        options = _OPTIONS_OF_SNAPSHOTS.get(self.filesystem, ())
        words = ",".join(("rw", *(name for name, _ in options)))
        return f"mount -t {self.filesystem} -o {words} {self.device} {shlex.quote(target)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return new_filesystem_calls(
            self.filesystem, len(_OPTIONS_OF_SNAPSHOTS.get(self.filesystem, ()))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOverlay(Operation):
    """Stack an image's layers and a writable directory, detached, for `AttachRoot`.

    Made by mount(2) in a momentary mount namespace: the newer calls take no stack of layers
    before Linux 6.8.

    Preconditions: those of `momentary_mounts`.
    """

    kind: ClassVar[str] = "hold-overlay"
    aspect: ClassVar[Aspect] = Aspect.IMAGE

    directory: str
    lower: tuple[str, ...]
    upper: str
    work: str
    target: str
    """A directory to mount it on for a moment."""
    user_namespace: str = ""
    """The name in Hands of the one whose map shows who owns the files of the layers; empty:
    they are owned by ids of the host (overlayfs takes idmapped layers since Linux 5.19)."""
    owner: tuple[int, ...] = (0, 0)
    """User and group that overlayfs makes files as: they must be in that map."""

    def do(self, hands: Hands) -> Evidence:
        with momentary_namespace():
            if self.user_namespace:
                cover_by_map(self.directory, hands.get(self.user_namespace))
            os.chdir(self.directory)
            data = overlay_data(self.lower, self.upper, self.work)
            with making_files_as(*self.owner):
                kernel.mount("overlay", self.target, "overlay", 0, data)
            tree = kernel.open_tree(kernel.AT_FDCWD, self.target, kernel.OPEN_TREE_CLONE)
        hands.hold(held_tree("/"), tree)
        return {"layers": len(self.lower)}

    def describe(self) -> str:
        return f"stack {layer_count(self.lower)} and a writable directory for the root"

    def shell(self) -> str:
        data = overlay_data(self.lower, self.upper, self.work)
        directory, target = shlex.quote(self.directory), shlex.quote(self.target)
        return f"cd {directory} && mount -t overlay overlay -o {shlex.quote(data)} {target}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (
            *ENTERING,
            *(COVERING if self.user_namespace else ()),
            Call("chdir", (f'"{self.directory}"',)),
            Call("mount", ('"overlay"', f'"{self.target}"')),
            Call("open_tree", ("OPEN_TREE_CLONE",)),
            *LEAVING,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MapTree(Operation):
    """Show the owners of a held tree through the map of a user namespace (idmapped mount)."""

    kind: ClassVar[str] = "map-tree"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    destination: str
    user_namespace: str
    """Its name in Hands."""
    is_recursive: bool = False

    def do(self, hands: Hands) -> Evidence:
        kernel.mount_setattr(
            hands.get(held_tree(self.destination)),
            set_=kernel.MOUNT_ATTR_IDMAP,
            recursive=self.is_recursive,
            user_namespace=hands.get(self.user_namespace),
        )
        return {}

    def describe(self) -> str:
        return f"map the owners of {self.destination}"

    def shell(self) -> str:
        return f"# mount -o bind,X-mount.idmap=... for rootfs{self.destination}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("mount_setattr", ("MOUNT_ATTR_IDMAP",)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachRoot(Operation):
    """Attach the tree held for `/` as the container's root.

    Precondition: as host user 0, who may go where the target is; rights over the mount
    namespace are those of the user namespace.
    """

    kind: ClassVar[str] = "attach-root"
    aspect: ClassVar[Aspect] = Aspect.IMAGE

    target: str

    def do(self, hands: Hands) -> Evidence:
        tree = hands.give(held_tree("/"))
        hands.hold(ROOT, tree)
        with closing(os.open(self.target, os.O_PATH | os.O_CLOEXEC)) as target:
            kernel.move_mount(tree, target)
        return {"mount_point": "/"}

    def check(self, evidence: Evidence) -> Finding:
        return mount_finding(evidence)

    def describe(self) -> str:
        return "attach the root"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("move_mount"),)
