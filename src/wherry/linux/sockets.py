"""Unix sockets whose names are too long for an address, by their directory's descriptor.

sun_path has 108 bytes (unix(7)), and a state directory may be deeper than that: the name goes
through /proc/self/fd.
"""

import os
import socket


def bind_at(listener: socket.socket, directory: int, name: str, *, mode: int = 0o600) -> None:
    """Bind a socket to a name in a directory, with these permissions. Raises: OSError."""
    previous = os.umask(0o777 & ~mode)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{name}")
    finally:
        os.umask(previous)


def connect_at(connection: socket.socket, directory: int, name: str) -> None:
    """Connect to the socket of a name in a directory. Raises: OSError."""
    connection.connect(f"/proc/self/fd/{directory}/{name}")


def adopted(descriptor: int) -> socket.socket:
    """A socket object for a descriptor, which it closes."""
    return socket.socket(fileno=descriptor)
