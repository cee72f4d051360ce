"""The control connections of a shim: requests in, answers and notices out.

Nothing here waits: a daemon that doesn't read its answers loses its connection, and comes back
by the path.
"""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

from wherry.kit import messages
from wherry.kit.event_loop import READ, EventLoop
from wherry.kit.messages import Message
from wherry.linux.mounts import closing
from wherry.linux.sockets import bind_at
from wherry.operations.plan import explain_error
from wherry.shim import protocol
from wherry.shim.protocol import Refused

Verb = Callable[[Message, list[int]], Message | None]
"""Does a request and returns the members of its answer, if there are any; a descriptor that it
keeps it duplicates. Raises: Refused, OSError, KeyError, ValueError."""

_BACKLOG = 16
_ACCEPT_AGAIN_S = 0.1


class Control:
    """All control connections of one shim."""

    def __init__(
        self,
        loop: EventLoop,
        verbs: Mapping[str, Verb],
        on_answered: Callable[[str], None],
        on_alone: Callable[[], None],
    ) -> None:
        """`on_answered` gets each verb after its answer went out; `on_alone`: nobody is left."""
        self._loop = loop
        self._verbs = verbs
        self._on_answered = on_answered
        self._on_alone = on_alone
        self._connections: list[socket.socket] = []
        self._listener: socket.socket | None = None

    @property
    def is_alone(self) -> bool:
        """Whether no daemon is connected."""
        return not self._connections

    def listen(self, bundle: str) -> None:
        """Take connections at the bundle's socket, of its owner only. Raises: Refused."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            with closing(os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as directory:
                with suppress(FileNotFoundError):
                    os.unlink(protocol.SOCKET_NAME, dir_fd=directory)
                bind_at(listener, directory, protocol.SOCKET_NAME, mode=0o600)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise Refused("step", f"{protocol.SOCKET_NAME}: {error}") from error
        self._serve_listener(listener)

    def hand_over(self, descriptors: list[int]) -> int:
        """Add the listener and the connections to the descriptors; how many connections."""
        assert self._listener is not None
        descriptors.append(self._listener.fileno())
        descriptors += [connection.fileno() for connection in self._connections]
        return len(self._connections)

    def take_over(self, count: int, descriptors: list[int]) -> None:
        """Go on with the descriptors of `hand_over`, which are taken."""
        self._serve_listener(socket.socket(fileno=descriptors.pop(0)))
        for _ in range(count):
            self.add(socket.socket(fileno=descriptors.pop(0)))

    def _serve_listener(self, listener: socket.socket) -> None:
        self._listener = listener
        self._loop.watch(listener, READ, lambda _events: self._accept(listener))

    def add(self, connection: socket.socket) -> None:
        """Serve one more connection."""
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, messages.LARGEST_MESSAGE)
        self._connections.append(connection)
        self._loop.watch(connection, READ, lambda _events: self._on_readable(connection))

    def broadcast(self, message: Message) -> None:
        """Tell every daemon."""
        for connection in tuple(self._connections):
            self._send(connection, message)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            # No descriptor to spare: it would be said again and again until there is one.
            self._loop.forget(listener)
            self._loop.call_later(_ACCEPT_AGAIN_S, lambda: self._serve_listener(listener))
            return
        self.add(connection)

    def _on_readable(self, connection: socket.socket) -> None:
        while connection in self._connections:
            try:
                received = messages.receive(connection)
            except BlockingIOError:
                return
            except (OSError, ValueError, messages.UnknownVersion):
                received = None
            if received is None:
                self._drop(connection)
                return
            self._serve(connection, *received)

    def _serve(self, connection: socket.socket, message: Message, descriptors: list[int]) -> None:
        serial, name = message.get("serial", 0), message.get("verb", "")
        try:
            verb = self._verbs.get(name)
            if verb is None:
                raise Refused("refused", f"unknown verb {name!r}")
            answer = protocol.answer(serial, **(verb(message, descriptors) or {}))
        except Refused as refused:
            answer = protocol.refusal(serial, refused)
        except OSError as error:
            answer = protocol.refusal(serial, Refused("step", explain_error(error)))
        except (KeyError, ValueError, TypeError) as error:
            answer = protocol.refusal(serial, Refused("step", f"{name}: {error!r}"))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._send(connection, answer)
        self._on_answered(name)

    def _send(self, connection: socket.socket, message: Message) -> None:
        try:
            messages.send(connection, message)
        except OSError:
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        self._loop.forget(connection)
        connection.close()
        if not self._connections:
            self._on_alone()
