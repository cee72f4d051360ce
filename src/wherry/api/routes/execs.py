"""Commands that join running containers."""

import logging
from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.detach_keys import parse_detach_keys
from wherry.api.errors import message_of, paused_before, worded
from wherry.api.errors.execs import exec_refused
from wherry.api.framing import as_expected
from wherry.api.hijack import TakenOver
from wherry.api.raw_connections import RawConnection, answer_head
from wherry.api.relay import relay
from wherry.api.routes.container_streams import stream_type, upgrades
from wherry.api.translate.creation import console_size
from wherry.api.translate.execs import to_exec_answer, to_exec_spec
from wherry.kit.streams import STDOUT, frame
from wherry.model.containers import ExecStatus
from wherry.model.errors import InvalidValue, WherryError
from wherry.model.errors.containers import (
    CommandNotExecutable,
    CommandNotFound,
    ContainerNotRunning,
    ContainerPaused,
    ExecAlreadyStarted,
    StartFailed,
    UserNotFound,
)
from wherry.model.lifecycle import ContainerState
from wherry.wire.execs import ExecCreateAnswer, ExecCreateRequest, ExecStartRequest
from wherry.wire.lenient import Decoder

_log = logging.getLogger(__name__)

_create_request = Decoder(ExecCreateRequest)
_start_request = Decoder(ExecStartRequest)

_PROGRAM_FAILURES = (CommandNotFound, CommandNotExecutable, UserNotFound, StartFailed)
"""Told in the stream, like the output of the command: the answer has begun by then."""


async def create(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/exec`."""
    spec = to_exec_spec(await call.json(_create_request), call.parameter)
    if spec.detach_keys:
        parse_detach_keys(spec.detach_keys)
    with worded(paused_before("exec")):
        exec_id = await call.services.execs.create(call.parameter, spec)
    return call.json_answer(ExecCreateAnswer(Id=exec_id), status=201)


async def start(call: Call) -> web.StreamResponse:
    """`POST /exec/{id}/start`: detached, or the connection becomes the command's streams."""
    request = await call.json(_start_request) or ExecStartRequest()
    rows, columns = console_size(request.ConsoleSize)
    if rows and columns and not request.Tty:
        raise InvalidValue("console size is only supported with a terminal")
    if request.Detach:
        return await _start_detached(call, request)
    status = await call.services.execs.inspect(call.parameter)
    return await _start_attached(
        call, status, expects_frames=not request.Tty, rows=rows, columns=columns
    )


async def _start_detached(call: Call, request: ExecStartRequest) -> web.StreamResponse:
    try:
        await call.services.execs.start(call.parameter, is_detached=True)
    except _PROGRAM_FAILURES as error:
        raise InvalidValue(exec_refused(error)) from error
    return call.empty_answer(200)


async def _start_attached(
    call: Call, status: ExecStatus, *, expects_frames: bool, rows: int, columns: int
) -> web.StreamResponse:
    """The head goes out first, as Docker's does: what fails later is told in the stream."""
    await _check_startable(call, status)
    spec = status.spec
    head = answer_head(
        call.headers(),
        content_type=stream_type(call, is_framed=expects_frames),
        upgrades=upgrades(call),
    )
    client = call.connection.take_over(head)
    try:
        stream = await call.services.execs.start(
            call.parameter, is_detached=False, rows=rows, columns=columns
        )
    except Exception as error:
        if not isinstance(error, WherryError):
            _log.exception("exec.failed exec=%s", status.id)
        await _tell_in_stream(client, error, is_framed=expects_frames)
        return TakenOver()
    assert stream is not None
    await relay(
        client,
        as_expected(stream, is_framed=not spec.is_tty, expects_frames=expects_frames),
        passes_input=spec.attaches_stdin,
        detach_keys=parse_detach_keys(spec.detach_keys) if spec.is_tty else b"",
    )
    return TakenOver()


async def _check_startable(call: Call, status: ExecStatus) -> None:
    """Raises: ExecAlreadyStarted, ContainerPaused, ContainerNotRunning."""
    if status.has_started:
        raise ExecAlreadyStarted(status.id)
    container = await call.services.containers.get(status.spec.container_id)
    match container.status.state:
        case ContainerState.RUNNING:
            return
        case ContainerState.PAUSED:
            raise ContainerPaused(container.id)
        case _:
            raise ContainerNotRunning(container.id)


async def _tell_in_stream(client: RawConnection, error: Exception, *, is_framed: bool) -> None:
    reason = exec_refused(error) if isinstance(error, _PROGRAM_FAILURES) else message_of(error)
    text = f"{reason}\r\n".encode()
    await client.head_taken()
    await client.write(frame(STDOUT, text) if is_framed else text)
    client.close()


async def inspect(call: Call) -> web.StreamResponse:
    """`GET /exec/{id}/json`."""
    return call.json_answer(to_exec_answer(await call.services.execs.inspect(call.parameter)))


async def resize(call: Call) -> web.StreamResponse:
    """`POST /exec/{id}/resize`."""
    await call.services.execs.resize(
        call.parameter, rows=call.required_size("h"), columns=call.required_size("w")
    )
    return call.empty_answer(200)


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "/containers/{id}/exec"): create,
    ("POST", "/exec/{id}/start"): start,
    ("POST", "/exec/{id}/resize"): resize,
    ("GET", "/exec/{id}/json"): inspect,
}
