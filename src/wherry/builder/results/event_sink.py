"""A way out for results that is the build's own stream of events."""

from collections.abc import AsyncIterator, Awaitable, Callable

from wherry.kit.aio import OffloadPool, written_in_thread
from wherry.model.builds import OutputPiece
from wherry.snapshots import tree_tar


class EventSink:
    """Tells what a build makes in pieces; a tree is a tar then, which the client unpacks."""

    def __init__(
        self, tell: Callable[[OutputPiece], Awaitable[None]], offload: OffloadPool
    ) -> None:
        """`tell` waits while nobody takes what was told."""
        self._tell = tell
        self._offload = offload

    async def directory(self, number: int, root: int) -> None:
        """Tell a tree."""
        await self.stream(
            number, written_in_thread(self._offload, lambda writer: tree_tar(root, writer))
        )

    async def stream(self, number: int, pieces: AsyncIterator[bytes]) -> None:
        """Tell one file."""
        async for piece in pieces:
            await self._tell(OutputPiece(number=number, content=piece))
