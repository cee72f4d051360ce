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
import os
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from grpclib.client import Stream

from wherry.api.buildkit.sessions import Session
from wherry.kit.aio import own_task
from wherry.model.errors import InvalidValue
from wherry.model.files import SentFile
from wherry.wire.buildkit import files as wire
from wherry.wire.buildkit.files import Packet, Stat

DIFF_COPY = "/moby.filesync.v1.FileSync/DiffCopy"
_BATCH = 512
_PIECES_WAITING = 128

_KINDS = (
    (wire.MODE_DIRECTORY, stat.S_IFDIR),
    (wire.MODE_SYMLINK, stat.S_IFLNK),
    (wire.MODE_FIFO, stat.S_IFIFO),
    (wire.MODE_SOCKET, stat.S_IFSOCK),
    (wire.MODE_CHARACTER_DEVICE, stat.S_IFCHR),
    (wire.MODE_DEVICE, stat.S_IFBLK),
)
_SPECIAL = (
    (wire.MODE_SETUID, stat.S_ISUID),
    (wire.MODE_SETGID, stat.S_ISGID),
    (wire.MODE_STICKY, stat.S_ISVTX),
)

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
        for number in numbers:
            await self._stream.send_message(Packet(type=wire.REQ, ID=number))

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


# -- files -----------------------------------------------------------------------------------


def to_sent_file(sent: Stat) -> SentFile:
    """A file as stat(2) would tell of it."""
    kind = next((kind for bit, kind in _KINDS if sent.mode & bit), stat.S_IFREG)
    mode = kind | sent.mode & wire.MODE_PERMISSIONS
    for bit, special in _SPECIAL:
        mode |= special if sent.mode & bit else 0
    return SentFile(
        path=sent.path,
        mode=mode,
        size=sent.size,
        modified_ns=sent.modTime,
        link=sent.linkname,
    )


def to_stat(path: str, state: os.stat_result, link: str) -> Stat:
    """A file as the client's side tells of it."""
    kind = stat.S_IFMT(state.st_mode)
    mode = state.st_mode & wire.MODE_PERMISSIONS
    mode |= sum(bit for bit, own in _KINDS if own == kind)
    if kind == stat.S_IFCHR:
        mode |= wire.MODE_DEVICE
    for bit, special in _SPECIAL:
        mode |= bit if state.st_mode & special else 0
    return Stat(
        path=path,
        mode=mode,
        uid=state.st_uid,
        gid=state.st_gid,
        size=state.st_size if kind == stat.S_IFREG else 0,
        modTime=state.st_mtime_ns,
        linkname=link,
        devmajor=os.major(state.st_rdev) if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
        devminor=os.minor(state.st_rdev) if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
    )
