"""The layers of images on their way: each is fetched and unpacked at the same time.

    layer 1 ══fetch══▶ blob ─┐
    layer 2 ══fetch══▶ blob ─┤ a thread unpacks each layer in turn,
    layer 3 ══fetch══▶ blob ─┘ reading its blob while it arrives

They come side by side, at most so many at once for all images together, and a blob that two
images need comes once. What failed leaves nothing unpacked; blobs that came whole stay until the
collector runs, for the next attempt to find.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from wherry.content import FollowingReader
from wherry.images.leases import Lease
from wherry.images.store import ImageStore
from wherry.kit.aio import KeyedLock, OffloadPool, UndoStack, first_failure
from wherry.kit.random_ids import short_id
from wherry.kit.values import dataclass
from wherry.model.errors import WherryError
from wherry.model.ids import ChainId, DiffId, Digest
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import Descriptor
from wherry.registry import Credentials, RegistryClient, Repository
from wherry.snapshots import LayerCounts, StagedLayer

MOST_FETCHES = 3
"""Blobs that are fetched at the same time (dockerd's `max-concurrent-downloads`)."""
_UNLIMITED = 1000
_TOLD_EVERY_S = 0.1
_WRITTEN_AT_ONCE = 1 << 20

Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLayer:
    """One layer of an image that is being pulled."""

    descriptor: Descriptor
    diff_id: DiffId
    chain: ChainId

    @property
    def shown(self) -> str:
        return short_id(self.descriptor.digest)


class LayerFetches:
    """What all pulls of one engine share: how much comes at once, and what is coming already."""

    def __init__(
        self,
        *,
        store: ImageStore,
        client: RegistryClient,
        offload: OffloadPool,
        unpacking: OffloadPool,
    ) -> None:
        """`unpacking` has threads of its own: they wait for the network."""
        self.content = store.content
        self.layers = store.layers
        self.client = client
        self.offload = offload
        self.unpacking = unpacking
        self._blobs = KeyedLock()
        self.adopt(most_fetches=MOST_FETCHES)

    def adopt(self, *, most_fetches: int) -> None:
        """Fetch so many blobs side by side from now on; zero: as many as there are."""
        self._room = asyncio.Semaphore(most_fetches or _UNLIMITED)

    @contextlib.asynccontextmanager
    async def fetching(self, digest: Digest) -> AsyncIterator[bool]:
        """Be the one who fetches a blob; False when it has come meanwhile."""
        async with self._blobs.held(digest):
            if self.content.has(digest):
                yield False
                return
            async with self._room:
                yield True


class IncomingLayers:
    """The layers of one image on their way."""

    def __init__(
        self,
        fetches: LayerFetches,
        repository: Repository,
        credentials: Credentials,
        lease: Lease,
        tell: Tell,
    ) -> None:
        self._fetches = fetches
        self._repository = repository
        self._credentials = credentials
        self._lease = lease
        self._tell = tell
        self._content = fetches.content
        self._layers = fetches.layers
        self._unpackings: list[asyncio.Future[StagedLayer]] = []

    async def fetch_and_unpack(self, wanted: tuple[WantedLayer, ...]) -> list[StagedLayer]:
        """Fetch what is missing and unpack it in order. Raises: what either raises first.

        Nothing that was unpacked is left behind then.
        """
        for each in wanted:
            self._lease.hold_blob(Digest(each.descriptor.digest))
            self._lease.hold_chain(each.chain)
        async with UndoStack() as undo:
            undo.push(self._discard)
            try:
                await self._all(wanted)
            except BaseExceptionGroup as group:
                raise first_failure(group) from group
            undo.keep()
        return [each.result() for each in self._unpackings]

    async def _all(self, wanted: tuple[WantedLayer, ...]) -> None:
        fetches = []
        with contextlib.ExitStack() as arrivals:
            async with asyncio.TaskGroup() as group:
                for each in wanted:
                    if self._is_here(each):
                        self._tell(Progress(status="Already exists", id=each.shown))
                        continue
                    self._tell(Progress(status="Pulling fs layer", id=each.shown))
                    arrival = arrivals.enter_context(_Arrival())
                    fetching = group.create_task(self._fetch(each, arrival))
                    fetches.append((each, arrival, fetching))
                for each, arrival, fetching in fetches:
                    await self._unpack_next(wanted, each, arrival, fetching)
                    self._tell(Progress(status="Pull complete", id=each.shown))

    async def _unpack_next(
        self,
        wanted: tuple[WantedLayer, ...],
        layer: WantedLayer,
        arrival: "_Arrival",
        fetching: asyncio.Task[None],
    ) -> None:
        try:
            await self._unpack(layer, _parent(wanted, layer), await arrival.take())
        except WherryError:
            await fetching  # Bytes that are not the layer's are the better reason.
            raise
        await fetching

    async def _discard(self) -> None:
        """Remove what was unpacked; a thread that still unpacks ends with its blob."""
        if self._unpackings:
            await asyncio.wait(self._unpackings)
        done = [each for each in self._unpackings if not each.cancelled()]
        staged = [each.result() for each in done if each.exception() is None]
        await self._fetches.offload(self._layers.discard, staged)

    def _is_here(self, wanted: WantedLayer) -> bool:
        return self._layers.get(wanted.chain) is not None and self._content.has(
            Digest(wanted.descriptor.digest)
        )

    async def _fetch(self, wanted: WantedLayer, arrival: "_Arrival") -> None:
        """Bring a blob into the content store, under its digest."""
        digest = Digest(wanted.descriptor.digest)
        try:
            async with self._fetches.fetching(digest) as is_ours:
                if is_ours:
                    await self._receive(wanted, arrival)
                else:
                    self._tell(Progress(status="Download complete", id=wanted.shown))
        finally:
            arrival.end()

    async def _receive(self, wanted: WantedLayer, arrival: "_Arrival") -> None:
        size = wanted.descriptor.size
        loop = asyncio.get_running_loop()
        told_at = 0.0
        count = 0
        with self._content.ingest() as writer:
            arrival.begin(writer.follow())
            stream = self._fetches.client.blob(
                self._repository, wanted.descriptor, self._credentials
            )
            async with contextlib.aclosing(stream):
                async for piece in _gathered(stream):
                    await self._fetches.offload(writer.write, piece)
                    count += len(piece)
                    if loop.time() - told_at > _TOLD_EVERY_S:
                        told_at = loop.time()
                        self._tell(_share("Downloading", wanted, count, size))
            self._tell(Progress(status="Verifying Checksum", id=wanted.shown))
            staged = writer.finish()
        expected = Digest(wanted.descriptor.digest)
        await self._fetches.offload(lambda: self._content.commit(staged, expected=expected))
        self._tell(Progress(status="Download complete", id=wanted.shown))

    async def _unpack(
        self, wanted: WantedLayer, parent: ChainId | None, arriving: FollowingReader | None
    ) -> None:
        """Unpack a layer while its blob arrives, or from the store where it is whole."""
        loop = asyncio.get_running_loop()
        size = wanted.descriptor.size
        told_at = 0.0

        def on_progress(counts: LayerCounts) -> None:
            nonlocal told_at
            if loop.time() - told_at > _TOLD_EVERY_S:
                told_at = loop.time()
                # Docker counts compressed bytes; of those it never says more than there are.
                done = min(counts.content_bytes, size)
                loop.call_soon_threadsafe(self._tell, _share("Extracting", wanted, done, size))

        def unpack() -> StagedLayer:
            source = (
                self._content.open(Digest(wanted.descriptor.digest))
                if arriving is None
                else arriving
            )
            with contextlib.closing(source):
                try:
                    return self._layers.stage(
                        parent, source, diff_id=wanted.diff_id, on_progress=on_progress
                    )
                except WherryError:
                    if arriving is None:  # A blob that is damaged is the better reason.
                        self._content.verify(Digest(wanted.descriptor.digest))
                    raise

        unpacking = asyncio.ensure_future(self._fetches.unpacking(unpack))
        self._unpackings.append(unpacking)
        await asyncio.shield(unpacking)


class _Arrival:
    """When a blob begins to come, and whether it comes at all.

    Its reader is opened then, and not when its turn to be unpacked comes: by that time the blob
    may be whole, under another name.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._begun: asyncio.Future[FollowingReader | None] = loop.create_future()
        self._is_taken = False

    def __enter__(self) -> "_Arrival":
        return self

    def __exit__(self, *_error: object) -> None:
        """Close what was not unpacked."""
        reader = self._begun.result() if self._begun.done() else None
        if reader is not None and not self._is_taken:
            reader.close()

    def begin(self, reader: FollowingReader) -> None:
        """It can be read from now on."""
        self._begun.set_result(reader)

    def end(self) -> None:
        """It is whole and was whole already; or it will never come, and its fetch tells why."""
        if not self._begun.done():
            self._begun.set_result(None)

    async def take(self) -> FollowingReader | None:
        """The reader, to be closed by the taker; None: the blob is to be read from the store."""
        reader = await asyncio.shield(self._begun)
        self._is_taken = True
        return reader


async def _gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What came in a while, in one piece: a visit to a thread costs more than 64 KiB do."""
    loop = asyncio.get_running_loop()
    pieces: list[bytes] = []
    since = loop.time()
    async for chunk in chunks:
        pieces.append(chunk)
        if sum(map(len, pieces)) >= _WRITTEN_AT_ONCE or loop.time() - since > _TOLD_EVERY_S:
            yield b"".join(pieces)
            pieces, since = [], loop.time()
    if pieces:
        yield b"".join(pieces)


def _parent(wanted: tuple[WantedLayer, ...], layer: WantedLayer) -> ChainId | None:
    position = wanted.index(layer)
    return wanted[position - 1].chain if position else None


def _share(status: str, wanted: WantedLayer, done: int, total: int) -> Progress:
    return Progress(status=status, id=wanted.shown, current=done, total=total)
