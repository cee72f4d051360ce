"""OCI layouts that a client has opened for its build, blob by blob.

Which of several is meant stands in the call's metadata. The client keeps each layout's index
itself: it knows the names in it, and is told in the answer what to put there.
"""

from collections.abc import AsyncIterator, Iterator, Sequence

from wherry.api.buildkit.sessions import Session
from wherry.builder import LayoutBlob, Sink
from wherry.images import layout_archive
from wherry.kit.aio import OffloadPool, in_thread
from wherry.kit.values import dataclass
from wherry.oci.image_spec import Descriptor
from wherry.wire.buildkit import content as wire

_READ = "/containerd.services.content.v1.Content/Read"
_WRITE = "/containerd.services.content.v1.Content/Write"
_INFO = "/containerd.services.content.v1.Content/Info"
_STORE = "buildkit-attachable-store-id"
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class SessionLayouts:
    """The layouts of one session."""

    session: Session
    sink: Sink
    offload: OffloadPool

    async def blob(self, name: str, digest: str) -> AsyncIterator[bytes]:
        """A blob of a layout. Raises (while iterating): InvalidValue, ClientGone."""
        async with self.session.stream(
            _READ, wire.ReadContentRequest, {_STORE: name}, wire.ReadContentResponse
        ) as stream:
            await stream.send_message(wire.ReadContentRequest(digest=digest), end=True)
            async for message in stream:
                yield message.data

    async def fill(
        self, number: int, name: str, blobs: Sequence[LayoutBlob], top: Descriptor
    ) -> None:
        """Write what a layout has not; to a client that has no store, an archive of it.

        Raises: InvalidValue, ClientGone.
        """
        if not self.session.offers(_WRITE):
            pieces = [(each.digest, each.size_bytes, each.open) for each in blobs]
            archive = in_thread(self.offload, lambda: layout_archive(pieces, [top]))
            await self.sink.stream(number, archive)
            return
        for blob in blobs:
            if not await self._has(name, blob.digest):
                await self._write(name, blob)

    async def _has(self, name: str, digest: str) -> bool:
        found = await self.session.call(
            _INFO, wire.InfoRequest(digest=digest), wire.InfoResponse, {_STORE: name}
        )
        return found is not None

    async def _write(self, name: str, blob: LayoutBlob) -> None:
        async with self.session.stream(
            _WRITE, wire.WriteContentRequest, {_STORE: name}, wire.WriteContentResponse
        ) as stream:
            whole = wire.WriteContentRequest(
                ref=f"wherry-{blob.digest}", total=blob.size_bytes, expected=blob.digest
            )
            # What an earlier transfer of the same name has left is written over.
            await stream.send_message(whole)
            await stream.recv_message()
            offset = 0
            async for piece in in_thread(self.offload, lambda: _pieces(blob)):
                whole.action, whole.offset, whole.data = wire.WRITE, offset, piece
                await stream.send_message(whole)
                await stream.recv_message()
                offset += len(piece)
            whole.action, whole.offset, whole.data = wire.COMMIT, offset, b""
            await stream.send_message(whole, end=True)
            await stream.recv_message()


def _pieces(blob: LayoutBlob) -> Iterator[bytes]:
    with blob.open() as file:
        while piece := file.read(_PIECE):
            yield piece
