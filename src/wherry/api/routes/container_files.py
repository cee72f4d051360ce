"""Files of containers: `cp` both ways, `export`, `diff`, `commit`."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.translate.creation import to_image_config
from wherry.api.translate.files import STAT_HEADER, to_stat_header
from wherry.api.translate.references import tagged
from wherry.model.errors import InvalidValue
from wherry.model.files import CopyRules
from wherry.model.images import CommitRequest
from wherry.wire.container_config import Config
from wherry.wire.files import ChangeItem, CommitAnswer
from wherry.wire.lenient import Decoder
from wherry.wire.media_types import TAR

_config = Decoder(Config)


async def stat(call: Call) -> web.StreamResponse:
    """`HEAD /containers/{id}/archive`: the answer is a header."""
    state = await call.services.files.stat(call.parameter, _path(call))
    answer = call.empty_answer(200)
    answer.headers[STAT_HEADER] = to_stat_header(state)
    return answer


async def archive(call: Call) -> web.StreamResponse:
    """`GET /containers/{id}/archive`."""
    state, content = await call.services.files.archive(call.parameter, _path(call))
    return await call.pieces_answer(content, {STAT_HEADER: to_stat_header(state)}, TAR)


async def unpack(call: Call) -> web.StreamResponse:
    """`PUT /containers/{id}/archive`."""
    rules = CopyRules(
        keeps_kinds=call.flag("noOverwriteDirNonDir"), gives_to_user=call.flag("copyUIDGID")
    )
    await call.services.files.unpack(call.parameter, _path(call), call.body_stream(), rules)
    return call.empty_answer(200)


async def export(call: Call) -> web.StreamResponse:
    """`GET /containers/{id}/export`."""
    content = await call.services.files.export(call.parameter)
    return await call.pieces_answer(content, {}, "application/octet-stream")


async def changes(call: Call) -> web.StreamResponse:
    """`GET /containers/{id}/changes`: null where there are none, as in Docker."""
    found = await call.services.commits.changes(call.parameter)
    return call.json_answer([ChangeItem(each.path, each.kind) for each in found] or None)


async def commit(call: Call) -> web.StreamResponse:
    """`POST /commit`."""
    config = to_image_config(await call.json(_config))
    request = CommitRequest(
        reference=tagged(call.text("repo"), call.text("tag")),
        author=call.text("author"),
        comment=call.text("comment"),
        changes=tuple(call.texts("changes")),
        pauses=call.flag("pause", default=True),
        config=config,
    )
    image_id = await call.services.commits.commit(call.text("container"), request)
    return call.json_answer(CommitAnswer(Id=image_id), status=201)


def _path(call: Call) -> str:
    path = call.text("path")
    if not path:
        raise InvalidValue("bad parameter: path cannot be empty")
    return path


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("HEAD", "/containers/{id}/archive"): stat,
    ("GET", "/containers/{id}/archive"): archive,
    ("PUT", "/containers/{id}/archive"): unpack,
    ("GET", "/containers/{id}/export"): export,
    ("GET", "/containers/{id}/changes"): changes,
    ("POST", "/commit"): commit,
}
