"""Host ports and names are kept by netd; this is the side that asks."""

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Sequence
from typing import Protocol

from wherry.kit import messages
from wherry.linux.sockets import connect_at
from wherry.netd import protocol
from wherry.netd.protocol import Held, NameService, Wish

_START_TIMEOUT_S = 30
_ANSWER_TIMEOUT_S = 30.0


class PortKeeper(Protocol):
    """Keeps host ports for containers. Calls block, and may come from any thread."""

    def open(self) -> None:
        """Get ready. Raises: OSError."""
        ...

    def reserve(self, owner: str, target: str, wishes: Sequence[Wish]) -> list[int]:
        """Hold a port for each wish or no new one. Raises: PortTaken; OSError.

        What the owner held and does not wish again is let go; the rest stays as it is.
        """
        ...

    def release(self, owner: str) -> None:
        """Let go of all that an owner has. Raises: OSError."""
        ...

    def owners(self) -> dict[str, tuple[Held, ...]]:
        """What each owner holds. Raises: OSError."""
        ...

    def end(self) -> None:
        """Let go of everything, and leave no process behind."""
        ...

    def close(self) -> None:
        """Disconnect; what is held stays held."""
        ...


class NameKeeper(Protocol):
    """Answers containers' questions for names. Calls block, and may come from any thread."""

    def resolve(self, owner: str, service: NameService, descriptors: tuple[int, ...] = ()) -> None:
        """Serve a container, or change what it knows and how it is known. Raises: OSError.

        `descriptors` (a UDP socket, a listening TCP socket) stay the caller's; they are given
        the first time.
        """
        ...

    def forget(self, owner: str) -> None:
        """Serve a container no more. Raises: OSError."""
        ...

    def resolvers(self) -> frozenset[str]:
        """Who is served. Raises: OSError."""
        ...


class NetdKeeper:
    """Talks to this engine's netd, and starts it with the first port or name that it must keep.

    An engine that publishes nothing has none. A netd that died is replaced at the next call, and
    everything that was held through this object is held again; meanwhile the packet filter has
    gone on leading the ports.
    """

    def __init__(
        self, *, exec_root: str, command: Sequence[str], relays_all: bool = False
    ) -> None:
        """`command` starts a netd when the exec-root is added to it.

        With `relays_all` it is to relay every port, since no packet filter leads them.
        """
        self._exec_root, self._relays_all = exec_root, relays_all
        self._command = (*command, exec_root)
        self._lock = threading.Lock()
        self._channel: socket.socket | None = None
        self._asked: dict[str, messages.Message] = {}
        self._served: dict[str, tuple[messages.Message, tuple[int, ...]]] = {}
        """How to serve each container again, with sockets of ours should netd die."""

    def open(self) -> None:
        """Find the netd of an engine before us, if there is one."""
        with self._lock:
            self._is_there()

    def reserve(self, owner: str, target: str, wishes: Sequence[Wish]) -> list[int]:
        """Hold a port for each wish or none at all. Raises: PortTaken; OSError."""
        with self._lock:
            answer = self._ask(self._reserve_message(owner, target, wishes))
            ports = protocol.ports_of(answer)
            certain = [wish.at(port) for wish, port in zip(wishes, ports, strict=True)]
            self._asked[owner] = self._reserve_message(owner, target, certain)
        return ports

    def _reserve_message(
        self, owner: str, target: str, wishes: Sequence[Wish]
    ) -> messages.Message:
        return protocol.reserve_message(owner, target, wishes, relays_all=self._relays_all)

    def release(self, owner: str) -> None:
        """Let go of all that an owner has. Raises: OSError."""
        with self._lock:
            self._asked.pop(owner, None)
            if self._is_there():
                self._ask({"request": protocol.RELEASE, "owner": owner})

    def owners(self) -> dict[str, tuple[Held, ...]]:
        """What each owner holds. Raises: OSError."""
        with self._lock:
            if not (self._is_there() or self._asked):
                return {}
            return protocol.owners_of(self._ask({"request": protocol.LIST}))

    def resolve(self, owner: str, service: NameService, descriptors: tuple[int, ...] = ()) -> None:
        """Serve a container, or change what it knows and how it is known. Raises: OSError."""
        request = protocol.resolve_message(owner, service)
        with self._lock:
            self._ask(request, descriptors)
            _request, sockets = self._served.get(owner, ({}, ()))
            if descriptors:
                _close(sockets)
                sockets = tuple(os.dup(each) for each in descriptors)
            self._served[owner] = request, sockets

    def forget(self, owner: str) -> None:
        """Serve a container no more. Raises: OSError."""
        with self._lock:
            _request, sockets = self._served.pop(owner, ({}, ()))
            _close(sockets)
            if self._is_there():
                self._ask({"request": protocol.FORGET, "owner": owner})

    def resolvers(self) -> frozenset[str]:
        """Who is served. Raises: OSError."""
        with self._lock:
            if not (self._is_there() or self._served):
                return frozenset()
            return protocol.resolvers_of(self._ask({"request": protocol.LIST}))

    def end(self) -> None:
        """Have the process end, if there is one."""
        with self._lock:
            self._asked.clear()
            self._let_go_of_sockets()
            if self._is_there() and self._channel is not None:
                with contextlib.suppress(OSError):
                    messages.send(self._channel, {"request": protocol.END})
                    messages.receive(self._channel)
            self._disconnect()

    def close(self) -> None:
        """Disconnect; what is held stays held."""
        with self._lock:
            self._let_go_of_sockets()
            self._disconnect()

    def _let_go_of_sockets(self) -> None:
        for _request, sockets in self._served.values():
            _close(sockets)
        self._served.clear()

    def _ask(
        self, request: messages.Message, descriptors: tuple[int, ...] = ()
    ) -> messages.Message:
        """One question and its answer, once more with a new process if the old one is gone."""
        for attempt in range(2):
            channel = self._connected()
            try:
                messages.send(channel, request, descriptors)
                received = messages.receive(channel)
                if received is None:
                    raise ConnectionResetError("netd is gone")
                return received[0]
            except OSError:
                self._disconnect()
                if attempt:
                    raise
        raise AssertionError("unreachable")

    def _is_there(self) -> bool:
        """Whether there is a netd to talk to; starts none."""
        if self._channel is None:
            with contextlib.suppress(OSError):
                self._channel = self._connect()
        return self._channel is not None

    def _connected(self) -> socket.socket:
        if self._channel is not None:
            return self._channel
        try:
            self._channel = self._connect()
        except OSError:
            self._start()
            self._channel = self._connect()
            for request in self._asked.values():
                messages.send(self._channel, request)
                messages.receive(self._channel)
            for request, sockets in self._served.values():
                messages.send(self._channel, request, sockets)
                messages.receive(self._channel)
        return self._channel

    def _connect(self) -> socket.socket:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.settimeout(_ANSWER_TIMEOUT_S)
        messages.make_room(channel)
        try:
            directory = os.open(self._exec_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                connect_at(channel, directory, protocol.SOCKET_NAME)
            finally:
                os.close(directory)
        except OSError:
            channel.close()
            raise
        return channel

    def _start(self) -> None:
        """The command returns once its socket answers; its child stays."""
        done = subprocess.run(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_START_TIMEOUT_S,
            check=False,
            start_new_session=True,
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise OSError(f"netd did not start: {said[-1] if said else done.returncode}")

    def _disconnect(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _close(descriptors: Sequence[int]) -> None:
    for each in descriptors:
        os.close(each)
