"""Mounts in a container: file systems of its own, and what it is shown of the host's.

Preconditions of all: a mount namespace of one's own, after `SetPropagation`. They find the
container's root under the name `root` in Hands.
"""

import os
import shlex
import stat
from collections.abc import Mapping
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mounts as kernel
from wherry.linux.files import open_in_root
from wherry.linux.mounts import closing
from wherry.operations.files import targets
from wherry.operations.files.tree_copy import copy_directory
from wherry.operations.looking import mount_finding
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation

ROOT = "root"


def held_tree(destination: str) -> str:
    """The name in Hands of a bind mount that was cloned before."""
    return f"tree:{destination}"


def held_filesystem(kind: str) -> str:
    """The name in Hands of a file system that was made before."""
    return f"filesystem:{kind}"


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
    copies_up: bool = False
    """Whether it begins with what it would hide."""

    def do(self, hands: Hands) -> Evidence:
        root = hands.get(ROOT)
        opened, made = targets.open_directory(root, self.destination)
        copied: Evidence = {}
        with closing(opened) as target:
            resolved = targets.resolved_name(root, target)
            targets.refuse_hiding_proc(self.destination, resolved, self.filesystem, "")
            flags, _ = attribute_masks(self.attributes)
            was_held = hands.holds(held_filesystem(self.filesystem))
            with closing(self._detached(hands, 0 if self.copies_up else flags)) as detached:
                if self.copies_up:
                    copied = self._copy_up(target, detached)
                    kernel.mount_setattr(detached, set_=flags)
                kernel.move_mount(detached, target)
        return {"mount_point": resolved, "made": made, "was_held": was_held, **copied}

    def _copy_up(self, hidden: int, detached: int) -> Evidence:
        """Copy what will be hidden; a mode that was asked for is stronger than the directory's."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        with (
            closing(os.open(".", flags, dir_fd=hidden)) as source,
            closing(os.open(".", flags, dir_fd=detached)) as target,
        ):
            copied = copy_directory(source, target)
            if mode := dict(self.options).get("mode"):
                os.fchmod(target, int(mode, 8))
        return copied

    def _detached(self, hands: Hands, flags: int) -> int:
        held = held_filesystem(self.filesystem)
        if not hands.holds(held):
            return kernel.make_filesystem(
                self.filesystem, self.options, flags, self.source or self.filesystem
            )
        detached = hands.give(held)
        kernel.mount_setattr(detached, set_=flags)
        return detached

    def check(self, evidence: Evidence) -> Finding:
        return mount_finding(evidence, kind=self.filesystem, attributes=_visible(self.attributes))

    def describe(self) -> str:
        return f"mount {self.filesystem} on {self.destination}{_shown(self._words())}"

    def shell(self) -> str:
        place = shlex.quote(f"rootfs{self.destination}")
        # mount(8)'s `ro` would make the file system read-only, not this mount of it alone.
        words = tuple(word for word in self._words() if word != "ro")
        options = f" -o {shlex.quote(','.join(words))}" if words else ""
        source = shlex.quote(self.source or self.filesystem)
        line = f"mount -t {self.filesystem}{options} {source} {place}"
        if self.copies_up:
            line = f"cp -a {place} hidden && {line} && cp -a hidden/. {place} && rm -r hidden"
        return f"{line} && {remount_line(place, ('ro',))}" if "ro" in self.attributes else line

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        if evidence.get("was_held"):
            return (*_made(evidence), Call("mount_setattr"), Call("move_mount"))
        later = (Call("mount_setattr"),) if self.copies_up else ()
        return (*_made(evidence), *new_mount_calls(self.filesystem, len(self.options)), *later)

    def _words(self) -> tuple[str, ...]:
        options = (key if value is None else f"{key}={value}" for key, value in self.options)
        return (*self.attributes, *options)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneTree(Operation):
    """Hold a bind mount's source for later: as the peer of the host's mount that it still is,
    or with the host's rights, which will be gone."""

    kind: ClassVar[str] = "clone-tree"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    source: str
    destination: str
    is_recursive: bool
    subpath: str = ""
    """As `BindMount` has it."""

    def do(self, hands: Hands) -> Evidence:
        if self.subpath:
            tree = clone_below(self.source, self.subpath, recursive=self.is_recursive)
        else:
            tree = _clone(self.source, recursive=self.is_recursive)
        hands.hold(held_tree(self.destination), tree)
        return {}

    def describe(self) -> str:
        return f"hold {self.source} for {self.destination}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("open_tree", (f'"{self.source}"',)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindMount(Operation):
    """Show a file or directory of the host in the root."""

    kind: ClassVar[str] = "bind-mount"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    source: str
    destination: str
    subpath: str = ""
    """A place below the source, resolved inside of it: its links lead nowhere else."""
    is_recursive: bool = False
    attributes: tuple[str, ...] = ()
    recursive_attributes: tuple[str, ...] = ()
    """Attributes of the mounts below as well (`rro`)."""
    propagation: str = ""

    def do(self, hands: Hands) -> Evidence:
        root, held = hands.get(ROOT), held_tree(self.destination)
        was_held = hands.holds(held)
        if was_held:
            tree = hands.give(held)
        elif self.subpath:
            tree = clone_below(self.source, self.subpath, recursive=self.is_recursive)
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
        return f"bind {self._place()} to {self.destination}{_shown((*words, self.propagation))}"

    def _place(self) -> str:
        return f"{self.source}/{self.subpath}" if self.subpath else self.source

    def shell(self) -> str:
        bind = "--rbind" if self.is_recursive else "--bind"
        place = shlex.quote(f"rootfs{self.destination}")
        if not self.source.startswith("/"):
            return remount_line(place, self.attributes)  # what was stacked there before
        line = f"mount {bind} {shlex.quote(self._place())} {place}"
        if self.attributes:
            line += f" && {remount_line(place, self.attributes)}"
        if self.recursive_attributes:
            # mount(8) of Debian 12 sets attributes of one mount at a time.
            below = f'findmnt -rnRo TARGET "$PWD"/{place} | while read -r each'
            words = remount_line('"$each"', self.recursive_attributes)
            line += f" && {below}; do {words} || exit; done"
        if self.propagation:
            line += f" && mount --make-{self.propagation} {place}"
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
        return remount_line(shlex.quote(f"rootfs{self.destination}"), ("ro",))

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("mount_setattr", ("MOUNT_ATTR_RDONLY",)),)


def remount_line(place: str, attributes: tuple[str, ...]) -> str:
    """The command that gives one mount these attributes; the place is quoted already."""
    return f"mount -o {','.join(('remount', 'bind', *attributes))} {place}"


def _clone(source: str, *, recursive: bool) -> int:
    flags = kernel.OPEN_TREE_CLONE | (kernel.AT_RECURSIVE if recursive else 0)
    return kernel.open_tree(kernel.AT_FDCWD, source, flags)


def clone_below(source: str, subpath: str, *, recursive: bool) -> int:
    """A detached copy of a place below a directory, resolved inside of it. Raises: KernelError."""
    flags = kernel.OPEN_TREE_CLONE | (kernel.AT_RECURSIVE if recursive else 0)
    with (
        closing(os.open(source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as top,
        closing(open_in_root(top, subpath, os.O_PATH)) as place,
    ):
        return kernel.open_tree(place, "", flags | kernel.AT_EMPTY_PATH)


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


def new_mount_calls(filesystem: str, options: int) -> tuple[Call, ...]:
    """The same, and its attachment."""
    return (*new_filesystem_calls(filesystem, options), Call("move_mount"))
