"""Who has a port: the process behind a socket, as far as /proc tells."""

import contextlib
import os
from collections.abc import Iterable

from wherry.linux.socket_tables import TIME_WAIT, bound_sockets


def describe_port_owner(protocol: str, port: int) -> str:
    """`process nginx (pid 4711)`, or what else can be said of who has a local port."""
    inodes = [
        each.inode
        for each in bound_sockets(protocol)
        if each.port == port and each.state != TIME_WAIT
    ]
    if not inodes:
        return "another program"
    found = program_of(inodes)
    return f"process {found}" if found else "a program in another pid namespace"


def program_of(inodes: Iterable[str]) -> str:
    """`nginx (pid 4711)`, the first process that has one of these sockets; empty: none seen."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in os.listdir("/proc"):
        if process.isdigit() and _has_any(process, wanted):
            return f"{_name(process)} (pid {process})"
    return ""


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
