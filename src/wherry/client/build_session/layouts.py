"""containerd.services.content.v1.Content: blobs of OCI layouts, of which an engine reads some."""

import os
import re
from collections.abc import Iterator, Mapping

from grpclib.const import Cardinality, Handler
from grpclib.server import Stream

from wherry.client.build_session.answering import NotHere, refusing, said
from wherry.wire.buildkit.calling import send_all
from wherry.wire.buildkit.content import ReadContentRequest, ReadContentResponse

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PIECE = 128 << 10


def layout_service(layouts: Mapping[str, str]) -> Mapping[str, Handler]:
    """`layouts`: their directories, by the names that the engine knows them under."""

    async def read(stream: Stream[ReadContentRequest, ReadContentResponse]) -> None:
        asked = await stream.recv_message()
        if asked is None:
            return
        name = "".join(said(stream).get("buildkit-attachable-store-id", ()))
        with refusing():
            if name not in layouts or not _DIGEST.fullmatch(asked.digest):
                raise NotHere(f"{name}: {asked.digest}: not found")
            place = f"{layouts[name]}/blobs/{asked.digest.replace(':', '/')}"
            await stream.send_initial_metadata()
            await send_all(stream, _pieces(place, asked.offset, asked.size))

    return {
        "/containerd.services.content.v1.Content/Read": Handler(
            read, Cardinality.UNARY_STREAM, ReadContentRequest, ReadContentResponse
        )
    }


def _pieces(place: str, offset: int, size: int) -> Iterator[ReadContentResponse]:
    with open(place, "rb") as file:
        file.seek(offset)
        left = size or os.fstat(file.fileno()).st_size
        while left and (piece := file.read(min(_PIECE, left))):
            yield ReadContentResponse(offset=offset, data=piece)
            offset += len(piece)
            left -= len(piece)
