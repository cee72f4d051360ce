"""Attach by WebSocket: a container's streams as messages, for clients in browsers.

Each message of the container is a piece of its output as it came, unframed, both outputs in one
stream; each message of the client is input. There is no half-close in a WebSocket: a client
that closes leaves, and the container goes on.
"""

import asyncio
from contextlib import suppress

from aiohttp import WSMsgType, web

from wherry.api.call import Call
from wherry.api.detach_keys import DetachScanner
from wherry.api.errors import Refusal
from wherry.api.services import DuplexStream
from wherry.kit.streams import Unframer

_LARGEST_MESSAGE = 4 << 20


def check_upgrade(call: Call) -> None:
    """Raises: Refusal for a request that is no handshake (RFC 6455, 4.2.1)."""
    if not web.WebSocketResponse().can_prepare(call.request):
        raise Refusal(400, "the request is not a WebSocket handshake")


async def relay_messages(
    call: Call,
    stream: DuplexStream,
    *,
    is_framed: bool,
    passes_input: bool,
    detach_keys: bytes,
    sends_text: bool,
) -> web.StreamResponse:
    """Carry messages both ways until the output ends, the client leaves, or it typed the keys."""
    answer = web.WebSocketResponse(max_msg_size=_LARGEST_MESSAGE, autoping=True)
    try:
        await answer.prepare(call.request)
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(_show(answer, stream, is_framed, sends_text))
            feeding = tasks.create_task(
                _feed(answer, stream, showing, detach_keys, passes_input=passes_input)
            )
            showing.add_done_callback(lambda _: feeding.cancel())
    finally:
        await stream.close()
        with suppress(ConnectionError):
            await answer.close()
    return answer


async def _show(
    answer: web.WebSocketResponse, stream: DuplexStream, is_framed: bool, sends_text: bool
) -> None:
    unframer = Unframer()
    try:
        while data := await stream.read():
            pieces = [text for _stream, text in unframer.feed(data)] if is_framed else [data]
            for piece in pieces:
                if sends_text:
                    await answer.send_str(piece.decode("utf-8", "replace"))
                else:
                    await answer.send_bytes(piece)
    except ConnectionError:
        return


async def _feed(
    answer: web.WebSocketResponse,
    stream: DuplexStream,
    showing: asyncio.Task[None],
    detach_keys: bytes,
    *,
    passes_input: bool,
) -> None:
    scanner = DetachScanner(detach_keys) if detach_keys else None
    while True:
        message = await answer.receive()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            break
        data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        if not passes_input:
            continue
        meant = scanner.feed(data) if scanner else data
        if meant:
            await stream.write(meant)
        if scanner and scanner.has_seen_keys:
            stream.tell_detached()
            break
    showing.cancel()
