"""Directories, device nodes and links, and the directory that a program starts in."""

import os
import shlex
import stat
from collections.abc import Mapping
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux.files import open_in_root
from wherry.linux.mounts import closing
from wherry.operations.files import targets
from wherry.operations.files.mounts import ROOT
from wherry.operations.looking import GONE, process_directory
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation, Verdict

_KINDS: Mapping[str, int] = {
    "c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeDirectory(Operation):
    """Make a directory of the engine's own on the host."""

    kind: ClassVar[str] = "make-directory"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    path: str
    mode: int = 0o700

    def do(self, hands: Hands) -> Evidence:
        try:
            os.mkdir(self.path, self.mode)
        except FileExistsError:
            return {"path": self.path, "made": False}
        return {"path": self.path, "made": True}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if not evidence.get("made"):
            return  # It was there before, and is somebody else's.
        try:
            os.rmdir(self.path)
        except FileNotFoundError:
            return

    def check(self, evidence: Evidence) -> Finding:
        there = os.path.isdir(self.path)
        return Finding(Verdict.STILL_TRUE if there else Verdict.GONE, self.path)

    def describe(self) -> str:
        return f"make the directory {self.path}"

    def shell(self) -> str:
        return f"mkdir -p -m {self.mode:o} {shlex.quote(self.path)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("mkdir", (f'"{self.path}"',)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeDevice(Operation):
    """Make a device node in the container's root, in place of what may be there."""

    kind: ClassVar[str] = "make-device"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    path: str
    type: str
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0

    def do(self, hands: Hands) -> Evidence:
        parent, name, made = targets.open_parent(hands.get(ROOT), self.path)
        device = os.makedev(self.major, self.minor)
        mode = _KINDS[self.type] | self.mode
        with closing(parent):
            replaced = _make_node(parent, name, mode, device)
            if self.uid or self.gid:
                os.chown(name, self.uid, self.gid, dir_fd=parent, follow_symlinks=False)
        return {"made": made, "replaced": replaced}

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        try:
            seen = os.lstat(f"{directory}/root{self.path}")
        except OSError as error:
            return Finding(Verdict.GONE, f"{self.path}: {error.strerror}")
        same = seen.st_rdev == os.makedev(self.major, self.minor) and (
            stat.S_IFMT(seen.st_mode) == _KINDS[self.type]
        )
        shown = f"{self.path} {os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}"
        return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, shown)

    def describe(self) -> str:
        return f"make the device {self.path} ({self.type} {self.major}:{self.minor})"

    def shell(self) -> str:
        place = shlex.quote(f"rootfs{self.path}")
        line = f"mknod -m {self.mode:o} {place} {self.type} {self.major} {self.minor}"
        owner = f" && chown {self.uid}:{self.gid} {place}" if self.uid or self.gid else ""
        return line + owner

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        name = os.path.basename(self.path)
        chown = (Call("fchownat", (f'"{name}"',)),) if self.uid or self.gid else ()
        removed = (Call("unlinkat", (f'"{name}"',)),) if evidence.get("replaced") else ()
        tries = 2 if removed else 1
        return (
            *(Call("mkdirat") for _ in range(int(evidence.get("made") or 0))),
            *removed,
            *(Call("mknodat", (f'"{name}"',)) for _ in range(tries)),
            *chown,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeLink(Operation):
    """Make a symbolic link in the container's root, in place of a file that may be there."""

    kind: ClassVar[str] = "make-link"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    path: str
    points_to: str

    def do(self, hands: Hands) -> Evidence:
        parent, name, made = targets.open_parent(hands.get(ROOT), self.path)
        with closing(parent):
            try:
                os.symlink(self.points_to, name, dir_fd=parent)
            except FileExistsError:
                os.unlink(name, dir_fd=parent)
                os.symlink(self.points_to, name, dir_fd=parent)
                return {"made": made, "replaced": True}
        return {"made": made, "replaced": False}

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        try:
            seen = os.readlink(f"{directory}/root{self.path}")
        except OSError as error:
            return Finding(Verdict.GONE, f"{self.path}: {error.strerror}")
        same = Verdict.STILL_TRUE if seen == self.points_to else Verdict.CHANGED
        return Finding(same, f"{self.path} -> {seen}")

    def describe(self) -> str:
        return f"link {self.path} to {self.points_to}"

    def shell(self) -> str:
        return f"ln -sfn {shlex.quote(self.points_to)} {shlex.quote(f'rootfs{self.path}')}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        name = os.path.basename(self.path)
        replaced = bool(evidence.get("replaced"))
        return (
            *(Call("mkdirat") for _ in range(int(evidence.get("made") or 0))),
            *(Call("symlinkat", (f'"{name}"',)) for _ in range(2 if replaced else 1)),
            *((Call("unlinkat", (f'"{name}"',)),) if replaced else ()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterDirectory(Operation):
    """Go to the directory that the program starts in.

    Links into /proc are refused by the resolution, and what getcwd(2) says afterwards must be
    inside the root: a descriptor of the host as working directory was CVE-2024-21626.

    Precondition: the root has been changed.
    """

    kind: ClassVar[str] = "enter-directory"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    path: str
    makes: bool = True
    """Whether it is made when it is missing."""

    def do(self, hands: Hands) -> Evidence:
        root, made = hands.get(ROOT), 0
        if self.makes:
            opened, made = targets.open_directory(root, self.path)
        else:
            opened = open_in_root(root, self.path, os.O_PATH | os.O_DIRECTORY)
        with closing(opened):
            os.fchdir(opened)
        reached = os.getcwd()
        if not reached.startswith("/"):
            raise targets.TargetRefused(f"{self.path} leads out of the container's root")
        return {"directory": reached, "made": made}

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        seen = os.readlink(f"{directory}/cwd")
        same = seen == evidence["directory"]
        return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, f"cwd {seen}")

    def describe(self) -> str:
        return f"go to {self.path}"

    def shell(self) -> str:
        path = shlex.quote(self.path)
        return f"mkdir -p {path} && cd {path}" if self.makes else f"cd {path}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        made = (Call("mkdirat") for _ in range(int(evidence.get("made") or 0)))
        return (*made, Call("fchdir"))


def _make_node(parent: int, name: str, mode: int, device: int) -> bool:
    """mknodat(2); an image's own file of that name makes way. Whether there was one."""
    try:
        os.mknod(name, mode, device, dir_fd=parent)
    except FileExistsError:
        os.unlink(name, dir_fd=parent)
        os.mknod(name, mode, device, dir_fd=parent)
        return True
    return False
