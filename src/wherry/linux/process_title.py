"""What `ps` shows for a process of ours: its arguments, rewritten in place.

/proc/PID/comm is the name, of 15 bytes. /proc/PID/cmdline is read from the stack where the
kernel put the arguments at execve(2); a process may write there, and a forked process has a copy
of its own (proc(5)). All of it goes through /proc files, because a forked process pays for each
page that it touches, and a foreign call touches many.
"""

import os

_FIRST_FIELD = 3
"""The field of /proc/PID/stat after the bracket that closes the name (proc(5))."""
_ARG_START, _ARG_END = 48, 49
_NAME_LENGTH = 15


def argument_area() -> tuple[int, int]:
    """Where this process's arguments are in memory, and their length; (0, 0) when not known.

    A forked process has them at the same place.
    """
    with open("/proc/self/stat", "rb") as file:
        content = file.read()
    # The name in brackets may hold anything, so fields are counted from the last bracket.
    fields = content[content.rindex(b")") + 2 :].split()
    if len(fields) <= _ARG_END - _FIRST_FIELD:
        return 0, 0
    start = int(fields[_ARG_START - _FIRST_FIELD])
    return start, int(fields[_ARG_END - _FIRST_FIELD]) - start


def set_title(name: str, detail: str, area: tuple[int, int]) -> None:
    """Show `name detail` instead of the arguments; a part that doesn't fit is left off.

    Raises: OSError.
    """
    _write("/proc/self/comm", name.encode()[:_NAME_LENGTH])
    start, room = area
    if room > 1:
        title = f"{name} {detail}".rstrip().encode()[: room - 1]
        _write("/proc/self/mem", title.ljust(room, b"\0"), start)


def _write(path: str, content: bytes, offset: int = 0) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if offset:
            os.lseek(descriptor, offset, os.SEEK_SET)
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
