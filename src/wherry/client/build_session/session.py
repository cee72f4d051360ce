"""One session: a connection on which a thread answers the engine's calls."""

import asyncio
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType

from grpclib.const import Handler
from grpclib.protocol import H2Protocol

from wherry.client.connection import Hijacked
from wherry.client.transport import Transport
from wherry.wire.buildkit.calling import LARGEST_MESSAGE, serving


class BuildSession:
    """A session with an engine, as long as the block runs."""

    def __init__(
        self, transport: Transport, methods: Mapping[str, Handler], shared_key: str = ""
    ) -> None:
        """`shared_key`: the same for each build of the same directory of the same user; what was
        sent before is not asked for again then. Empty: nothing is to be kept.
        """
        self.id = secrets.token_hex(16)
        self._transport = transport
        self._methods = methods
        self._shared_key = shared_key
        self._ending: Callable[[], object] = lambda: None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "BuildSession":
        """Raises: Unreachable, ApiError, ProtocolError, OSError."""
        headers = {
            "X-Docker-Expose-Session-Uuid": self.id,
            "X-Docker-Expose-Session-Name": "wherry",
            "X-Docker-Expose-Session-Sharedkey": self._shared_key,
            "X-Docker-Expose-Session-Grpc-Method": [*self._methods],
        }
        taken = self._transport.hijack("/session", protocol="h2c", headers=headers)
        serves = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(taken, serves)), daemon=True
        )
        self._thread.start()
        serves.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(RuntimeError):  # The engine has left before, and the loop has ended.
            self._ending()
        if self._thread is not None:
            self._thread.join()

    async def _serve(self, taken: Hijacked, serves: threading.Event) -> None:
        """Answer calls until the block has ended, or the engine is gone."""
        loop, is_over = asyncio.get_running_loop(), asyncio.Event()
        self._ending = lambda: loop.call_soon_threadsafe(is_over.set)
        serves.set()
        taken.socket.setblocking(False)
        answering = _Answering(serving(self._methods), taken, is_over.set)
        transport, _ = await loop.create_connection(lambda: answering, sock=taken.socket)
        await is_over.wait()
        transport.close()


class _Answering(asyncio.Protocol):
    """HTTP/2 on a connection of which some bytes may have come with the head of the answer."""

    def __init__(self, protocol: H2Protocol, taken: Hijacked, end: Callable[[], None]) -> None:
        self._protocol = protocol
        self._taken = taken
        self._end = end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._protocol.connection_made(transport)
        # Each line of a `.dockerignore` comes as a header.
        http2 = self._protocol.connection._connection
        http2.decoder.max_header_list_size = LARGEST_MESSAGE
        if self._taken.has_buffered:
            self._protocol.data_received(self._taken.receive())

    def data_received(self, data: bytes) -> None:
        self._protocol.data_received(data)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)
        self._end()
