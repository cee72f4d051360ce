"""From a host's address of one family to a container's of the other, or from `::1`.

TCP is spliced in the kernel, UDP goes by datagram.

A TCP relay has a pipe per direction. splice(2) moves pages from a socket into the pipe and on
to the other socket, so no byte is copied into this process:

    client ==splice==> pipe ==splice==> container
    client <==splice== pipe <==splice== container

Each direction ends by itself (half-close): when its source has said all, what is in the pipe is
delivered and the other socket is shut for writing.
"""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable

from wherry.kit.event_loop import READ, WRITE, EventLoop

_PIPE_BYTES = 1 << 16
_ROUNDS_AT_ONCE = 64
"""Then it is the turn of other connections."""
_BACKLOG = 4096
_LARGEST_DATAGRAM = 1 << 16
_MOST_UDP_CLIENTS = 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Direction:
    """Bytes on their way from one socket to another."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.pending_bytes = 0
        self.is_at_end = False
        self.is_finished = False
        self._out, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def pump(self) -> None:
        """Move what can be moved now. Raises: OSError when an end has failed."""
        for _ in range(_ROUNDS_AT_ONCE):
            if self.is_finished:
                return
            moved = self._fill() + self._drain()
            if self.is_at_end and not self.pending_bytes:
                self.is_finished = True
                with contextlib.suppress(OSError):  # the peer may have reset meanwhile
                    self.sink.shutdown(socket.SHUT_WR)
            elif not moved:
                return

    def _fill(self) -> int:
        if self.is_at_end or self.pending_bytes >= _PIPE_BYTES:
            return 0
        try:
            count = os.splice(self.source.fileno(), self._in, _PIPE_BYTES)
        except BlockingIOError:
            return 0
        self.is_at_end = count == 0
        self.pending_bytes += count
        return count

    def _drain(self) -> int:
        if not self.pending_bytes:
            return 0
        try:
            count = os.splice(self._out, self.sink.fileno(), self.pending_bytes)
        except BlockingIOError:
            return 0
        self.pending_bytes -= count
        return count

    def close(self) -> None:
        os.close(self._out)
        os.close(self._in)


class _TcpRelay:
    """One connection and its twin."""

    def __init__(
        self,
        loop: EventLoop,
        client: socket.socket,
        target: tuple[str, int],
        on_end: Callable[["_TcpRelay"], None],
    ) -> None:
        self._loop, self._client, self._on_end = loop, client, on_end
        client.setblocking(False)
        self._container = socket.socket(_family(target), socket.SOCK_STREAM)
        self._container.setblocking(False)
        self._directions: tuple[_Direction, ...] = ()
        code = self._container.connect_ex(target)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        loop.watch(self._container, WRITE, self._connected)

    def _connected(self, _events: int) -> None:
        if self._container.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.close(reset=True)
            return
        for each in (self._client, self._container):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._directions = (
                _Direction(self._client, self._container),
                _Direction(self._container, self._client),
            )
        except OSError:  # no descriptors left
            self.close(reset=True)
            return
        self._pump(0)

    def _pump(self, _events: int) -> None:
        try:
            for direction in self._directions:
                direction.pump()
        except OSError:
            self.close(reset=True)
            return
        if all(direction.is_finished for direction in self._directions):
            self.close(reset=False)
            return
        for each in (self._client, self._container):
            wanted = self._wanted(each)
            if wanted:
                self._loop.watch(each, wanted, self._pump)
            else:
                self._loop.forget(each)

    def _wanted(self, end: socket.socket) -> int:
        events = 0
        for direction in self._directions:
            if direction.is_finished:
                continue
            if direction.source is end and not direction.pending_bytes:
                events |= READ
            if direction.sink is end and direction.pending_bytes:
                events |= WRITE
        return events

    def close(self, *, reset: bool) -> None:
        """Let both ends go; with `reset` the client learns that something went wrong."""
        if reset:
            with contextlib.suppress(OSError):
                self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        for each in (self._client, self._container):
            self._loop.forget(each)
            each.close()
        for direction in self._directions:
            direction.close()
        self._directions = ()
        self._on_end(self)


class TcpListener:
    """Accepts on a bound socket and relays each connection to a container."""

    def __init__(self, loop: EventLoop, listener: socket.socket, target: tuple[str, int]) -> None:
        self._loop, self._listener, self._target = loop, listener, target
        self._relays: set[_TcpRelay] = set()
        listener.setblocking(False)
        loop.watch(listener, READ, self._accept)

    def _accept(self, _events: int) -> None:
        try:
            client, _address = self._listener.accept()
        except OSError:  # gone again, or no descriptors left
            return
        try:
            self._relays.add(_TcpRelay(self._loop, client, self._target, self._relays.discard))
        except OSError:
            client.close()

    def lead_to(self, address: str) -> None:
        """New connections go to another address; those that stand stay."""
        self._target = (address, self._target[1])

    def close(self) -> None:
        """End every connection."""
        self._loop.forget(self._listener)
        self._listener.close()
        for relay in tuple(self._relays):
            relay.close(reset=True)


class UdpListener:
    """Relays datagrams of a bound socket, with one socket per client for the answers."""

    def __init__(self, loop: EventLoop, listener: socket.socket, target: tuple[str, int]) -> None:
        self._loop, self._listener, self._target = loop, listener, target
        self._flows: dict[tuple[str, int], socket.socket] = {}
        listener.setblocking(False)
        loop.watch(listener, READ, self._from_client)

    def _from_client(self, _events: int) -> None:
        with contextlib.suppress(OSError):
            datagram, client = self._listener.recvfrom(_LARGEST_DATAGRAM)
            self._flow(client).send(datagram)

    def _flow(self, client: tuple[str, int]) -> socket.socket:
        """The client's socket; the client that was heard of longest ago makes room."""
        flow = self._flows.pop(client, None)
        if flow is None:
            if len(self._flows) >= _MOST_UDP_CLIENTS:
                self._end(next(iter(self._flows)))
            flow = socket.socket(_family(self._target), socket.SOCK_DGRAM)
            flow.setblocking(False)
            flow.connect(self._target)
            self._loop.watch(flow, READ, lambda _events: self._from_container(client))
        self._flows[client] = flow
        return flow

    def _from_container(self, client: tuple[str, int]) -> None:
        try:
            datagram = self._flows[client].recv(_LARGEST_DATAGRAM)
        except BlockingIOError:
            return
        except OSError:  # the container's port is closed
            self._end(client)
            return
        with contextlib.suppress(OSError):
            self._listener.sendto(datagram, client)

    def _end(self, client: tuple[str, int]) -> None:
        flow = self._flows.pop(client)
        self._loop.forget(flow)
        flow.close()

    def lead_to(self, address: str) -> None:
        """What clients say from now on goes to another address."""
        self._target = (address, self._target[1])
        self._forget_clients()

    def close(self) -> None:
        """Forget every client."""
        self._loop.forget(self._listener)
        self._listener.close()
        self._forget_clients()

    def _forget_clients(self) -> None:
        for client in tuple(self._flows):
            self._end(client)


def _family(target: tuple[str, int]) -> int:
    return socket.AF_INET6 if ":" in target[0] else socket.AF_INET


Listener = TcpListener | UdpListener


def listen(
    loop: EventLoop, protocol: str, bound: socket.socket, target: tuple[str, int]
) -> Listener:
    """Relay what arrives at a socket that is bound, and for TCP listening."""
    if protocol == "tcp":
        return TcpListener(loop, bound, target)
    return UdpListener(loop, bound, target)
