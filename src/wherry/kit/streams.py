"""The multiplexed stream of attach, exec and logs: an eight-byte header before each chunk.

Header: one byte for the stream, three of zero, then the length of the payload as a big-endian
32-bit number (Docker Engine API, "Stream format").
"""

import struct
from collections.abc import Iterable, Iterator

STDIN, STDOUT, STDERR, SYSTEM_ERROR = 0, 1, 2, 3
HEADER = struct.Struct(">BxxxL")


def frame(stream: int, payload: bytes) -> bytes:
    """One chunk with its header."""
    return HEADER.pack(stream, len(payload)) + payload


def frames(chunks: Iterable[tuple[int, bytes]]) -> bytes:
    """Many chunks, each with its header."""
    pack = HEADER.pack
    return b"".join(
        [part for stream, payload in chunks for part in (pack(stream, len(payload)), payload)]
    )


class Unframer:
    """Cuts a byte stream into (stream, payload) chunks, whatever the sizes of the reads."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take bytes as they came, give the chunks that are whole now."""
        self._buffer += data
        position = 0
        while len(self._buffer) - position >= HEADER.size:
            stream, length = HEADER.unpack_from(self._buffer, position)
            end = position + HEADER.size + length
            if len(self._buffer) < end:
                break
            yield stream, bytes(self._buffer[position + HEADER.size : end])
            position = end
        del self._buffer[:position]
