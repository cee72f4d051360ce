"""Connections that become a container's streams: the contract of attach and exec."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.fake_engine import FakeEngine, FakeStream, served
from wherry.kit.streams import STDOUT, frame
from wherry.model.errors import StepFailed

UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
PATIENCE_S = 5


class Raw:
    """A raw client: bytes out, bytes in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: str | bytes) -> None:
        """Send bytes now."""
        self.writer.write(data.encode() if isinstance(data, str) else data)

    async def head(self) -> str:
        """The next head of an answer."""
        async with asyncio.timeout(PATIENCE_S):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def exactly(self, length: int) -> bytes:
        """So many bytes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """All until the server closes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()


@asynccontextmanager
async def connected(path: str) -> AsyncIterator[Raw]:
    """A connection to the API."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


async def until(event: asyncio.Event) -> None:
    """Wait for something, not for ever."""
    async with asyncio.timeout(PATIENCE_S):
        await event.wait()


async def create(raw: Raw, **fields: object) -> str:
    """A running container; its id."""
    body = json.dumps({"Image": "busybox", "OpenStdin": True, **fields})
    raw.send(
        "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    head = await raw.head()
    assert head.startswith("HTTP/1.1 201")
    length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
    container_id = str(json.loads(await raw.exactly(length))["Id"])
    raw.send(f"POST /containers/{container_id}/start HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await raw.head()).startswith("HTTP/1.1 204")
    return container_id


def attach_request(container_id: str, *, headers: str = UPGRADE, version: str = "") -> str:
    """The head of an attach to all streams."""
    return (
        f"POST {version}/containers/{container_id}/attach?stream=1&stdin=1&stdout=1&stderr=1 "
        f"HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
    )


@pytest.mark.parametrize(
    ("headers", "version", "is_tty", "status", "content_type"),
    [
        (UPGRADE, "", False, "101 UPGRADED", "application/vnd.docker.multiplexed-stream"),
        (UPGRADE, "/v1.42", False, "101 UPGRADED", "application/vnd.docker.multiplexed-stream"),
        (UPGRADE, "/v1.41", False, "101 UPGRADED", "application/vnd.docker.raw-stream"),
        (UPGRADE, "", True, "101 UPGRADED", "application/vnd.docker.raw-stream"),
        ("", "", False, "200 OK", "application/vnd.docker.raw-stream"),
        ("Content-Length: 0\r\n", "", True, "200 OK", "application/vnd.docker.raw-stream"),
    ],
)
async def test_the_answer_to_an_attach(
    headers: str, version: str, is_tty: bool, status: str, content_type: str
) -> None:
    """101 to those who ask for an upgrade, 200 to others; the content type by the version."""
    engine = FakeEngine()
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw, Tty=is_tty)
        raw.send(attach_request(container_id, headers=headers, version=version))
        head = await raw.head()
        assert head.startswith(f"HTTP/1.1 {status}\r\n")
        assert f"Content-Type: {content_type}\r\n" in head
        assert ("Upgrade: tcp\r\n" in head) is bool(headers == UPGRADE)
        engine.stream_of(container_id).say(b"hello")
        assert await raw.exactly(5) == b"hello"


@pytest.mark.parametrize("headers", [UPGRADE, "", "Content-Length: 0\r\n"])
async def test_bytes_behind_the_header_are_input(headers: str) -> None:
    """What comes in the same segment as the request is the first input, upgrade or not."""
    engine = FakeEngine(echoes=True)
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw)
        raw.send(attach_request(container_id, headers=headers) + "GET / HTTP/1.1\r\n\r\n")
        await raw.head()
        assert await raw.exactly(26) == frame(STDOUT, b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("headers", [UPGRADE, ""])
async def test_a_request_in_pieces(headers: str) -> None:
    """The head may come in segments of any size, with input behind it."""
    engine = FakeEngine(echoes=True)
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw)
        request = attach_request(container_id, headers=headers) + "input"
        for start in range(0, len(request), 40):
            raw.send(request[start : start + 40])
            await raw.writer.drain()
            await asyncio.sleep(0)
        await raw.head()
        raw.writer.write_eof()
        await raw.rest()
        assert engine.stream_of(container_id).received == b"input"


async def test_a_client_that_dies_after_its_input_is_noticed() -> None:
    """A half-closed client that goes away lets go of a silent container."""
    engine = FakeEngine()
    async with served(engine) as path:
        async with connected(path) as raw:
            container_id = await create(raw)
            stream = engine.stream_of(container_id)
            raw.send(attach_request(container_id))
            await raw.head()
            raw.writer.write_eof()
            await until(stream.is_input_closed)
            assert not stream.is_closed.is_set()
        await until(stream.is_closed)


async def test_half_close_ends_the_input_and_not_the_output() -> None:
    """A client that has sent all still gets all of the output."""
    engine = FakeEngine()
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw)
        stream = engine.stream_of(container_id)
        raw.send(attach_request(container_id) + "last words")
        await raw.head()
        raw.writer.write_eof()
        await until(stream.is_input_closed)
        assert stream.received == b"last words"
        stream.say(frame(STDOUT, b"answer"))
        stream.say(b"")
        assert await raw.rest() == frame(STDOUT, b"answer")
        await until(stream.is_closed)


async def test_a_client_that_is_gone_ends_nothing_but_the_attachment() -> None:
    """A reset in the middle lets go of the streams."""
    engine = FakeEngine()
    async with served(engine) as path:
        async with connected(path) as raw:
            container_id = await create(raw)
            stream = engine.stream_of(container_id)
            raw.send(attach_request(container_id) + "x")
            await raw.head()
            raw.writer.transport.abort()
        stream.say(b"x" * 100)
        stream.say(b"y" * 100)
        await until(stream.is_closed)
        assert not stream.is_input_closed.is_set() or stream.received == b"x"


async def test_the_end_of_the_output_closes_the_connection() -> None:
    """The container ends, and so does the attachment, though the client is still there."""
    engine = FakeEngine()
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw)
        raw.send(attach_request(container_id))
        await raw.head()
        engine.stream_of(container_id).say(b"bye")
        engine.stream_of(container_id).say(b"")
        assert await raw.rest() == b"bye"


async def test_large_output_meets_a_slow_reader() -> None:
    """Nothing is lost when the client reads late."""
    engine = FakeEngine()
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw)
        raw.send(attach_request(container_id))
        await raw.head()
        stream = engine.stream_of(container_id)
        for number in range(200):
            stream.say(bytes([number]) * 32_768)
        stream.say(b"")
        received = await raw.rest()
        assert len(received) == 200 * 32_768
        assert received[::32_768] == bytes(range(200))


async def test_large_input_meets_a_slow_container() -> None:
    """Input waits while the container doesn't read; none is lost."""
    engine = FakeEngine()
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw)
        stream = engine.stream_of(container_id)
        raw.send(attach_request(container_id))
        await raw.head()
        raw.send(b"z" * 3_000_000)
        raw.writer.write_eof()
        await until(stream.is_input_closed)
        assert len(stream.received) == 3_000_000


async def test_without_stdin_the_input_is_dropped() -> None:
    """A container whose stdin is not open gets nothing."""
    engine = FakeEngine()
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw, OpenStdin=False)
        stream = engine.stream_of(container_id)
        raw.send(attach_request(container_id) + "ignored")
        await raw.head()
        stream.say(b"")
        await raw.rest()
        assert stream.received == b""
        assert not stream.is_input_closed.is_set()


# -- detaching -------------------------------------------------------------------------------


@pytest.mark.parametrize(("keys", "typed"), [("", b"\x10\x11"), ("ctrl-a,x", b"\x01x")])
async def test_detach_keys_leave_a_terminal(keys: str, typed: bytes) -> None:
    """The keys close the connection; the container gets what was before them."""
    engine = FakeEngine()
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw, Tty=True)
        stream = engine.stream_of(container_id)
        request = attach_request(container_id).replace("stream=1", f"stream=1&detachKeys={keys}")
        raw.send(request.encode() + b"ls\r" + typed + b"ignored")
        await raw.head()
        assert await raw.rest() == b""
        assert stream.received == b"ls\r"
        assert not stream.is_input_closed.is_set()
        await until(stream.is_closed)


async def test_without_a_terminal_detach_keys_are_input() -> None:
    """Bytes are bytes when there is no keyboard."""
    engine = FakeEngine(echoes=True)
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw)
        raw.send(attach_request(container_id).encode() + b"\x10\x11")
        await raw.head()
        assert await raw.exactly(10) == frame(STDOUT, b"\x10\x11")


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [UPGRADE, "", "Content-Length: 0\r\n"])
async def test_a_refused_attach_is_plain_http(headers: str) -> None:
    """An error is answered as usual, and the connection goes on with the next request."""
    async with served(FakeEngine()) as path, connected(path) as raw:
        raw.send(
            attach_request("nope", headers=headers) + "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        head = await raw.head()
        assert head.startswith("HTTP/1.1 404")
        length = int(head.split("Content-Length: ")[1].split("\r\n")[0])
        assert json.loads(await raw.exactly(length)) == {"message": "No such container: nope"}
        assert (await raw.head()).startswith("HTTP/1.1 200")
        assert await raw.exactly(2) == b"OK"


async def test_bad_detach_keys() -> None:
    """Refused before anything is taken over."""
    async with served(FakeEngine()) as path, connected(path) as raw:
        container_id = await create(raw, Tty=True)
        request = attach_request(container_id).replace("stream=1", "detachKeys=zz")
        raw.send(request)
        assert (await raw.head()).startswith("HTTP/1.1 400")


# -- exec ------------------------------------------------------------------------------------


async def start_exec(
    raw: Raw,
    command: list[str],
    *,
    headers: str = UPGRADE,
    behind: str = "",
    has_terminal: bool = False,
    **body: object,
) -> str:
    """Create and start a session on a fresh container; the session's id."""
    container_id = await create(raw)
    asked = json.dumps(
        {"Cmd": command, "AttachStdin": True, "AttachStdout": True, "Tty": has_terminal}
    )
    raw.send(
        f"POST /containers/{container_id}/exec HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(asked)}\r\n\r\n{asked}"
    )
    head = await raw.head()
    length = int(head.split("Content-Length: ")[1].split("\r\n")[0])
    exec_id = str(json.loads(await raw.exactly(length))["Id"])
    text = json.dumps(body)
    raw.send(
        f"POST /exec/{exec_id}/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\n{headers}\r\n{text}{behind}"
    )
    return exec_id


@pytest.mark.parametrize("headers", [UPGRADE, ""])
async def test_exec_takes_input_behind_its_body(headers: str) -> None:
    """The body ends where its length says; the rest is input."""
    engine = FakeEngine(echoes=True)
    async with served(engine) as path, connected(path) as raw:
        await start_exec(raw, ["cat"], headers=headers, behind="input")
        await raw.head()
        assert await raw.exactly(13) == frame(STDOUT, b"input")
        raw.writer.write_eof()
        assert await raw.rest() == b""


@pytest.mark.parametrize(
    ("has_terminal", "expects_terminal", "output"),
    [
        (False, False, frame(STDOUT, b"hello\n")),
        (True, True, b"hello\n"),
        (True, False, frame(STDOUT, b"hello\n")),
        (False, True, b"hello\n"),
    ],
)
async def test_exec_is_framed_as_its_client_expects(
    has_terminal: bool, expects_terminal: bool, output: bytes
) -> None:
    """What is said at the start counts, as in dockerd: SDKs leave it out there."""
    async with served(FakeEngine()) as path, connected(path) as raw:
        tty = {"Tty": expects_terminal}
        await start_exec(raw, ["echo", "hello"], headers="", has_terminal=has_terminal, **tty)
        await raw.head()
        assert await raw.rest() == output


async def test_exec_of_what_is_not_there_tells_in_the_stream() -> None:
    """As Docker does: 101, then the reason where the output would be."""
    async with served(FakeEngine()) as path, connected(path) as raw:
        await start_exec(raw, ["nope"])
        assert (await raw.head()).startswith("HTTP/1.1 101")
        reason = (
            b"OCI runtime exec failed: exec failed: unable to start container process: exec: "
            b'"nope": executable file not found in $PATH: unknown\r\n'
        )
        assert await raw.rest() == frame(STDOUT, reason)


async def test_a_detached_exec_keeps_the_connection() -> None:
    """Nothing is taken over."""
    async with served(FakeEngine()) as path, connected(path) as raw:
        await start_exec(raw, ["true"], headers="", Detach=True)
        assert (await raw.head()).startswith("HTTP/1.1 200")
        raw.send("GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await raw.head()).startswith("HTTP/1.1 200")


async def test_a_session_runs_once() -> None:
    """The second start is a conflict, told as plain HTTP."""
    engine = FakeEngine()
    async with served(engine) as path, connected(path) as raw:
        exec_id = await start_exec(raw, ["true"], headers="", Detach=True)
        await raw.head()
        raw.send(
            f"POST /exec/{exec_id}/start HTTP/1.1\r\nHost: x\r\n{UPGRADE}"
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )
        assert (await raw.head()).startswith("HTTP/1.1 409")


class BrokenStream(FakeStream):
    """Streams that break when they are read."""

    async def read(self) -> bytes:
        """No output, ever."""
        raise StepFailed("read", "EIO")


async def test_streams_that_break_close_the_connection() -> None:
    """No answer in HTTP is written into what is a raw stream by then."""
    engine = FakeEngine()
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw)
        engine.streams[container_id] = BrokenStream()
        raw.send(attach_request(container_id))
        await raw.head()
        assert await raw.rest() == b""
        assert engine.streams[container_id].is_closed.is_set()
        async with connected(path) as other:
            other.send("GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await other.head()).startswith("HTTP/1.1 200")


# -- what is watched ends with the watcher ---------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "POST /containers/{}/wait",
        "GET /containers/{}/logs?follow=1&stdout=1",
        "GET /events",
    ],
)
async def test_a_watcher_that_leaves_is_forgotten(target: str) -> None:
    """No handler goes on for a client that is gone; the server can close at once."""
    engine = FakeEngine()
    async with served(engine) as path:
        async with connected(path) as raw:
            container_id = await create(raw)
        others = asyncio.all_tasks()
        async with connected(path) as raw:
            raw.send(target.format(container_id) + " HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await raw.head()).startswith("HTTP/1.1 200")
            watching = asyncio.all_tasks() - others
        await asyncio.wait(watching, timeout=PATIENCE_S)
        assert all(task.done() for task in watching)


async def test_a_verb_is_done_though_the_client_leaves() -> None:
    """A half-closed client gets its answer: what was asked is done."""
    engine = FakeEngine()
    async with served(engine) as path, connected(path) as raw:
        container_id = await create(raw)
        raw.send(f"POST /containers/{container_id}/kill HTTP/1.1\r\nHost: x\r\n\r\n")
        raw.writer.write_eof()
        assert (await raw.rest()).startswith(b"HTTP/1.1 204")
        assert ("kill", container_id, "") in engine.calls
