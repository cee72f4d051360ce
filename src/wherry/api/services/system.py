"""The engine as a whole: what it is, what it did and why, what it takes and gives back."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from wherry.model.containers import Container
from wherry.model.events import Event
from wherry.model.ids import ImageId
from wherry.model.images import EmulatedPlatform
from wherry.model.outcomes import PrunedContainers, PrunedImages, PrunedNetworks
from wherry.model.queries import ContainerSizes, EngineInfo, Filters, ImageSizes
from wherry.model.reasons import Reason


class System(Protocol):
    """The engine as a whole."""

    async def info(self) -> EngineInfo: ...


class Events(Protocol):
    """The event stream."""

    def subscribe(
        self, *, since_ns: int | None, until_ns: int | None, filters: Filters
    ) -> AsyncIterator[Event]: ...


class Explanations(Protocol):
    """What the engine did to the kernel."""

    async def container_text(self, reference: str, *, live: bool = False) -> str: ...
    async def container_json(self, reference: str, *, live: bool = False) -> bytes:
        """The journal as a JSON document."""
        ...

    async def container_script(self, reference: str) -> str:
        """The last start as a shell script."""
        ...


class Reasons(Protocol):
    """Why containers are in their states."""

    async def __call__(self, reference: str) -> Reason: ...


class Platforms(Protocol):
    """Processors whose programs run here."""

    async def list(self) -> Sequence[EmulatedPlatform]: ...
    async def enable(self, text: str) -> EmulatedPlatform: ...
    async def disable(self, text: str) -> EmulatedPlatform: ...


class DiskUsage(Protocol):
    """What takes space."""

    async def layers_bytes(self) -> int: ...
    async def of_images(self) -> Mapping[ImageId, ImageSizes]: ...
    async def of_containers(self, containers: Sequence[Container]) -> Sequence[ContainerSizes]: ...


class Prunes(Protocol):
    """Removing what nobody uses."""

    async def containers(self, filters: Filters) -> PrunedContainers: ...
    async def images(self, filters: Filters) -> PrunedImages: ...
    async def networks(self, filters: Filters) -> PrunedNetworks: ...
