"""Pulling an image: what is missing is fetched, unpacked as it comes, and recorded at the end.

    (index ─▶) manifest ─▶ configuration ─▶ layers (`layer_fetches`)
                                               ▼
                  digests agree ─▶ layers and blobs durable ─▶ one row, its names

Until the row is written the image does not exist.
"""

import contextlib

from wherry.images.documents import read_document
from wherry.images.image_rows import LayerBlob, ManifestBlob
from wherry.images.image_table import NewImage
from wherry.images.layer_fetches import IncomingLayers, LayerFetches, Tell, WantedLayer
from wherry.images.references import Reference, with_digest
from wherry.images.store import ImageStore
from wherry.kit.aio import OffloadPool
from wherry.kit.values import dataclass
from wherry.model.errors import StateUnreadable
from wherry.model.errors.images import ImageNotFound
from wherry.model.errors.registries import ManifestRefused, OtherPlatform, PlatformMissing
from wherry.model.ids import ChainId, DiffId, Digest, ImageId
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import (
    CONFIG,
    DOCKER_CONFIG,
    Index,
    Manifest,
    Platform,
)
from wherry.oci.platforms import best, formatted
from wherry.registry import Credentials, FetchedManifest, RegistryClient, Repository
from wherry.snapshots import StagedLayer, chain_id

_CONFIGS = (CONFIG, DOCKER_CONFIG)
_DEEPEST_INDEX = 2


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
        self._fetches = LayerFetches(
            store=store, client=client, offload=offload, unpacking=unpacking
        )

    def adopt(self, *, most_fetches: int) -> None:
        """Fetch so many blobs side by side from now on; zero: as many as there are."""
        self._fetches.adopt(most_fetches=most_fetches)

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
            incoming = IncomingLayers(self._fetches, repository, request.credentials, lease, tell)
            staged = await incoming.fetch_and_unpack(layers)
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
            with contextlib.suppress(OSError, StateUnreadable):
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


def _layers(config: bytes, manifest: Manifest) -> tuple[WantedLayer, ...]:
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
        found.append(WantedLayer(descriptor=descriptor, diff_id=DiffId(diff), chain=chain))
    return tuple(found)


def _blob_of(wanted: WantedLayer) -> LayerBlob:
    return LayerBlob(
        diff_id=wanted.diff_id,
        blob=Digest(wanted.descriptor.digest),
        blob_bytes=wanted.descriptor.size,
        media_type=wanted.descriptor.media_type,
    )
