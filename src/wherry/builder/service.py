"""Builds, several at once, each from its Dockerfile to what becomes of it."""

import contextlib
import re
from collections.abc import AsyncIterator

from wherry.builder import dockerfile as language
from wherry.builder.bases import BaseImages
from wherry.builder.one_build import BuildGround, OneBuild
from wherry.builder.planning import EPOCH
from wherry.builder.sources.client_contexts import ClientContext, ClientStorage
from wherry.builder.sources.contexts import Views, received
from wherry.builder.sources.offers import ClientArchive, ClientDirectory, ClientOffers
from wherry.builder.sources.ports import BuildPorts, ContextFiles
from wherry.builder.sources.remote import RemoteSources
from wherry.builder.sources.sent_parts import given_ports
from wherry.builder.steps.commands import StepContainers
from wherry.builder.steps.stage_files import StageFiles
from wherry.builder.work_places import WorkPlaces
from wherry.images import BuildImages, parse
from wherry.kit.aio import KeyedLock, UndoStack, closed_after
from wherry.model.builds import (
    BuildEvent,
    BuildRequest,
    DockerfileFound,
    DockerfileRead,
    SentPart,
)
from wherry.model.errors import InvalidValue
from wherry.model.ids import Digest
from wherry.model.images import Image

__all__ = ["BuildGround", "BuildService"]

_LARGEST_DOCUMENT = 4 << 20


class BuildService:
    """Builds, several at once."""

    def __init__(self, ground: BuildGround, containers: StepContainers) -> None:
        self._ground = ground
        self._containers = containers
        self._running = KeyedLock()

    async def build_sent(
        self, request: BuildRequest, parts: AsyncIterator[SentPart], bases: BaseImages
    ) -> AsyncIterator[BuildEvent]:
        """Build of what comes with the request, before anything begins.

        Raises (while iterating): ArchiveRefused; as `build`.
        """
        ground = self._ground
        async with UndoStack() as opened:
            remote = self._remote(opened)
            ports = await given_ports(
                request,
                parts,
                staging=ground.staging,
                remote=remote,
                offload=ground.offload,
                opened=opened,
            )
            building = await opened.enter(closed_after(self.build(request, ports, bases)))
            async for event in building:
                yield event

    async def build_for_client(
        self, request: BuildRequest, offers: ClientOffers, bases: BaseImages
    ) -> AsyncIterator[BuildEvent]:
        """Build with what a client offers meanwhile, files among it.

        Raises (while iterating): Cancelled, when the client is gone; as `build`.
        """
        ground = self._ground
        storage = ClientStorage(ground.staging, ground.kept_contexts, ground.offload)
        async with UndoStack() as opened:

            async def context(offer: ClientDirectory | ClientArchive) -> ContextFiles:
                if isinstance(offer, ClientArchive):
                    return await received(offer.pieces, ground.staging, ground.offload, opened)
                return ClientContext(
                    files=offer,
                    dockerfiles=offers.dockerfiles,
                    storage=storage,
                    opened=opened,
                )

            remote = self._remote(opened)
            ports = BuildPorts(
                context=await remote.context(request.remote)
                if request.remote
                else await context(offers.context),
                contexts={
                    name: each if isinstance(each, str) else await context(each)
                    for name, each in offers.contexts.items()
                },
                secrets=offers.secrets,
                agents=offers.agents,
                layouts=offers.layouts,
                sink=offers.sink,
            )
            building = await opened.enter(closed_after(self.build(request, ports, bases)))
            async for event in building:
                yield event

    @contextlib.asynccontextmanager
    async def files_of(self, image: Image) -> AsyncIterator[int]:
        """The root of an image's files, to read, as long as the block runs. Raises: StepFailed."""
        ground = self._ground
        async with UndoStack() as opened:
            images = self._images(opened)
            state = await ground.offload(images.base, image)
            files = StageFiles(images, ground.tasks, ground.offload)
            yield await files.opened(state, opened)

    async def configuration(
        self, reference: str, platform: str, bases: BaseImages
    ) -> tuple[str, bytes]:
        """Digest and content of an image's configuration. Raises: as a pull."""
        image = await bases.find(reference, platform, lambda _progress: None, pulls=False)
        content = await self._ground.offload(
            self._ground.store.content.read, Digest(image.id), limit_bytes=_LARGEST_DOCUMENT
        )
        return image.id, content

    def _remote(self, opened: UndoStack) -> RemoteSources:
        work = WorkPlaces(self._ground.staging, self._ground.offload)
        return RemoteSources(work, self._ground.offload, opened)

    def _images(self, opened: UndoStack, *, latest_ns: int | None = None) -> BuildImages:
        """The image store, with a lease of the caller's."""
        ground, lease = self._ground, self._ground.store.lease()
        images = BuildImages(
            ground.store, ground.snapshots, lease.__enter__(), latest_ns=latest_ns
        )
        opened.push(_leave, lease)
        return images

    async def build(
        self, request: BuildRequest, ports: BuildPorts, bases: BaseImages
    ) -> AsyncIterator[BuildEvent]:
        """Build; the last event says what was made.

        Raises (while iterating): DockerfileRefused, StepEndedBadly, ImageNotFound,
        InvalidReference, InvalidValue, FeatureMissing, ArchiveRefused, StepFailed.
        """
        for name in request.names:
            parse(name)
        async with UndoStack() as opened:
            text = await ports.context.dockerfile(request.dockerfile)
            yield DockerfileFound(name=request.dockerfile, content=text.content)
            file = await self._ground.offload(language.parse, text.content)
            images = self._images(opened, latest_ns=_epoch_ns(request))
            build = OneBuild(
                ground=self._ground,
                containers=self._containers,
                running=self._running,
                request=request,
                ports=ports,
                images=images,
                bases=bases,
                content=text.content,
                opened=opened,
            )
            arguments = tuple(each.text for each in file.arguments)
            yield DockerfileRead(name=request.dockerfile, arguments=arguments)
            running = await opened.enter(closed_after(build.run(file, Views(ports, text.ignore))))
            async for event in running:
                yield event


def _epoch_ns(request: BuildRequest) -> int | None:
    """The moment of everything that is built; None: when it is built. Raises: InvalidValue."""
    text = request.arguments.get(EPOCH)
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,11}", text):
        raise InvalidValue(f"invalid {EPOCH}: {text}")
    return int(text) * 1_000_000_000


async def _leave(lease: "contextlib.AbstractContextManager[object]") -> None:
    lease.__exit__(None, None, None)
