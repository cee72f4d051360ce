"""A layer whose files are no newer than a moment: what SOURCE_DATE_EPOCH asks of a build.

The same files, made at another time, are the same bytes then
(https://reproducible-builds.org/specs/source-date-epoch/).
"""

from collections.abc import Iterator

from wherry.snapshots import (
    TAR_END,
    Readable,
    TarReader,
    tar_header,
    tar_padding,
    tar_sparse_map,
)


def clamped(layer: Readable, latest_ns: int) -> Iterator[bytes]:
    """The tar of a layer, with later times made the latest one. Raises: ArchiveRefused."""
    archive = TarReader(layer)
    for entry in archive:
        entry.mtime_ns = min(entry.mtime_ns, latest_ns)
        size = entry.size
        yield tar_header(entry)
        if entry.sparse is not None:
            yield tar_sparse_map(entry)
        while archive.remaining:
            yield bytes(archive.read_content())
        yield tar_padding(size)
    yield TAR_END
