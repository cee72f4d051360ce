"""Every moment at which a piece of work can be cut off.

The work runs in a forked child that counts its steps: each call that changes a file, a name or
the database, by the interpreter's own profile hook, so that nothing of the work is replaced. At a
chosen step the child dies, as by `kill -9`, or pulls the plug of its file system first. Threads
count together; whose step is which is a matter of chance then.
"""

import fcntl
import os
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from wherry.linux import mounts, process

_STEPS = frozenset({
    "chmod", "chown", "execute", "fchmod", "fchown", "fdatasync", "fsync", "ftruncate", "ioctl",
    "link", "mkdir", "mknod", "rename", "replace", "rmdir", "sendfile", "symlink", "unlink",
    "utime", "write",
})  # fmt: skip
_SYSCALLS = frozenset({"renameat2", "syncfs"})
"""Those that go through `linux.syscall`, whose own call is no C function of Python."""

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN (fs/ext4/ext4.h); 2: not even the journal is flushed."""


def pull_the_plug(mount_point: str) -> None:
    """From here on nothing reaches the file system's disk. Preconditions: ext4."""
    directory = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.ioctl(directory, _SHUTDOWN, struct.pack("I", 2))
    os.close(directory)


def cut_off(work: Callable[[], object], step: int, *, plug: str = "") -> bool:
    """Do some work and die before one of its steps; False when it had fewer.

    With a `plug` its file system ends a moment earlier; work that had fewer steps is told to be
    done then, and cut off after that. Raises: AssertionError when it fails.
    """
    child = os.fork()
    if not child:
        try:
            _count_down(step, plug)
            work()
            sys.setprofile(None)
            if plug:
                pull_the_plug(plug)
                os.kill(os.getpid(), signal.SIGKILL)
        except BaseException:
            sys.setprofile(None)
            import traceback

            traceback.print_exc()
            os._exit(2)
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the work failed before its step came"
    return False


def in_own_mounts(work: Callable[[], str]) -> str:
    """Do some work where nobody sees its mounts; what it says.

    A mount that another process has a copy of, as a machine of another test may, is not gone
    when it is unmounted: mounted again, it is the same file system, whose plug was pulled.
    Raises: AssertionError with the trace when the work fails.
    """
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 0
        try:
            process.unshare(process.CLONE_NEWNS)
            mounts.mount("", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
            said = work()
        except BaseException:
            import traceback

            said, code = traceback.format_exc(), 1
        with os.fdopen(write, "w") as answer:
            answer.write(said)
        os._exit(code)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said
    return said


def steps_of(work: Callable[[], object]) -> int:
    """How many steps some work has. It is done in a child, for the last time in its life."""
    read, write = os.pipe()
    if not os.fork():
        counted = [0]

        def count(frame: FrameType, event: str, subject: object) -> None:
            counted[0] += _is_step(frame, event, subject)

        threading.setprofile(count)
        sys.setprofile(count)
        work()
        sys.setprofile(None)
        os.write(write, str(counted[0]).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        told = answer.read()
    os.wait()
    return int(told)


def chosen(steps: int, most: int) -> Iterator[int]:
    """All steps, or so many of them, evenly."""
    if steps <= most:
        yield from range(1, steps + 1)
    else:
        yield from (1 + index * (steps - 1) // (most - 1) for index in range(most))


def _count_down(step: int, plug: str) -> None:
    left = step

    def count(frame: FrameType, event: str, subject: object) -> None:
        nonlocal left
        left -= _is_step(frame, event, subject)
        if left <= 0:
            sys.setprofile(None)
            if plug:
                pull_the_plug(plug)
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)


def _is_step(frame: FrameType, event: str, subject: object) -> bool:
    if event == "c_call":
        return getattr(subject, "__name__", "") in _STEPS
    is_syscall = event == "call" and frame.f_code.co_name == "syscall"
    return is_syscall and frame.f_locals.get("name") in _SYSCALLS
