"""Images from Dockerfiles, and builds that were."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wherry.builder import ClientOffers
from wherry.model.builds import (
    BuildEvent,
    BuildRequest,
    CachePrune,
    CacheRecord,
    KeptBuild,
    SentPart,
)
from wherry.registry import Credentials


class CredentialSource(Protocol):
    """Credentials for registries, asked for when they are needed."""

    async def of(self, domain: str) -> Credentials:
        """Those for a registry's domain (`docker.io` for Docker Hub)."""
        ...


class Builds(Protocol):
    """Images from Dockerfiles."""

    def build(
        self,
        request: BuildRequest,
        parts: AsyncIterator[SentPart],
        credentials: Mapping[str, Credentials],
    ) -> AsyncIterator[BuildEvent]: ...
    def build_for_client(
        self, request: BuildRequest, offers: ClientOffers, credentials: CredentialSource
    ) -> AsyncIterator[BuildEvent]: ...
    def files_of(self, reference: str) -> AbstractAsyncContextManager[int]:
        """The root of an image's files, to read."""
        ...

    async def configuration(
        self, reference: str, platform: str, credentials: CredentialSource
    ) -> tuple[str, bytes]:
        """Digest and content of an image's configuration."""
        ...

    async def cache(self) -> Sequence[CacheRecord]: ...
    async def prune(self, wish: CachePrune) -> Sequence[CacheRecord]:
        """What went."""
        ...


class BuildHistory(Protocol):
    """Builds that were, as a door remembers them."""

    async def all(self) -> Sequence[KeptBuild]:
        """The oldest first."""
        ...

    async def keep(self, build: KeptBuild, story: bytes) -> Sequence[str]:
        """The names of those that were forgotten for it."""
        ...

    async def change(self, build: KeptBuild) -> None: ...
    async def story(self, ref: str) -> bytes | None: ...
    async def forget(self, ref: str) -> None: ...
