"""Who has a port: the process behind a socket, as far as /proc tells."""

import contextlib
import os
from collections.abc import Iterator

_TABLES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6")}
_LOCAL, _STATE, _INODE = 1, 3, 9
_TIME_WAIT = "06"


def describe_port_owner(protocol: str, port: int) -> str:
    """`process nginx (pid 4711)`, or what else can be said of who has a local port."""
    inodes = set(_inodes(protocol, port))
    if not inodes:
        return "another program"
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in os.listdir("/proc"):
        if process.isdigit() and _has_any(process, wanted):
            return f"process {_name(process)} (pid {process})"
    return "a program in another pid namespace"


def _inodes(protocol: str, port: int) -> Iterator[str]:
    """Inodes of sockets that are bound to a port (proc_net(5))."""
    for table in _TABLES[protocol]:
        try:
            with open(f"/proc/net/{table}", encoding="ascii") as file:
                rows = file.read().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            words = row.split()
            local_port = int(words[_LOCAL].rpartition(":")[2], 16)
            if local_port == port and words[_STATE] != _TIME_WAIT:
                yield words[_INODE]


def _has_any(process: str, wanted: set[str]) -> bool:
    directory = f"/proc/{process}/fd"
    with contextlib.suppress(OSError):  # the process has ended
        for name in os.listdir(directory):
            with contextlib.suppress(OSError):  # it has closed that one meanwhile
                if os.readlink(f"{directory}/{name}") in wanted:
                    return True
    return False


def _name(process: str) -> str:
    try:
        with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "that has just ended"
