"""Layers and images that are elsewhere, brought here for one build and recorded nowhere."""

from collections.abc import AsyncIterator, Callable

from wherry.builder.sources.ports import Layouts
from wherry.images import BuildImages, BuildState, LayerBlob, read_document
from wherry.kit.aio import OffloadPool
from wherry.model.errors import InvalidValue
from wherry.model.errors.images import DigestMismatch
from wherry.model.ids import DiffId, Digest
from wherry.oci.image_spec import Descriptor, Index, Manifest, Platform
from wherry.oci.platforms import best, formatted
from wherry.registry import digest_of, read_manifest

OpenBlob = Callable[[Descriptor], AsyncIterator[bytes]]
"""The bytes of a blob, from where it is."""
_LARGEST_DOCUMENT = 4 << 20


async def fetched_layer(
    layer: Descriptor,
    diff_id: DiffId,
    below: BuildState,
    open_blob: OpenBlob,
    *,
    images: BuildImages,
    offload: OffloadPool,
) -> LayerBlob:
    """Bring a layer here, on what is below it. Raises: DigestMismatch, ArchiveRefused, ..."""
    with images.ingest() as writer:
        async for piece in open_blob(layer):
            await offload(writer.write, piece)
        blob = writer.finish()
    try:
        if blob.digest != layer.digest:
            raise DigestMismatch(Digest(layer.digest), blob.digest)
        return await offload(images.adopt, blob, diff_id, below)
    finally:
        images.discard(blob)


async def read_small(pieces: AsyncIterator[bytes], digest: str) -> bytes:
    """A document, verified. Raises: InvalidValue, DigestMismatch."""
    content = b""
    async for piece in pieces:
        content += piece
        if len(content) > _LARGEST_DOCUMENT:
            raise InvalidValue(f"{digest}: a document of more than {_LARGEST_DOCUMENT} bytes")
    if digest_of(content) != digest:
        raise DigestMismatch(Digest(digest), digest_of(content))
    return content


async def image_of_layout(
    layouts: Layouts,
    name: str,
    digest: str,
    platform: Platform,
    *,
    images: BuildImages,
    offload: OffloadPool,
) -> BuildState:
    """An image of a client's layout. Raises: InvalidValue, DigestMismatch, ArchiveRefused, ..."""

    def open_blob(descriptor: Descriptor) -> AsyncIterator[bytes]:
        return layouts.blob(name, descriptor.digest)

    async def document(wanted: str) -> Manifest | Index:
        return read_manifest(await read_small(layouts.blob(name, wanted), wanted)).document

    found = await document(digest)
    if isinstance(found, Index):
        chosen = best(platform, found.manifests)
        if chosen is None:
            raise InvalidValue(f"{name}: no match for platform {formatted(platform)}")
        found = await document(chosen.digest)
    if isinstance(found, Index):
        raise InvalidValue(f"{name}: an index in an index")
    config = read_document(await read_small(open_blob(found.config), found.config.digest))
    if len(config.diff_ids) != len(found.layers):
        raise InvalidValue(f"{name}: a configuration of another number of layers")
    below = BuildState(config)
    for layer, diff_id in zip(found.layers, map(DiffId, config.diff_ids), strict=True):
        here = await offload(images.found, below, diff_id)
        if here is None:
            here = await fetched_layer(
                layer, diff_id, below, open_blob, images=images, offload=offload
            )
        below = BuildState(config, (*below.layers, here))
    return below
