"""What a container must not see or change of the kernel: paths hidden or made read-only."""

import errno
import os
import shlex
import stat
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mounts as kernel
from wherry.linux.files import open_in_root
from wherry.linux.mounts import closing
from wherry.linux.syscall import KernelError
from wherry.operations.files import targets
from wherry.operations.files.mounts import ROOT, new_mount_calls, remount_line
from wherry.operations.looking import GONE, mount_finding, process_directory
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation, Verdict

_EMPTY = (("nr_inodes", "1"), ("mode", "755"))

_NULL_DEVICE = os.makedev(1, 3)
_MISSING = "missing"
_NO_SUCH_PATH = Finding(Verdict.STILL_TRUE, "this kernel has no such path")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPath(Operation):
    """Hide a path: a file behind the null device, a directory behind an empty one."""

    kind: ClassVar[str] = "mask-path"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    path: str

    def do(self, hands: Hands) -> Evidence:
        root = hands.get(ROOT)
        opened = _opened(root, self.path)
        if opened is None:
            return {"what": _MISSING}
        with closing(opened) as target:
            is_directory = stat.S_ISDIR(os.fstat(target).st_mode)
            cover = _empty_directory() if is_directory else _null_device(root)
            with closing(cover):
                kernel.move_mount(cover, target)
            what = "directory" if is_directory else "file"
            return {"what": what, "mount_point": targets.resolved_name(root, target)}

    def check(self, evidence: Evidence) -> Finding:
        if evidence.get("what") == _MISSING:
            return _NO_SUCH_PATH
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
        place = shlex.quote(f"rootfs{self.path}")
        options = ",".join(f"{name}={value}" for name, value in _EMPTY)
        return (
            f"if [ -d {place} ]; then mount -t tmpfs -o {options} tmpfs {place}"
            f" && {remount_line(place, ('ro',))};"
            f" else mount --bind rootfs/dev/null {place}; fi"
        )

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        match evidence.get("what"):
            case "directory":
                return new_mount_calls("tmpfs", len(_EMPTY))
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
        opened = _opened(root, self.path)
        if opened is None:
            return {"what": _MISSING}
        with closing(opened) as target:
            flags = kernel.OPEN_TREE_CLONE | kernel.AT_EMPTY_PATH | kernel.AT_RECURSIVE
            with closing(kernel.open_tree(target, "", flags)) as tree:
                kernel.mount_setattr(tree, set_=kernel.MOUNT_ATTR_RDONLY, recursive=True)
                kernel.move_mount(tree, target)
            return {"what": "protected", "mount_point": targets.resolved_name(root, target)}

    def check(self, evidence: Evidence) -> Finding:
        if evidence.get("what") == _MISSING:
            return _NO_SUCH_PATH
        return mount_finding(evidence, attributes=("ro",))

    def describe(self) -> str:
        return f"make {self.path} read-only"

    def shell(self) -> str:
        place = shlex.quote(f"rootfs{self.path}")
        return f"mount --rbind {place} {place} && {remount_line(place, ('ro',))}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        if evidence.get("what") == _MISSING:
            return ()
        return (
            Call("open_tree"),
            Call("mount_setattr", ("MOUNT_ATTR_RDONLY",)),
            Call("move_mount"),
        )


def _opened(root: int, path: str) -> int | None:
    """A path of the root; None where this kernel has none. Raises: KernelError."""
    try:
        return open_in_root(root, path, os.O_PATH)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise


def _null_device(root: int) -> int:
    """A detached bind of the root's /dev/null, known to be the null device and nothing else."""
    with closing(open_in_root(root, "/dev/null", os.O_PATH | os.O_NOFOLLOW)) as null:
        seen = os.fstat(null)
        if not (stat.S_ISCHR(seen.st_mode) and seen.st_rdev == _NULL_DEVICE):
            raise targets.TargetRefused("/dev/null of the container is not the null device")
        return kernel.open_tree(null, "", kernel.OPEN_TREE_CLONE | kernel.AT_EMPTY_PATH)


def _empty_directory() -> int:
    return kernel.make_filesystem("tmpfs", _EMPTY, kernel.MOUNT_ATTR_RDONLY, "tmpfs")
