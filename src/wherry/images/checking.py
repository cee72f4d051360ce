"""Whether what is kept is still what it was: every blob is read, and compared with its name.

A boot finds blobs that are gone or have another size, since that costs a glance each. Other bytes
in a file of the same size show only when they are read: a `save` or a push reads a few, this all.
"""

import time
from collections.abc import Iterator

from wherry.images.store import ImageStore
from wherry.kit.byte_sizes import human_size
from wherry.model.errors import ContentDamaged, StateUnreadable
from wherry.model.ids import Digest
from wherry.model.outcomes import Progress

_TOLD_EVERY_S = 0.1


def check_content(store: ImageStore) -> Iterator[Progress]:
    """Read every blob. What is damaged is told and removed, so that a load or a pull heals it.

    Raises (while iterating): ContentDamaged, at the end.
    """
    digests = sorted(store.content.digests())
    damaged = size_bytes = 0
    told_at = time.monotonic()
    for number, digest in enumerate(digests, 1):
        try:
            size_bytes += store.content.verify(digest)
        except StateUnreadable as problem:
            damaged += 1
            yield Progress(stream=f"{digest}: {problem.problem}{_needed_by(store, digest)}\n")
        if time.monotonic() - told_at > _TOLD_EVERY_S:
            told_at = time.monotonic()
            yield Progress(status="Checking", id="blobs", current=number, total=len(digests))
    if damaged:
        raise ContentDamaged(damaged, len(digests))
    yield Progress(stream=f"{len(digests)} blobs, {human_size(size_bytes)}: undamaged\n")


def _needed_by(store: ImageStore, digest: Digest) -> str:
    """What a blob is to whom, as far as images are concerned."""
    names = [
        image.references[0] if image.references else image.id
        for image in store.list()
        if digest in (image.id, image.manifest_digest)
        or any(layer.blob == digest for layer in store.blobs_of(image))
    ]
    return f"; part of {', '.join(sorted(names))}" if names else ""
