"""Containers: their output and input, as logs and as attached streams."""

from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import quote_plus

from aiohttp import web

from wherry.api import web_sockets
from wherry.api.call import Call, Handler
from wherry.api.detach_keys import parse_detach_keys
from wherry.api.errors import message_of, paused_before, worded
from wherry.api.hijack import TakenOver
from wherry.api.raw_connections import answer_head
from wherry.api.relay import relay
from wherry.kit.streams import STDERR, frame, frames
from wherry.kit.timestamps import rfc3339_fixed
from wherry.model.errors import InvalidValue, WherryError
from wherry.model.queries import AttachRequest, LogLine, LogQuery
from wherry.wire.media_types import MULTIPLEXED_STREAM, RAW_STREAM


async def attach(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/attach`: the connection becomes the container's streams."""
    detach_keys = parse_detach_keys(call.text("detachKeys"))
    request = AttachRequest(
        wants_stdin=call.flag("stdin"),
        wants_stdout=call.flag("stdout"),
        wants_stderr=call.flag("stderr"),
        wants_stream=call.flag("stream"),
        wants_logs=call.flag("logs"),
        detach_keys=call.text("detachKeys"),
    )
    containers = call.services.containers
    container = await containers.get(call.parameter)
    with worded(paused_before("attach")):
        stream = await containers.attach(call.parameter, request)
    has_terminal = container.spec.terminal.is_tty
    head = answer_head(
        call.headers(),
        content_type=stream_type(call, is_framed=not has_terminal),
        upgrades=upgrades(call),
    )
    try:
        client = call.connection.take_over(head)
    except ConnectionResetError:
        await stream.close()
        raise
    await relay(
        client,
        stream,
        passes_input=request.wants_stdin and container.spec.terminal.opens_stdin,
        detach_keys=detach_keys if has_terminal else b"",
    )
    return TakenOver()


async def attach_by_web_socket(call: Call) -> web.StreamResponse:
    """`GET /containers/{id}/attach/ws`: the container's streams as messages."""
    detach_keys = parse_detach_keys(call.text("detachKeys"))
    # Older clients could not choose: they got all three.
    default = not call.traits.chooses_web_socket_streams
    request = AttachRequest(
        wants_stdin=default or call.flag("stdin"),
        wants_stdout=default or call.flag("stdout"),
        wants_stderr=default or call.flag("stderr"),
        wants_stream=call.flag("stream"),
        wants_logs=call.flag("logs"),
        detach_keys=call.text("detachKeys"),
    )
    containers = call.services.containers
    container = await containers.get(call.parameter)
    web_sockets.check_upgrade(call)
    with worded(paused_before("attach")):
        stream = await containers.attach(call.parameter, request)
    terminal = container.spec.terminal
    return await web_sockets.relay_messages(
        call,
        stream,
        is_framed=not terminal.is_tty,
        passes_input=request.wants_stdin and terminal.opens_stdin,
        detach_keys=detach_keys if terminal.is_tty else b"",
        sends_text=not call.traits.sends_binary_messages,
    )


def upgrades(call: Call) -> bool:
    """Whether the client asked for an upgrade, as newer ones do."""
    return "Upgrade" in call.request.headers


def stream_type(call: Call, *, is_framed: bool) -> str:
    """The content type of a taken-over connection; only upgraded ones tell framed ones apart."""
    is_told = is_framed and upgrades(call) and call.traits.names_multiplexed_streams
    return MULTIPLEXED_STREAM if is_told else RAW_STREAM


async def resize(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/resize`."""
    await call.services.containers.resize(
        call.parameter, rows=call.required_size("h"), columns=call.required_size("w")
    )
    return call.empty_answer(200)


# -- logs ------------------------------------------------------------------------------------


async def logs(call: Call) -> web.StreamResponse:
    """`GET /containers/{id}/logs`: framed unless the container has a terminal."""
    query = log_query(call)
    container = await call.services.containers.get(call.parameter)
    batches = await call.services.containers.logs(call.parameter, query)
    return await stream_lines(call, batches, is_framed=not container.spec.terminal.is_tty)


async def stream_lines(
    call: Call,
    batches: AsyncIterator[Sequence[LogLine]],
    *,
    is_framed: bool,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """An answer of log lines as they come."""
    is_told = is_framed and call.traits.names_multiplexed_streams
    answer = await call.stream_answer(MULTIPLEXED_STREAM if is_told else RAW_STREAM, headers)
    with_times, with_details = call.flag("timestamps"), call.flag("details")
    with call.ended_by_farewell():
        try:
            async for batch in batches:
                shown = [(stream, content) for stream, _at_ns, content, _attributes in batch]
                if with_times or with_details:
                    shown = [
                        (line.stream, _shown(line, with_times, with_details)) for line in batch
                    ]
                if is_framed:
                    await answer.write(frames(shown))
                else:
                    await answer.write(b"".join(text for _stream, text in shown))
        except WherryError as error:
            text = f"Error grabbing logs: {message_of(error)}\n".encode()
            await answer.write(frame(STDERR, text) if is_framed else text)
    return answer


def log_query(call: Call) -> LogQuery:
    """Which lines a request wants. Raises: InvalidValue."""
    wants_stdout, wants_stderr = call.flag("stdout"), call.flag("stderr")
    if not (wants_stdout or wants_stderr):
        raise InvalidValue("Bad parameters: you must choose at least one stream")
    return LogQuery(
        wants_stdout=wants_stdout,
        wants_stderr=wants_stderr,
        follows=call.flag("follow"),
        since_ns=call.moment("since"),
        until_ns=call.moment("until"),
        tail=_tail(call.text("tail")),
    )


def _tail(text: str) -> int | None:
    """Docker reads everything that is no number as `all`."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _shown(line: LogLine, with_times: bool, with_details: bool) -> bytes:
    before = b""
    if with_times:
        before += rfc3339_fixed(line.at_ns).encode() + b" "
    if with_details:
        pairs = (
            f"{_escaped(key)}={_escaped(line.attributes[key])}" for key in sorted(line.attributes)
        )
        before += ",".join(pairs).encode() + b" "
    return before + line.content


def _escaped(text: str) -> str:
    return quote_plus(text, safe="")


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "/containers/{id}/attach"): attach,
    ("GET", "/containers/{id}/attach/ws"): attach_by_web_socket,
    ("POST", "/containers/{id}/resize"): resize,
    ("GET", "/containers/{id}/logs"): logs,
}
