"""Pulling an image: what is missing is fetched, unpacked as it comes, and recorded at the end.

    manifest ─▶ configuration ─▶ layer 1 ══fetch══▶ blob ─┐
                                 layer 2 ══fetch══▶ blob ─┤ a thread unpacks each layer in turn,
                                 layer 3 ══fetch══▶ blob ─┘ reading its blob while it arrives
                                                          ▼
                             digests agree ─▶ layers and blobs durable ─▶ one row, its names

Layers are fetched side by side, at most `MOST_FETCHES` at once for all pulls, and a blob that
two pulls need is fetched once. Until the row is written the image does not exist; what a failed
pull has fetched completely stays until the collector runs, for the next attempt to find.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from wherry.content import FollowingReader
from wherry.images.documents import read_document
from wherry.images.image_table import LayerBlob, ManifestBlob, NewImage
from wherry.images.leases import Lease
from wherry.images.references import Reference, with_digest
from wherry.images.store import ImageStore
from wherry.kit.aio import KeyedLock, OffloadPool, UndoStack, first_failure
from wherry.kit.random_ids import short_id
from wherry.kit.values import dataclass
from wherry.model.errors import (
    ImageNotFound,
    ManifestRefused,
    OtherPlatform,
    PlatformMissing,
    WherryError,
)
from wherry.model.ids import ChainId, DiffId, Digest, ImageId
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import (
    CONFIG,
    DOCKER_CONFIG,
    Descriptor,
    Index,
    Manifest,
    Platform,
)
from wherry.oci.platforms import best, formatted
from wherry.registry import Credentials, FetchedManifest, RegistryClient, Repository
from wherry.snapshots import LayerCounts, StagedLayer, chain_id

MOST_FETCHES = 3
"""Blobs that are fetched at the same time (dockerd's `max-concurrent-downloads`)."""
_UNLIMITED = 1000
_TOLD_EVERY_S = 0.1
_WRITTEN_AT_ONCE = 1 << 20
_CONFIGS = (CONFIG, DOCKER_CONFIG)
_DEEPEST_INDEX = 2

Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """What to pull, and as whom."""

    name: Reference
    """With a tag or a digest."""
    platform: Platform
    credentials: Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """How a pull ended."""

    image_id: ImageId
    is_new: bool
    """Whether the name led elsewhere before, or nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """One layer of an image that is being pulled."""

    descriptor: Descriptor
    diff_id: DiffId
    chain: ChainId

    @property
    def shown(self) -> str:
        return short_id(self.descriptor.digest)


class ImagePulls:
    """The pulls of one engine."""

    def __init__(
        self,
        *,
        store: ImageStore,
        client: RegistryClient,
        offload: OffloadPool,
        unpacking: OffloadPool,
    ) -> None:
        """`unpacking` has threads of its own: they wait for the network."""
        self._store = store
        self._client = client
        self._offload = offload
        self._unpacking = unpacking
        self._blobs = KeyedLock()
        self.adopt(most_fetches=MOST_FETCHES)

    def adopt(self, *, most_fetches: int) -> None:
        """Fetch so many blobs side by side from now on; zero: as many as there are."""
        self._fetches = asyncio.Semaphore(most_fetches or _UNLIMITED)

    async def pull(self, request: PullRequest, tell: Tell) -> Pulled:
        """Pull one image, telling the progress in Docker's words.

        Raises: ManifestUnknown, RepositoryDenied, ManifestRefused, PlatformMissing,
        DigestMismatch, ArchiveRefused, and what the registry client raises.
        """
        name = request.name
        repository = Repository(name.domain, name.path)
        wanted = name.digest or name.tag
        top = await self._client.manifest(repository, wanted, request.credentials)
        tell(Progress(status=f"Pulling from {name.path}", id=wanted))
        fetched = await self._of_platform(repository, top, request)
        manifest = fetched.document
        assert isinstance(manifest, Manifest)
        before = self._current(request)
        with self._store.lease() as lease:
            config = await self._config(repository, manifest, request)
            image_id = ImageId(manifest.config.digest)
            layers = _layers(config, manifest)
            work = _Pull(self, repository, request.credentials, lease, tell)
            staged = await work.fetch_and_unpack(layers)
            for document in (top, fetched):
                lease.hold_blob(document.digest)
            new = NewImage(
                id=image_id,
                config=config,
                layers=tuple(_blob_of(each) for each in layers),
                names=(name,) if name.tag else (),
                digests=(with_digest(name.repository, top.digest),),
                manifest=ManifestBlob(digest=fetched.digest, media_type=fetched.media_type),
                indexes={name: top.digest} if isinstance(top.document, Index) else {},
            )
            await self._offload(self._record, new, (top, fetched), staged)
        tell(Progress(status=f"Digest: {top.digest}"))
        is_new = before != image_id
        word = "Downloaded newer image" if is_new else "Image is up to date"
        tell(Progress(status=f"Status: {word} for {name.familiar}"))
        return Pulled(image_id=image_id, is_new=is_new)

    # -- documents ---------------------------------------------------------------------------

    async def _of_platform(
        self, repository: Repository, top: FetchedManifest, request: PullRequest
    ) -> FetchedManifest:
        """The manifest for a platform, through indexes. Raises: PlatformMissing."""
        found = top
        for _depth in range(_DEEPEST_INDEX + 1):
            if not isinstance(found.document, Index):
                return found
            chosen = best(request.platform, found.document.manifests)
            if chosen is None:
                raise PlatformMissing(formatted(request.platform), request.name.familiar)
            found = await self._client.manifest(repository, chosen.digest, request.credentials)
        raise ManifestRefused(f"index {top.digest}: nested too deeply")

    async def _config(
        self, repository: Repository, manifest: Manifest, request: PullRequest
    ) -> bytes:
        descriptor = manifest.config
        if descriptor.media_type not in _CONFIGS:
            raise ManifestRefused(
                f'"{request.name.familiar}" is no image: its configuration is a '
                f"{descriptor.media_type}"
            )
        digest = Digest(descriptor.digest)
        if self._store.content.has(digest):
            with contextlib.suppress(OSError):
                return await self._offload(
                    self._store.content.read, digest, limit_bytes=descriptor.size
                )
        return await self._client.document(repository, descriptor, request.credentials)

    def _current(self, request: PullRequest) -> ImageId | None:
        try:
            return self._store.resolve(request.name.familiar, platform=request.platform).id
        except (ImageNotFound, OtherPlatform):
            return None

    def _record(
        self,
        image: NewImage,
        documents: tuple[FetchedManifest, ...],
        staged: list[StagedLayer],
    ) -> None:
        content = self._store.content
        for each in documents:
            content.commit(content.stage(each.content), expected=each.digest)
        self._store.record(image, staged)

    # -- blobs -------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def fetching(self, digest: Digest) -> AsyncIterator[bool]:
        """Be the one who fetches a blob; False when it has come meanwhile."""
        async with self._blobs.held(digest):
            if self._store.content.has(digest):
                yield False
                return
            async with self._fetches:
                yield True

    @property
    def client(self) -> RegistryClient:
        """Whom blobs are fetched from."""
        return self._client

    @property
    def store(self) -> ImageStore:
        """Where images are kept."""
        return self._store

    async def blocking(self, call: Callable[..., object], *arguments: object) -> None:
        """Write to the disk, beside the event loop."""
        await self._offload(call, *arguments)

    def unpack(self, call: Callable[[], StagedLayer]) -> asyncio.Future[StagedLayer]:
        """Unpack, in a thread that may wait for the network."""
        return asyncio.ensure_future(self._unpacking(call))


class _Pull:
    """The blobs of one image on their way."""

    def __init__(
        self,
        pulls: ImagePulls,
        repository: Repository,
        credentials: Credentials,
        lease: Lease,
        tell: Tell,
    ) -> None:
        self._pulls = pulls
        self._repository = repository
        self._credentials = credentials
        self._lease = lease
        self._tell = tell
        self._content = pulls.store.content
        self._layers = pulls.store.layers
        self._unpackings: list[asyncio.Future[StagedLayer]] = []

    async def fetch_and_unpack(self, wanted: tuple[_Wanted, ...]) -> list[StagedLayer]:
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

    async def _all(self, wanted: tuple[_Wanted, ...]) -> None:
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
        wanted: tuple[_Wanted, ...],
        layer: _Wanted,
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
        await self._pulls.blocking(self._layers.discard, staged)

    def _is_here(self, wanted: _Wanted) -> bool:
        return self._layers.get(wanted.chain) is not None and self._content.has(
            Digest(wanted.descriptor.digest)
        )

    async def _fetch(self, wanted: _Wanted, arrival: "_Arrival") -> None:
        """Bring a blob into the content store, under its digest."""
        digest = Digest(wanted.descriptor.digest)
        try:
            async with self._pulls.fetching(digest) as is_ours:
                if is_ours:
                    await self._receive(wanted, arrival)
                else:
                    self._tell(Progress(status="Download complete", id=wanted.shown))
        finally:
            arrival.end()

    async def _receive(self, wanted: _Wanted, arrival: "_Arrival") -> None:
        size = wanted.descriptor.size
        loop = asyncio.get_running_loop()
        told_at = 0.0
        count = 0
        with self._content.ingest() as writer:
            arrival.begin(writer.follow())
            stream = self._pulls.client.blob(
                self._repository, wanted.descriptor, self._credentials
            )
            async with contextlib.aclosing(stream):
                async for piece in _gathered(stream):
                    await self._pulls.blocking(writer.write, piece)
                    count += len(piece)
                    if loop.time() - told_at > _TOLD_EVERY_S:
                        told_at = loop.time()
                        self._tell(_share("Downloading", wanted, count, size))
            self._tell(Progress(status="Verifying Checksum", id=wanted.shown))
            staged = writer.finish()
        expected = Digest(wanted.descriptor.digest)
        await self._pulls.blocking(lambda: self._content.commit(staged, expected=expected))
        self._tell(Progress(status="Download complete", id=wanted.shown))

    async def _unpack(
        self, wanted: _Wanted, parent: ChainId | None, arriving: FollowingReader | None
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
                return self._layers.stage(
                    parent, source, diff_id=wanted.diff_id, on_progress=on_progress
                )

        unpacking = self._pulls.unpack(unpack)
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


def _layers(config: bytes, manifest: Manifest) -> tuple[_Wanted, ...]:
    """The layers of an image, by its configuration and its manifest. Raises: ManifestRefused."""
    document = read_document(config)
    if len(document.diff_ids) != len(manifest.layers):
        raise ManifestRefused(
            f"{len(manifest.layers)} layers, but {len(document.diff_ids)} in the configuration"
        )
    found = []
    chain: ChainId | None = None
    for descriptor, diff in zip(manifest.layers, document.diff_ids, strict=True):
        chain = chain_id(chain, DiffId(diff))
        found.append(_Wanted(descriptor=descriptor, diff_id=DiffId(diff), chain=chain))
    return tuple(found)


def _parent(wanted: tuple[_Wanted, ...], layer: _Wanted) -> ChainId | None:
    position = wanted.index(layer)
    return wanted[position - 1].chain if position else None


def _blob_of(wanted: _Wanted) -> LayerBlob:
    return LayerBlob(
        diff_id=wanted.diff_id,
        blob=Digest(wanted.descriptor.digest),
        blob_bytes=wanted.descriptor.size,
        media_type=wanted.descriptor.media_type,
    )


def _share(status: str, wanted: _Wanted, done: int, total: int) -> Progress:
    return Progress(status=status, id=wanted.shown, current=done, total=total)
