"""moby.filesync.v1: directories of the client's, and the ones that it takes.

client                                   engine
  ◄─────────────────────────────────── DiffCopy: directory, patterns
  STAT a, STAT b, …, STAT (empty) ────►
  ◄─────────────────────────────────── REQ 1
  DATA 1 …, DATA 1 (empty) ───────────►
  ◄─────────────────────────────────── FIN
  FIN ────────────────────────────────►
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from grpclib.client import Stream

from wherry.api.buildkit.sessions import Session
from wherry.kit.aio import own_task
from wherry.model.errors import InvalidValue
from wherry.model.files import SentFile
from wherry.wire.buildkit import files as wire
from wherry.wire.buildkit.calling import send_all
from wherry.wire.buildkit.files import Packet, Stat
from wherry.wire.go_modes import stat_mode

DIFF_COPY = "/moby.filesync.v1.FileSync/DiffCopy"
_BATCH = 512
_PIECES_WAITING = 128
_CAPABILITIES = "security.capability"
"""What a program may do beyond its user (capabilities(7))."""

Told = Callable[[int], None]
"""Takes how many bytes came."""


class Receiving:
    """A directory that is being sent; what `build` knows as `Sending`."""

    def __init__(self, stream: Stream[Packet, Packet], told: Told) -> None:
        self._stream = stream
        self._told = told

    async def files(self) -> AsyncIterator[Sequence[SentFile]]:
        """All files, some at a time. Raises: InvalidValue with the client's reason."""
        files: list[SentFile] = []
        while (sent := (await self._next(wire.STAT)).stat) is not None:
            files.append(to_sent_file(sent))
            if len(files) == _BATCH:
                yield files
                files = []
        if files:
            yield files

    async def ask(self, numbers: Sequence[int]) -> None:
        """Want the contents of files."""
        await send_all(self._stream, (Packet(type=wire.REQ, ID=each) for each in numbers))

    async def contents(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        """What comes, as it comes: all that waits is taken at once."""
        waiting: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(_PIECES_WAITING)
        reading = own_task(self._read(waiting))
        try:
            while (first := await waiting.get()) is not None:
                pieces = [first]
                while not waiting.empty() and (more := waiting.get_nowait()) is not None:
                    pieces.append(more)
                yield pieces
            await reading
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def end(self) -> None:
        """There is nothing more to ask for."""
        await self._stream.send_message(Packet(type=wire.FIN), end=True)
        await self._next(wire.FIN)

    async def _read(self, waiting: "asyncio.Queue[tuple[int, bytes] | None]") -> None:
        try:
            while True:
                packet = await self._next(wire.DATA)
                self._told(len(packet.data))
                await waiting.put((packet.ID, packet.data))
        except Exception:
            await waiting.put(None)
            raise

    async def _next(self, kind: int) -> Packet:
        packet = await self._stream.recv_message()
        if packet is None:
            raise InvalidValue("the client ended its transfer too early")
        if packet.type == wire.ERR:
            raise InvalidValue(packet.data.decode(errors="replace"))
        if packet.type != kind:
            raise InvalidValue(f"the client sends a packet of type {packet.type} out of turn")
        return packet


@asynccontextmanager
async def receiving(
    session: Session,
    directory: str,
    *,
    paths: Sequence[str],
    ignore: Sequence[str],
    told: Told,
) -> AsyncIterator[Receiving]:
    """Have a directory sent. Raises: InvalidValue, ClientGone."""
    asked = {"dir-name": directory, "followpaths": paths, "exclude-patterns": ignore}
    async with session.stream(DIFF_COPY, Packet, asked, Packet) as stream:
        # Nothing is said first: the client begins when it has the head of the request.
        await stream.send_request()
        transfer = Receiving(stream, told)
        yield transfer
        await transfer.end()


def to_sent_file(sent: Stat) -> SentFile:
    """A file as stat(2) would tell of it."""
    return SentFile(
        path=sent.path,
        mode=stat_mode(sent.mode),
        size=sent.size,
        modified_ns=sent.modTime,
        link=sent.linkname,
        capabilities=sent.xattrs.get(_CAPABILITIES, b""),
    )
