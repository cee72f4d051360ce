"""Manifests and indexes as they came: blobs like layers, given out again byte for byte."""

from wherry.content import ContentStore
from wherry.images.documents import LARGEST_DOCUMENT
from wherry.images.image_rows import LayerBlob, ManifestBlob
from wherry.images.image_table import ImageTable
from wherry.images.references import Reference
from wherry.model.errors import StateUnreadable
from wherry.model.ids import Digest
from wherry.model.images import Image
from wherry.oci.image_json import decode_manifest, encode_manifest
from wherry.oci.image_spec import CONFIG, MANIFEST, Descriptor, Manifest
from wherry.registry import FetchedManifest, digest_of, read_manifest


class KeptDocuments:
    """The documents that lead to images; reads, and takes no lock."""

    def __init__(self, content: ContentStore, table: ImageTable) -> None:
        self._content = content
        self._table = table

    def read(self, digest: Digest) -> FetchedManifest | None:
        """A manifest or an index; None when it is not here any more."""
        try:
            content = self._content.read(digest, limit_bytes=LARGEST_DOCUMENT)
        except StateUnreadable:
            return None
        return read_manifest(content, expected=digest)

    def index_of(self, name: Reference) -> FetchedManifest | None:
        """The index that a tag came with, as long as it is here."""
        digest = self._table.index_of(name)
        return None if digest is None else self.read(digest)

    def manifest_for(
        self, image: Image, layers: tuple[LayerBlob, ...]
    ) -> tuple[bytes, ManifestBlob]:
        """The manifest that an image came with, or one for its layers as they are now."""
        known = self._table.manifest_of(image.id)
        if known is not None and self._content.has(known.digest):
            content = self._content.read(known.digest, limit_bytes=LARGEST_DOCUMENT)
            described = decode_manifest(content).layers
            if [each.digest for each in described] == [each.blob for each in layers]:
                return content, known
        made = encode_manifest(
            Manifest(
                config=Descriptor(
                    media_type=CONFIG, digest=image.id, size=self._content.size(Digest(image.id))
                ),
                layers=tuple(
                    Descriptor(media_type=each.media_type, digest=each.blob, size=each.blob_bytes)
                    for each in layers
                ),
            )
        )
        return made, ManifestBlob(digest=digest_of(made), media_type=MANIFEST)
