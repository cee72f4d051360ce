"""The interpreter for processes that containers can see, out of their reach.

/proc/PID/exe of a process that enters a container is the interpreter of the whole host, and
CVE-2019-5736 was a container that wrote to such a file. A read-only overlay of the directory
that it lies in runs the same program, but nobody can open it for writing: it answers EROFS.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.kit.values import dataclass
from wherry.linux.mounts import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    make_filesystem,
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What to execute, and the name that tells it where its library is."""

    executable: str
    argument_zero: str
    is_read_only: bool


@contextmanager
def protected_interpreter(empty_directory: str) -> Iterator[Interpreter]:
    """The running interpreter behind a read-only overlay, for as long as the block.

    A process that was executed from it keeps it alive. `empty_directory` is an existing one: an
    overlay without an upper layer needs two lower ones. Where the kernel refuses, it is the
    plain interpreter.
    """
    real = os.path.realpath(sys.executable)
    directory, name = os.path.split(real)
    try:
        overlay = make_filesystem(
            "overlay",
            (("lowerdir", f"{directory}:{empty_directory}"),),
            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
        )
    except OSError:
        yield Interpreter(real, real, is_read_only=False)
        return
    try:
        yield Interpreter(f"/proc/{os.getpid()}/fd/{overlay}/{name}", real, is_read_only=True)
    finally:
        os.close(overlay)
