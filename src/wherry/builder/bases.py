"""What stages begin with: images by their names, here or pulled, or of an OCI layout."""

from collections.abc import Callable
from typing import Protocol

from wherry.builder.cache.layers_elsewhere import image_of_layout
from wherry.builder.publishing import Registries
from wherry.builder.results.provenance import Material
from wherry.builder.sources.ports import LAYOUT_CONTEXT, Layouts
from wherry.images import BuildImages, BuildState, platform_from, platform_of
from wherry.kit.aio import OffloadPool
from wherry.model.builds import BaseFound, BasePulled, BaseSought, BuildEvent
from wherry.model.errors import InvalidValue
from wherry.model.images import Image
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import Platform
from wherry.oci.platforms import formatted


class BaseImages(Registries, Protocol):
    """Finds what builds begin with; the engine's part."""

    async def find(
        self, reference: str, platform: str, tell: Callable[[Progress], None], *, pulls: bool
    ) -> Image:
        """The image, pulled where it is missing or where a pull is wanted."""
        ...

    def here(self, reference: str, platform: str) -> Image | None:
        """The image if it is here; nothing is pulled."""
        ...


class Bases:
    """The images of one build, each found once."""

    def __init__(
        self,
        *,
        engine: BaseImages,
        images: BuildImages,
        layouts: Layouts,
        host: Platform,
        pulls_always: bool,
        tell: Callable[[BuildEvent], None],
        offload: OffloadPool,
    ) -> None:
        self._engine = engine
        self._images = images
        self._layouts = layouts
        self._host = host
        self._pulls_always = pulls_always
        self._tell = tell
        self._offload = offload
        self._found: dict[tuple[str, str], BuildState] = {}
        self.materials: list[Material] = []
        """What was found, for who is told what a result was made of."""

    async def find(self, reference: str, platform: str, shown: str = "") -> BuildState:
        """An image, whatever it takes; `shown`: the platform, where there are several.

        Raises: as a pull; InvalidValue.
        """
        found = self._found.get((reference, platform))
        if found is None:
            found = await self._sought(reference, platform, shown)
            self._found[reference, platform] = found
        return found

    async def here(self, reference: str, platform: str) -> BuildState | None:
        """An image that is here; nothing is done for one that is not."""
        image = self._engine.here(reference, platform)
        return await self._offload(self._images.base, image) if image else None

    async def _sought(self, reference: str, platform: str, shown: str) -> BuildState:
        if reference.startswith(LAYOUT_CONTEXT):
            return await self._of_layout(reference.removeprefix(LAYOUT_CONTEXT), platform)
        self._tell(BaseSought(reference=reference, platform=shown))
        image = await self._engine.find(
            reference, platform, self._tell_pull, pulls=self._pulls_always
        )
        found = await self._offload(self._images.base, image)
        self.materials.append(
            Material(
                reference=reference,
                platform=formatted(platform_of(image)),
                digest=image.manifest_digest or image.id,
            )
        )
        self._tell(BaseFound())
        return found

    async def _of_layout(self, text: str, platform: str) -> BuildState:
        named, at, digest = text.rpartition("@")
        # A tag in it is for people: which image it is, the digest says.
        name = named if "/" in named.rpartition(":")[2] else named.rpartition(":")[0] or named
        if not at:
            raise InvalidValue(f"oci-layout reference {text!r} must have a digest")
        return await image_of_layout(
            self._layouts,
            f"oci:{name}",
            digest,
            platform_from(platform, self._host),
            images=self._images,
            offload=self._offload,
        )

    def _tell_pull(self, progress: Progress) -> None:
        self._tell(BasePulled(progress=progress))
