"""`POST /build?version=2`: a build of what a client offers on its session, told in the answer.

The request is the classic one without a context: so clients before buildx asked, and so does our
own. The story goes out as messages whose `aux` is a `StatusResponse`. With `story=1` there is
also what only ours understands: the answer to an inquiry, and what is known of the result.
"""

import asyncio
from collections.abc import AsyncIterator

from wherry.api.buildkit.jobs import Job, Jobs
from wherry.api.buildkit.narration import sentence
from wherry.api.buildkit.requests import Options
from wherry.api.buildkit.sessions import Session
from wherry.api.errors import Refusal, status_of
from wherry.api.translate.build_transcript import results
from wherry.api.translate.builds import LOCAL_CONTEXT
from wherry.builder import LAYOUT_CONTEXT
from wherry.kit.aio import own_task
from wherry.model.builds import BuildRequest
from wherry.model.errors import ClientGone, WherryError
from wherry.model.outcomes import Progress
from wherry.wire.buildkit.control import SolveRequest
from wherry.wire.protobuf import encode

_RESULT = "moby.image.id"


async def messages(
    jobs: Jobs,
    session: Session,
    ref: str,
    request: BuildRequest,
    *,
    tells_result: bool,
) -> AsyncIterator[Progress]:
    """Build, and tell of it. Raises (while iterating): Refusal with BuildKit's sentence."""
    async with jobs.running(SolveRequest(Ref=ref, Session=session.id), session) as job:
        building = own_task(_built(job, request))
        losing = own_task(_end_with(session, building))
        building.add_done_callback(lambda _: job.story.end())
        try:
            async for told in job.story.listen():
                yield Progress(trace=encode(told))
            try:
                name = await building
            except asyncio.CancelledError:
                raise ClientGone from None
            except WherryError as error:
                raise Refusal(status_of(error), sentence(error)) from error
            done = job.done[name]
            if tells_result:
                for result in results(done):
                    yield result
            elif done.image_id:
                yield Progress(id=_RESULT, built=done.image_id)
        finally:
            losing.cancel()
            building.cancel()
            await asyncio.wait((losing, building))


async def _built(job: Job, request: BuildRequest) -> str:
    name = await job.build_requested(request, _options(request))
    if job.answer:
        job.story.answer(job.answer)
    return name


def _options(request: BuildRequest) -> Options:
    """What a frontend would be told of the client's contexts."""
    kinds = (LOCAL_CONTEXT, LAYOUT_CONTEXT)
    contexts = {
        f"context:{name}": place if place.startswith(kinds) else f"docker-image:{place}"
        for name, place in request.contexts.items()
    }
    return {"filename": request.dockerfile, **contexts}


async def _end_with(session: Session, building: "asyncio.Task[str]") -> None:
    await session.lost()
    building.cancel()
