"""An image's layers as a read-only tree, stacked for a place in the container's root.

Preconditions: a process of one thread, in the container's mount namespace, with the root open;
for a container in a user namespace those of `momentary_mounts`, with the host's rights.
"""

import errno
import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mounts as kernel
from wherry.linux.mounts import closing
from wherry.linux.syscall import KernelError
from wherry.operations.files.momentary_mounts import (
    COVERING,
    ENTERING,
    LEAVING,
    cover_by_map,
    momentary_namespace,
)
from wherry.operations.files.mounts import (
    ROOT,
    clone_below,
    held_tree,
    new_filesystem_calls,
)
from wherry.operations.plan import Aspect, Call, Evidence, Hands, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLayers(Operation):
    """Stack layers without a writable one, and hold the tree for the bind that follows."""

    kind: ClassVar[str] = "hold-layers"
    aspect: ClassVar[Aspect] = Aspect.IMAGE

    lower: tuple[str, ...]
    """Topmost first, two or more."""
    destination: str
    subpath: str = ""
    """A place in the stack, resolved inside of it: its links lead nowhere else."""

    user_namespace: str = ""
    """The name in Hands of the one whose map shows who owns the files; empty: the host's."""

    def do(self, hands: Hands) -> Evidence:
        top = os.path.commonpath(self.lower)
        if not self.user_namespace:
            return self._hold(hands, top, covered=hands.get(ROOT))
        with momentary_namespace():
            cover_by_map(top, hands.get(self.user_namespace))
            with closing(os.open(top, os.O_PATH | os.O_CLOEXEC)) as place:
                return self._hold(hands, top, covered=place)

    def _hold(self, hands: Hands, top: str, *, covered: int) -> Evidence:
        os.chdir(top)
        tree, way = self._stacked()
        if self.subpath:
            # Only what is attached can be cloned; a directory is covered for that moment.
            with closing(tree):
                kernel.move_mount(tree, covered)
                place = f"/proc/self/fd/{tree}"
                try:
                    part = clone_below(place, self.subpath, recursive=False)
                finally:
                    kernel.umount2(place, kernel.MNT_DETACH)
            tree = part
        hands.hold(held_tree(self.destination), tree)
        return {"layers": len(self.lower), "way": way}

    def _stacked(self) -> tuple[int, str]:
        """One option for each layer (Linux 6.8), or a single one, which takes 255 bytes."""
        names = self._names()
        try:
            each = tuple(("lowerdir+", name) for name in names)
            return kernel.make_filesystem("overlay", each, 0, "overlay"), "lowerdir+"
        except KernelError as error:
            if error.errno != errno.EINVAL:
                raise
        whole = (("lowerdir", ":".join(names)),)
        return kernel.make_filesystem("overlay", whole, 0, "overlay"), "lowerdir"

    def _names(self) -> tuple[str, ...]:
        top = os.path.commonpath(self.lower)
        return tuple(os.path.relpath(each, top) for each in self.lower)

    def describe(self) -> str:
        part = f", of which {self.subpath}," if self.subpath else ""
        return f"stack {len(self.lower)} layers{part} for {self.destination}"

    def shell(self) -> str:
        if self.user_namespace:
            return f"# mount -o X-mount.idmap=... of the layers for rootfs{self.destination}"
        place = shlex.quote(f"rootfs{self.destination}")
        top = shlex.quote(os.path.commonpath(self.lower))
        layers = shlex.quote(":".join(self._names()))
        return (
            f'place="$PWD"/{place} && mkdir -p "$place" && (cd {top} && '
            f'mount -t overlay -o ro,lowerdir={layers} overlay "$place")'
        )

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        options = len(self.lower) if evidence.get("way") == "lowerdir+" else 1
        stacking = (Call("chdir"), *new_filesystem_calls("overlay", options))
        if not self.user_namespace:
            return stacking
        return (*ENTERING, *COVERING, *stacking, *LEAVING)
