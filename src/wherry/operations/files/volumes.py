"""Volumes: directories of the engine's own, what is mounted on them, and what is copied into.

Preconditions of the mounts: the engine's own mount namespace. A volume is mounted once, however
many containers have it, because two mounts of a tmpfs would be two file systems.
"""

import contextlib
import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import btrfs, mountinfo
from wherry.linux import mounts as kernel
from wherry.linux.files import remove_tree
from wherry.operations.files.tree_bounds import unbound_tree
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

_FLAGS = {
    "ro": kernel.MS_RDONLY,
    "nosuid": kernel.MS_NOSUID,
    "nodev": kernel.MS_NODEV,
    "noexec": kernel.MS_NOEXEC,
    "bind": kernel.MS_BIND,
    "rbind": kernel.MS_BIND | kernel.MS_REC,
    "sync": kernel.MS_SYNCHRONOUS,
    "noatime": kernel.MS_NOATIME,
    "nodiratime": kernel.MS_NODIRATIME,
    "relatime": kernel.MS_RELATIME,
    "strictatime": kernel.MS_STRICTATIME,
}
_CLEARS = {
    "rw": kernel.MS_RDONLY,
    "suid": kernel.MS_NOSUID,
    "dev": kernel.MS_NODEV,
    "exec": kernel.MS_NOEXEC,
    "async": kernel.MS_SYNCHRONOUS,
    "atime": kernel.MS_NOATIME,
    "diratime": kernel.MS_NODIRATIME,
    "defaults": 0,
}


def flags_and_data(options: str) -> tuple[int, str]:
    """mount(2)'s two kinds of options out of mount(8)'s one text."""
    flags, data = 0, []
    for word in filter(None, options.split(",")):
        if word in _CLEARS:
            flags &= ~_CLEARS[word]
        elif word in _FLAGS:
            flags |= _FLAGS[word]
        else:
            data.append(word)
    return flags, ",".join(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeVolume(Operation):
    """Make the directory of a volume; one that is there stays as it is."""

    kind: ClassVar[str] = "make-volume"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    directory: str
    """Of the volume; its files are in `_data` below."""

    def do(self, hands: Hands) -> Evidence:
        os.makedirs(self.directory, mode=0o701, exist_ok=True)
        data = f"{self.directory}/_data"
        try:
            make_volume_tree(data)
        except FileExistsError:
            return {"made": False, "inode": os.stat(data).st_ino}
        # Not by mkdir, which leaves out the bits of our umask.
        os.chmod(data, 0o755)
        return {"made": True, "inode": os.stat(data).st_ino}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if evidence.get("made"):
            remove_volume_tree(f"{self.directory}/_data")
            remove_volume_tree(self.directory)

    def check(self, evidence: Evidence) -> Finding:
        try:
            inode = os.stat(f"{self.directory}/_data", follow_symlinks=False).st_ino
        except FileNotFoundError:
            return Finding(Verdict.GONE, self.directory)
        return Finding(Verdict.STILL_TRUE, f"{self.directory}/_data is inode {inode}")

    def describe(self) -> str:
        return f"make volume {self.directory}"

    def shell(self) -> str:
        return f"mkdir -p -m 755 {shlex.quote(self.directory)}/_data"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("mkdir", (self.directory,)), Call("mkdir", (f"{self.directory}/_data",)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveVolume(Operation):
    """Remove a volume and what is in it. There is no way back."""

    kind: ClassVar[str] = "remove-volume"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    directory: str
    """Of the volume, or one of its trees."""

    def do(self, hands: Hands) -> Evidence:
        # Subvolumes of btrfs, at once whatever their size; what is none goes file by file.
        inside = [f"{self.directory}/_data", *_entries(f"{self.directory}/snapshots")]
        with contextlib.suppress(FileNotFoundError):
            unbound_tree(inside[0])
        removed = sum(remove_volume_tree(each) for each in inside if os.path.lexists(each))
        return {"removed": removed + remove_volume_tree(self.directory)}

    def check(self, evidence: Evidence) -> Finding:
        if os.path.lexists(self.directory):
            return Finding(Verdict.CHANGED, f"{self.directory} is there again")
        return Finding(Verdict.STILL_TRUE, f"no {self.directory}")

    def describe(self) -> str:
        return f"remove volume {self.directory}"

    def shell(self) -> str:
        return f"rm -rf {shlex.quote(self.directory)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountVolume(Operation):
    """Mount what a volume's options say on the volume's directory."""

    kind: ClassVar[str] = "mount-volume"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    filesystem: str
    device: str
    options: str
    """As mount(8) takes them behind -o."""
    target: str

    def do(self, hands: Hands) -> Evidence:
        flags, data = flags_and_data(self.options)
        kernel.mount(self.device, self.target, self.filesystem, flags, data)
        if flags & kernel.MS_BIND and flags & ~(kernel.MS_BIND | kernel.MS_REC):
            # A bind takes no other flag at first (mount(2), "Creating a bind mount").
            kernel.mount("", self.target, "", flags | kernel.MS_REMOUNT)
        return {"mount_point": self.target}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        kernel.umount2(self.target, kernel.MNT_DETACH)

    def check(self, evidence: Evidence) -> Finding:
        mounted = mountinfo.topmost(mountinfo.read(), self.target)
        if mounted is None:
            return Finding(Verdict.GONE, self.target)
        return Finding(Verdict.STILL_TRUE, f"{self.target} is a {mounted.kind}")

    def describe(self) -> str:
        return f"mount {self.filesystem} {self.device} on volume {self.target}"

    def shell(self) -> str:
        words = ["mount", "-t", self.filesystem, *(("-o", self.options) if self.options else ())]
        return shlex.join((*words, self.device, self.target))

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("mount", (f'"{self.device}"', f'"{self.target}"')),)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmountVolume(Operation):
    """Unmount a volume that no container uses any more."""

    kind: ClassVar[str] = "unmount-volume"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    target: str

    def do(self, hands: Hands) -> Evidence:
        kernel.umount2(self.target, kernel.MNT_DETACH)
        return {}

    def describe(self) -> str:
        return f"unmount volume {self.target}"

    def shell(self) -> str:
        return f"umount -l {shlex.quote(self.target)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("umount2", (f'"{self.target}"', "MNT_DETACH")),)


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulateVolume(TreeWork):
    """Copy what the image has at a volume's place into the volume, which is empty.

    The room that owns volumes brings the work; the evidence is its counts.
    """

    kind: ClassVar[str] = "populate-volume"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    directory: str
    source: str
    """A path as the container sees it."""

    def describe(self) -> str:
        return f"copy the image's {self.source} into volume {self.directory}"

    def shell(self) -> str:
        return shlex.join(("cp", "-a", f"rootfs{self.source}/.", self.directory))


def _entries(directory: str) -> list[str]:
    try:
        return [f"{directory}/{name}" for name in os.listdir(directory)]
    except FileNotFoundError:
        return []


def make_volume_tree(path: str) -> None:
    """An empty directory; on btrfs a subvolume, of which a snapshot is made at once.

    Raises: OSError.
    """
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if btrfs.is_btrfs(parent):
            btrfs.create_subvolume(parent, os.path.basename(path))
        else:
            os.mkdir(path)
    finally:
        os.close(parent)


def remove_volume_tree(path: str) -> int:
    """Remove a tree, a subvolume of btrfs at once; how many files went. Raises: OSError."""
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        name = os.path.basename(path)
        return int(btrfs.destroy_subvolume(parent, name)) or remove_tree(parent, name)
    finally:
        os.close(parent)
