"""TLS in front of the server: each connection is decrypted into a socket pair.

The server sees a Unix connection like any other, and what it does with that (take it over, close
one direction of it) works alike:

    client <==TLS==> relay <--socketpair--> server
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from wherry.kit.tls_session import TlsSession

HANDSHAKE_TIMEOUT_S = 10.0
_READ_BYTES = 64 * 1024

_log = logging.getLogger(__name__)


class TlsRelay:
    """Accepts connections of one listener."""

    def __init__(
        self, context: ssl.SSLContext, make_protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._context = context
        self._make_protocol = make_protocol

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection until both of its directions have ended."""
        session = TlsSession(self._context, is_server=True)
        try:
            try:
                early = await asyncio.wait_for(
                    _shake_hands(session, reader, writer), HANDSHAKE_TIMEOUT_S
                )
            except (TimeoutError, ssl.SSLError, ConnectionError) as problem:
                _log.info("tls.refused reason=%s", problem or "no handshake in time")
                return
            await self._relay(session, early, reader, writer)
        except (ConnectionError, ssl.SSLError):
            pass  # One side is gone, and so the other goes too.
        finally:
            writer.close()

    async def _relay(
        self,
        session: TlsSession,
        early: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        near, far = socket.socketpair()
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(self._make_protocol, far)
            plain_reader, plain_writer = await asyncio.open_connection(sock=near)
        except OSError:
            near.close()
            far.close()
            raise
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(_inward(session, early, reader, writer, plain_writer))
                directions.create_task(_outward(session, plain_reader, writer))
        except* (ConnectionError, ssl.SSLError):
            pass  # As above; the group has ended the other direction.
        finally:
            plain_writer.close()


async def _shake_hands(
    session: TlsSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bytes:
    """The handshake; plain text that came right behind it is the answer."""
    plain = b""
    while not session.is_established:
        data = await reader.read(_READ_BYTES)
        try:
            plain = session.receive(data)
        finally:
            writer.write(session.outgoing())  # A refusal's reason too.
        await writer.drain()
        if not data:
            raise ConnectionResetError("the client left")
    return plain


async def _inward(
    session: TlsSession,
    early: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    plain_writer: asyncio.StreamWriter,
) -> None:
    plain_writer.write(early)
    while not session.is_read_closed:
        data = await reader.read(_READ_BYTES)
        plain_writer.write(session.receive(data))
        writer.write(session.outgoing())  # Key updates are answered.
        await plain_writer.drain()
        if not data:
            break
    with suppress(OSError):
        plain_writer.write_eof()


async def _outward(
    session: TlsSession, plain_reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while data := await plain_reader.read(_READ_BYTES):
        session.send(data)
        writer.write(session.outgoing())
        await writer.drain()
    session.close_write()
    writer.write(session.outgoing())
    with suppress(OSError):
        writer.write_eof()
    await writer.drain()
