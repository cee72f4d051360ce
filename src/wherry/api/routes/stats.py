"""Containers: what they use, as a stream or once."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.translate.stats import to_stats
from wherry.model.errors import InvalidValue
from wherry.model.stats import UsageSample
from wherry.wire.encoding import encode


async def stats(call: Call) -> web.StreamResponse:
    """`GET /containers/{id}/stats`: each second, or one sample."""
    streams, takes_one = call.flag("stream", default=True), call.flag("one-shot")
    if streams and takes_one:
        raise InvalidValue("cannot have stream=true and one-shot=true")
    containers = call.services.containers
    if takes_one:
        return call.json_answer(to_stats(await containers.stats_once(call.parameter)))
    samples = await containers.stats(call.parameter)
    if not streams:
        async for sample in samples:
            if _is_complete(sample):
                return call.json_answer(to_stats(sample))
    answer = await call.stream_answer()
    with call.ended_by_farewell():
        async for sample in samples:
            await answer.write(encode(call.downgraded(to_stats(sample))))
    return answer


def _is_complete(sample: UsageSample) -> bool:
    """Whether there is nothing to wait for: two readings, or a container that does not run."""
    return sample.now is None or sample.before is not None


ROUTES: Mapping[tuple[str, str], Handler] = {("GET", "/containers/{id}/stats"): stats}
