"""Builds that are under way, from a client's Solve to the answer, and those that were.

A client either names a frontend in its request, or steers: then the request waits while the
client solves through the gateway, and ends with what the client returns.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from wherry.api.buildkit.answers import Answer
from wherry.api.buildkit.layouts import SessionLayouts
from wherry.api.buildkit.narration import Narrator, canonical
from wherry.api.buildkit.requests import Options, to_build_request
from wherry.api.buildkit.session_offers import (
    SessionAgents,
    SessionCredentials,
    SessionDirectory,
    SessionSecrets,
    SessionSink,
    uploaded,
)
from wherry.api.buildkit.sessions import Session
from wherry.api.buildkit.stories import Story
from wherry.api.services import Builds
from wherry.builder import LAYOUT_CONTEXT, ClientArchive, ClientDirectory, ClientOffers
from wherry.kit.aio import OffloadPool, closed_after, own_task
from wherry.kit.clock import Clock
from wherry.model.builds import BuildDone, BuildRequest
from wherry.model.errors import FeatureMissing, InvalidValue, WherryError
from wherry.wire.buildkit.control import SolveRequest

_FRONTEND = "dockerfile.v0"
_GATEWAY = "gateway.v0"
_UPLOADED = "http://buildkit-session/"
_THREADS = 2
"""That read what is sent to clients."""
_MOST_ENDED = 8
_PATIENCE_S = 6.0
"""How long a listener waits for a build: both calls come at the same time."""


@dataclass(slots=True)
class Job:
    """One build of a client's."""

    request: SolveRequest
    session: Session | None
    story: Story
    builds: Builds
    offload: OffloadPool
    narrator: Narrator = field(init=False)
    returned: "asyncio.Future[None]" = field(init=False)
    """The end of a build that its client steers."""
    frontend: str = ""
    options: Options = field(default_factory=dict)
    """What was asked of it last."""
    answer: dict[str, bytes] = field(default_factory=dict)
    """To what was asked in place of a build."""
    done: dict[str, BuildDone] = field(default_factory=dict)
    """What was built, by the names that the client was given for it."""
    _tasks: set["asyncio.Task[BuildDone]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.narrator = Narrator(self.story)
        self.returned = asyncio.get_running_loop().create_future()

    async def build(self, frontend: str, options: Options) -> str:
        """Build a Dockerfile; the name under which the result is known.

        Raises: what a build raises.
        """
        self.frontend, self.options = frontend, options
        _check_frontend(frontend, options)
        return await self.build_requested(to_build_request(self.request, options), options)

    async def build_requested(self, request: BuildRequest, options: Options) -> str:
        """Build what is understood already; the options say which contexts there are."""
        building = own_task(self._build(request, options))
        self._tasks.add(building)
        try:
            done = await building
        finally:
            building.cancel()
            self._tasks.discard(building)
        name = f"{self.request.Ref}-{len(self.done)}"
        self.done[name] = done
        return name

    async def end(self) -> None:
        """Break off what is still under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _build(self, request: BuildRequest, options: Options) -> BuildDone:
        session = self.session
        if session is None:
            raise InvalidValue("a build of a Dockerfile needs a session")
        last: BuildDone | None = None
        answer = Answer(request.inquiry, self.narrator) if request.inquiry else None
        events = self.builds.build_for_client(
            request, self._offers(session, options), SessionCredentials(session)
        )
        try:
            async with closed_after(events):
                async for event in events:
                    (answer.take if answer else self.narrator.tell)(event)
                    if isinstance(event, BuildDone):
                        last = event
        except WherryError as error:
            self.narrator.tell_failure(error)
            if answer is None:
                raise
            answer.fail(error)
            last = BuildDone(image_id="")
        if answer is not None:
            self.answer = answer.metadata()
        assert last is not None, "a build that succeeds says what it made"
        return last

    def _context(self, session: Session, options: Options) -> ClientDirectory | ClientArchive:
        place = options.get("context", "")
        if place.startswith(_UPLOADED):
            return ClientArchive(uploaded(session, self.story, place))
        name = place.removeprefix("local:") or options.get("contextkey", "context")
        return SessionDirectory(
            session=session, name=name, story=self.story, title="[internal] load build context"
        )

    def _offers(self, session: Session, options: Options) -> ClientOffers:
        file = options.get("filename") or "Dockerfile"
        sink = SessionSink(session, self.story, self.offload)
        contexts: dict[str, ClientDirectory | str] = {}
        for name, kind, value in _named_contexts(options):
            if kind == "local":
                contexts[name] = SessionDirectory(
                    session=session,
                    name=value,
                    story=self.story,
                    title=f"[context {name}] load from client",
                    ignore_title=f"[context {name}] load .dockerignore",
                )
            elif kind == "docker-image":
                contexts[name] = value
            elif kind == "oci-layout":
                contexts[name] = LAYOUT_CONTEXT + value
            else:
                raise FeatureMissing(f"the named context {name} of {kind}:")
        return ClientOffers(
            context=self._context(session, options),
            dockerfiles=SessionDirectory(
                session=session,
                name=options.get("dockerfilekey", "dockerfile"),
                story=self.story,
                title=f"[internal] load build definition from {file}",
                noun="dockerfile",
            ),
            contexts=contexts,
            secrets=SessionSecrets(session),
            agents=SessionAgents(session),
            layouts=SessionLayouts(session, sink, self.offload),
            sink=sink,
        )


class Jobs:
    """All builds that are under way."""

    def __init__(self, builds: Builds, clock: Clock) -> None:
        self._builds = builds
        self._clock = clock
        self._offload = OffloadPool(_THREADS)
        self._running: dict[str, Job] = {}
        self._ended: dict[str, Job] = {}
        """The last ones: who asks for a story may come when a quick build is over."""
        self._came = asyncio.Condition()

    @asynccontextmanager
    async def running(self, request: SolveRequest, session: Session | None) -> AsyncIterator[Job]:
        """A job, as long as the block runs; it ends early when its client is gone.

        Raises: InvalidValue for a name that is taken.
        """
        if request.Ref in self._running:
            raise InvalidValue(f"job ID {request.Ref} exists")
        job = Job(request, session, Story(request.Ref, self._clock), self._builds, self._offload)
        async with self._came:
            self._ended.pop(request.Ref, None)
            self._running[request.Ref] = job
            self._came.notify_all()
        try:
            yield job
        finally:
            await job.end()
            job.story.end()
            del self._running[request.Ref]
            self._ended[request.Ref] = job
            while len(self._ended) > _MOST_ENDED:
                del self._ended[next(iter(self._ended))]

    def has(self, ref: str) -> bool:
        """Whether a job of this name is under way, or was a moment ago."""
        return ref in self._running or ref in self._ended

    async def get(self, ref: str) -> Job:
        """A job by its name; it may come a moment later, or just have ended.

        Raises: InvalidValue.
        """
        try:
            async with asyncio.timeout(_PATIENCE_S), self._came:
                await self._came.wait_for(lambda: self.has(ref))
                return self._running.get(ref) or self._ended[ref]
        except TimeoutError:
            raise InvalidValue(f"no such job {ref}") from None


def exported(job: Job) -> dict[str, str]:
    """What the exporters say."""
    said: dict[str, str] = {}
    for done in job.done.values():
        if done.image_id:
            said["containerimage.config.digest"] = done.image_id
        if done.digest:
            said["containerimage.digest"] = done.digest
        if done.names:
            said["image.name"] = ",".join(canonical(each) for each in done.names)
        said |= done.said
    return said


def _check_frontend(frontend: str, options: Options) -> None:
    """Raises: FeatureMissing for a frontend that is not the one for Dockerfiles."""
    source = options.get("source", "")
    is_ours = frontend == _FRONTEND or (
        # A Dockerfile's `syntax` names an image that reads the language that we read ourselves.
        frontend == _GATEWAY and source.removeprefix("docker.io/").startswith("docker/dockerfile")
    )
    if not is_ours:
        raise FeatureMissing(f"the frontend {source or frontend}")


def _named_contexts(options: Options) -> Iterator[tuple[str, str, str]]:
    """`context:NAME=KIND:VALUE`, by name, kind and value."""
    for option, text in options.items():
        if option.startswith("context:"):
            kind, _colon, value = text.partition(":")
            name = option.removeprefix("context:").partition("::")[0]
            yield name.lower(), kind, value.removeprefix("//")
