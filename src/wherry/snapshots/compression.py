"""Compressed streams, told by their first bytes and unpacked in bounded steps.

No step gives more than it was asked for, so a bomb costs time and never memory; the reader on
top stops it by the limit on what comes out.

isal and zstandard are loaded for the first stream of their kind: images that are made here are
not compressed.
"""

import bz2
import lzma
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Protocol, assert_never

from wherry.model.errors.images import ArchiveRefused
from wherry.snapshots.diff import Writable
from wherry.snapshots.tar_reader import Readable

LARGEST_WINDOW = 1 << 26
"""Bytes of history that a zstd or xz stream may make us keep: 64 MiB. zstd's level 19 needs 8."""
_CHUNK = 1 << 18
_GZIP_LEVEL = 1
"""isal's second fastest: several times faster than zlib's fastest, and as small."""
_GZIP_WINDOW = 31
"""The largest history (2**15), with a gzip header (zlib's `wbits`)."""
_PACKED_AT_ONCE = 1 << 20
_LONGEST_MAGIC = 6


class Compression(Enum):
    """How a layer is compressed; the value is the OCI media type's ending."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"
    XZ = "xz"
    BZIP2 = "bzip2"


_DAMAGE: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    lzma.LZMAError,
)
"""What the libraries raise for a stream that is not what it should be; isal and zstandard have
errors of their own besides."""

_MAGICS = (
    (b"\x1f\x8b\x08", Compression.GZIP),
    (b"\x28\xb5\x2f\xfd", Compression.ZSTD),
    (b"\xfd7zXZ\x00", Compression.XZ),
    (b"BZh", Compression.BZIP2),
)


class _Unpacker(Protocol):
    """What bz2, lzma and isal have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Packer(Protocol):
    """What isal's and zstandard's objects have in common."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def decompressed(source: Readable) -> tuple[Compression, Readable]:
    """Tell how a stream is compressed, and give its plain bytes.

    Reading raises: ArchiveRefused for a stream that is damaged, cut off or needs a window
    larger than `LARGEST_WINDOW`.
    """
    start = b""
    while len(start) < _LONGEST_MAGIC and (more := source.read(_LONGEST_MAGIC - len(start))):
        start += more
    compression = compression_of(start)
    whole = _Joined(start, source)
    match compression:
        case Compression.NONE:
            return compression, whole
        case Compression.ZSTD:
            from zstandard import ZstdError

            return compression, _MemberReader(whole, _ZstdUnpacker, "zstd", ZstdError)
        case Compression.GZIP:
            from isal.igzip_lib import IsalError

            # Its stub says an instance where there is a class.
            damage: type[Exception] = IsalError  # type: ignore[assignment]
            return compression, _MemberReader(whole, _new_gunzip, "gzip", damage)
        case Compression.XZ:
            return compression, _MemberReader(whole, _new_unxz, "xz")
        case Compression.BZIP2:
            return compression, _MemberReader(whole, bz2.BZ2Decompressor, "bzip2")
        case _:
            assert_never(compression)


def gzipped(source: Readable) -> Iterator[bytes]:
    """A stream as gzip, without name or time in its header: the same bytes give the same."""
    packer = _new_gzip()
    while chunk := source.read(_PACKED_AT_ONCE):
        yield packer.compress(chunk)
    yield packer.flush()


class PackedWriter:
    """Compresses what is written to it and passes it on; `close` writes the end."""

    def __init__(self, out: Writable, compression: Compression) -> None:
        """Raises: ValueError for a compression that we only read."""
        self._out = out
        match compression:
            case Compression.GZIP:
                self._packer: _Packer = _new_gzip()
            case Compression.ZSTD:
                import zstandard

                self._packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
            case _:
                raise ValueError(f"{compression.value or 'plain'} is not written")

    def write(self, data: bytes, /) -> None:
        """Take all of it."""
        self._out.write(self._packer.compress(data))

    def close(self) -> None:
        """Nothing follows."""
        self._out.write(self._packer.flush())


def compression_of(start: bytes) -> Compression:
    """How a stream that begins so is compressed."""
    for magic, kind in _MAGICS:
        if start.startswith(magic):
            return kind
    return Compression.NONE


def _new_gzip() -> _Packer:
    from isal import isal_zlib

    packer: _Packer = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
    return packer


def _new_gunzip() -> _Unpacker:
    from isal import igzip_lib

    unpacker: _Unpacker = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    return unpacker


def _new_unxz() -> _Unpacker:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LARGEST_WINDOW)


class _Joined:
    """A stream whose first bytes were read already."""

    def __init__(self, start: bytes, rest: Readable) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        if self._start:
            piece, self._start = self._start[:size], self._start[size:]
            return piece
        return self._rest.read(size)


class _MemberReader:
    """gzip, xz and bzip2: members one after the other, as their tools write them."""

    def __init__(
        self,
        source: Readable,
        new: Callable[[], _Unpacker],
        name: str,
        damage: type[Exception] = OSError,
    ) -> None:
        """`damage` is an error of the library's own."""
        self._source = source
        self._new = new
        self._name = name
        self._damage = (*_DAMAGE, damage)
        self._unpacker: _Unpacker | None = new()

    def read(self, size: int, /) -> bytes:
        while self._unpacker is not None:
            unpacker = self._unpacker
            if unpacker.eof:
                self._next_member(unpacker.unused_data)
                continue
            data = b""
            if unpacker.needs_input:
                data = self._source.read(_CHUNK)
                if not data:
                    raise ArchiveRefused(f"{self._name} stream is cut off")
            if plain := self._decompress(unpacker, data, size):
                return plain
        return b""

    def _next_member(self, unused: bytes) -> None:
        """Begin the next member; zeros are padding, as gzip(1) and xz(1) read them."""
        while not (unused := unused.lstrip(b"\0")):
            unused = self._source.read(_CHUNK)
            if not unused:
                self._unpacker = None
                return
        self._unpacker = self._new()
        self._source = _Joined(unused, self._source)

    def _decompress(self, unpacker: _Unpacker, data: bytes, size: int) -> bytes:
        try:
            return unpacker.decompress(data, size)
        except self._damage as error:
            raise ArchiveRefused(f"{self._name} stream is damaged: {error}") from error


class _ZstdUnpacker:
    """zstandard's object in the manner of the others: it has no bound on what a step gives.

    A block of four bytes may stand for 128 KiB (RFC 8878, 3.1.1.2), so it is fed with little
    at a time: 1 KiB gives 32 MiB at worst.
    """

    _STEP = 1 << 10

    def __init__(self) -> None:
        import zstandard

        self._unpacker = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj()
        self._packed = memoryview(b"")
        self._plain = b""

    @property
    def eof(self) -> bool:
        return self._unpacker.eof and not self._plain

    @property
    def needs_input(self) -> bool:
        return not self._packed and not self._plain

    @property
    def unused_data(self) -> bytes:
        return self._unpacker.unused_data + bytes(self._packed)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._packed = memoryview(data)
        while not self._plain and self._packed and not self._unpacker.eof:
            step, self._packed = self._packed[: self._STEP], self._packed[self._STEP :]
            self._plain = self._unpacker.decompress(step)
        piece, self._plain = self._plain[:max_length], self._plain[max_length:]
        return piece
