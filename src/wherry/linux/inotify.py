"""inotify(7): being told that a file or directory changed."""

import ctypes
import os
import struct
from collections.abc import Iterator

from wherry.linux.syscall import number, syscall

SYS_INOTIFY_INIT1 = number(294, 26)
SYS_INOTIFY_ADD_WATCH = number(254, 27)

IN_MODIFY = 0x0000_0002
IN_MOVED_FROM = 0x0000_0040
IN_MOVED_TO = 0x0000_0080
IN_CREATE = 0x0000_0100
IN_DELETE = 0x0000_0200
IN_ONLYDIR = 0x0100_0000

_EVENT = struct.Struct("iIII")
_BUFFER = 16 * 1024


def inotify_init1(flags: int = os.O_NONBLOCK | os.O_CLOEXEC) -> int:
    """A descriptor that becomes readable when something watched changes. Raises: KernelError."""
    return syscall(SYS_INOTIFY_INIT1, flags, name="inotify_init1")


def inotify_add_watch(descriptor: int, path: str, mask: int) -> int:
    """Watch a path; returns the number that its events carry. Raises: KernelError."""
    name = ctypes.c_char_p(os.fsencode(path))
    return syscall(
        SYS_INOTIFY_ADD_WATCH, descriptor, name, mask, name="inotify_add_watch", operands=(path,)
    )


def read_events(descriptor: int) -> Iterator[tuple[int, int, str]]:
    """The changes that wait: watch number, mask, name inside a watched directory or empty."""
    try:
        data = os.read(descriptor, _BUFFER)
    except BlockingIOError:
        return
    position = 0
    while position < len(data):
        watch, mask, _cookie, length = _EVENT.unpack_from(data, position)
        position += _EVENT.size
        name = data[position : position + length].rstrip(b"\0")
        position += length
        yield watch, mask, os.fsdecode(name)
