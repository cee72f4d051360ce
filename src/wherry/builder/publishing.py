"""Registries, as a build sends things to them and reads from them."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from wherry.images import Document, LayerBlob
from wherry.model.ids import Digest
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import Descriptor
from wherry.registry import FetchedManifest

TellProgress = Callable[[Progress], None]


class Registries(Protocol):
    """What the engine does for builds; whose credentials are used is its concern."""

    async def manifest(self, name: str) -> FetchedManifest:
        """What a name leads to in its registry. Raises: as a pull."""
        ...

    def blob(self, name: str, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob of a name's repository. Raises (while iterating): as a pull."""
        ...

    async def upload(
        self,
        name: str,
        *,
        layers: Sequence[LayerBlob],
        documents: Sequence[Digest],
        manifests: Sequence[Document],
        tell: TellProgress,
    ) -> Digest:
        """Send blobs that are here, and manifests of them. Raises: as a push."""
        ...
