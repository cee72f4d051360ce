"""Directories whose mounts are seen on both sides: what a container mounts there, the host has.

Preconditions: the engine's own mount namespace.
"""

import os
import shlex
from contextlib import suppress
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mountinfo
from wherry.linux import mounts as kernel
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareDirectory(Operation):
    """Make a directory a mount of its own that is shared; one that is one stays as it is."""

    kind: ClassVar[str] = "share-directory"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    directory: str

    def do(self, hands: Hands) -> Evidence:
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        if mountinfo.topmost(mountinfo.read(), os.path.realpath(self.directory)) is not None:
            return {"made": False}
        kernel.mount(self.directory, self.directory, "", kernel.MS_BIND)
        kernel.mount("", self.directory, "", kernel.MS_SHARED | kernel.MS_REC)
        return {"made": True}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if evidence.get("made"):
            unshare_directory(self.directory)

    def check(self, evidence: Evidence) -> Finding:
        if mountinfo.topmost(mountinfo.read(), os.path.realpath(self.directory)) is None:
            return Finding(Verdict.GONE, self.directory)
        return Finding(Verdict.STILL_TRUE, f"{self.directory} is a mount")

    def describe(self) -> str:
        return f"share what is mounted in {self.directory}"

    def shell(self) -> str:
        place = shlex.quote(self.directory)
        return f"mount --bind {place} {place} && mount --make-rshared {place}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        if not evidence.get("made"):
            return ()
        return (Call("mount", ("MS_BIND",)), Call("mount", ("MS_SHARED",)))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnshareDirectory(Operation):
    """Unmount a shared directory and all that was mounted in it."""

    kind: ClassVar[str] = "unshare-directory"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    directory: str

    def do(self, hands: Hands) -> Evidence:
        unshare_directory(self.directory)
        return {}

    def describe(self) -> str:
        return f"share {self.directory} no more"

    def shell(self) -> str:
        return f"umount -R -l {shlex.quote(self.directory)}"


def unshare_directory(directory: str) -> None:
    """Unmount it as often as it is mounted. Raises: KernelError."""
    place = os.path.realpath(directory)
    while mountinfo.topmost(mountinfo.read(), place) is not None:
        with suppress(FileNotFoundError):
            kernel.umount2(directory, kernel.MNT_DETACH)
