"""What only Wherry has of volumes: snapshots, and volumes made of other ones."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.translate.volumes import to_consistency, to_snapshot_answer, to_volume_answer
from wherry.model.errors import InvalidField
from wherry.snapshots import Compression
from wherry.wire.files import ChangeItem
from wherry.wire.media_types import TAR

_PACKED = (Compression.NONE, Compression.GZIP, Compression.ZSTD)


async def list_snapshots(call: Call) -> web.StreamResponse:
    """`GET /wherry/volumes/{name}/snapshots`: the oldest first."""
    found = await call.services.volume_history.list(call.parameter)
    return call.json_answer([to_snapshot_answer(each) for each in found])


async def take_snapshot(call: Call) -> web.StreamResponse:
    """`POST /wherry/volumes/{name}/snapshots?name=&consistent=`."""
    taken = await call.services.volume_history.take(
        call.parameter, call.text("name"), to_consistency(call.text("consistent", "none"))
    )
    return call.json_answer(to_snapshot_answer(taken), status=201)


async def forget_snapshot(call: Call) -> web.StreamResponse:
    """`DELETE /wherry/volumes/{name}/snapshots?snapshot=`."""
    await call.services.volume_history.forget(call.parameter, _required(call, "snapshot"))
    return call.empty_answer()


async def roll_back(call: Call) -> web.StreamResponse:
    """`POST /wherry/volumes/{name}/rollback?snapshot=&restart=`: what the volume was until now."""
    kept = await call.services.volume_history.roll_back(
        call.parameter, _required(call, "snapshot"), restarts=call.flag("restart")
    )
    return call.json_answer(to_snapshot_answer(kept))


async def clone(call: Call) -> web.StreamResponse:
    """`POST /wherry/volumes/{name}/clone?to=&snapshot=`."""
    made = await call.services.volume_history.clone(
        call.parameter, call.text("snapshot"), _required(call, "to")
    )
    return call.json_answer(to_volume_answer(made), status=201)


async def rename(call: Call) -> web.StreamResponse:
    """`POST /wherry/volumes/{name}/rename?name=`."""
    renamed = await call.services.volume_history.rename(call.parameter, _required(call, "name"))
    return call.json_answer(to_volume_answer(renamed))


async def changes(call: Call) -> web.StreamResponse:
    """`GET /wherry/volumes/{name}/diff?from=&to=`: from the last snapshot to now, if not said."""
    found = await call.services.volume_history.changes(
        call.parameter, call.text("from"), call.text("to")
    )
    return call.json_answer([ChangeItem(each.path, each.kind) for each in found])


async def export(call: Call) -> web.StreamResponse:
    """`GET /wherry/volumes/{name}/export?snapshot=&compression=`: a tar."""
    word = call.text("compression")
    packed = {each.value: each for each in _PACKED}.get(word)
    if packed is None:
        raise InvalidField("compression", word, "must be gzip, zstd or empty")
    content = await call.services.volume_history.export(
        call.parameter, call.text("snapshot"), packed
    )
    return await call.pieces_answer(content, {}, TAR)


async def import_archive(call: Call) -> web.StreamResponse:
    """`POST /wherry/volumes/{name}/import?replace=&devices=`: a tar, compressed or not."""
    made = await call.services.volume_history.import_archive(
        call.parameter,
        call.body_stream(),
        replaces=call.flag("replace"),
        takes_devices=call.flag("devices"),
    )
    return call.json_answer(to_volume_answer(made), status=201)


def _required(call: Call, name: str) -> str:
    value = call.text(name)
    if not value:
        raise InvalidField(name, value, "must not be empty")
    return value


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/wherry/volumes/{name...}/snapshots"): list_snapshots,
    ("POST", "/wherry/volumes/{name...}/snapshots"): take_snapshot,
    ("DELETE", "/wherry/volumes/{name...}/snapshots"): forget_snapshot,
    ("POST", "/wherry/volumes/{name...}/rollback"): roll_back,
    ("POST", "/wherry/volumes/{name...}/clone"): clone,
    ("POST", "/wherry/volumes/{name...}/rename"): rename,
    ("GET", "/wherry/volumes/{name...}/diff"): changes,
    ("GET", "/wherry/volumes/{name...}/export"): export,
    ("POST", "/wherry/volumes/{name...}/import"): import_archive,
}
