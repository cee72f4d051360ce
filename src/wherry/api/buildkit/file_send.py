"""moby.filesync.v1.FileSend: results on their way to the client, as one file or as a directory.

Of a directory all files are told first, and the client asks for the contents that it wants
(`file_sync` draws the conversation, with the sides changed).
"""

import os
import stat
from collections.abc import AsyncIterator, Iterator
from functools import partial

from grpclib.client import Stream

from wherry.api.buildkit.file_sync import Told
from wherry.api.buildkit.sessions import Session
from wherry.kit.aio import OffloadPool, in_thread
from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from wherry.model.errors import InvalidValue
from wherry.wire.buildkit import files as wire
from wherry.wire.buildkit.files import BytesMessage, Packet, Stat, stat_of

DIFF_COPY = "/moby.filesync.v1.FileSend/DiffCopy"
_EXPORTER = "buildkit-attachable-exporter-id"
_PIECE = 256 << 10
_INSIDE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


async def send_stream(
    session: Session, number: int, pieces: AsyncIterator[bytes], told: Told
) -> None:
    """One file, of the output with a number. Raises: InvalidValue, ClientGone."""
    async with session.stream(
        DIFF_COPY, BytesMessage, {_EXPORTER: str(number)}, BytesMessage
    ) as stream:
        await stream.send_request()
        async for piece in pieces:
            for at in range(0, len(piece), _PIECE):
                await stream.send_message(BytesMessage(data=piece[at : at + _PIECE]))
            told(len(piece))
        await stream.end()
        while await stream.recv_message() is not None:
            pass


async def send_directory(
    session: Session, number: int, root: int, offload: OffloadPool, told: Told
) -> None:
    """A directory, of the output with a number. Raises: InvalidValue, ClientGone."""
    async with session.stream(DIFF_COPY, Packet, {_EXPORTER: str(number)}, Packet) as stream:
        await stream.send_request()
        paths = []
        async for each in in_thread(offload, partial(walk, root)):
            paths.append(each.path)
            await stream.send_message(Packet(type=wire.STAT, stat=each))
        await stream.send_message(Packet(type=wire.STAT))
        async for asked in _asked(stream, len(paths)):
            async for piece in in_thread(offload, partial(_content, root, paths[asked])):
                await stream.send_message(Packet(type=wire.DATA, ID=asked, data=piece))
                told(len(piece))
            await stream.send_message(Packet(type=wire.DATA, ID=asked))
        await stream.send_message(Packet(type=wire.FIN), end=True)


async def _asked(stream: Stream[Packet, Packet], count: int) -> AsyncIterator[int]:
    """The files that the client wants, until it wants no more."""
    while (packet := await stream.recv_message()) is not None:
        if packet.type == wire.FIN:
            return
        if packet.type == wire.ERR:
            raise InvalidValue(packet.data.decode(errors="replace"))
        if packet.type != wire.REQ or not 0 <= packet.ID < count:
            raise InvalidValue(f"the client sends a packet of type {packet.type} out of turn")
        yield packet.ID
    raise InvalidValue("the client ended its transfer too early")


def _content(root: int, path: str) -> Iterator[bytes]:
    with open(openat2(root, path, os.O_RDONLY, 0, _INSIDE), "rb", buffering=0) as content:
        while piece := content.read(_PIECE):
            yield piece


def walk(root: int) -> Iterator[Stat]:
    """All files below a directory, each directory before what is in it, names in order."""
    seen: dict[tuple[int, int], str] = {}
    waiting = [""]
    while waiting:
        path = waiting.pop()
        if path:
            parent, name = os.path.split(path)
            above = openat2(root, parent or ".", os.O_PATH | os.O_DIRECTORY, 0, _INSIDE)
            try:
                state = os.stat(name, dir_fd=above, follow_symlinks=False)
                is_link = stat.S_ISLNK(state.st_mode)
                link = os.readlink(name, dir_fd=above) if is_link else ""
            finally:
                os.close(above)
            if stat.S_ISREG(state.st_mode) and state.st_nlink > 1:
                link = seen.get((state.st_dev, state.st_ino), "")
                seen.setdefault((state.st_dev, state.st_ino), path)
            yield stat_of(path, state, link)
            if not stat.S_ISDIR(state.st_mode):
                continue
        directory = openat2(root, path or ".", os.O_RDONLY | os.O_DIRECTORY, 0, _INSIDE)
        try:
            names = sorted(os.listdir(directory), reverse=True)
        finally:
            os.close(directory)
        waiting += [f"{path}/{name}" if path else name for name in names]
