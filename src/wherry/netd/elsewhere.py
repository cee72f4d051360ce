"""Sockets in a container's network namespace, for one who stays outside.

A socket belongs for ever to the namespace that it was made in; so this process goes there, makes
one, and comes back. Only its thread goes, and that does nothing else meanwhile.
"""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

from wherry.linux.process import CLONE_NEWNET, setns

_SIOCGSKNS = 0x894C
"""Of a socket, the network namespace that it belongs to (linux/sockios.h)."""
_HERE = "/proc/thread-self/ns/net"


def opened_beside(neighbour: socket.socket, family: int, kind: int) -> socket.socket:
    """A socket in the namespace that another one belongs to. Raises: OSError."""
    with _closed(fcntl.ioctl(neighbour, _SIOCGSKNS)) as there, _closed(_opened(_HERE)) as here:
        setns(there, CLONE_NEWNET)
        try:
            return socket.socket(family, kind)
        finally:
            setns(here, CLONE_NEWNET)


def _opened(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def _closed(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
