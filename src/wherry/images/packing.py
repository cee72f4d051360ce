"""How layers are packed on their way out: as they are, or compressed otherwise.

The same layer packed in the same way has the same bytes, so registries and other engines know it
again.
"""

from wherry.content import ContentStore
from wherry.images.image_rows import LayerBlob
from wherry.images.intake import media_type
from wherry.kit.values import replace
from wherry.snapshots import Compression, PackedWriter, decompressed

_CHUNK = 1 << 20


def packed(
    content: ContentStore, layer: LayerBlob, wanted: Compression, *, is_forced: bool = False
) -> LayerBlob:
    """A layer with a compression; one that has another one keeps it, unless it is forced.

    Its bytes are in the content store then, where nobody else names them: hold them by a lease.
    Raises: StateUnreadable.
    """
    is_plain = layer.media_type == media_type(Compression.NONE)
    if layer.media_type == media_type(wanted) or not (is_plain or is_forced):
        return layer
    with content.open_verified(layer.blob) as source, content.ingest() as writer:
        plain = decompressed(source)[1]
        out = writer if wanted is Compression.NONE else PackedWriter(writer, wanted)
        while chunk := plain.read(_CHUNK):
            out.write(chunk)
        if isinstance(out, PackedWriter):
            out.close()
        source.read_rest()
        staged = writer.finish()
    return replace(
        layer,
        blob=content.commit(staged),
        blob_bytes=staged.size_bytes,
        media_type=media_type(wanted),
    )
