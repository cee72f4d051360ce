"""Roots that a program of others serves: mounted detached, and held for `AttachRoot`.

fuse-overlayfs stacks directories as overlayfs does, in a process. Its mount(8) would put the
result into a directory of the host's; here the mount is made first, in no namespace, and the
process is handed the kernel's end of it (libfuse, "/dev/fd/N"). So the root is where the
container sees it and nowhere else, and when the last mount of it goes, with the container's
namespace, the kernel hangs up and the process ends: there is nothing to unmount or to kill.
The process must not see that mount itself, or it would keep what it waits for: it has a mount
namespace of its own, in which the host's mounts come and go.
"""

import errno
import fcntl
import os
import shlex
from contextlib import suppress
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mounts as kernel
from wherry.linux.id_maps import IdMap
from wherry.linux.mounts import closing
from wherry.operations.files.mounts import held_tree, new_filesystem_calls
from wherry.operations.files.roots import layer_count, overlay_data
from wherry.operations.plan import Aspect, Call, Evidence, Hands, Operation

PROGRAM = "fuse-overlayfs"
_APART = ("unshare", "--mount", "--propagation", "slave", "--")
_DEVICE = "/dev/fuse"
_OPTIONS = (
    ("rootmode", "40000"),
    ("user_id", "0"),
    ("group_id", "0"),
    ("default_permissions", None),
    ("allow_other", None),
)
"""A directory, served by root, to everybody whom its permissions let in (fuse.rst)."""
_CHANNEL = 3
"""The descriptor that the program is told of."""
_SAID_BYTES = 4096
_servers: set[int] = set()
"""Programs that this process has started, until they are reaped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFuseOverlay(Operation):
    """Stack an image's layers and a writable directory by a program, detached.

    Precondition: not yet in the container's namespaces or cgroup, where the program would
    be, too.
    """

    kind: ClassVar[str] = "hold-fuse-overlay"
    aspect: ClassVar[Aspect] = Aspect.IMAGE

    directory: str
    """Where the other names start."""
    lower: tuple[str, ...]
    """Topmost first."""
    upper: str
    work: str
    uid_map: IdMap = ()
    """Whose files those of the layers are: id on the disk, id on the host, how many."""
    gid_map: IdMap = ()

    def do(self, hands: Hands) -> Evidence:
        with closing(_unnamed_file()) as said:
            with closing(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)) as channel:
                options = (("fd", str(channel)), *_OPTIONS)
                tree = kernel.make_filesystem("fuse", options, 0, PROGRAM)
                hands.hold(held_tree("/"), tree)
                server = self._serve(channel, said)
                _servers.add(server)
            _await_answer(tree, server, said)
            # It has nothing more to say that anybody would read.
            fcntl.fcntl(said, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        return {"layers": len(self.lower), "server": server}

    def _serve(self, channel: int, said: int) -> int:
        """Start the program where names in the stack are short; its pid."""
        with closing(os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as here:
            os.chdir(self.directory)
            try:
                return os.posix_spawnp(
                    _APART[0],
                    (*_APART, PROGRAM, "-f", "-o", self._options(), f"/dev/fd/{_CHANNEL}"),
                    {"PATH": os.defpath},
                    file_actions=(
                        (os.POSIX_SPAWN_DUP2, said, 2),
                        (os.POSIX_SPAWN_DUP2, channel, _CHANNEL),
                        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                    ),
                    setsid=True,
                    setsigmask=(),
                )
            finally:
                os.fchdir(here)

    def _options(self) -> str:
        options = overlay_data(self.lower, self.upper, self.work)
        for name, mapping in (("uidmapping", self.uid_map), ("gidmapping", self.gid_map)):
            numbers = [str(number) for each in mapping for number in each]
            if numbers:
                options += f",{name}={':'.join(numbers)}"
        return options

    def describe(self) -> str:
        return f"have {PROGRAM} stack {layer_count(self.lower)} and a writable directory"

    def shell(self) -> str:
        return self.mounted("rootfs")

    def mounted(self, target: str) -> str:
        """The command that mounts it where it is to be seen."""
        options = shlex.quote(self._options())
        return f"cd {shlex.quote(self.directory)} && {PROGRAM} -o {options} {shlex.quote(target)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (
            Call("openat", (f'"{_DEVICE}"',)),
            *new_filesystem_calls("fuse", len(_OPTIONS) + 1),
            Call("execve", (f'"{PROGRAM}"',)),
        )


def reap_servers() -> None:
    """Take note of programs that ended since their roots went; others' children stay."""
    for server in tuple(_servers):
        with suppress(ChildProcessError):
            if not os.waitpid(server, os.WNOHANG)[0]:
                continue
        _servers.discard(server)


def _unnamed_file() -> int:
    return os.memfd_create(PROGRAM, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def _await_answer(tree: int, server: int, said: int) -> None:
    """Return when the program serves; the kernel holds a question back until then.

    Raises: OSError with what it said, when it ended instead.
    """
    try:
        os.stat(f"/proc/self/fd/{tree}")
    except OSError as error:
        _servers.discard(server)
        with suppress(ChildProcessError):
            os.waitpid(server, 0)
        # Its last line says why it ended; others, what it makes little of.
        lines = os.pread(said, _SAID_BYTES, 0).decode("utf-8", "replace").strip().splitlines()
        told = lines[-1].removeprefix(f"{PROGRAM}: ") if lines else os.strerror(error.errno or 0)
        raise OSError(error.errno or errno.ENOTCONN, f"{PROGRAM}: {told}") from error
