"""Images as archives: in, out, and the progress that is told meanwhile."""

import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.errors import Refusal, message_of
from wherry.api.translate.images import to_message
from wherry.api.translate.platforms import platform_text
from wherry.api.translate.references import is_bare, tagged
from wherry.api.translate.registries import from_header
from wherry.kit.aio import closed_after
from wherry.linux import heap
from wherry.model.errors import InvalidValue, WherryError
from wherry.model.errors.builds import StepEndedBadly
from wherry.model.outcomes import Progress
from wherry.wire.encoding import encode
from wherry.wire.media_types import TAR

_log = logging.getLogger(__name__)


async def load(call: Call) -> web.StreamResponse:
    """`POST /images/load`."""
    messages = call.services.image_archives.load(call.body_stream(), platforms=_platforms(call))
    if call.flag("quiet"):
        messages = _results_only(messages)
    return await stream_progress(call, messages)


async def _results_only(messages: AsyncIterator[Progress]) -> AsyncIterator[Progress]:
    async for message in messages:
        if message.stream or message.error:
            yield message


async def create(call: Call) -> web.StreamResponse:
    """`POST /images/create`: a pull by `fromImage`, an import of the body by `fromSrc`."""
    if call.text("fromImage"):
        return await _pull(call)
    source = call.text("fromSrc")
    if not source:
        raise InvalidValue("neither fromImage nor fromSrc was given")
    archives = call.services.image_archives
    importing = (
        partial(archives.import_archive, call.body_stream())
        if source == "-"
        else partial(archives.import_from, source)
    )
    messages = importing(
        reference=tagged(call.text("repo"), call.text("tag")),
        message=call.text("message"),
        changes=call.texts("changes"),
        platform=call.text("platform"),
    )
    return await stream_progress(call, messages)


async def _pull(call: Call) -> web.StreamResponse:
    """A name without a tag or digest stands for all tags, as the API has it."""
    name, tag = call.text("fromImage"), call.text("tag")
    return await stream_progress(
        call,
        call.services.registries.pull(
            tagged(name, tag),
            platform=call.text("platform"),
            credentials=from_header(call.request.headers.get("X-Registry-Auth", "")),
            pulls_all_tags=not tag and is_bare(name),
        ),
    )


async def save_one(call: Call) -> web.StreamResponse:
    """`GET /images/{name}/get`."""
    return await _save(call, [call.parameter])


async def save_several(call: Call) -> web.StreamResponse:
    """`GET /images/get`."""
    names = [name for text in call.texts("names") for name in text.split(",") if name]
    if not names:
        raise InvalidValue("no image to save was named")
    return await _save(call, names)


async def _save(call: Call, references: list[str]) -> web.StreamResponse:
    """The first piece decides whether this is an archive or a failure."""
    async with closed_after(
        call.services.image_archives.save(references, platforms=_platforms(call))
    ) as pieces:
        first = await anext(pieces, b"")
        answer = await call.stream_answer(TAR)
        await answer.write(first)
        async for piece in pieces:
            await answer.write(piece)
    return answer


def _platforms(call: Call) -> list[str]:
    return [platform_text(each) for each in call.texts("platform")]


async def stream_progress(
    call: Call,
    messages: AsyncIterator[Progress],
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Send messages as they come; a failure after the first one is a message too.

    What tells of its progress has moved layers, and leaves holes in memory.
    """
    try:
        async with closed_after(messages):
            return await _messages_sent(call, messages, headers or {})
    finally:
        heap.give_back()


async def _messages_sent(
    call: Call, messages: AsyncIterator[Progress], headers: Mapping[str, str]
) -> web.StreamResponse:
    first = await anext(messages, None)
    answer = await call.stream_answer(more_headers=headers)
    try:
        if first is not None:
            await answer.write(encode(to_message(first)))
        async for message in messages:
            await answer.write(encode(to_message(message)))
    except ConnectionError:
        raise
    except Exception as error:
        if not isinstance(error, WherryError | Refusal):
            _log.exception("stream.failed endpoint=%r", call.endpoint)
        code = error.exit_code if isinstance(error, StepEndedBadly) else None
        await answer.write(encode(to_message(Progress(error=message_of(error), error_code=code))))
    return answer


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "/images/load"): load,
    ("POST", "/images/create"): create,
    ("GET", "/images/get"): save_several,
    ("GET", "/images/{name...}/get"): save_one,
}
