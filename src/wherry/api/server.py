"""The server: from a listening socket to a handler, and from any failure to an answer."""

import asyncio
import logging
import socket
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from aiohttp import web

from wherry.api import versions
from wherry.api.call import BuildDoor, Call, Handler, common_headers
from wherry.api.callers import caller_of
from wherry.api.errors import OF_THE_DISK, Refusal, message_of, status_of
from wherry.api.hijack import LARGEST_HEAD, Connection
from wherry.api.router import Router
from wherry.api.routes import documented, first_word, handlers_below
from wherry.api.services import Services
from wherry.kit.clock import Clock, SystemClock
from wherry.model.callers import CALLER
from wherry.model.errors import WherryError
from wherry.wire.encoding import encode
from wherry.wire.media_types import JSON
from wherry.wire.system import ErrorAnswer
from wherry.wire.versions import NEWEST, ApiVersion, looks_like_version

if TYPE_CHECKING:
    import ssl

    from wherry.api.buildkit.door import Door

IDLE_TIMEOUT_S = 55.0
"""How long a connection may take for a request's head, the first or the next."""
_UPLOAD_BUFFER_BYTES = 1 << 20
"""Of a body, how much may wait for its reader: archives go to a thread, a piece at a time."""
SHUTDOWN_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)

_Router = Router[tuple[str, Handler]]
"""Handlers, with how the documentation writes their endpoints."""


class _Listener(web.Server):
    """Makes a `Connection` for each client."""

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)


class Api:
    """Answers requests: finds the version and the handler, and words every failure."""

    def __init__(self, services: Services, *, version: str, clock: Clock) -> None:
        self._services = services
        self._clock = clock
        self._server_header = f"Wherry/{version} (linux)"
        self._routers: dict[str, _Router] = {}

    @cached_property
    def _door(self) -> "Door":
        from wherry.api.buildkit.door import Door  # gRPC is loaded for who builds

        return Door(self._services, self._clock)

    def _build_door(self) -> BuildDoor:
        return self._door

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, one answer."""
        connection = request.protocol
        if isinstance(connection, Connection):
            connection.begin()
        try:
            return await self._answer(request)
        except (Refusal, WherryError) as error:
            return self._refuse(request, error)
        except ConnectionError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in OF_THE_DISK:
                _log.error("request.disk_refused path=%s problem=%s", request.path, error)
                return self._refuse(request, error)
            _log.exception("request.failed method=%s path=%s", request.method, request.path)
            return self._refuse(request, error)
        finally:
            if isinstance(connection, Connection):
                connection.release()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        CALLER.set(caller_of(request))
        version, path = _split_version(request.path)
        match = self._router_below(first_word(path)).find(request.method, path)
        if match is None:
            raise Refusal(404, "page not found")
        endpoint, handler = match.handler
        call = Call(
            request=request,
            services=self._services,
            clock=self._clock,
            version=version,
            endpoint=endpoint,
            parameter=match.parameter,
            server_header=self._server_header,
            build_door=self._build_door,
        )
        return await handler(call)

    def _router_below(self, word: str) -> _Router:
        """The router of the paths that begin with a word; made for the first of them."""
        if (known := self._routers.get(word)) is not None:
            return known
        handlers = handlers_below(word)
        router = Router({key: (" ".join(documented(key)), x) for key, x in handlers.items()})
        if handlers:
            self._routers[word] = router
        return router

    def _refuse(self, request: web.BaseRequest, error: Exception) -> web.StreamResponse:
        connection = request.protocol
        is_raw = isinstance(connection, Connection) and connection.is_taken_over
        if is_raw or request.writer.output_size > 0:
            raise ConnectionResetError("the answer has begun; all that is left is to break off")
        answer = web.Response(
            body=encode(ErrorAnswer(message=message_of(error))),
            status=status_of(error),
            headers=common_headers(self._server_header, JSON),
        )
        if answer.status in (408, 413):
            answer.force_close()
        return answer


def _split_version(path: str) -> tuple[ApiVersion, str]:
    """The version in front of a path, and the rest. Raises: Refusal."""
    first, slash, rest = path[1:].partition("/")
    if slash and looks_like_version(first):
        return versions.admit(first[1:]), f"/{rest}"
    return NEWEST, path


class Listening:
    """A running server."""

    def __init__(self, server: web.Server, sockets: Sequence[asyncio.Server]) -> None:
        self._server = server
        self._sockets = sockets

    async def close(self) -> None:
        """Take no more connections; let requests end for a moment, then cut them off."""
        for listening in self._sockets:
            listening.close()
        self._server.pre_shutdown()
        for connection in self._server.connections:
            if isinstance(connection, Connection):
                connection.end_watching()
        await self._server.shutdown(SHUTDOWN_TIMEOUT_S)


async def serve(
    services: Services,
    listeners: Sequence[socket.socket],
    *,
    version: str = "0.1.0",
    clock: Clock | None = None,
    idle_timeout_s: float = IDLE_TIMEOUT_S,
    tls: "Mapping[socket.socket, ssl.SSLContext] | None" = None,
) -> Listening:
    """Serve the API on sockets that are bound and listening already, with TLS on some of them.

    A connection that has not sent a whole request head after `idle_timeout_s` is closed.
    """
    server = _Listener(
        Api(services, version=version, clock=clock or SystemClock()),
        access_log=None,
        keepalive_timeout=idle_timeout_s,
        max_line_size=LARGEST_HEAD,
        max_field_size=LARGEST_HEAD,
        auto_decompress=False,
        read_bufsize=_UPLOAD_BUFFER_BYTES,
    )
    loop = asyncio.get_running_loop()
    sockets = []
    for listener in listeners:
        listener.setblocking(False)
        if tls and listener in tls:
            from wherry.api.tls_relay import TlsRelay  # Most daemons serve no TLS.

            relay = TlsRelay(tls[listener], server)
            sockets.append(await asyncio.start_server(relay, sock=listener))
        elif listener.family == socket.AF_UNIX:
            sockets.append(await loop.create_unix_server(server, sock=listener))
        else:
            sockets.append(await loop.create_server(server, sock=listener))
    return Listening(server, sockets)
