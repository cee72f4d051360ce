"""Images here, and images elsewhere."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from wherry.api.services.bodies import ByteSource
from wherry.model.images import (
    DescribedImage,
    DistributionImage,
    FoundRepository,
    Image,
    RegistryLogin,
)
from wherry.model.outcomes import Progress, Removal
from wherry.model.queries import Filters
from wherry.registry import Credentials


class Images(Protocol):
    """The local image store."""

    async def list(self, filters: Filters, *, wants_all: bool = False) -> Sequence[Image]: ...
    async def get(self, reference: str, *, platform: str = "") -> Image: ...
    async def siblings(self, references: Sequence[str]) -> Sequence[DescribedImage]: ...
    async def graph_data(self, image: Image) -> tuple[str, Mapping[str, str]]:
        """Driver name and GraphDriver.Data."""
        ...

    async def tag(self, reference: str, *, repository: str, tag: str) -> None: ...
    async def remove(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        platforms: Sequence[str] = (),
    ) -> Sequence[Removal]: ...
    def check(self) -> AsyncIterator[Progress]: ...


class ImageArchives(Protocol):
    """Images that come in as archives, go out as archives, or are made on the spot."""

    def load(
        self, archive: ByteSource, *, platforms: Sequence[str] = ()
    ) -> AsyncIterator[Progress]: ...
    def save(
        self, references: Sequence[str], *, platforms: Sequence[str] = ()
    ) -> AsyncIterator[bytes]: ...
    def import_archive(
        self,
        archive: ByteSource,
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[Progress]: ...
    def import_from(
        self,
        address: str,
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[Progress]: ...
    def bootstrap(self, reference: str) -> AsyncIterator[Progress]: ...


class Registries(Protocol):
    """Images elsewhere."""

    def pull(
        self, reference: str, *, platform: str, credentials: Credentials, pulls_all_tags: bool
    ) -> AsyncIterator[Progress]: ...
    def push(
        self, reference: str, *, tag: str, credentials: Credentials, platform: str = ""
    ) -> AsyncIterator[Progress]: ...
    async def log_in(self, domain: str, credentials: Credentials) -> RegistryLogin: ...
    async def search(
        self, term: str, *, limit: int, credentials: Credentials
    ) -> Sequence[FoundRepository]: ...
    async def distribution(
        self, reference: str, credentials: Credentials
    ) -> DistributionImage: ...
