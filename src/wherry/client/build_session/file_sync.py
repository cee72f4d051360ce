"""moby.filesync.v1.FileSync: the engine asks for directories, and gets what it has not yet.

client                                   engine
  ◄─────────────────────────────────── DiffCopy: directory, paths, patterns
  STAT a, STAT b, …, STAT (empty) ────►
  ◄─────────────────────────────────── REQ 1
  DATA 1 …, DATA 1 (empty) ───────────►
  ◄─────────────────────────────────── FIN
  FIN ────────────────────────────────►
"""

from collections.abc import Iterator, Mapping, Sequence

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from wherry.client.build_session.answering import NotHere, refusing, said
from wherry.client.build_session.directories import Directory
from wherry.kit.path_patterns import Ignore
from wherry.wire.buildkit import files as wire
from wherry.wire.buildkit.calling import send_all
from wherry.wire.buildkit.files import Packet

_PIECE = 128 << 10


def file_sync(directories: Mapping[str, Directory]) -> Mapping[str, Handler]:
    """The service, of some directories by their names."""

    async def send(stream: Stream[Packet, Packet]) -> None:
        asked = said(stream)
        name = "".join(asked.get("dir-name", ()))
        paths = [*asked.get("followpaths", ()), *asked.get("include-patterns", ())]
        with refusing():
            if name not in directories:
                raise NotHere(f"no access allowed to dir {name!r}")
            ignore = Ignore(asked.get("exclude-patterns", ()))
            await _send(stream, directories[name], paths, ignore)

    handler = Handler(send, Cardinality.STREAM_STREAM, Packet, Packet)
    return {"/moby.filesync.v1.FileSync/DiffCopy": handler}


async def _send(
    stream: Stream[Packet, Packet], directory: Directory, paths: Sequence[str], ignore: Ignore
) -> None:
    places: list[str] = []

    def told() -> Iterator[Packet]:
        for each in directory.found(paths, ignore):
            places.append(each.place)
            yield Packet(type=wire.STAT, stat=each.stat)
        yield Packet(type=wire.STAT)

    await stream.send_initial_metadata()
    await send_all(stream, told())
    async for packet in stream:
        match packet.type:
            case wire.REQ if 0 <= packet.ID < len(places):
                await send_all(stream, _content(directory, places[packet.ID], packet.ID))
            case wire.FIN:
                await stream.send_message(Packet(type=wire.FIN))
                return
            case _:
                raise GRPCError(Status.UNKNOWN, packet.data.decode(errors="replace"))


def _content(directory: Directory, place: str, number: int) -> Iterator[Packet]:
    with directory.opened(place) as file:
        while piece := file.read(_PIECE):
            yield Packet(type=wire.DATA, ID=number, data=piece)
    yield Packet(type=wire.DATA, ID=number)
