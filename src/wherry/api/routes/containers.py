"""Containers: creation, life and death, lists and inspection."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.errors import Refusal, message_of, worded
from wherry.api.errors.containers import running
from wherry.api.router import GREEDY
from wherry.api.translate.creation import to_container_spec
from wherry.api.translate.inspection import to_inspect_answer
from wherry.api.translate.limits import discarded_limits
from wherry.api.translate.listing import to_summary
from wherry.api.translate.networking import warnings_of
from wherry.api.translate.platforms import checked_platform
from wherry.model.errors import InvalidValue, WherryError
from wherry.model.errors.containers import (
    ContainerNameTaken,
    ContainerNotFound,
    ContainerPaused,
    ContainerRunning,
    InvalidContainerName,
)
from wherry.model.errors.images import ImageNotFound
from wherry.model.outcomes import StartOutcome, StopOutcome, WaitCondition
from wherry.model.queries import ContainerQuery, ContainerSizes
from wherry.wire import containers as shapes
from wherry.wire.container_config import CreateRequest
from wherry.wire.encoding import encode
from wherry.wire.lenient import Decoder

_create_request = Decoder(CreateRequest)


async def create(call: Call) -> web.StreamResponse:
    """`POST /containers/create`."""
    platform = checked_platform(call.text("platform"))
    request = await call.json(_create_request)
    spec = to_container_spec(request)
    with worded({ImageNotFound: _image_missing}):
        outcome = await call.services.containers.create(
            spec, name=call.text("name"), platform=platform
        )
    discarded = discarded_limits(None if request is None else request.HostConfig)
    warnings = [*outcome.warnings, *warnings_of(spec.network), *discarded]
    answer = shapes.CreateAnswer(Id=outcome.container_id, Warnings=warnings)
    return call.json_answer(answer, status=201)


def _image_missing(error: ImageNotFound) -> str:
    """As for pulling: with the tag that would have been pulled."""
    reference = error.reference
    is_complete = "@" in reference or ":" in reference.rpartition("/")[2]
    return f"No such image: {reference if is_complete else f'{reference}:latest'}"


async def start(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/start`."""
    if call.text("checkpoint"):
        raise InvalidValue("checkpoint is only supported in experimental mode")
    paused = "cannot start a paused container, try unpause instead"
    with worded({ContainerPaused: lambda _: paused}):
        outcome = await call.services.containers.start(call.parameter)
    return call.empty_answer(304 if outcome is StartOutcome.ALREADY_RUNNING else 204)


async def stop(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/stop`."""
    outcome = await call.services.containers.stop(
        call.parameter, signal=_stop_signal(call), timeout_s=call.integer("t")
    )
    return call.empty_answer(304 if outcome is StopOutcome.ALREADY_STOPPED else 204)


async def restart(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/restart`."""
    await call.services.containers.restart(
        call.parameter, signal=_stop_signal(call), timeout_s=call.integer("t")
    )
    return call.empty_answer()


def _stop_signal(call: Call) -> str:
    return call.text("signal") if call.traits.stop_takes_signal else ""


async def kill(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/kill`."""
    with worded({ContainerNotFound: _nobody_to_kill}):
        await call.services.containers.kill(call.parameter, signal=call.text("signal"))
    return call.empty_answer()


def _nobody_to_kill(error: ContainerNotFound) -> str:
    return f"cannot kill container: {error.reference}: No such container: {error.reference}"


async def pause(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/pause`."""
    with worded({ContainerPaused: lambda e: f"Container {e.container} is already paused"}):
        await call.services.containers.pause(call.parameter)
    return call.empty_answer()


async def unpause(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/unpause`."""
    await call.services.containers.unpause(call.parameter)
    return call.empty_answer()


async def rename(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/rename`."""
    new_name = call.text("name")
    if not new_name:
        raise InvalidValue("Neither old nor new names may be empty")
    with worded({ContainerNameTaken: _new_name_refused, InvalidContainerName: _new_name_refused}):
        await call.services.containers.rename(call.parameter, new_name)
    return call.empty_answer()


def _new_name_refused(error: WherryError) -> str:
    if isinstance(error, InvalidContainerName):
        error = InvalidContainerName(f"/{error.name.removeprefix('/')}")
    return f"Error when allocating new name: {message_of(error)}"


async def remove(call: Call) -> web.StreamResponse:
    """`DELETE /containers/{id}`."""
    containers = call.services.containers
    try:
        await containers.remove(
            call.parameter,
            is_forced=call.flag("force"),
            removes_volumes=call.flag("v"),
            removes_link=call.flag("link"),
        )
    except ContainerRunning as error:
        name = f"/{(await containers.get(error.container)).name}"
        raise Refusal(409, running(name, error.state)) from error
    return call.empty_answer()


# -- waiting ---------------------------------------------------------------------------------


async def wait(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/wait`: headers when the waiting has begun, then the end."""
    text = call.text("condition") or WaitCondition.NOT_RUNNING.value
    try:
        condition = WaitCondition(text)
    except ValueError:
        raise InvalidValue(f'invalid condition: "{text}"') from None
    ending = await call.services.containers.wait(call.parameter, condition)
    answer = await call.stream_answer()
    with call.ended_by_farewell():
        record = await ending
        end = shapes.WaitAnswer(StatusCode=record.exit_code)
        if record.error:
            end.Error = shapes.WaitError(Message=record.error)
        await answer.write(encode(call.downgraded(end)))
    return answer


# -- looking ---------------------------------------------------------------------------------


async def list_containers(call: Call) -> web.StreamResponse:
    """`GET /containers/json`."""
    query = ContainerQuery(
        wants_all=call.flag("all"),
        limit=max(0, call.integer("limit") or 0),
        filters=call.filters(),
    )
    found = await call.services.containers.list(query)
    sizes: Sequence[ContainerSizes | None] = [None] * len(found)
    if call.flag("size"):
        sizes = await call.services.disk_usage.of_containers(found)
    linked = await call.services.containers.names_by_links()
    now_ns = call.clock.now_ns()
    return call.json_answer(
        [
            to_summary(each, now_ns=now_ns, sizes=measured, linked=linked.get(each.id, ()))
            for each, measured in zip(found, sizes, strict=True)
        ]
    )


async def inspect(call: Call) -> web.StreamResponse:
    """`GET /containers/{id}/json`."""
    details = await call.services.containers.inspect(call.parameter, wants_size=call.flag("size"))
    return call.json_answer(to_inspect_answer(details))


async def top(call: Call) -> web.StreamResponse:
    """`GET /containers/{id}/top`."""
    table = await call.services.containers.top(call.parameter, call.text("ps_args", "-ef"))
    return call.json_answer(
        shapes.TopAnswer(Processes=[list(row) for row in table.rows], Titles=list(table.titles))
    )


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "/containers/create"): create,
    ("GET", "/containers/json"): list_containers,
    ("GET", "/containers/{id}/json"): inspect,
    ("GET", "/containers/{id}/top"): top,
    ("POST", "/containers/{id}/start"): start,
    ("POST", "/containers/{id}/stop"): stop,
    ("POST", "/containers/{id}/restart"): restart,
    ("POST", "/containers/{id}/kill"): kill,
    ("POST", "/containers/{id}/pause"): pause,
    ("POST", "/containers/{id}/unpause"): unpause,
    ("POST", "/containers/{id}/rename"): rename,
    ("POST", "/containers/{id}/wait"): wait,
    ("DELETE", f"/containers/{GREEDY}"): remove,
}
