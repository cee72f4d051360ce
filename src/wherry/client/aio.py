"""The asyncio driver over the same sans-IO core, for callers that have an event loop."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from wherry.client import http1
from wherry.client.documents import Json, document, encode, parse, text
from wherry.client.endpoint import Endpoint
from wherry.client.errors import ApiError, ProtocolError, Unreachable

_READ_BYTES = 64 * 1024


class AsyncResponse:
    """A response whose body is read when it is asked for; close it, or read it to its end."""

    def __init__(
        self,
        head: http1.ResponseHead,
        parser: http1.ResponseParser,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.status = head.status
        self.headers = head.headers
        self._parser = parser
        self._reader = reader
        self._writer = writer

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises: ProtocolError, OSError."""
        try:
            while True:
                if piece := self._parser.body():
                    yield piece
                elif self._parser.is_complete:
                    return
                else:
                    self._parser.feed(await self._reader.read(_READ_BYTES))
        finally:
            self.close()

    async def read(self) -> bytes:
        """The whole body. Raises: ProtocolError, OSError."""
        return b"".join([piece async for piece in self.chunks()])

    async def json(self) -> Json:
        """The whole body, decoded. Raises: ProtocolError when it is no JSON."""
        raw = await self.read()
        try:
            return parse(raw) if raw.strip() else None
        except ValueError as error:
            raise ProtocolError(f"the engine's answer is not JSON: {error}") from error

    def close(self) -> None:
        """End the connection; safe to repeat."""
        self._writer.close()


class RawStream(NamedTuple):
    """A connection that was taken over: `first` came behind the head of the response."""

    first: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class AsyncClient:
    """One engine, one connection per request."""

    def __init__(self, endpoint: Endpoint, *, version: str) -> None:
        self._endpoint = endpoint
        self._version = version

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: tuple[tuple[str, str], ...] = (),
        body: Json = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncResponse:
        """Send a request and read the head of its response.

        Raises: Unreachable, ApiError, ProtocolError, OSError.
        """
        payload = b"" if body is None else encode(body)
        fields = {"Host": "localhost", "Connection": "close", **(headers or {})}
        if body is not None:
            fields["Content-Type"] = "application/json"
        if payload or method in ("POST", "PUT"):
            fields["Content-Length"] = str(len(payload))
        target = f"/v{self._version}{path}{http1.encode_query(query)}"
        reader, writer = await self._open()
        try:
            writer.write(http1.request_bytes(method, target, fields) + payload)
            await writer.drain()
            response = await _read_head(http1.ResponseParser(method=method), reader, writer)
            if response.status >= 400:
                raise await _api_error(response)
        except BaseException:
            writer.close()
            raise
        return response

    async def hijack(
        self, path: str, *, query: tuple[tuple[str, str], ...] = (), body: Json = None
    ) -> RawStream:
        """POST and take the connection over. Raises: as `request`."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        response = await self.request("POST", path, query=query, body=body, headers=upgrade)
        return RawStream(response._parser.rest(), response._reader, response._writer)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        endpoint = self._endpoint
        try:
            if endpoint.is_unix:
                return await asyncio.open_unix_connection(endpoint.socket_path)
            return await asyncio.open_connection(endpoint.host, endpoint.port)
        except OSError as error:
            raise Unreachable(endpoint.address, error) from error


async def _read_head(
    parser: http1.ResponseParser, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> AsyncResponse:
    while parser.head is None:
        parser.feed(await reader.read(_READ_BYTES))
    return AsyncResponse(parser.head, parser, reader, writer)


async def _api_error(response: AsyncResponse) -> ApiError:
    raw = await response.read()
    try:
        message = text(document(parse(raw)), "message")
    except ValueError:
        message = ""
    return ApiError(response.status, message or raw.decode(errors="replace").strip())
