"""Which blobs and layers stay: one mark-and-sweep, from roots that are named and nothing else.

images ─────┐ configurations, layers, manifests, indexes and what these attest
leases ─────┼─▶ needed ─▶ what is on the disk and not among it goes
other roots ┘ (a build cache's steps)
"""

from collections.abc import Callable

from wherry.content import ContentStore
from wherry.images.attestations import attached
from wherry.images.image_table import ImageTable
from wherry.images.kept_documents import KeptDocuments
from wherry.images.leases import Leases
from wherry.model.ids import ChainId, Digest
from wherry.snapshots import Snapshots

Roots = Callable[[], tuple[set[Digest], set[ChainId]]]
"""The blobs and stacks that somebody needs."""


class Collector:
    """Takes away what nobody needs; the caller holds the store's lock."""

    def __init__(
        self,
        *,
        content: ContentStore,
        snapshots: Snapshots,
        table: ImageTable,
        documents: KeptDocuments,
    ) -> None:
        self._content = content
        self._snapshots = snapshots
        self._table = table
        self._documents = documents
        self.leases = Leases()
        self.roots: list[Roots] = [table.roots, self._attested]
        """Asked at each collection; whoever keeps something adds what it needs."""

    def collect(self) -> None:
        """Remove blobs and layers that no image needs, nor a container's snapshot."""
        blobs: set[Digest] = set()
        chains: set[ChainId] = set()
        # Leases at both ends: meanwhile one may take over what a root lets go, or the reverse.
        for needed in (self.leases.roots, *self.roots, self.leases.roots):
            more_blobs, more_chains = needed()
            blobs |= more_blobs
            chains |= more_chains
        self._snapshots.remove_unneeded_layers(chains)
        self._content.collect(blobs)

    def _attested(self) -> tuple[set[Digest], set[ChainId]]:
        """What is said of images, beside them in their indexes."""
        indexes = filter(None, map(self._documents.read, self._table.known_digests()))
        found = {
            digest
            for index in indexes
            for each in attached(self._content, index)
            for digest in each.digests
        }
        return found, set()
