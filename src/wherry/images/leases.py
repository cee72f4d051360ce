"""What work under way needs, so that the collector leaves it where it is.

A blob that was fetched for an image that is not recorded yet has nobody who names it. Whoever
works holds a lease; what a lease names is a root of the mark-and-sweep collector like an image.
Leases live in memory: after a crash nobody works, and the sweep at boot takes what was left.
"""

import contextlib
import threading
from collections.abc import Iterator

from wherry.model.ids import ChainId, Digest


class Lease:
    """The blobs and stacks that one piece of work needs; it may grow while it is held."""

    def __init__(self, leases: "Leases") -> None:
        self._leases = leases
        self.blobs: set[Digest] = set()
        self.chains: set[ChainId] = set()

    def hold_blob(self, digest: Digest) -> None:
        """Keep a blob until the lease ends."""
        with self._leases.lock:
            self.blobs.add(digest)

    def hold_chain(self, chain: ChainId) -> None:
        """Keep a stack of layers until the lease ends."""
        with self._leases.lock:
            self.chains.add(chain)


class Leases:
    """All leases that are held now."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._held: set[Lease] = set()

    @contextlib.contextmanager
    def lease(self) -> Iterator[Lease]:
        """A lease for the length of a block."""
        made = Lease(self)
        with self.lock:
            self._held.add(made)
        try:
            yield made
        finally:
            with self.lock:
                self._held.remove(made)

    def roots(self) -> tuple[set[Digest], set[ChainId]]:
        """Everything that is leased."""
        with self.lock:
            blobs = {each for lease in self._held for each in lease.blobs}
            chains = {each for lease in self._held for each in lease.chains}
        return blobs, chains
