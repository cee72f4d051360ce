"""Volumes."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.errors import Refusal
from wherry.api.translate.volumes import to_volume_answer, to_volume_spec
from wherry.wire.lenient import Decoder
from wherry.wire.volumes import VolumeCreateRequest, VolumesAnswer, VolumesPruneAnswer

_create_request = Decoder(VolumeCreateRequest)


async def create(call: Call) -> web.StreamResponse:
    """`POST /volumes/create`; a volume that is there already is the answer too."""
    request = await call.json(_create_request) or VolumeCreateRequest()
    volume = await call.services.volumes.create(to_volume_spec(request))
    return call.json_answer(to_volume_answer(volume), status=201)


async def list_volumes(call: Call) -> web.StreamResponse:
    """`GET /volumes`."""
    found = await call.services.volumes.list(call.filters())
    return call.json_answer(
        VolumesAnswer(Volumes=[to_volume_answer(each) for each in found], Warnings=None)
    )


async def inspect(call: Call) -> web.StreamResponse:
    """`GET /volumes/{name}`."""
    return call.json_answer(to_volume_answer(await call.services.volumes.get(call.parameter)))


async def update(call: Call) -> web.StreamResponse:
    """`PUT /volumes/{name}`: there is nothing to change on a volume outside of a cluster."""
    await call.services.volumes.get(call.parameter)
    raise Refusal(503, "volume update only valid for cluster volumes, but swarm is unavailable")


async def remove(call: Call) -> web.StreamResponse:
    """`DELETE /volumes/{name}`."""
    await call.services.volumes.remove(call.parameter, is_forced=call.flag("force"))
    return call.empty_answer()


async def prune(call: Call) -> web.StreamResponse:
    """`POST /volumes/prune`."""
    pruned = await call.services.volumes.prune(
        call.filters(), takes_named=call.traits.prunes_named_volumes
    )
    return call.json_answer(
        VolumesPruneAnswer(
            VolumesDeleted=list(pruned.deleted) or None, SpaceReclaimed=pruned.reclaimed_bytes
        )
    )


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/volumes"): list_volumes,
    ("POST", "/volumes/create"): create,
    ("POST", "/volumes/prune"): prune,
    ("GET", "/volumes/{name...}"): inspect,
    ("PUT", "/volumes/{name...}"): update,
    ("DELETE", "/volumes/{name...}"): remove,
}
