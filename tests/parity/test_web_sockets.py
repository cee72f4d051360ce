"""Attach by WebSocket, as a page in a browser does it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from support.daemon import Engine

ALL = "stream=1&stdin=1&stdout=1&stderr=1"
PATIENCE_S = 20


@asynccontextmanager
async def attached(
    engine: Engine, container: str, query: str = ALL, version: str = "v1.51"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket to a container's streams."""
    connector = aiohttp.UnixConnector(engine.socket)
    async with aiohttp.ClientSession(connector=connector) as session:
        url = f"http://docker/{version}/containers/{container}/attach/ws?{query}"
        async with asyncio.timeout(PATIENCE_S), session.ws_connect(url) as made:
            yield made


async def everything(socket: aiohttp.ClientWebSocketResponse) -> bytes:
    """What comes until the engine closes."""
    seen = b""
    async for message in socket:
        seen += message.data
    return seen


async def test_input_and_both_outputs(engine: Engine) -> None:
    """What is sent is read by the program; what it writes comes back unframed."""
    script = "read word; echo out $word; echo err $word >&2; exit 0"
    container = engine.create("sh", "-c", script, OpenStdin=True)
    async with attached(engine, container) as socket:
        engine.docker_ok("start", container)
        await socket.send_bytes(b"hello\n")
        seen = await everything(socket)
    assert sorted(seen.splitlines()) == [b"err hello", b"out hello"]


async def test_only_the_wanted_streams(engine: Engine) -> None:
    """Without `stdin` and `stderr` there is the output alone."""
    container = engine.create("sh", "-c", "cat; echo out; echo err >&2", OpenStdin=True)
    async with attached(engine, container, "stream=1&stdout=1") as socket:
        engine.docker_ok("start", container)
        await socket.send_str("not for the program\n")
        async with attached(engine, container, "stream=1&stdin=1") as writing:
            await writing.send_str("from the other\n")
        first = await socket.receive_bytes()
    assert first == b"from the other\n"


async def test_logs_come_first(engine: Engine) -> None:
    """`logs` gives what was written before; without `stream` that is all."""
    container = engine.create("echo", "earlier")
    engine.docker_ok("start", container)
    engine.docker_ok("wait", container)
    async with attached(engine, container, "logs=1&stdout=1&stderr=1") as socket:
        assert await everything(socket) == b"earlier\n"


@pytest.mark.stock_differs
async def test_a_terminal_and_its_detach_keys(engine: Engine) -> None:
    """The keys end the attachment, not the container; a client that closes ends nothing either."""
    container = engine.create("sh", OpenStdin=True, Tty=True)
    engine.docker_ok("start", container)
    async with attached(engine, container, f"{ALL}&detachKeys=ctrl-x") as socket:
        await socket.send_bytes(b"echo $((6*7))\n")
        seen = b""
        while b"42" not in seen:
            seen += await socket.receive_bytes()
        await socket.send_bytes(b"\x18")
        await everything(socket)
    async with attached(engine, container):
        pass
    assert engine.inspect(container)["State"]["Running"]


async def test_old_clients_get_everything(engine: Engine) -> None:
    """Before 1.42 the streams could not be chosen."""
    container = engine.create("sh", "-c", "echo out; echo err >&2")
    async with attached(engine, container, "stream=1", "v1.41") as socket:
        engine.docker_ok("start", container)
        seen = await everything(socket)
    assert sorted(seen.splitlines()) == [b"err", b"out"]


async def test_refusals(engine: Engine) -> None:
    """No such container, and a request that is no handshake: plain HTTP answers."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with attached(engine, "missing"):
            pass
    assert refused.value.status == 404
    container = engine.create("true")
    assert engine.api("GET", f"/containers/{container}/attach/ws?{ALL}").status == 400
