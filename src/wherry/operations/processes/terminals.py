"""What a program reads from and writes to: a terminal of its own, or the engine's pipes."""

import errno
import fcntl
import os
import stat
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mounts as mount_calls
from wherry.linux import terminals
from wherry.linux.mounts import closing
from wherry.operations.files import targets
from wherry.operations.files.mounts import ROOT
from wherry.operations.looking import GONE, process_directory
from wherry.operations.plan import (
    Aspect,
    Call,
    Evidence,
    Finding,
    Hands,
    Operation,
    Verdict,
)

CONSOLE = "console"

TERMINAL = "terminal"

STDIO = ("stdin", "stdout", "stderr")

_PTY_MAJORS = range(136, 144)
_NULL = os.makedev(1, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTerminal(Operation):
    """Make a pseudo terminal in the container's own devpts, of this size in characters.

    The master is left as `console` in Hands, the slave as `terminal`.
    """

    kind: ClassVar[str] = "open-terminal"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    rows: int = 0
    columns: int = 0

    def do(self, hands: Hands) -> Evidence:
        master, slave, index = terminals.open_pair(hands.get(ROOT), "/dev/pts/ptmx")
        hands.hold(CONSOLE, master)
        hands.hold(TERMINAL, slave)
        seen = os.fstat(slave).st_rdev
        if os.major(seen) not in _PTY_MAJORS:
            raise targets.TargetRefused("/dev/pts of the container is not a devpts")
        if self.rows and self.columns:
            terminals.set_window_size(master, rows=self.rows, columns=self.columns)
        return {"number": index, "device": f"{os.major(seen)}:{os.minor(seen)}"}

    def describe(self) -> str:
        size = f" of {self.columns}x{self.rows}" if self.rows and self.columns else ""
        return f"open a pseudo terminal{size}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (
            Call("openat2", ('"/dev/pts/ptmx"',)),
            Call("ioctl", ("TIOCGPTPEER",)),
            Call("ioctl", ("TIOCSWINSZ",)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BindConsole(Operation):
    """Show the terminal as /dev/console: by its descriptor, so it can be no other device."""

    kind: ClassVar[str] = "bind-console"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    def do(self, hands: Hands) -> Evidence:
        flags = mount_calls.OPEN_TREE_CLONE | mount_calls.AT_EMPTY_PATH
        opened, made, created = targets.open_file(hands.get(ROOT), "/dev/console")
        with (
            closing(opened) as target,
            closing(mount_calls.open_tree(hands.get(TERMINAL), "", flags)) as tree,
        ):
            mount_calls.move_mount(tree, target)
        return {"mount_point": "/dev/console", "made": made, "created": created}

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        seen = os.stat(f"{directory}/root/dev/console").st_rdev
        is_terminal = os.major(seen) in _PTY_MAJORS
        shown = f"device {os.major(seen)}:{os.minor(seen)}"
        return Finding(Verdict.STILL_TRUE if is_terminal else Verdict.CHANGED, shown)

    def describe(self) -> str:
        return "bind the terminal to /dev/console"

    def shell(self) -> str:
        return "touch rootfs/dev/console && mount --bind rootfs/dev/pts/0 rootfs/dev/console"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        created = (Call("openat", ('"console"', "O_CREAT")),) if evidence.get("created") else ()
        return (*created, Call("open_tree"), Call("move_mount"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachTerminal(Operation):
    """Take the terminal as the session's own and as standard input, output and error."""

    kind: ClassVar[str] = "attach-terminal"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    def do(self, hands: Hands) -> Evidence:
        terminal = hands.get(TERMINAL)
        terminals.become_controlling(terminal)
        for descriptor in range(3):
            os.dup2(terminal, descriptor, inheritable=True)
        return {}

    def describe(self) -> str:
        return "take the terminal as controlling terminal and as descriptors 0, 1 and 2"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("ioctl", ("TIOCSCTTY",)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachStdio(Operation):
    """Take the descriptors `stdin`, `stdout` and `stderr` of Hands as 0, 1 and 2."""

    kind: ClassVar[str] = "attach-stdio"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    def do(self, hands: Hands) -> Evidence:
        # Two of them could be among 0, 1 and 2 in another order: out of the way first.
        moved = [_above_stdio(hands.get(name)) for name in STDIO]
        for number, descriptor in enumerate(moved):
            os.dup2(descriptor, number, inheritable=True)
            os.close(descriptor)
        return {}

    def describe(self) -> str:
        return "take the engine's pipes as descriptors 0, 1 and 2"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStdio(Operation):
    """Give descriptors 0, 1 and 2 to the program's user, who could not open them by name else.

    What is nobody's to give (a file of a read-only mount, of a user that the user namespace
    has not) stays as it is; /dev/null is everybody's.
    """

    kind: ClassVar[str] = "own-stdio"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    uid: int

    def do(self, hands: Hands) -> Evidence:
        return {"given": sum(self._is_given(descriptor) for descriptor in range(3))}

    def _is_given(self, descriptor: int) -> bool:
        seen = os.fstat(descriptor)
        is_null = stat.S_ISCHR(seen.st_mode) and seen.st_rdev == _NULL
        if is_null or seen.st_uid == self.uid:
            return False
        try:
            os.fchown(descriptor, self.uid, -1)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EINVAL, errno.EROFS):
                return False
            raise
        return True

    def describe(self) -> str:
        return f"give descriptors 0, 1 and 2 to user {self.uid}"

    def shell(self) -> str:
        return f"chown {self.uid} /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("fchown"),) * int(str(evidence.get("given") or 0))


def _above_stdio(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
