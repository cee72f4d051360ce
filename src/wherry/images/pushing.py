"""Pushing an image: the registry gets what it lacks, and the manifest last.

An image that came from a registry goes back byte for byte, under the digest that it came with,
and so does an index, if the registry has all that it names once our images are there. Where it
lacks some, a name with one image leads to that image's manifest, and one with several to an
index of these.

A layer that has no compressed form yet gets one, which is kept: the next push sends the same
bytes, so that registries and other engines recognise it.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence

from wherry.images.attestations import attached
from wherry.images.image_rows import LayerBlob, ManifestBlob
from wherry.images.intake import media_type
from wherry.images.leases import Lease
from wherry.images.packing import packed
from wherry.images.references import Reference, with_digest
from wherry.images.siblings import platform_of
from wherry.images.store import ImageStore
from wherry.kit.aio import KeyedLock, OffloadPool, first_failure
from wherry.kit.random_ids import short_id
from wherry.kit.values import dataclass
from wherry.model.ids import Digest
from wherry.model.images import Image
from wherry.model.outcomes import Progress, PushedTag
from wherry.oci.image_json import encode_index
from wherry.oci.image_spec import INDEX, Descriptor, Index, Platform
from wherry.registry import (
    Asker,
    Credentials,
    FetchedManifest,
    RegistryClient,
    Repository,
    digest_of,
    pushing,
)
from wherry.snapshots import Compression

MOST_UPLOADS = 5
"""Layers that are sent at the same time (dockerd's `max-concurrent-uploads`)."""
_UNLIMITED = 1000
_TOLD_EVERY_S = 0.1

Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """What to push, under which name, and as whom."""

    images: Sequence[Image]
    """One for each platform."""
    name: Reference
    credentials: Credentials
    index: FetchedManifest | None = None
    """The index that the name came with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A manifest or an index, as registries get it."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> Digest:
        """By which it is named."""
        return digest_of(self.content)

    def described(self, *, platform: Platform | None = None) -> Descriptor:
        """How others refer to it."""
        return Descriptor(
            media_type=self.media_type,
            digest=self.digest,
            size=len(self.content),
            platform=platform,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Things that need not be an image of the store, and whom they are sent to."""

    name: Reference
    """With a tag; without one, the last manifest has no name but its digest."""
    layers: Sequence[LayerBlob]
    documents: Sequence[Digest]
    """Other blobs: configurations, statements."""
    manifests: Sequence[Document]
    """Each behind those that it refers to."""
    credentials: Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """An image whose blobs a registry has."""

    image: Image
    layers: tuple[LayerBlob, ...]
    manifest: Document


class ImagePushes:
    """The pushes of one engine."""

    def __init__(
        self,
        *,
        store: ImageStore,
        client: RegistryClient,
        offload: OffloadPool,
    ) -> None:
        self._store = store
        self._client = client
        self.offload = offload
        self._compressing = KeyedLock()
        self.adopt(most_uploads=MOST_UPLOADS)

    def adopt(self, *, most_uploads: int) -> None:
        """Send so many layers side by side from now on; zero: as many as there are."""
        self._uploads = asyncio.Semaphore(most_uploads or _UNLIMITED)

    async def push(self, request: PushRequest, tell: Tell) -> PushedTag:
        """Push one tag, telling the progress in Docker's words.

        Several images go one after the other, and the tag leads to an index of them.

        Raises: RepositoryDenied, RegistryRefused, StateUnreadable, and what the client raises.
        """
        name = request.name
        repository = Repository(name.domain, name.path)
        asker = self._client.writer(repository, pushing(name.path), request.credentials)
        with self._store.lease() as lease:
            work = _Push(self, repository, asker, request.credentials, lease, tell)
            sent = [await work.image(each) for each in request.images]
            top = await work.top(request.index, sent)
            if top is not sent[0].manifest:
                for each in sent:
                    await work.manifest(each.manifest, each.manifest.digest)
            await work.manifest(top, name.tag)
            for each in sent:
                names = {with_digest(name.repository, one.digest) for one in (each.manifest, top)}
                await self.offload(self._record, each, names)
        pushed = PushedTag(tag=name.tag, digest=top.digest, size_bytes=len(top.content))
        tell(Progress(status=f"{name.tag}: digest: {pushed.digest} size: {pushed.size_bytes}"))
        tell(Progress(pushed=pushed))
        return pushed

    async def upload(self, request: Upload, tell: Tell) -> Digest:
        """Send blobs that are here, then manifests that name them; the digest of the last one.

        Nothing is recorded. Raises: RepositoryDenied, RegistryRefused, StateUnreadable.
        """
        name = request.name
        repository = Repository(name.domain, name.path)
        asker = self._client.writer(repository, pushing(name.path), request.credentials)
        with self._store.lease() as lease:
            work = _Push(self, repository, asker, request.credentials, lease, tell)
            await work.side_by_side(request.layers, work.as_it_is)
            for digest in request.documents:
                await work.blob(digest, self._store.content.size(digest))
            *others, top = request.manifests
            for each in others:
                await work.manifest(each, each.digest)
            await work.manifest(top, name.tag or top.digest)
        return top.digest

    def _record(self, sent: "_Sent", names: Collection[Reference]) -> None:
        content, manifest = self._store.content, sent.manifest
        content.commit(content.stage(manifest.content), expected=manifest.digest)
        blob = ManifestBlob(digest=manifest.digest, media_type=manifest.media_type)
        for name in names:
            self._store.record_push(sent.image.id, name, blob, sent.layers)

    # -- for one push ------------------------------------------------------------------------

    async def compressed(self, layer: LayerBlob) -> LayerBlob:
        """A layer as it goes to registries: gzip where it has no compression yet."""
        if layer.media_type != media_type(Compression.NONE):
            return layer
        async with self._compressing.held(layer.blob):
            return await self.offload(packed, self._store.content, layer, Compression.GZIP)

    def sources(self, repository: Repository, blob: Digest) -> list[str]:
        """Other repositories of the same registry that should hold a blob."""
        found = []
        for image in self._store.list():
            if any(each.blob == blob for each in self._store.blobs_of(image)):
                found += [
                    each.path
                    for each in self._store.known_names(image)
                    if each.domain == repository.domain and each.path != repository.path
                ]
        return list(dict.fromkeys(found))

    @property
    def client(self) -> RegistryClient:
        """Whom blobs are sent to."""
        return self._client

    @property
    def store(self) -> ImageStore:
        """Where images are kept."""
        return self._store

    @property
    def slots(self) -> asyncio.Semaphore:
        """How many layers may be on their way at once."""
        return self._uploads


class _Push:
    """The blobs of one image on their way to a repository."""

    def __init__(
        self,
        pushes: ImagePushes,
        repository: Repository,
        asker: Asker,
        credentials: Credentials,
        lease: Lease,
        tell: Tell,
    ) -> None:
        self._pushes = pushes
        self._repository = repository
        self._asker = asker
        self._credentials = credentials
        self._lease = lease
        self._tell = tell

    async def image(self, image: Image) -> _Sent:
        """Send what is missing of an image, but for its manifest."""
        store = self._pushes.store
        layers = store.blobs_of(image)
        for layer in layers:
            self._lease.hold_blob(layer.blob)
            self._tell(Progress(status="Preparing", id=short_id(layer.diff_id)))
        sent = await self.side_by_side(layers, self.layer)
        await self.blob(Digest(image.id), store.content.size(Digest(image.id)))
        content, known = await self._pushes.offload(store.documents.manifest_for, image, sent)
        manifest = Document(media_type=known.media_type, content=content)
        return _Sent(image=image, layers=sent, manifest=manifest)

    async def top(self, index: FetchedManifest | None, sent: Sequence[_Sent]) -> Document:
        """What a tag is to lead to: the index that it came with, or one of what is sent."""
        for attestation in attached(self._pushes.store.content, index) if index else ():
            for digest in attestation.blobs:
                await self.blob(digest, self._pushes.store.content.size(digest))
            said = attestation.manifest
            await self.manifest(
                Document(media_type=said.media_type, content=said.content), said.digest
            )
        if index is not None and await self._is_whole(index, {s.manifest.digest for s in sent}):
            return Document(media_type=index.media_type, content=index.content)
        return sent[0].manifest if len(sent) == 1 else _index_of(sent)

    async def _is_whole(self, index: FetchedManifest, sent: set[Digest]) -> bool:
        """Whether the registry has all that an index names, and it names all that is sent."""
        uploads, path = self._pushes.client.uploads, self._repository.path
        if not sent <= index.named:
            return False
        for digest in index.named - sent:
            if not await uploads.has_manifest(self._asker, path, digest):
                return False
        return True

    async def manifest(self, document: Document, reference: str) -> None:
        """Let a tag or a digest lead to a manifest or an index."""
        await self._pushes.client.uploads.put_manifest(
            self._asker,
            self._repository.path,
            reference,
            media_type=document.media_type,
            content=document.content,
        )

    async def side_by_side(
        self,
        layers: Sequence[LayerBlob],
        send: Callable[[LayerBlob], Coroutine[None, None, LayerBlob]],
    ) -> tuple[LayerBlob, ...]:
        """Send what is missing; the layers as they were sent."""
        try:
            async with asyncio.TaskGroup() as group:
                sending = [group.create_task(send(each)) for each in layers]
        except BaseExceptionGroup as failures:
            raise first_failure(failures) from failures
        return tuple(each.result() for each in sending)

    async def layer(self, layer: LayerBlob) -> LayerBlob:
        """Bring a layer there, in the cheapest way; how it was sent."""
        shown = short_id(layer.diff_id)
        self._tell(Progress(status="Waiting", id=shown))
        async with self._pushes.slots:
            sent = await self._pushes.compressed(layer)
            await self._send(sent, shown)
        return sent

    async def as_it_is(self, layer: LayerBlob) -> LayerBlob:
        """The same for a layer that is packed already."""
        async with self._pushes.slots:
            await self._send(layer, short_id(layer.diff_id))
        return layer

    async def _send(self, layer: LayerBlob, shown: str) -> None:
        self._lease.hold_blob(layer.blob)
        self._tell(Progress(status=await self._bring(layer, shown), id=shown))

    async def _bring(self, layer: LayerBlob, shown: str) -> str:
        uploads, path = self._pushes.client.uploads, self._repository.path
        if await uploads.has_blob(self._asker, path, layer.blob):
            return "Layer already exists"
        for source in self._pushes.sources(self._repository, layer.blob):
            scopes = pushing(path, mounted_from=source)
            asker = self._pushes.client.writer(self._repository, scopes, self._credentials)
            if await uploads.mount(asker, path, layer.blob, mounted_from=source):
                return f"Mounted from {source}"
        await self.blob(layer.blob, layer.blob_bytes, shown=shown)
        return "Pushed"

    async def blob(self, digest: Digest, size: int, *, shown: str = "") -> None:
        """Send one blob, unless it is there."""
        uploads, path = self._pushes.client.uploads, self._repository.path
        if not shown and await uploads.has_blob(self._asker, path, digest):
            return
        loop = asyncio.get_running_loop()
        told_at = 0.0

        def on_sent(count: int) -> None:
            nonlocal told_at
            if shown and loop.time() - told_at > _TOLD_EVERY_S:
                told_at = loop.time()
                self._tell(Progress(status="Pushing", id=shown, current=count, total=size))

        await uploads.put_blob(
            self._asker,
            path,
            digest,
            size=size,
            open_source=lambda: self._pushes.store.content.open(digest),
            on_sent=on_sent,
        )


def _index_of(sent: Sequence[_Sent]) -> Document:
    """The index that leads to each image by its platform."""
    manifests = tuple(each.manifest.described(platform=platform_of(each.image)) for each in sent)
    return Document(media_type=INDEX, content=encode_index(Index(manifests=manifests)))
