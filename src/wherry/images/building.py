"""What a builder needs of the image store: bases with their parts, layers of steps, new images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from wherry.content import StagedBlob
from wherry.images.clamped_layers import clamped
from wherry.images.documents import LARGEST_DOCUMENT, image_config, read_document
from wherry.images.image_table import LayerBlob, NewImage
from wherry.images.leases import Lease
from wherry.images.references import parse
from wherry.images.save import SavedImage, SavedImages, archive, saved_digest
from wherry.images.store import ImageStore
from wherry.kit.aio import BlockingWriter
from wherry.model.ids import ChainId, DiffId, Digest, ImageId, SnapshotKey
from wherry.model.images import Image, Layer
from wherry.oci.image_json import encode_image
from wherry.oci.image_spec import LAYER, ImageDocument
from wherry.snapshots import Snapshots, chain_id


@dataclass(frozen=True, slots=True)
class BuildState:
    """An image that need not be recorded: its document, and the layers that are here."""

    document: ImageDocument
    layers: tuple[LayerBlob, ...] = ()

    @property
    def chain(self) -> ChainId | None:
        """The stack of all layers."""
        chain: ChainId | None = None
        for layer in self.layers:
            chain = chain_id(chain, layer.diff_id)
        return chain

    @property
    def image_id(self) -> ImageId:
        """What the image is called, were it recorded."""
        import hashlib

        digest = hashlib.sha256(encode_image(self.document)).hexdigest()
        return ImageId(f"sha256:{digest}")

    def with_layer(self, layer: LayerBlob) -> "BuildState":
        """One more layer on top."""
        document = replace(self.document, diff_ids=(*self.document.diff_ids, layer.diff_id))
        return BuildState(document, (*self.layers, layer))


class BuildImages:
    """The image store, as a builder sees it; every method may be called from any thread."""

    def __init__(
        self,
        store: ImageStore,
        snapshots: Snapshots,
        lease: Lease,
        *,
        latest_ns: int | None = None,
    ) -> None:
        """Everything that the build comes to need is held by its lease.

        `latest_ns`: no file of a new layer is newer, whenever it was made.
        """
        self.latest_ns = latest_ns
        self._store = store
        self._lease = lease
        self.snapshots = snapshots

    def base(self, image: Image) -> BuildState:
        """An image that is here, to build on. Raises: StateUnreadable."""
        content = self._store.content.read(Digest(image.id), limit_bytes=LARGEST_DOCUMENT)
        layers = self._store.blobs_of(image)
        state = BuildState(read_document(content), layers)
        for layer in layers:
            self._lease.hold_blob(layer.blob)
        if state.chain is not None:
            self._lease.hold_chain(state.chain)
        return state

    def commit(self, key: SnapshotKey, below: BuildState) -> LayerBlob:
        """Make a layer of what was written to a snapshot. Raises: StepFailed."""
        content = self._store.content
        with content.ingest() as writer:
            pieces = BlockingWriter(writer.write)
            self.snapshots.diff_layer(key, pieces)
            pieces.flush()
            blob = writer.finish()
        if self.latest_ns is not None:
            blob = self._clamped(blob, self.latest_ns)
        self._hold(below, DiffId(blob.digest))
        try:
            with blob.open() as packed:
                self._store.layers.apply(below.chain, packed, diff_id=DiffId(blob.digest))
        except BaseException:
            content.discard(blob)
            raise
        content.commit(blob)
        return plain_layer(DiffId(blob.digest), blob.size_bytes)

    def _clamped(self, blob: StagedBlob, latest_ns: int) -> StagedBlob:
        """The same layer with bounded times, in the place of the first one."""
        try:
            with blob.open() as layer, self._store.content.ingest() as writer:
                for piece in clamped(layer, latest_ns):
                    writer.write(piece)
                return writer.finish()
        finally:
            self._store.content.discard(blob)

    def has(self, below: BuildState, diff_id: DiffId) -> bool:
        """Whether a layer on a stack is still here, with its bytes."""
        self._hold(below, diff_id)
        chain = chain_id(below.chain, diff_id)
        is_unpacked = self.snapshots.layers.get(chain) is not None
        return is_unpacked and self._store.content.has(Digest(diff_id))

    def open_layer(self, layer: LayerBlob) -> BinaryIO:
        """A layer's tar as it is kept, compressed or not. Raises: StateUnreadable."""
        return self._store.content.open(layer.blob)

    def record(self, states: Sequence[BuildState], names: Sequence[str]) -> Digest:
        """Make images of what was built, side by side under the same names.

        Returns the digest that leads to them. Raises: InvalidReference, StepFailed.
        """
        new = [
            NewImage(
                id=state.image_id,
                config=encode_image(state.document),
                layers=state.layers,
                names=tuple(parse(name).with_default_tag() for name in names),
            )
            for state in states
        ]
        self._store.record_several(new)
        return saved_digest(self._saved(states, names))

    def archived(self, states: Sequence[BuildState], names: Sequence[str]) -> Iterator[bytes]:
        """An archive of what was built, which need not be recorded. Raises: as `save.archive`."""
        for state in states:
            config = self._store.content.stage(encode_image(state.document))
            self._lease.hold_blob(Digest(config.digest))
            self._store.content.commit(config)
        return archive(self._store.content, [self._saved(states, names)])

    def _saved(self, states: Sequence[BuildState], names: Sequence[str]) -> SavedImages:
        siblings = []
        for state in states:
            image = as_image(state)
            content, manifest = self._store.manifest_for(image, state.layers)
            siblings.append(
                SavedImage(image=image, blobs=state.layers, content=content, manifest=manifest)
            )
        return SavedImages(
            siblings=tuple(siblings),
            names=tuple(parse(name).with_default_tag() for name in names),
        )

    def _hold(self, below: BuildState, diff_id: DiffId) -> None:
        self._lease.hold_blob(Digest(diff_id))
        self._lease.hold_chain(chain_id(below.chain, diff_id))


def plain_layer(diff_id: DiffId, size_bytes: int) -> LayerBlob:
    """A layer whose bytes are a plain tar."""
    return LayerBlob(
        diff_id=diff_id, blob=Digest(diff_id), blob_bytes=size_bytes, media_type=LAYER
    )


def as_image(state: BuildState) -> Image:
    """A state as containers are made from it: with what a step may not see left out.

    Volumes of the base would hide what a step writes; its health check is nobody's concern.
    """
    config = image_config(state.document.config)
    layers = []
    chain: ChainId | None = None
    for layer in state.layers:
        chain = chain_id(chain, layer.diff_id)
        layers.append(Layer(diff_id=layer.diff_id, chain_id=chain, size_bytes=layer.blob_bytes))
    return Image(
        id=state.image_id,
        references=(),
        architecture=state.document.architecture,
        operating_system=state.document.os,
        variant=state.document.variant,
        config=replace(
            config,
            volumes=(),
            exposed_ports=(),
            health=None,
            labels={},
            on_build=(),
            entrypoint=None,
            command=None,
        ),
        layers=tuple(layers),
    )
