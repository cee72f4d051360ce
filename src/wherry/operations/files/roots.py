"""A container's root: where mounts are seen, its layers, and the pivot."""

import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mounts as kernel
from wherry.linux.mounts import closing
from wherry.operations.files.mounts import PROPAGATIONS, ROOT, new_mount_calls
from wherry.operations.looking import mount_finding
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation

_PAGE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPropagation(Operation):
    """Say where mounts below a point are seen."""

    kind: ClassVar[str] = "set-propagation"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    path: str
    propagation: str

    def do(self, hands: Hands) -> Evidence:
        recursive = kernel.MS_REC if self.propagation[:1] == "r" else 0
        flag = PROPAGATIONS[self.propagation.removeprefix("r")]
        kernel.mount("", self.path, "", flag | recursive)
        return {}

    def describe(self) -> str:
        return f"make the mounts of {self.path} {self.propagation}"

    def shell(self) -> str:
        return f"mount --make-{self.propagation} {shlex.quote(self.path)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        flag = "MS_" + self.propagation.removeprefix("r").upper()
        return (Call("mount", (f'"{self.path}"', flag)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountOverlay(Operation):
    """Stack an image's layers and a writable directory into the container's root."""

    kind: ClassVar[str] = "mount-overlay"
    aspect: ClassVar[Aspect] = Aspect.IMAGE

    directory: str
    """Where the other names start."""
    lower: tuple[str, ...]
    """Topmost first."""
    upper: str
    work: str
    target: str

    def do(self, hands: Hands) -> Evidence:
        os.chdir(self.directory)
        data = overlay_data(self.lower, self.upper, self.work)
        if len(data) < _PAGE:
            kernel.mount("overlay", self.target, "overlay", 0, data)
            way = "mount"
        else:
            self._mount_long()
            way = "fsopen"
        hands.hold(ROOT, os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return {"mount_point": "/", "layers": len(self.lower), "way": way}

    def _mount_long(self) -> None:
        """More layers than fit in the page of mount(2): one option each (Linux 6.8)."""
        options = tuple(("lowerdir+", each) for each in self.lower)
        if self.upper:
            options += (("upperdir", self.upper), ("workdir", self.work))
        with (
            closing(kernel.make_filesystem("overlay", options, 0, "overlay")) as detached,
            closing(os.open(self.target, os.O_PATH | os.O_CLOEXEC)) as target,
        ):
            kernel.move_mount(detached, target)

    def check(self, evidence: Evidence) -> Finding:
        return mount_finding(evidence, kind="overlay")

    def describe(self) -> str:
        return f"mount {layer_count(self.lower)} and a writable directory as the root"

    def shell(self) -> str:
        data = overlay_data(self.lower, self.upper, self.work)
        return (
            f"cd {shlex.quote(self.directory)} && mount -t overlay overlay"
            f" -o {shlex.quote(data)} {shlex.quote(self.target)}"
        )

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        entered = Call("chdir", (f'"{self.directory}"',))
        if evidence.get("way") == "fsopen":
            return (entered, *new_mount_calls("overlay", len(self.lower) + 2))
        return (entered, Call("mount", ('"overlay"', f'"{self.target}"')))


@dataclass(frozen=True, slots=True, kw_only=True)
class BindRoot(Operation):
    """Take a directory that exists as the container's root."""

    kind: ClassVar[str] = "bind-root"
    aspect: ClassVar[Aspect] = Aspect.IMAGE

    source: str
    target: str

    def do(self, hands: Hands) -> Evidence:
        flags = kernel.OPEN_TREE_CLONE | kernel.AT_RECURSIVE
        tree = kernel.open_tree(kernel.AT_FDCWD, self.source, flags)
        hands.hold(ROOT, tree)
        with closing(os.open(self.target, os.O_PATH | os.O_CLOEXEC)) as target:
            kernel.move_mount(tree, target)
        return {"mount_point": "/"}

    def check(self, evidence: Evidence) -> Finding:
        return mount_finding(evidence)

    def describe(self) -> str:
        return f"bind {self.source} as the root"

    def shell(self) -> str:
        return f"mount --rbind {shlex.quote(self.source)} {shlex.quote(self.target)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("open_tree", (f'"{self.source}"',)), Call("move_mount"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PivotRoot(Operation):
    """Make the container's root `/`, and let go of the host's."""

    kind: ClassVar[str] = "pivot-root"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    def do(self, hands: Hands) -> Evidence:
        os.fchdir(hands.get(ROOT))
        # The old root lands on top of the new one and is detached from there: no directory
        # has to be made for it (pivot_root(2), "pivot_root(".", ".")").
        kernel.pivot_root(".", ".")
        kernel.umount2(".", kernel.MNT_DETACH)
        os.chdir("/")
        hands.hold(ROOT, os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return {"mount_point": "/"}

    def check(self, evidence: Evidence) -> Finding:
        return mount_finding(evidence)

    def describe(self) -> str:
        return "make the container's root / and detach the host's"

    def shell(self) -> str:
        return "cd rootfs && pivot_root . . && umount -l ."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (
            Call("fchdir"),
            Call("pivot_root", ('"."',)),
            Call("umount2", ("MNT_DETACH",)),
            Call("chdir", ('"/"',)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRoot(Operation):
    """Make the container's root `/` by moving it there: where the host's is a ramdisk, which
    pivot_root(2) refuses. The host's stays below, out of reach without CAP_SYS_ADMIN."""

    kind: ClassVar[str] = "move-root"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    def do(self, hands: Hands) -> Evidence:
        os.fchdir(hands.get(ROOT))
        kernel.mount(os.getcwd(), "/", "", kernel.MS_MOVE)
        os.chroot(".")
        os.chdir("/")
        hands.hold(ROOT, os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return {"mount_point": "/"}

    def check(self, evidence: Evidence) -> Finding:
        return mount_finding(evidence)

    def describe(self) -> str:
        return "move the container's root to /"

    def shell(self) -> str:
        return "cd rootfs && mount --move . / && chroot ."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (
            Call("fchdir"),
            Call("mount", ("MS_MOVE",)),
            Call("chroot", ('"."',)),
            Call("chdir", ('"/"',)),
        )


def layer_count(lower: tuple[str, ...]) -> str:
    """How many, for people."""
    return "1 layer" if len(lower) == 1 else f"{len(lower)} layers"


def overlay_data(lower: tuple[str, ...], upper: str, work: str) -> str:
    """The option text of an overlay for mount(2)."""
    data = f"lowerdir={':'.join(_escaped(each) for each in lower)}"
    if upper:
        data += f",upperdir={_escaped(upper)},workdir={_escaped(work)}"
    return data


def _escaped(name: str) -> str:
    r"""A name in overlay's option text, where `:` and `,` separate (overlayfs.rst)."""
    for letter in "\\:,":
        name = name.replace(letter, f"\\{letter}")
    return name
