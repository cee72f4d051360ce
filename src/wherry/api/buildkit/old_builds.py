"""`POST /build?version=2`: BuildKit's builds as clients before buildx ask for them.

The request is the classic one without a context, the files come over the client's session, and
the story is told in the answer: messages whose `aux` is a `StatusResponse`.
"""

import asyncio
from collections.abc import AsyncIterator

from wherry.api.buildkit.jobs import Jobs
from wherry.api.buildkit.narration import sentence
from wherry.api.buildkit.sessions import Session, Sessions
from wherry.api.errors import Refusal, status_of
from wherry.kit.aio import own_task
from wherry.model.builds import BuildRequest
from wherry.model.errors import ClientGone, WherryError
from wherry.model.outcomes import Progress
from wherry.wire.buildkit.control import SolveRequest
from wherry.wire.protobuf import encode

_RESULT = "moby.image.id"


async def messages(
    jobs: Jobs, sessions: Sessions, ref: str, session_id: str, request: BuildRequest
) -> AsyncIterator[Progress]:
    """Build, and tell of it. Raises (while iterating): Refusal with BuildKit's sentence."""
    session = await sessions.get(session_id)
    async with jobs.running(SolveRequest(Ref=ref, Session=session_id), session) as job:
        building = own_task(job.build_requested(request, {"filename": request.dockerfile}))
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
            if image_id := job.done[name].image_id:
                yield Progress(id=_RESULT, built=image_id)
        finally:
            losing.cancel()
            building.cancel()
            await asyncio.wait((losing, building))


async def _end_with(session: Session, building: "asyncio.Task[str]") -> None:
    await session.lost()
    building.cancel()
