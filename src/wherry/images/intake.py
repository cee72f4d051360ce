"""Taking images in: all of an archive, or nothing of it.

Blobs are staged first, without any lock, as fast or slowly as they come. Then, in one go and
under the store's lock: layers are unpacked where they are not yet, checked against their digests,
put on each other, synced, committed; blobs get their names; and one transaction records the
images and how they are called. Whatever fails or is killed before that leaves no name, and
nothing that a sweep doesn't take away.
"""

from collections.abc import Callable, Mapping, Sequence

from wherry.content import ContentStore, StagedBlob
from wherry.images.ahead import UnpackingAhead
from wherry.images.documents import LARGEST_DOCUMENT, read_document
from wherry.images.image_rows import LayerBlob, ManifestBlob
from wherry.images.image_table import ImageTable, NewImage
from wherry.images.references import Reference
from wherry.kit.clock import Clock
from wherry.kit.values import dataclass, field, replace
from wherry.model.errors.images import ArchiveRefused
from wherry.model.errors.registries import OtherPlatform, SystemUnusable
from wherry.model.ids import ChainId, DiffId, ImageId
from wherry.model.images import Image
from wherry.oci.image_spec import LAYER, ImageDocument, Platform
from wherry.oci.platforms import formatted, rank
from wherry.snapshots import Compression, Snapshots, StagedLayer, chain_id, compression_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedManifest:
    """A manifest that was checked, and how registries call its kind."""

    blob: StagedBlob
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlan:
    """What one image is to be made of; layers from the bottom up."""

    base: ImageId | None = None
    """An image that is here: its layers come first."""
    config: StagedBlob
    layers: tuple[StagedBlob, ...]
    names: tuple[Reference, ...]
    manifest: StagedManifest | None = None
    """The one that names just this configuration and these layers."""
    indexes: Mapping[Reference, StagedBlob] = field(default_factory=dict)
    """Those by which its names lead here, as far as they do so by an index."""
    attestations: tuple[StagedBlob, ...] = ()
    """What an index has beside the image, said of it."""

    @property
    def blobs(self) -> Sequence[StagedBlob]:
        """All that it brings along."""
        manifest = (self.manifest.blob,) if self.manifest is not None else ()
        return (
            self.config, *self.layers, *manifest, *self.indexes.values(), *self.attestations
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What an intake has made."""

    images: tuple[ImageId, ...]
    """In the order of the plans."""
    renamed: Sequence[tuple[Reference, Image]] = ()
    """Names that led to other images before, each with one of those."""


class Intake:
    """Where staged blobs become images. Callers hold the store's lock."""

    def __init__(
        self, *, content: ContentStore, snapshots: Snapshots, table: ImageTable, clock: Clock
    ) -> None:
        self._content = content
        self._snapshots = snapshots
        self._table = table
        self._clock = clock

    def take_in(
        self,
        plans: Sequence[ImagePlan],
        *,
        collect: Callable[[], object],
        ahead: UnpackingAhead | None = None,
    ) -> TakenIn:
        """Make images, of layers that may be unpacked already.

        `collect` is called to clean up when one can't be made.

        Raises: ArchiveRefused, DigestMismatch, StepFailed.
        """
        names = [name for plan in plans for name in plan.names]
        before = [(name, each) for name in names for each in self._table.named(name)]
        staged: list[StagedLayer] = []
        plans = [self._with_news_only(plan) for plan in plans]
        try:
            added = [self._unpack(plan, staged, ahead) for plan in plans]
            self._snapshots.layers.commit(staged)
            for plan in plans:
                for blob in plan.blobs:
                    self._content.commit(blob)
            self._table.add(added, now_ns=self._clock.now_ns())
        except BaseException:
            self._snapshots.layers.discard(staged)
            collect()
            raise
        made = tuple(image.id for image in added)
        return TakenIn(made, [(name, old) for name, old in before if old.id not in made])

    def _with_news_only(self, plan: ImagePlan) -> ImagePlan:
        """An image that is here keeps the manifest and the bytes that it has."""
        is_here = self._table.get(ImageId(plan.config.digest)) is not None
        return replace(plan, manifest=None) if is_here else plan

    def _unpack(
        self, plan: ImagePlan, staged: list[StagedLayer], ahead: UnpackingAhead | None
    ) -> NewImage:
        config, document = _configuration(plan)
        blobs = list(self._table.blobs_of(plan.base)) if plan.base is not None else []
        chain: ChainId | None = None
        for below in blobs:
            chain = chain_id(chain, below.diff_id)
        promises = document.diff_ids[len(blobs) :]
        if len(promises) != len(plan.layers):
            raise ArchiveRefused(
                f"invalid manifest, layers length mismatch: expected {len(plan.layers)}, "
                f"got {len(promises)}"
            )
        for layer, promised in zip(plan.layers, promises, strict=True):
            unpacked, blob = self._unpack_layer(chain, layer, DiffId(promised), ahead)
            staged.append(unpacked)
            chain = unpacked.layer.chain_id
            blobs.append(blob)
        manifest = plan.manifest
        return NewImage(
            id=ImageId(plan.config.digest),
            config=config,
            layers=tuple(blobs),
            names=plan.names,
            manifest=None
            if manifest is None
            else ManifestBlob(digest=manifest.blob.digest, media_type=manifest.media_type),
            indexes={name: index.digest for name, index in plan.indexes.items()},
        )

    def _unpack_layer(
        self,
        below: ChainId | None,
        layer: StagedBlob,
        diff_id: DiffId,
        ahead: UnpackingAhead | None,
    ) -> tuple[StagedLayer, LayerBlob]:
        """A layer on those below it, unless that was done ahead; and the record of its blob."""
        loose = ahead.take(layer) if ahead is not None else None
        with layer.open() as packed:
            compression = compression_of(packed.read(16))
            packed.seek(0)
            if loose is not None:
                unpacked = self._snapshots.layers.settle(below, loose, diff_id=diff_id)
            else:
                unpacked = self._snapshots.layers.stage(below, packed, diff_id=diff_id)
        return unpacked, LayerBlob(
            diff_id=diff_id,
            blob=layer.digest,
            blob_bytes=layer.size_bytes,
            media_type=media_type(compression),
        )


def only_for(wanted: Sequence[Platform], plans: Sequence[ImagePlan]) -> Sequence[ImagePlan]:
    """The planned images for some platforms; without any, all of them.

    Raises: ArchiveRefused; OtherPlatform where none is for one of them.
    """
    if not wanted:
        return plans
    offered = [(plan, _platform(plan)) for plan in plans]
    kept: list[ImagePlan] = []
    for platform in wanted:
        suiting = [plan for plan, offer in offered if rank(platform, offer) is not None]
        if not suiting:
            names = [name.familiar for plan in plans for name in plan.names]
            raise OtherPlatform(names[0] if names else "archive", formatted(platform))
        kept += suiting
    return [plan for plan in plans if plan in kept]


def _platform(plan: ImagePlan) -> Platform:
    _content, document = _configuration(plan)
    return Platform(
        os=document.os or "linux", architecture=document.architecture, variant=document.variant
    )


def _configuration(plan: ImagePlan) -> tuple[bytes, ImageDocument]:
    content = _read_bounded(plan.config)
    try:
        return content, read_document(content)
    except SystemUnusable as error:
        raise ArchiveRefused(f"cannot load {error.system} image on linux") from error


def media_type(compression: Compression) -> str:
    """OCI's name for a layer that is compressed so."""
    return f"{LAYER}+{compression.value}" if compression.value else LAYER


def _read_bounded(blob: StagedBlob) -> bytes:
    if blob.size_bytes > LARGEST_DOCUMENT:
        raise ArchiveRefused(f"image configuration of {blob.size_bytes} bytes")
    with blob.open() as file:
        return file.read()
