"""Builds that say what a test makes them say."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from wherry.api.services import CredentialSource
from wherry.builder import ClientOffers
from wherry.model.builds import (
    BuildDone,
    BuildEvent,
    BuildRequest,
    CachePrune,
    CacheRecord,
    KeptBuild,
    SentPart,
)
from wherry.registry import Credentials


@dataclass
class FakeBuildHistory:
    """Builds that are remembered as long as the test."""

    def __init__(self) -> None:
        self.builds: dict[str, tuple[KeptBuild, bytes]] = {}

    async def all(self) -> Sequence[KeptBuild]:
        """What a test had kept."""
        return [build for build, _story in self.builds.values()]

    async def keep(self, build: KeptBuild, story: bytes) -> Sequence[str]:
        """In memory, of any number."""
        self.builds[build.ref] = (build, story)
        return ()

    async def change(self, build: KeptBuild) -> None:
        """Its record alone."""
        self.builds[build.ref] = (build, self.builds[build.ref][1])

    async def story(self, ref: str) -> bytes | None:
        """As it was kept."""
        return self.builds[ref][1] if ref in self.builds else None

    async def forget(self, ref: str) -> None:
        """One of them."""
        self.builds.pop(ref, None)


class FakeBuilds:
    """A builder that makes nothing."""

    def __init__(self) -> None:
        self.files = "/"
        self.sent: list[str] = []
        """What clients told of their directories."""

    async def build(
        self,
        request: BuildRequest,
        parts: AsyncIterator[SentPart],
        credentials: Mapping[str, Credentials],
    ) -> AsyncIterator[BuildEvent]:
        """Takes the context and says that it is done."""
        async for part in parts:
            async for _piece in part.pieces:
                pass
        yield BuildDone(image_id="sha256:" + "e" * 64, names=request.names)

    async def build_for_client(
        self, request: BuildRequest, offers: ClientOffers, credentials: CredentialSource
    ) -> AsyncIterator[BuildEvent]:
        """Asks for the Dockerfile and says that it is done."""
        paths = (request.dockerfile,)
        async with offers.dockerfiles.sending(paths, ()) as sending:
            async for files in sending.files():
                self.sent += [each.path for each in files]
        names = tuple(each.attributes["name"] for each in request.outputs)
        yield BuildDone(image_id="sha256:" + "e" * 64, names=names)

    @asynccontextmanager
    async def files_of(self, reference: str) -> AsyncIterator[int]:
        """A directory of the test's."""
        root = os.open(self.files, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield root
        finally:
            os.close(root)

    async def configuration(
        self, reference: str, platform: str, credentials: CredentialSource
    ) -> tuple[str, bytes]:
        """The same for every image."""
        return "sha256:" + "c" * 64, b"{}"

    async def cache(self) -> Sequence[CacheRecord]:
        """Nothing."""
        return ()

    async def prune(self, wish: CachePrune) -> Sequence[CacheRecord]:
        """Nothing goes."""
        return ()
