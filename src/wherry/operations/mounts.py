"""Mounts of a container: its root, the file systems below it, what is hidden, and the pivot.

Preconditions of all: a mount namespace of one's own, after `SetPropagation`. They find the
container's root under the name `root` in Hands.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from wherry.linux import mounts as kernel
from wherry.linux.files import open_in_root
from wherry.linux.mounts import closing
from wherry.linux.syscall import KernelError
from wherry.operations import targets
from wherry.operations.looking import GONE, mount_finding, process_directory
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation, Verdict

ROOT = "root"

_PAGE = 4096
_EMPTY = (("nr_inodes", "1"), ("mode", "755"))
_NULL_DEVICE = os.makedev(1, 3)

_SETS: Mapping[str, int] = {
    "ro": kernel.MOUNT_ATTR_RDONLY,
    "nosuid": kernel.MOUNT_ATTR_NOSUID,
    "nodev": kernel.MOUNT_ATTR_NODEV,
    "noexec": kernel.MOUNT_ATTR_NOEXEC,
    "nodiratime": kernel.MOUNT_ATTR_NODIRATIME,
    "nosymfollow": kernel.MOUNT_ATTR_NOSYMFOLLOW,
    "noatime": kernel.MOUNT_ATTR_NOATIME,
    "strictatime": kernel.MOUNT_ATTR_STRICTATIME,
    "relatime": kernel.MOUNT_ATTR_RELATIME,
}
_CLEARS: Mapping[str, int] = {
    "rw": kernel.MOUNT_ATTR_RDONLY,
    "suid": kernel.MOUNT_ATTR_NOSUID,
    "dev": kernel.MOUNT_ATTR_NODEV,
    "exec": kernel.MOUNT_ATTR_NOEXEC,
    "diratime": kernel.MOUNT_ATTR_NODIRATIME,
    "symfollow": kernel.MOUNT_ATTR_NOSYMFOLLOW,
    "atime": kernel.MOUNT_ATTR__ATIME,
}
_ATIMES = frozenset({"noatime", "strictatime", "relatime"})
ATTRIBUTE_WORDS = frozenset({*_SETS, *_CLEARS})
"""The words of mount(8) that are attributes of one mount, not options of a file system."""

PROPAGATIONS: Mapping[str, int] = {
    "private": kernel.MS_PRIVATE,
    "slave": kernel.MS_SLAVE,
    "shared": kernel.MS_SHARED,
    "unbindable": kernel.MS_UNBINDABLE,
}
"""Each also with an `r` in front: recursive."""


def attribute_masks(words: tuple[str, ...]) -> tuple[int, int]:
    """What to set and what to clear for words such as `ro` and `exec`. Raises: KeyError."""
    set_, clear = 0, 0
    for word in words:
        if word in _CLEARS:
            clear |= _CLEARS[word]
            set_ &= ~_CLEARS[word]
        else:
            set_ |= _SETS[word]
            if word in _ATIMES:
                clear |= kernel.MOUNT_ATTR__ATIME
    return set_, clear


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
        return f"mount --make-{self.propagation} {self.path}"

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
        data = self._data()
        if len(data) < _PAGE:
            kernel.mount("overlay", self.target, "overlay", 0, data)
            way = "mount"
        else:
            self._mount_long()
            way = "fsopen"
        hands.hold(ROOT, os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return {"mount_point": "/", "layers": len(self.lower), "way": way}

    def _data(self) -> str:
        lower = ":".join(_escaped(each) for each in self.lower)
        data = f"lowerdir={lower}"
        if self.upper:
            data += f",upperdir={_escaped(self.upper)},workdir={_escaped(self.work)}"
        return data

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
        layers = "1 layer" if len(self.lower) == 1 else f"{len(self.lower)} layers"
        return f"mount {layers} and a writable directory as the root"

    def shell(self) -> str:
        return f"cd {self.directory} && mount -t overlay overlay -o {self._data()} {self.target}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        entered = Call("chdir", (f'"{self.directory}"',))
        if evidence.get("way") == "fsopen":
            return (entered, *_new_mount_calls("overlay", len(self.lower) + 2))
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
        return f"mount --rbind {self.source} {self.target}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("open_tree", (f'"{self.source}"',)), Call("move_mount"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFilesystem(Operation):
    """Mount a fresh file system (proc, tmpfs, devpts, sysfs, mqueue, cgroup2) in the root."""

    kind: ClassVar[str] = "mount-filesystem"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    filesystem: str
    destination: str
    source: str = ""
    attributes: tuple[str, ...] = ()
    options: tuple[tuple[str, str | None], ...] = ()
    """Of the file system; None for those that have no value."""

    def do(self, hands: Hands) -> Evidence:
        root = hands.get(ROOT)
        opened, made = targets.open_directory(root, self.destination)
        with closing(opened) as target:
            resolved = targets.resolved_name(root, target)
            targets.refuse_hiding_proc(self.destination, resolved, self.filesystem, "")
            flags, _ = attribute_masks(self.attributes)
            detached = kernel.make_filesystem(
                self.filesystem, self.options, flags, self.source or self.filesystem
            )
            with closing(detached):
                kernel.move_mount(detached, target)
        return {"mount_point": resolved, "made": made}

    def check(self, evidence: Evidence) -> Finding:
        return mount_finding(evidence, kind=self.filesystem, attributes=_visible(self.attributes))

    def describe(self) -> str:
        return f"mount {self.filesystem} on {self.destination}{_shown(self._words())}"

    def shell(self) -> str:
        words = self._words()
        return (
            f"mount -t {self.filesystem}{' -o ' + ','.join(words) if words else ''}"
            f" {self.source or self.filesystem} rootfs{self.destination}"
        )

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (*_made(evidence), *_new_mount_calls(self.filesystem, len(self.options)))

    def _words(self) -> tuple[str, ...]:
        options = (key if value is None else f"{key}={value}" for key, value in self.options)
        return (*self.attributes, *options)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneTree(Operation):
    """Hold a bind mount's source while it is still a peer of the host's mount."""

    kind: ClassVar[str] = "clone-tree"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    source: str
    is_recursive: bool

    def do(self, hands: Hands) -> Evidence:
        hands.hold(f"tree:{self.source}", _clone(self.source, recursive=self.is_recursive))
        return {}

    def describe(self) -> str:
        return f"hold {self.source} before its mounts become slaves"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("open_tree", (f'"{self.source}"',)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindMount(Operation):
    """Show a file or directory of the host in the root."""

    kind: ClassVar[str] = "bind-mount"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    source: str
    destination: str
    is_recursive: bool = False
    attributes: tuple[str, ...] = ()
    recursive_attributes: tuple[str, ...] = ()
    """Attributes of the mounts below as well (`rro`)."""
    propagation: str = ""

    def do(self, hands: Hands) -> Evidence:
        root, held = hands.get(ROOT), f"tree:{self.source}"
        was_held = hands.holds(held)
        if was_held:
            tree = hands.give(held)
        else:
            tree = _clone(self.source, recursive=self.is_recursive)
        with closing(tree):
            shown = os.fstat(tree)
            created = False
            if stat.S_ISDIR(shown.st_mode):
                opened, made = targets.open_directory(root, self.destination)
            else:
                opened, made, created = targets.open_file(root, self.destination)
            with closing(opened) as target:
                resolved = targets.resolved_name(root, target)
                targets.refuse_hiding_proc(self.destination, resolved, "", self.source)
                attributes_calls = self._set_attributes(tree)
                kernel.move_mount(tree, target)
        return {
            "mount_point": resolved, "inode": shown.st_ino, "made": made, "created": created,
            "attributes_calls": attributes_calls, "was_held": was_held,
        }  # fmt: skip

    def _set_attributes(self, tree: int) -> int:
        """Attributes and propagation in as few calls as they need; how many."""
        calls = 0
        flag, recursive = 0, False
        if self.propagation:
            flag = PROPAGATIONS[self.propagation.removeprefix("r")]
            recursive = self.propagation[0] == "r"
        set_, clear = attribute_masks(self.recursive_attributes)
        if self.attributes and not recursive:
            once_set, once_clear = attribute_masks(self.attributes)
            kernel.mount_setattr(tree, set_=once_set, clear=once_clear, propagation=flag)
            calls, flag = 1, 0
        elif self.attributes:
            once_set, once_clear = attribute_masks(self.attributes)
            if self.is_recursive:
                kernel.mount_setattr(tree, set_=once_set, clear=once_clear)
                calls = 1
            else:
                set_, clear = set_ | once_set, clear | once_clear
        if set_ or clear or flag:
            below = recursive or bool(self.recursive_attributes)
            kernel.mount_setattr(tree, set_=set_, clear=clear, propagation=flag, recursive=below)
            calls += 1
        return calls

    def check(self, evidence: Evidence) -> Finding:
        return mount_finding(
            evidence, attributes=_visible((*self.attributes, *self.recursive_attributes))
        )

    def describe(self) -> str:
        words = (*self.attributes, *(f"r{each}" for each in self.recursive_attributes))
        return f"bind {self.source} to {self.destination}{_shown((*words, self.propagation))}"

    def shell(self) -> str:
        bind = "--rbind" if self.is_recursive else "--bind"
        line = f"mount {bind} {self.source} rootfs{self.destination}"
        if self.attributes:
            options = ",".join(("remount", "bind", *self.attributes))
            line += f" && mount -o {options} rootfs{self.destination}"
        return line

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        count = evidence.get("attributes_calls") or 0
        return (
            *(() if evidence.get("was_held") else (Call("open_tree", (f'"{self.source}"',)),)),
            *_made(evidence),
            *(Call("mount_setattr") for _ in range(int(count))),
            Call("move_mount"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RemountReadOnly(Operation):
    """Make a mount of the root read-only, now that everything in it has been made."""

    kind: ClassVar[str] = "remount-read-only"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    destination: str

    def do(self, hands: Hands) -> Evidence:
        root = hands.get(ROOT)
        with closing(open_in_root(root, self.destination, os.O_PATH)) as mounted:
            kernel.mount_setattr(mounted, set_=kernel.MOUNT_ATTR_RDONLY)
            return {"mount_point": targets.resolved_name(root, mounted)}

    def check(self, evidence: Evidence) -> Finding:
        return mount_finding(evidence, attributes=("ro",))

    def describe(self) -> str:
        return f"make {self.destination} read-only"

    def shell(self) -> str:
        return f"mount -o remount,bind,ro rootfs{self.destination}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("mount_setattr", ("MOUNT_ATTR_RDONLY",)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPath(Operation):
    """Hide a path: a file behind the null device, a directory behind an empty one."""

    kind: ClassVar[str] = "mask-path"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    path: str

    def do(self, hands: Hands) -> Evidence:
        root = hands.get(ROOT)
        try:
            opened = open_in_root(root, self.path, os.O_PATH)
        except KernelError as error:
            if error.errno not in (2, 20):
                raise
            return {"what": "missing"}
        with closing(opened) as target:
            is_directory = stat.S_ISDIR(os.fstat(target).st_mode)
            cover = _empty_directory() if is_directory else _null_device(root)
            with closing(cover):
                kernel.move_mount(cover, target)
            what = "directory" if is_directory else "file"
            return {"what": what, "mount_point": targets.resolved_name(root, target)}

    def check(self, evidence: Evidence) -> Finding:
        if evidence.get("what") == "missing":
            return Finding(Verdict.STILL_TRUE, "this kernel has no such path")
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        if evidence.get("what") == "directory":
            return mount_finding(evidence, kind="tmpfs", attributes=("ro",))
        seen = os.stat(f"{directory}/root{evidence['mount_point']}")
        masked = stat.S_ISCHR(seen.st_mode) and seen.st_rdev == _NULL_DEVICE
        return Finding(
            Verdict.STILL_TRUE if masked else Verdict.CHANGED,
            f"device {os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}",
        )

    def describe(self) -> str:
        return f"hide {self.path}"

    def shell(self) -> str:
        return (
            f"[ -d rootfs{self.path} ] && mount -t tmpfs -o ro tmpfs rootfs{self.path}"
            f" || mount --bind rootfs/dev/null rootfs{self.path}"
        )

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        match evidence.get("what"):
            case "directory":
                return _new_mount_calls("tmpfs", len(_EMPTY))
            case "file":
                return (Call("open_tree"), Call("move_mount"))
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectPath(Operation):
    """Make one path of a file system read-only: it is bound onto itself."""

    kind: ClassVar[str] = "protect-path"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    path: str

    def do(self, hands: Hands) -> Evidence:
        root = hands.get(ROOT)
        try:
            opened = open_in_root(root, self.path, os.O_PATH)
        except KernelError as error:
            if error.errno not in (2, 20):
                raise
            return {"what": "missing"}
        with closing(opened) as target:
            flags = kernel.OPEN_TREE_CLONE | kernel.AT_EMPTY_PATH | kernel.AT_RECURSIVE
            with closing(kernel.open_tree(target, "", flags)) as tree:
                kernel.mount_setattr(tree, set_=kernel.MOUNT_ATTR_RDONLY, recursive=True)
                kernel.move_mount(tree, target)
            return {"what": "protected", "mount_point": targets.resolved_name(root, target)}

    def check(self, evidence: Evidence) -> Finding:
        if evidence.get("what") == "missing":
            return Finding(Verdict.STILL_TRUE, "this kernel has no such path")
        return mount_finding(evidence, attributes=("ro",))

    def describe(self) -> str:
        return f"make {self.path} read-only"

    def shell(self) -> str:
        place = f"rootfs{self.path}"
        return f"mount --rbind {place} {place} && mount -o remount,bind,ro {place}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        if evidence.get("what") == "missing":
            return ()
        return (
            Call("open_tree"),
            Call("mount_setattr", ("MOUNT_ATTR_RDONLY",)),
            Call("move_mount"),
        )


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


def _clone(source: str, *, recursive: bool) -> int:
    flags = kernel.OPEN_TREE_CLONE | (kernel.AT_RECURSIVE if recursive else 0)
    return kernel.open_tree(kernel.AT_FDCWD, source, flags)


def _null_device(root: int) -> int:
    """A detached bind of the root's /dev/null, known to be the null device and nothing else."""
    with closing(open_in_root(root, "/dev/null", os.O_PATH | os.O_NOFOLLOW)) as null:
        seen = os.fstat(null)
        if not (stat.S_ISCHR(seen.st_mode) and seen.st_rdev == _NULL_DEVICE):
            raise targets.TargetRefused("/dev/null of the container is not the null device")
        return kernel.open_tree(null, "", kernel.OPEN_TREE_CLONE | kernel.AT_EMPTY_PATH)


def _empty_directory() -> int:
    return kernel.make_filesystem("tmpfs", _EMPTY, kernel.MOUNT_ATTR_RDONLY, "tmpfs")


def _escaped(name: str) -> str:
    r"""A name in overlay's option text, where `:` and `,` separate (overlayfs.rst)."""
    for letter in "\\:,":
        name = name.replace(letter, f"\\{letter}")
    return name


def _shown(words: tuple[str, ...]) -> str:
    listed = ",".join(word for word in words if word)
    return f" ({listed})" if listed else ""


def _visible(words: tuple[str, ...]) -> tuple[str, ...]:
    """The attributes that mountinfo shows under their own name."""
    return tuple(word for word in words if word in ("ro", "nosuid", "nodev", "noexec", "noatime"))


def _made(evidence: Evidence) -> tuple[Call, ...]:
    directories = tuple(Call("mkdirat") for _ in range(int(evidence.get("made") or 0)))
    return directories + ((Call("openat", ("O_CREAT",)),) if evidence.get("created") else ())


def new_filesystem_calls(filesystem: str, options: int) -> tuple[Call, ...]:
    """What `make_filesystem` does for a source and so many options."""
    configured = (Call("fsconfig") for _ in range(options + 2))
    return (Call("fsopen", (f'"{filesystem}"',)), *configured, Call("fsmount"))


def _new_mount_calls(filesystem: str, options: int) -> tuple[Call, ...]:
    return (*new_filesystem_calls(filesystem, options), Call("move_mount"))
