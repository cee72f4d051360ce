"""Control messages between our own processes: a version byte, JSON, and file descriptors.

They travel on SOCK_SEQPACKET sockets of the Unix family, so that a message is one packet with
its descriptors (unix(7), SCM_RIGHTS). A message of a newer version is refused, never guessed.
"""

import array
import errno
import json
import os
import socket
from typing import Any

VERSION = 1
LARGEST_MESSAGE = 1 << 20
MOST_DESCRIPTORS = 16
_SO_SNDBUFFORCE = 32
"""asm-generic/socket.h."""

Message = dict[str, Any]


class UnknownVersion(Exception):
    """The peer speaks a version of the protocol that we don't know."""

    def __init__(self, version: int) -> None:
        super().__init__(f"message version {version}, expected {VERSION}")
        self.version = version


def encode(message: Message) -> bytes:
    """A packet: the version byte, then JSON."""
    return bytes((VERSION,)) + json.dumps(message, separators=(",", ":")).encode()


def decode(packet: bytes) -> Message:
    """The message in a packet.

    Raises: UnknownVersion; ValueError for what is not JSON of an object.
    """
    if packet[0] != VERSION:
        raise UnknownVersion(packet[0])
    message = json.loads(packet[1:])
    if not isinstance(message, dict):
        raise ValueError("message is not an object")
    return message


def send(channel: socket.socket, message: Message, descriptors: tuple[int, ...] = ()) -> None:
    """Send one message; the descriptors are duplicated into the receiver.

    Raises: OSError (EPIPE when the peer is gone, EMSGSIZE when it is too large).
    """
    packet, ancillary = encode(message), []
    if len(packet) > LARGEST_MESSAGE:
        # The socket may have room for it; the receiver has not.
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    if descriptors:
        rights = array.array("i", descriptors)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights.tobytes())]
    channel.sendmsg([packet], ancillary)


def receive(channel: socket.socket) -> tuple[Message, list[int]] | None:
    """Receive one message and its descriptors (close-on-exec); None when the peer is gone.

    Raises: OSError; UnknownVersion; ValueError. Then its descriptors are closed.
    """
    space = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)
    packet, ancillary, flags, _address = channel.recvmsg(
        LARGEST_MESSAGE, space, socket.MSG_CMSG_CLOEXEC
    )
    descriptors = _descriptors(ancillary)
    try:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise ValueError("message is cut short")
        return (decode(packet), descriptors) if packet else None
    except (UnknownVersion, ValueError):
        for each in descriptors:
            os.close(each)
        raise


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends of a message channel, with room for the largest message."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        make_room(end)
    return ends


def make_room(channel: socket.socket) -> None:
    """Let an end of a channel send the largest message: the system's own limit is a fifth of it.

    Without CAP_NET_ADMIN, as much as that limit allows (socket(7)).
    """
    try:
        channel.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, LARGEST_MESSAGE)
    except PermissionError:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_MESSAGE)
