"""Builds, for the engine: their containers, their base images, and what is told of them.

The room `builder` is imported when somebody builds for the first time.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wherry.builder import ClientOffers
from wherry.engine.build_cache import BuildCaches
from wherry.engine.build_upkeep import BuildUpkeep
from wherry.engine.containers.create import CreateContainer
from wherry.engine.containers.verbs import ContainerVerbs
from wherry.engine.events import EventLog
from wherry.engine.registries import RegistryVerbs
from wherry.images import Document, ImageStore, LayerBlob, Upload, parse, platform_from
from wherry.kit.aio import closed_after
from wherry.kit.streams import Unframer
from wherry.model.builds import (
    BuildDone,
    BuildEvent,
    BuildRequest,
    CachePrune,
    CacheRecord,
    SentPart,
    Voice,
)
from wherry.model.containers import ContainerSpec
from wherry.model.errors import InvalidValue
from wherry.model.errors.containers import ContainerRunning
from wherry.model.errors.images import ImageNotFound
from wherry.model.errors.registries import OtherPlatform
from wherry.model.ids import ContainerId, Digest
from wherry.model.images import Image
from wherry.model.outcomes import Progress, WaitCondition
from wherry.model.queries import AttachRequest
from wherry.oci.image_spec import Descriptor, Platform
from wherry.registry import ANONYMOUS, Credentials, FetchedManifest

_HUB = "https://index.docker.io/v1/"
"""What clients call Docker Hub where they keep credentials."""


_PATIENT_REMOVALS = 5
"""How often a command is killed, each time with the patience of `kill`: a busy machine is slow,
and one that was being started when its build was given up runs only after the first look."""


class Bases(Protocol):
    """Finds what builds begin with."""

    async def find(
        self, reference: str, platform: str, tell: Callable[[Progress], None], *, pulls: bool
    ) -> Image: ...
    def here(self, reference: str, platform: str) -> Image | None: ...
    async def manifest(self, name: str) -> FetchedManifest: ...
    def blob(self, name: str, descriptor: Descriptor) -> AsyncIterator[bytes]: ...
    async def upload(
        self,
        name: str,
        *,
        layers: Sequence[LayerBlob],
        documents: Sequence[Digest],
        manifests: Sequence[Document],
        tell: Callable[[Progress], None],
    ) -> Digest: ...


class ImageBuilder(Protocol):
    """The room `builder`, once it is wanted."""

    def build_sent(
        self, request: BuildRequest, parts: AsyncIterator[SentPart], bases: Bases
    ) -> AsyncIterator[BuildEvent]: ...
    def build_for_client(
        self, request: BuildRequest, offers: ClientOffers, bases: Bases
    ) -> AsyncIterator[BuildEvent]: ...
    def files_of(self, image: Image) -> AbstractAsyncContextManager[int]: ...
    async def configuration(
        self, reference: str, platform: str, bases: Bases
    ) -> tuple[str, bytes]: ...


class CredentialSource(Protocol):
    """Credentials for registries, asked for when they are needed."""

    async def of(self, domain: str) -> Credentials:
        """Those for a registry's domain (`docker.io` for Docker Hub); ANONYMOUS for none."""
        ...


class GivenCredentials:
    """Credentials that came with the request, by the names that clients keep them under."""

    def __init__(self, given: Mapping[str, Credentials]) -> None:
        self._given = given

    async def of(self, domain: str) -> Credentials:
        """Those for a registry's domain."""
        return self._given.get(_HUB if domain == "docker.io" else domain, ANONYMOUS)


class Builds:
    """The verb `build`, and the cache that it leaves."""

    def __init__(
        self,
        *,
        make_builder: Callable[[], ImageBuilder],
        caches: BuildCaches,
        upkeep: BuildUpkeep,
        refused_entitlements: frozenset[str] = frozenset(),
        store: ImageStore,
        registries: RegistryVerbs,
        events: EventLog,
    ) -> None:
        self._make_builder = make_builder
        self._builder: ImageBuilder | None = None
        self._caches = caches
        self._upkeep = upkeep
        self._refused = refused_entitlements
        self._store = store
        self._registries = registries
        self._events = events

    def build(
        self,
        request: BuildRequest,
        parts: AsyncIterator[SentPart],
        credentials: Mapping[str, Credentials],
    ) -> AsyncIterator[BuildEvent]:
        """Build of what comes with the request. Raises: see `BuildService.build_sent`."""
        self._check(request)
        bases = _Bases(self._store, self._registries, GivenCredentials(credentials))
        return self._published(self._made_builder().build_sent(request, parts, bases))

    def build_for_client(
        self, request: BuildRequest, offers: ClientOffers, credentials: CredentialSource
    ) -> AsyncIterator[BuildEvent]:
        """Build from what a client offers meanwhile.

        Raises (while iterating): see `BuildService.build_for_client`.
        """
        self._check(request)
        bases = _Bases(self._store, self._registries, credentials)
        return self._published(self._made_builder().build_for_client(request, offers, bases))

    def _made_builder(self) -> ImageBuilder:
        if self._builder is None:
            self._builder = self._make_builder()
        return self._builder

    async def _published(self, events: AsyncIterator[BuildEvent]) -> AsyncIterator[BuildEvent]:
        """Events of a build; what it named is an event of the engine's too."""
        try:
            async with closed_after(events):
                async for event in events:
                    if isinstance(event, BuildDone) and event.image_id:
                        image = self._store.resolve(event.image_id)
                        for name in event.names:
                            self._events.image("tag", image.id, name, image)
                    yield event
        finally:
            self._upkeep.wish()

    def _check(self, request: BuildRequest) -> None:
        """Raises: InvalidValue, for what the engine's configuration does not grant."""
        for each in sorted(request.entitlements & self._refused):
            raise InvalidValue(f"{each} is not allowed by the engine's configuration")

    def files_of(self, reference: str) -> AbstractAsyncContextManager[int]:
        """The root of an image's files, to read, as long as the block runs.

        Raises: ImageNotFound; StepFailed, as the block begins.
        """
        return self._made_builder().files_of(self._store.resolve(reference))

    async def configuration(
        self, reference: str, platform: str, credentials: CredentialSource
    ) -> tuple[str, bytes]:
        """Digest and content of an image's configuration; pulled if it is missing.

        Raises: as a pull.
        """
        bases = _Bases(self._store, self._registries, credentials)
        return await self._made_builder().configuration(reference, platform, bases)

    async def cache(self) -> Sequence[CacheRecord]:
        """What later builds may use again."""
        return await self._caches.all()

    async def prune(self, wish: CachePrune) -> Sequence[CacheRecord]:
        """Remove what builds have kept; which records went. Raises: InvalidValue."""
        return await self._caches.prune(wish)


class _Bases:
    """Finds base images for one build."""

    def __init__(
        self,
        store: ImageStore,
        registries: RegistryVerbs,
        credentials: CredentialSource,
    ) -> None:
        self._store = store
        self._registries = registries
        self._credentials = credentials

    async def find(
        self, reference: str, platform: str, tell: Callable[[Progress], None], *, pulls: bool
    ) -> Image:
        """An image that is here, or that is pulled. Raises: as a pull."""
        name = parse(reference)
        if not pulls and (image := self.here(reference, platform)):
            return image
        async for progress in self._registries.pull(
            name.with_default_tag().familiar,
            platform=platform,
            credentials=await self._credentials.of(name.domain),
            pulls_all_tags=False,
        ):
            tell(progress)
        return self._store.resolve(reference, platform=self._platform(platform))

    def here(self, reference: str, platform: str) -> Image | None:
        """The image if it is here."""
        try:
            return self._store.resolve(reference, platform=self._platform(platform))
        except (ImageNotFound, OtherPlatform):
            return None

    def _platform(self, text: str) -> Platform | None:
        return platform_from(text, self._store.host) if text else None

    async def manifest(self, name: str) -> FetchedManifest:
        """What a name leads to in its registry. Raises: as a pull."""
        reference = parse(name).with_default_tag()
        return await self._registries.manifest(
            reference, await self._credentials.of(reference.domain)
        )

    async def blob(self, name: str, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob of a name's repository. Raises (while iterating): as a pull."""
        reference = parse(name)
        credentials = await self._credentials.of(reference.domain)
        pieces = self._registries.blob(reference, descriptor, credentials)
        async with closed_after(pieces):
            async for piece in pieces:
                yield piece

    async def upload(
        self,
        name: str,
        *,
        layers: Sequence[LayerBlob],
        documents: Sequence[Digest],
        manifests: Sequence[Document],
        tell: Callable[[Progress], None],
    ) -> Digest:
        """Send blobs that are here, and manifests of them. Raises: as a push."""
        reference = parse(name)
        upload = Upload(
            name=reference,
            layers=layers,
            documents=documents,
            manifests=manifests,
            credentials=await self._credentials.of(reference.domain),
        )
        return await self._registries.upload(upload, tell)


class StepContainers:
    """Runs the commands of steps as containers like any other."""

    def __init__(self, creating: CreateContainer, verbs: ContainerVerbs) -> None:
        self._creating = creating
        self._verbs = verbs

    async def create(self, spec: ContainerSpec, image: Image) -> ContainerId:
        """A container of an image that need not be recorded."""
        return (await self._creating(spec, image=image)).container_id

    async def run(self, container_id: ContainerId, tell: Callable[[str, Voice], None]) -> int:
        """Start it and pass on what it writes; its exit code."""
        stream = await self._verbs.attach(
            container_id, AttachRequest(wants_stdout=True, wants_stderr=True)
        )
        try:
            ended = await self._verbs.wait(container_id, WaitCondition.NEXT_EXIT)
            await self._verbs.start(container_id)
            unframer = Unframer()
            while data := await stream.read():
                for number, payload in unframer.feed(data):
                    tell(payload.decode(errors="replace"), Voice(number))
            return (await ended).exit_code
        finally:
            await stream.close()

    async def remove(self, container_id: ContainerId) -> None:
        """Whether it runs or not. Raises: ContainerRunning, if no signal ends it."""
        for _attempt in range(_PATIENT_REMOVALS):
            with contextlib.suppress(ContainerRunning):
                await self._verbs.remove(container_id, is_forced=True, removes_volumes=True)
                return
        await self._verbs.remove(container_id, is_forced=True, removes_volumes=True)
