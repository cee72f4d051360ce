"""What takes space: the sizes of images, of what they share, and of containers' own files."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.kit.aio import OffloadPool
from wherry.model.containers import Container
from wherry.model.ids import ChainId, ImageId, SnapshotKey
from wherry.model.images import Image
from wherry.model.queries import ContainerSizes, ImageSizes
from wherry.snapshots import Snapshots


class DiskUsage:
    """Measures; changes nothing."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        images: ImageStore,
        snapshots: Snapshots,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._images = images
        self._snapshots = snapshots
        self._offload = offload

    async def layers_bytes(self) -> int:
        """All layers of all images; each counts once."""
        return sum(
            {
                layer.chain_id: layer.size_bytes
                for image in self._images.list()
                for layer in image.layers
            }.values()
        )

    async def of_images(self) -> Mapping[ImageId, ImageSizes]:
        """What each image shares with others, and how many containers were made from it."""
        images = self._images.list()
        uses = Counter(layer.chain_id for image in images for layer in image.layers)
        users = Counter(container.image_id for container in self._records.all())
        return {
            image.id: ImageSizes(
                shared_bytes=_shared_bytes(image, uses), containers=users[image.id]
            )
            for image in images
        }

    async def of_containers(self, containers: Sequence[Container]) -> Sequence[ContainerSizes]:
        """The files that each container wrote, alone and together with its image's."""
        image_bytes = {image.id: image.size_bytes for image in self._images.list()}
        written = await asyncio.gather(
            *(self._offload(self._snapshots.usage, SnapshotKey(each.id)) for each in containers)
        )
        return [
            ContainerSizes(
                written_bytes=size, total_bytes=size + image_bytes.get(container.image_id, 0)
            )
            for container, size in zip(containers, written, strict=True)
        ]


def _shared_bytes(image: Image, uses: Mapping[ChainId, int]) -> int:
    return sum(layer.size_bytes for layer in image.layers if uses[layer.chain_id] > 1)
