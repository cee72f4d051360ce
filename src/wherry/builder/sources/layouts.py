"""OCI layouts of a client that came with the request, and those that go where results go."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from wherry.builder.sources.ports import LayoutBlob, Sink
from wherry.builder.sources.trees import Tree
from wherry.images import layout_archive
from wherry.kit.aio import OffloadPool, closed_after, in_thread
from wherry.model.errors import InvalidValue
from wherry.oci.image_spec import Descriptor

_PIECE = 1 << 20


class SentLayouts:
    """Layouts that came as archives; new ones are one archive each."""

    def __init__(self, sent: Mapping[str, Tree], sink: Sink, offload: OffloadPool) -> None:
        """`sent`: by the names that the client gave them."""
        self._sent = sent
        self._sink = sink
        self._offload = offload

    async def blob(self, name: str, digest: str) -> AsyncIterator[bytes]:
        """A blob of a layout. Raises (while iterating): InvalidValue."""
        if name not in self._sent:
            raise InvalidValue(f"the layout {name} was not sent")
        tree = self._sent[name]
        async with closed_after(in_thread(self._offload, lambda: _content(tree, digest))) as read:
            async for piece in read:
                yield piece

    async def fill(
        self, number: int, name: str, blobs: Sequence[LayoutBlob], top: Descriptor
    ) -> None:
        """Tell a layout in pieces, as the output with a number."""
        pieces = [(each.digest, each.size_bytes, each.open) for each in blobs]
        await self._sink.stream(
            number, in_thread(self._offload, lambda: layout_archive(pieces, [top]))
        )


def _content(tree: Tree, digest: str) -> Iterator[bytes]:
    place = tree.lookup("blobs/" + digest.replace(":", "/", 1))
    if place is None or place.is_directory:
        raise InvalidValue(f"{digest}: not found")
    archive = tree.entries(place)
    for _entry in archive:
        while archive.remaining:
            yield bytes(archive.read_content(_PIECE))
