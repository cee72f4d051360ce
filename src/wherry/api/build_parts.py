"""The body of `POST /build`: one context, or several parts of which the context is one.

Docker's clients send the context as a tar. Our own may send `multipart/form-data` instead: parts
named `secret` and `context`, each with a file name that says which one; the context without a file
name is the main one. Secrets come first, so that they are never on a disk.
"""

from collections.abc import AsyncIterator
from urllib.parse import unquote

from aiohttp import BodyPartReader

from wherry.api.call import Call
from wherry.model.builds import PartKind, SentPart
from wherry.model.errors import InvalidValue

_PIECE_BYTES = 256 * 1024


async def sent_parts(call: Call) -> AsyncIterator[SentPart]:
    """The parts in their order, each to be read before the next. Raises: InvalidValue."""
    if not call.request.content_type.startswith("multipart/"):
        yield SentPart(kind=PartKind.CONTEXT, name="", pieces=call.body_stream())
        return
    async for part in _read(call):
        if not isinstance(part, BodyPartReader):
            raise InvalidValue("a part of the request's body is itself in parts")
        try:
            kind = PartKind(part.name or "")
        except ValueError:
            raise InvalidValue(f"a part of the request's body is named {part.name!r}") from None
        yield SentPart(kind=kind, name=unquote(part.filename or ""), pieces=_pieces(part))


async def _read(call: Call) -> AsyncIterator[object]:
    """Raises: InvalidValue for a body that has no such parts."""
    try:
        async for part in await call.request.multipart():
            yield part
    except ValueError as problem:
        raise InvalidValue(f"the request's body can't be read in parts: {problem}") from None


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    try:
        while piece := await part.read_chunk(_PIECE_BYTES):
            yield bytes(piece)
    except ValueError as problem:
        raise InvalidValue(f"a part of the request's body can't be read: {problem}") from None
