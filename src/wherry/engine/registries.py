"""Images to and from registries, as a user sees it: pull, push, login, search.

Two clients that pull the same image at the same time watch one pull. It ends when the last of
them leaves, and what it did so far is undone.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

from wherry.engine.events import EventLog
from wherry.images import (
    ImagePulls,
    ImagePushes,
    ImageStore,
    PullRequest,
    PushRequest,
    Reference,
    Tell,
    Upload,
    parse,
    platform_from,
)
from wherry.kit.values import dataclass, field
from wherry.model.errors import InvalidValue
from wherry.model.errors.registries import LoginNeeded, RegistryUnauthorized, SystemUnusable
from wherry.model.ids import Digest
from wherry.model.images import DistributionImage, FoundRepository, RegistryLogin
from wherry.model.outcomes import Progress
from wherry.oci.image_json import decode_image
from wherry.oci.image_spec import Descriptor, Index, Platform
from wherry.registry import Credentials, FetchedManifest, RegistryClient, Repository

_MOST_UNREAD = 1000
"""Messages that a client may lag behind; then figures, soon out of date, are kept from it."""


class _Inbox:
    """Messages of something long, for one client."""

    def __init__(self) -> None:
        self._unread: asyncio.Queue[Progress | None] = asyncio.Queue()

    def tell(self, progress: Progress) -> None:
        """Add a message."""
        if self._unread.qsize() < _MOST_UNREAD or progress.current is None:
            self._unread.put_nowait(progress)

    def end(self) -> None:
        """There will be no more."""
        self._unread.put_nowait(None)

    async def messages(self) -> AsyncIterator[Progress]:
        """All of them, to the end."""
        while (message := await self._unread.get()) is not None:
            yield message


@dataclass(slots=True)
class _Watched:
    """A pull that may have several watchers."""

    task: asyncio.Task[None] | None = None
    latest: dict[str, Progress] = field(default_factory=dict)
    """The last message about each layer, for those who come late."""
    watchers: list[_Inbox] = field(default_factory=list)

    def tell(self, progress: Progress) -> None:
        """Pass a message on to everybody."""
        self.latest[progress.id or progress.status] = progress
        for watcher in self.watchers:
            watcher.tell(progress)


class RegistryVerbs:
    """What one can do with registries."""

    def __init__(
        self,
        *,
        store: ImageStore,
        client: RegistryClient,
        pulls: ImagePulls,
        pushes: ImagePushes,
        events: EventLog,
    ) -> None:
        self._store = store
        self._client = client
        self._pulls = pulls
        self._pushes = pushes
        self._events = events
        self._watched: dict[PullRequest, _Watched] = {}

    # -- pulling -----------------------------------------------------------------------------

    async def pull(
        self, reference: str, *, platform: str, credentials: Credentials, pulls_all_tags: bool
    ) -> AsyncIterator[Progress]:
        """Pull an image, or every tag of a repository.

        Raises: InvalidReference, InvalidField, and what `ImagePulls.pull` raises, before the
        first message where that is possible.
        """
        name = parse(reference)
        wanted = platform_from(platform, self._store.host)
        if wanted.os != "linux":
            raise SystemUnusable(wanted.os)
        if not pulls_all_tags:
            request = PullRequest(
                name=name.with_default_tag(), platform=wanted, credentials=credentials
            )
            async for progress in self._watch(request):
                yield progress
            return
        if name.tag or name.digest:
            raise InvalidValue("tag can't be used with --all-tags/-a")
        with _no_login():
            tags = await self._client.tags(Repository(name.domain, name.path), credentials)
        for tag in tags:
            each = parse(f"{name.repository}:{tag}")
            request = PullRequest(name=each, platform=wanted, credentials=credentials)
            async for progress in self._watch(request):
                yield progress

    async def _watch(self, request: PullRequest) -> AsyncIterator[Progress]:
        """Follow a pull, begun here or by somebody else."""
        watched = self._watched.get(request)
        if watched is None:
            watched = self._watched[request] = _Watched()
            watched.task = asyncio.get_running_loop().create_task(self._pull(request, watched))
        inbox = _Inbox()
        for progress in watched.latest.values():
            inbox.tell(progress)
        watched.watchers.append(inbox)
        assert watched.task is not None
        try:
            async for message in inbox.messages():
                yield message
            await asyncio.shield(watched.task)
        finally:
            watched.watchers.remove(inbox)
            if not watched.watchers and not watched.task.done():
                self._forget(request, watched)  # Whoever comes now begins a new one.
                watched.task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await watched.task

    async def _pull(self, request: PullRequest, watched: _Watched) -> None:
        try:
            with _no_login():
                pulled = await self._pulls.pull(request, watched.tell)
            image = self._store.resolve(pulled.image_id)
            name = request.name.familiar
            self._events.image("pull", name, name, image)
        finally:
            self._forget(request, watched)
            for watcher in watched.watchers:
                watcher.end()

    def _forget(self, request: PullRequest, watched: _Watched) -> None:
        if self._watched.get(request) is watched:
            del self._watched[request]

    # -- pushing -----------------------------------------------------------------------------

    async def push(
        self, reference: str, *, tag: str, credentials: Credentials, platform: str = ""
    ) -> AsyncIterator[Progress]:
        """Push a tag, or every tag of a repository when none is named.

        Raises: InvalidReference, RepositoryDenied, RegistryRefused.
        """
        wanted = platform_from(platform, self._store.host) if platform else None
        name = parse(f"{reference}:{tag}" if tag else reference)
        if name.digest is not None:
            raise InvalidValue("cannot push a digest reference")

        async def push_all(tell: Tell) -> None:
            tell(Progress(status=f"The push refers to repository [{name.repository}]"))
            for each in self._tags_to_push(name):
                image = self._store.resolve(each.familiar, platform=wanted)
                request = PushRequest(
                    images=(image,) if wanted else self._store.all_of(each.familiar),
                    name=each,
                    credentials=credentials,
                    index=None if wanted else self._store.documents.index_of(each),
                )
                with _no_login():
                    await self._pushes.push(request, tell)
                self._events.image("push", each.familiar, each.familiar, image)

        async for progress in told(push_all):
            yield progress

    def _tags_to_push(self, name: Reference) -> Sequence[Reference]:
        """The tag that was named, or all of a repository. Raises: InvalidValue."""
        there = self._store.tags_of(name.repository)
        if not there:
            raise InvalidValue(
                f"An image does not exist locally with the tag: {name.familiar_repository}"
            )
        if name.tag and name not in there:
            raise InvalidValue(f"tag does not exist: {name.familiar}")
        return (name,) if name.tag else there

    # -- what is no image of the store ---------------------------------------------------------

    async def manifest(self, name: Reference, credentials: Credentials) -> FetchedManifest:
        """What a name leads to. Raises: ManifestUnknown, LoginNeeded."""
        with _no_login():
            return await self._client.manifest(
                Repository(name.domain, name.path), name.digest or name.tag, credentials
            )

    def blob(
        self, name: Reference, descriptor: Descriptor, credentials: Credentials
    ) -> AsyncIterator[bytes]:
        """The bytes of a blob of a repository. Raises (while iterating): as `RegistryClient`."""
        return self._client.blob(Repository(name.domain, name.path), descriptor, credentials)

    async def upload(self, upload: Upload, tell: Tell) -> Digest:
        """Send what is here as blobs, under a name. Raises: RegistryRefused, LoginNeeded, ..."""
        with _no_login():
            return await self._pushes.upload(upload, tell)

    # -- the rest ----------------------------------------------------------------------------

    async def log_in(self, domain: str, credentials: Credentials) -> RegistryLogin:
        """Check credentials. Raises: RegistryUnauthorized, RegistryUnreachable."""
        token = await self._client.log_in(_registry_name(domain), credentials)
        return RegistryLogin(identity_token=token)

    async def search(
        self, term: str, *, limit: int, credentials: Credentials
    ) -> Sequence[FoundRepository]:
        """Search a registry that has a search. Raises: RegistryRefused."""
        domain, slash, rest = term.partition("/")
        has_host = bool(slash) and ("." in domain or ":" in domain or domain == "localhost")
        with _no_login():
            found = await self._client.search(
                domain if has_host else "docker.io",
                rest if has_host else term,
                limit=limit,
                credentials=credentials,
            )
        return tuple(
            FoundRepository(
                name=each.name,
                description=each.description,
                star_count=each.star_count,
                is_official=each.is_official,
            )
            for each in found
        )

    async def distribution(self, reference: str, credentials: Credentials) -> DistributionImage:
        """What a registry has under a name, without pulling it. Raises: ManifestUnknown."""
        with _no_login():
            return await self._look_up(parse(reference).with_default_tag(), credentials)

    async def _look_up(self, name: Reference, credentials: Credentials) -> DistributionImage:
        repository = Repository(name.domain, name.path)
        found = await self._client.manifest(repository, name.digest or name.tag, credentials)
        if isinstance(found.document, Index):
            platforms = tuple(
                each.platform for each in found.document.manifests if each.platform is not None
            )
        else:
            config = await self._client.document(repository, found.document.config, credentials)
            document = decode_image(config)
            platforms = (
                Platform(
                    architecture=document.architecture, os=document.os, variant=document.variant
                ),
            )
        return DistributionImage(
            media_type=found.media_type,
            digest=found.digest,
            size_bytes=len(found.content),
            platforms=tuple((each.os, each.architecture, each.variant) for each in platforms),
        )


async def told(work: Callable[[Tell], Awaitable[object]]) -> AsyncIterator[Progress]:
    """Run work that tells its progress; leaving early cancels it and waits for its undoing."""
    inbox = _Inbox()

    async def run() -> None:
        try:
            await work(inbox.tell)
        finally:
            inbox.end()

    running = asyncio.ensure_future(run())
    try:
        async for message in inbox.messages():
            yield message
        await running
    finally:
        if not running.done():
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await running


@contextlib.contextmanager
def _no_login() -> Iterator[None]:
    """Raises: LoginNeeded, in place of what only a login may raise."""
    try:
        yield
    except RegistryUnauthorized as error:
        raise LoginNeeded(error.place, error.complaint) from error


def _registry_name(text: str) -> str:
    """The registry of a login: a host, or an address as old clients send it."""
    bare = text.removeprefix("https://").removeprefix("http://")
    host = bare.partition("/")[0]
    return "docker.io" if host in ("", "index.docker.io", "docker.io") else host
