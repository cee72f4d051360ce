"""Images, registries and platforms of a fake engine."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from support.fake_engine.state import IMAGE_ID, FakeState
from wherry.model.errors.images import ImageNotFound
from wherry.model.errors.registries import ManifestUnknown
from wherry.model.images import (
    DescribedImage,
    DistributionImage,
    EmulatedPlatform,
    FoundRepository,
    Image,
    RegistryLogin,
)
from wherry.model.outcomes import (
    Progress,
    Removal,
)
from wherry.model.queries import (
    Filters,
)
from wherry.registry import Credentials


@dataclass
class FakeImages:
    """Images by reference."""

    engine: FakeState

    async def list(self, filters: Filters, *, wants_all: bool = False) -> Sequence[Image]:
        self.engine.note("images", dict(filters), wants_all)
        return list(self.engine.images.values())

    async def get(self, reference: str, *, platform: str = "") -> Image:
        for name, image in self.engine.images.items():
            if reference in (name, name.partition(":")[0], image.id):
                return image
        raise ImageNotFound(reference)

    async def siblings(self, references: Sequence[str]) -> Sequence[DescribedImage]:
        return ()

    async def graph_data(self, image: Image) -> tuple[str, Mapping[str, str]]:
        return "overlay2", {"UpperDir": "/data/layer"}

    async def tag(self, reference: str, *, repository: str, tag: str) -> None:
        image = await self.get(reference)
        self.engine.note("tag", reference, repository, tag)
        self.engine.images[f"{repository}:{tag or 'latest'}"] = image

    async def remove(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        platforms: Sequence[str] = (),
    ) -> Sequence[Removal]:
        await self.get(reference)
        self.engine.note("image remove", reference, is_forced)
        return (Removal(untagged=reference), Removal(deleted=IMAGE_ID))

    async def check(self) -> AsyncIterator[Progress]:
        async for message in _messages(self.engine, "check"):
            yield message


@dataclass
class FakeImageArchives:
    """Bytes in and out."""

    engine: FakeState

    async def _receive(self, archive: AsyncIterator[bytes]) -> None:
        async for piece in archive:
            self.engine.uploaded += piece

    async def load(
        self, archive: AsyncIterator[bytes], *, platforms: Sequence[str] = ()
    ) -> AsyncIterator[Progress]:
        await self._receive(archive)
        async for message in _messages(self.engine, "load"):
            yield message

    async def save(
        self, references: Sequence[str], *, platforms: Sequence[str] = ()
    ) -> AsyncIterator[bytes]:
        for reference in references:
            await FakeImages(self.engine).get(reference)
        yield b"tar of "
        yield ",".join(references).encode()

    async def import_archive(
        self,
        archive: AsyncIterator[bytes],
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[Progress]:
        await self._receive(archive)
        async for each in _messages(self.engine, "import", reference, message, tuple(changes)):
            yield each

    async def import_from(
        self,
        address: str,
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[Progress]:
        async for each in _messages(
            self.engine, "import", address, reference, message, tuple(changes)
        ):
            yield each

    async def bootstrap(self, reference: str) -> AsyncIterator[Progress]:
        async for message in _messages(self.engine, "bootstrap", reference):
            yield message


async def _messages(engine: FakeState, *call: object) -> AsyncIterator[Progress]:
    for message in engine.progress:
        yield message
    engine.note(*call)


class FakePlatforms:
    """A host that runs its own programs."""

    async def list(self) -> Sequence[EmulatedPlatform]:
        return (await self.enable("linux/amd64"),)

    async def enable(self, text: str) -> EmulatedPlatform:
        return EmulatedPlatform(platform=text, is_enabled=True, runs_by="the processor")

    async def disable(self, text: str) -> EmulatedPlatform:
        return EmulatedPlatform(platform=text, is_enabled=False, runs_by="")


@dataclass
class FakeRegistries:
    """Registries that have nothing, and take everything."""

    engine: FakeState

    async def pull(
        self, reference: str, *, platform: str, credentials: Credentials, pulls_all_tags: bool
    ) -> AsyncGenerator[Progress, None]:
        self.engine.note("pull", reference, platform, pulls_all_tags)
        for progress in self.engine.progress:
            yield progress

    async def push(
        self, reference: str, *, tag: str, credentials: Credentials, platform: str = ""
    ) -> AsyncGenerator[Progress, None]:
        self.engine.note("push", reference, tag)
        for progress in self.engine.progress:
            yield progress

    async def log_in(self, domain: str, credentials: Credentials) -> RegistryLogin:
        self.engine.note("log_in", domain, credentials.username)
        return RegistryLogin(identity_token="")

    async def search(
        self, term: str, *, limit: int, credentials: Credentials
    ) -> Sequence[FoundRepository]:
        self.engine.note("search", term, limit)
        return ()

    async def distribution(self, reference: str, credentials: Credentials) -> DistributionImage:
        self.engine.note("distribution", reference)
        raise ManifestUnknown(reference, "latest")
