"""What a builder needs of the image store: bases with their parts, layers of steps, new images."""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from wherry.content import BlobWriter, StagedBlob
from wherry.images.archive_writer import SavedImage, SavedImages, archive
from wherry.images.clamped_layers import clamped
from wherry.images.documents import LARGEST_DOCUMENT, image_config, read_document
from wherry.images.image_rows import LayerBlob, ManifestBlob
from wherry.images.image_table import NewImage
from wherry.images.leases import Lease
from wherry.images.packing import packed
from wherry.images.pushing import Document
from wherry.images.references import Reference, parse_new, with_digest
from wherry.images.store import ImageStore
from wherry.kit.aio import BlockingWriter
from wherry.kit.values import dataclass, replace
from wherry.model.ids import ChainId, DiffId, Digest, ImageId, SnapshotKey
from wherry.model.images import Image, Layer
from wherry.oci.image_json import encode_image
from wherry.oci.image_spec import LAYER, ImageDocument, Platform
from wherry.snapshots import (
    DIRECTORY,
    MOUNT_POINT_PARENTS,
    TAR_END,
    Compression,
    DirectoryState,
    PackedLayer,
    Snapshots,
    TarReader,
    chain_id,
    decompressed,
)

_CHUNK = 1 << 20
NOTHING = DiffId("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef")
"""The layer that changes nothing: the end of a tar, and no more."""


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

    def for_platform(self, platform: Platform) -> "BuildState":
        """The same image for a platform, whatever its base is for."""
        document, variant = self.document, platform.variant
        if (platform.os, platform.architecture) == (document.os, document.architecture):
            variant = variant or document.variant
        return replace(
            self,
            document=replace(
                document, os=platform.os, architecture=platform.architecture, variant=variant
            ),
        )

    def with_layer(self, layer: LayerBlob) -> "BuildState":
        """One more layer on top."""
        document = replace(self.document, diff_ids=(*self.document.diff_ids, layer.diff_id))
        return BuildState(document, (*self.layers, layer))


@dataclass(frozen=True, slots=True)
class Recorded:
    """The documents by which images are known elsewhere."""

    manifests: Sequence[Document]
    """One for each image."""
    index: Document | None


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

    def commit(self, key: SnapshotKey, below: BuildState) -> LayerBlob | None:
        """Make a layer of what was written to a snapshot, which stays; None where nothing was.

        Raises: StepFailed.
        """

        def unpack(blob: StagedBlob) -> None:
            with blob.open() as packed:
                self._store.layers.apply(below.chain, packed, diff_id=DiffId(blob.digest))

        blob, packed = self._written(key)
        return None if self._is_nothing(blob, packed, below) else self._layer(blob, below, unpack)

    def hand_over(self, key: SnapshotKey, below: BuildState) -> LayerBlob | None:
        """Make a layer of a snapshot that its owner only removes afterwards; None as `commit`.

        Its files need not be written a second time. Nobody may write to it any more.
        Raises: StepFailed.
        """
        if self.latest_ns is not None:
            return self.commit(key, below)  # The layer's times are not those of the files.

        blob, packed = self._written(key)

        def become(staged: StagedBlob) -> None:
            self.snapshots.become_layer(key, packed, staged.open)

        return None if self._is_nothing(blob, packed, below) else self._layer(blob, below, become)

    def nothing(self, below: BuildState) -> LayerBlob:
        """A layer that changes nothing, on a stack. Raises: StepFailed."""

        def unpack(blob: StagedBlob) -> None:
            with blob.open() as packed:
                self._store.layers.apply(below.chain, packed, diff_id=NOTHING)

        return self._layer(self._store.content.stage(TAR_END), below, unpack)

    def _is_nothing(self, blob: StagedBlob, packed: PackedLayer, below: BuildState) -> bool:
        """Whether a snapshot is as what it stands on; its tar is thrown away then.

        Directories are in each tar in which the engine has mounted something for a command.
        """
        if packed.counts.entries > len(MOUNT_POINT_PARENTS):
            return False
        with blob.open() as written:
            for entry in TarReader(written):
                name = b"" if entry.path == b"./" else entry.path.rstrip(b"/")
                before = self._store.layers.directory_state(below.chain, name)
                looks = DirectoryState(entry.mode, entry.uid, entry.gid)
                is_plain = name in MOUNT_POINT_PARENTS and entry.kind == DIRECTORY
                if not is_plain or looks != before or entry.xattrs:
                    return False
        self._store.content.discard(blob)
        return True

    def _written(self, key: SnapshotKey) -> tuple[StagedBlob, PackedLayer]:
        with self._store.content.ingest() as writer:
            pieces = BlockingWriter(writer.write)
            packed = self.snapshots.diff_layer(key, pieces)
            pieces.flush()
            blob = writer.finish()
        if self.latest_ns is not None:
            blob = self._clamped(blob, self.latest_ns)
        return blob, packed

    def _layer(
        self, blob: StagedBlob, below: BuildState, commit: Callable[[StagedBlob], None]
    ) -> LayerBlob:
        self._hold(below, DiffId(blob.digest))
        try:
            commit(blob)
        except BaseException:
            self._store.content.discard(blob)
            raise
        self._store.content.commit(blob)
        return plain_layer(DiffId(blob.digest), blob.size_bytes)

    def adopt(self, source: StagedBlob, diff_id: DiffId, below: BuildState) -> LayerBlob:
        """Take over a layer that was made elsewhere, compressed or not.

        Raises: ArchiveRefused, DigestMismatch, StepFailed.
        """
        content = self._store.content
        self._hold(below, diff_id)
        # What it unpacks to is bounded, and found to be what was promised, before it is kept.
        with source.open() as archive:
            self._store.layers.apply(below.chain, archive, diff_id=diff_id)
        with source.open() as archive, content.ingest() as writer:
            plain = decompressed(archive)[1]
            while piece := plain.read(_CHUNK):
                writer.write(piece)
            blob = writer.finish()
        content.commit(blob, expected=Digest(diff_id))
        return plain_layer(diff_id, blob.size_bytes)

    def ingest(self) -> BlobWriter:
        """Begin to take in a layer of elsewhere; what is not adopted goes at the next boot."""
        return self._store.content.ingest()

    def discard(self, source: StagedBlob) -> None:
        """Throw away what was taken in."""
        self._store.content.discard(source)

    def packed(
        self, layer: LayerBlob, wanted: Compression, *, is_forced: bool = False
    ) -> LayerBlob:
        """A layer as it is sent away, held. Raises: StateUnreadable."""
        sent = packed(self._store.content, layer, wanted, is_forced=is_forced)
        self._lease.hold_blob(sent.blob)
        return sent

    def keep(self, document: bytes) -> Digest:
        """Keep a document as a blob, as long as the build goes on."""
        staged = self._store.content.stage(document)
        self._lease.hold_blob(staged.digest)
        return self._store.content.commit(staged)

    def size_of(self, digest: Digest) -> int:
        """Bytes of a blob that is here. Raises: StateUnreadable."""
        return self._store.content.size(digest)

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A blob that is here. Raises: StateUnreadable."""
        return self._store.content.open(digest)

    def _clamped(self, blob: StagedBlob, latest_ns: int) -> StagedBlob:
        """The same layer with bounded times, in the place of the first one."""
        try:
            with blob.open() as layer, self._store.content.ingest() as writer:
                for piece in clamped(layer, latest_ns):
                    writer.write(piece)
                return writer.finish()
        finally:
            self._store.content.discard(blob)

    def found(self, below: BuildState, diff_id: DiffId) -> LayerBlob | None:
        """A layer on a stack, if it is here with its plain bytes."""
        if not self.has(below, diff_id):
            return None
        return plain_layer(diff_id, self._store.content.size(Digest(diff_id)))

    def has(self, below: BuildState, diff_id: DiffId) -> bool:
        """Whether a layer on a stack is still here, with its bytes."""
        self._hold(below, diff_id)
        chain = chain_id(below.chain, diff_id)
        is_unpacked = self.snapshots.layers.get(chain) is not None
        return is_unpacked and self._store.content.has(Digest(diff_id))

    def put_on(self, below: BuildState, diff_id: DiffId) -> LayerBlob | None:
        """A layer that is here, on another stack as well; None where its bytes are gone.

        Raises: StepFailed.
        """
        self._hold(below, diff_id)
        if not self._store.content.has(Digest(diff_id)):
            return None
        with self._store.content.open(Digest(diff_id)) as plain:
            self._store.layers.apply(below.chain, plain, diff_id=diff_id)
        return self.found(below, diff_id)

    def has_files(self, state: BuildState) -> bool:
        """Whether a state's files are here."""
        return state.chain is None or self.snapshots.layers.get(state.chain) is not None

    def open_layer(self, layer: LayerBlob) -> BinaryIO:
        """A layer's tar as it is kept, compressed or not. Raises: StateUnreadable."""
        return self._store.content.open(layer.blob)

    def record(
        self, states: Sequence[BuildState], names: Sequence[str], by: "Recorded | None" = None
    ) -> None:
        """Make images of what was built, side by side under the same names.

        `by`: the documents that lead to them, which are kept.

        Raises: InvalidReference, StepFailed.
        """
        references = tuple(parse_new(name) for name in names)
        index = by.index if by is not None else None
        new = [
            NewImage(
                id=state.image_id,
                config=encode_image(state.document),
                layers=state.layers,
                names=references,
                manifest=_blob(by.manifests[place]) if by is not None else None,
                indexes=dict.fromkeys(references, index.digest) if index is not None else {},
            )
            for place, state in enumerate(states)
        ]
        self._store.record_several(new)

    def known_as(
        self, states: Sequence[BuildState], name: Reference, documents: Sequence[Document]
    ) -> None:
        """Note what a registry calls what was sent to it."""
        manifests = {each.digest: each for each in documents}
        top = documents[-1]
        for state in states:
            image = self._store.resolve(state.image_id)
            own = manifests.get(image.manifest_digest or Digest(""), top)
            for each in {own.digest, top.digest}:
                self._store.record_push(
                    state.image_id, with_digest(name.repository, each), _blob(own), state.layers
                )

    def archived(self, states: Sequence[BuildState], names: Sequence[str]) -> Iterator[bytes]:
        """An archive of what was built, which need not be recorded. Raises: as `save.archive`."""
        for state in states:
            self.keep(encode_image(state.document))
        return archive(self._store.content, [self._saved(states, names)])

    def _saved(self, states: Sequence[BuildState], names: Sequence[str]) -> SavedImages:
        siblings = []
        for state in states:
            image = as_image(state)
            content, manifest = self._store.documents.manifest_for(image, state.layers)
            siblings.append(
                SavedImage(image=image, blobs=state.layers, content=content, manifest=manifest)
            )
        return SavedImages(
            siblings=tuple(siblings),
            names=tuple(parse_new(name) for name in names),
        )

    def _hold(self, below: BuildState, diff_id: DiffId) -> None:
        self._lease.hold_blob(Digest(diff_id))
        self._lease.hold_chain(chain_id(below.chain, diff_id))


def _blob(document: Document) -> ManifestBlob:
    return ManifestBlob(digest=document.digest, media_type=document.media_type)


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
