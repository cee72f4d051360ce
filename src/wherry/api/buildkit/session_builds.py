"""`POST /build?version=2`: a build of what a client offers on its session, told in the answer.

The request is the classic one without a context: so clients before buildx asked, and so does our
own. The story goes out as messages whose `aux` is a `StatusResponse`. With `story=1` there is
also what only ours understands: the answer to an inquiry, and what is known of the result.
"""

import asyncio
from collections.abc import AsyncIterator

from wherry.api.buildkit.history import History
from wherry.api.buildkit.jobs import Job, Jobs
from wherry.api.buildkit.narration import sentence
from wherry.api.buildkit.sessions import Session
from wherry.api.errors import Refusal, status_of
from wherry.api.translate.build_transcript import results
from wherry.api.translate.builds import LOCAL_CONTEXT
from wherry.builder import LAYOUT_CONTEXT
from wherry.kit.aio import own_task
from wherry.kit.values import replace
from wherry.model.builds import BuildRequest
from wherry.model.errors import WherryError
from wherry.model.errors.builds import ClientGone
from wherry.model.outcomes import Progress
from wherry.wire.buildkit.control import SolveRequest
from wherry.wire.protobuf import encode

_RESULT = "moby.image.id"
_REF = "wherry.build.ref"
"""What the build is called, for who asks about it later (`told_steps`)."""


async def messages(
    jobs: Jobs,
    history: History,
    session: Session,
    ref: str,
    request: BuildRequest,
    *,
    tells_result: bool,
) -> AsyncIterator[Progress]:
    """Build, and tell of it. Raises (while iterating): Refusal with BuildKit's sentence."""
    solve = SolveRequest(Ref=ref, Session=session.id, FrontendAttrs=_options(request))
    solve.Internal = request.only_plans or request.inquiry is not None
    async with jobs.running(solve, session) as job:
        building = own_task(_built(job, history, request))
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
                    yield replace(result, said={**(result.said or {}), _REF: ref})
            elif done.image_id:
                yield Progress(id=_RESULT, built=done.image_id)
        finally:
            losing.cancel()
            building.cancel()
            await asyncio.wait((losing, building))


async def _built(job: Job, history: History, request: BuildRequest) -> str:
    async with history.remembering(job):
        name = await job.build_requested(request, job.request.FrontendAttrs)
        if job.answer:
            job.story.answer(job.answer)
        return name


def _options(request: BuildRequest) -> dict[str, str]:
    """What a frontend would be told: where its files are, and what is to be built."""
    kinds = (LOCAL_CONTEXT, LAYOUT_CONTEXT)
    contexts = {
        f"context:{name}": place if place.startswith(kinds) else f"docker-image:{place}"
        for name, place in request.contexts.items()
    }
    target = {"target": request.target} if request.target else {}
    return {"filename": request.dockerfile, **target, **contexts}


async def _end_with(session: Session, building: "asyncio.Task[str]") -> None:
    await session.lost()
    building.cancel()
