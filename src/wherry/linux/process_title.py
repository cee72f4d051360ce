"""What `ps` shows for a process of ours: its arguments, rewritten in place.

PR_SET_NAME sets the 15 bytes of /proc/PID/comm. /proc/PID/cmdline is read from the stack where
the kernel put the arguments at execve(2); a process may write there, and a forked process has a
copy of its own (proc(5)).
"""

import ctypes

from wherry.linux.process import set_name

_FIRST_FIELD = 3
"""The field of /proc/PID/stat after the bracket that closes the name (proc(5))."""
_ARG_START, _ARG_END = 48, 49


def set_title(name: str, detail: str = "") -> None:
    """Show `name detail` instead of the arguments; a part that doesn't fit is left off.

    Where the kernel doesn't say where the arguments are, only the name is set.
    """
    set_name(name)
    start, end = _argument_area()
    room = end - start
    if room > 1:
        title = f"{name} {detail}".rstrip().encode()[: room - 1]
        ctypes.memmove(start, title.ljust(room, b"\0"), room)


def _argument_area() -> tuple[int, int]:
    """Where the arguments are in memory; (0, 0) when that is not known."""
    with open("/proc/self/stat", "rb") as file:
        content = file.read()
    # The name in brackets may hold anything, so fields are counted from the last bracket.
    fields = content[content.rindex(b")") + 2 :].split()
    if len(fields) <= _ARG_END - _FIRST_FIELD:
        return 0, 0
    return int(fields[_ARG_START - _FIRST_FIELD]), int(fields[_ARG_END - _FIRST_FIELD])
