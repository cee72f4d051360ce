"""A tar reader for archives that somebody else made: quick, streaming, and bounded.

It understands what layers are written in: POSIX ustar and pax (pax(1)), GNU long names and
sparse files, base-256 numbers, and the old v7 form. It never touches a file system: it gives
entries and their content, names as the bytes that they are. What an archive can make it hold
in memory is one megabyte of metadata for each entry.
"""

import struct
from collections.abc import Iterator
from typing import Protocol

from wherry.kit.values import dataclass, field
from wherry.model.errors.images import ArchiveRefused

BLOCK = 512
LARGEST_METADATA = 1 << 20
"""Bytes of extended headers, long names or sparse maps that one entry may have."""
LONGEST_NAME = 4096
"""PATH_MAX: no kernel would take more."""
_CHUNK = 1 << 20
_LARGEST_SIZE = (1 << 63) - 1
_EARLIEST_S, _LATEST_S = -(1 << 31), (1 << 34) - 1
"""What ext4 can store as a time stamp."""

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_ZEROS = bytes(BLOCK)

REGULAR, HARD_LINK, SYMLINK = b"0", b"1", b"2"
CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO = b"3", b"4", b"5", b"6"
_KINDS = frozenset((REGULAR, HARD_LINK, SYMLINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO))
_METADATA_KINDS = frozenset(b"xgLK"[each : each + 1] for each in range(4))


class Readable(Protocol):
    """Where bytes come from; may block."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end."""
        ...


@dataclass(slots=True)
class TarEntry:
    """One member of an archive. (Not frozen: there are many, and that would cost twice.)"""

    kind: bytes
    path: bytes
    link: bytes
    mode: int
    uid: int
    gid: int
    size: int
    """Bytes of content in the archive; only regular files have any."""
    mtime_ns: int
    major: int
    minor: int
    xattrs: dict[str, bytes] = field(default_factory=dict)
    sparse: tuple[tuple[int, int], ...] | None = None
    """Offset and length of each piece of data; None for a file without holes."""
    full_size: int = 0
    """With `sparse`: how long the file is, holes included."""


class Archive(Protocol):
    """Entries in order; the content of one is there until the next is asked for."""

    def __iter__(self) -> Iterator[TarEntry]:
        """Raises: ArchiveRefused; OSError."""
        ...

    def read_content(self, most: int = _CHUNK) -> "memoryview | bytes":
        """The next bytes of the present entry's content; empty at its end."""
        ...

    @property
    def remaining(self) -> int:
        """How many bytes of the present entry's content were not read yet."""
        ...


class TarReader:
    """An archive that is a tar."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._buffer = b""
        self._position = 0
        self._taken = 0
        """Bytes that the source has given."""
        self._remaining = 0
        """Bytes of the present entry's content that were not read yet."""
        self._padding = 0

    def __iter__(self) -> Iterator[TarEntry]:
        """Raises: ArchiveRefused for what is malformed, cut off or beyond the bounds."""
        while (entry := self._next()) is not None:
            yield entry
        self._drain()

    def read_content(self, most: int = _CHUNK) -> memoryview:
        """The next bytes of the present entry's content; empty at its end.

        Raises: ArchiveRefused when the archive ends inside of it.
        """
        if not self._remaining:
            return memoryview(b"")
        if not self._here_or_more():
            raise ArchiveRefused("tar archive is cut off")
        end = min(len(self._buffer), self._position + min(self._remaining, most))
        chunk = memoryview(self._buffer)[self._position : end]
        self._remaining -= end - self._position
        self._position = end
        return chunk

    @property
    def remaining(self) -> int:
        """How many bytes of the present entry's content were not read yet."""
        return self._remaining

    @property
    def offset(self) -> int:
        """Where in the source's bytes the next byte of content is."""
        return self._taken - len(self._buffer) + self._position

    # -- entries -----------------------------------------------------------------------------

    def _next(self) -> TarEntry | None:
        extended: dict[str, bytes] = {}
        long_path = long_link = None
        sparse_0_0: list[bytes] = []
        while True:
            self._skip_content()
            header = self._header()
            if header is None:
                return None
            fields = _HEADER.unpack(header)
            kind, size = fields[7], _number(fields[4], "size")
            if kind not in _METADATA_KINDS:
                break
            content = self._metadata(size)
            if kind == b"x":
                extended, sparse_0_0 = _parse_pax(content)
            elif kind == b"L":
                long_path = content.split(b"\0", 1)[0]
            elif kind == b"K":
                long_link = content.split(b"\0", 1)[0]
            # `g` holds defaults for all entries; writers of layers put comments there, and
            # Docker ignores it too.
        entry = _entry(fields, size, long_path, long_link)
        if kind == b"S":
            self._old_sparse(entry, header)
        if extended:
            self._extend(entry, extended, sparse_0_0)
        _check(entry)
        self._remaining = entry.size
        self._padding = -entry.size % BLOCK
        if extended.get("GNU.sparse.major") == b"1":
            self._sparse_1_0(entry)
        return entry

    def _header(self) -> bytes | None:
        header = self._take_block()
        if header is None or header == _ZEROS:
            return None
        checksum = sum(header) - sum(header[148:156]) + 8 * 32
        if _number(header[148:156], "checksum") != checksum:
            raise ArchiveRefused("tar header with a wrong checksum")
        return header

    def _extend(
        self, entry: TarEntry, extended: dict[str, bytes], sparse_0_0: list[bytes]
    ) -> None:
        """Let a pax header have its way (pax(1), "pax Extended Header")."""
        if "path" in extended:
            entry.path = extended["path"]
        if "linkpath" in extended:
            entry.link = extended["linkpath"]
        if "size" in extended and entry.kind == REGULAR:
            entry.size = _decimal(extended["size"], "size")
        if "uid" in extended:
            entry.uid = _decimal(extended["uid"], "uid")
        if "gid" in extended:
            entry.gid = _decimal(extended["gid"], "gid")
        if "mtime" in extended:
            entry.mtime_ns = _pax_time(extended["mtime"])
        for key, value in extended.items():
            if key.startswith("SCHILY.xattr."):
                entry.xattrs[key.removeprefix("SCHILY.xattr.")] = value
        if "GNU.sparse.name" in extended:
            entry.path = extended["GNU.sparse.name"]
        real = extended.get("GNU.sparse.realsize", extended.get("GNU.sparse.size"))
        if real is not None:
            entry.full_size = _decimal(real, "sparse size")
        if "GNU.sparse.map" in extended:
            sparse_0_0 = extended["GNU.sparse.map"].split(b",") if entry.size else []
        if real is not None and extended.get("GNU.sparse.major") != b"1":
            entry.sparse = _sparse_map([_decimal(each, "sparse map") for each in sparse_0_0])

    # -- sparse files ------------------------------------------------------------------------

    def _old_sparse(self, entry: TarEntry, header: bytes) -> None:
        """GNU's own form: four pieces in the header, more in blocks behind it."""
        entry.kind = REGULAR
        entry.full_size = _number(header[483:495], "sparse size")
        numbers = _old_sparse_numbers(header[386:482])
        is_extended = header[482]
        while is_extended:
            block = self._take_block()
            if block is None or len(numbers) * 8 > LARGEST_METADATA:
                raise ArchiveRefused("sparse map that is cut off or too large")
            numbers += _old_sparse_numbers(block[:504])
            is_extended = block[504]
        entry.sparse = _sparse_map(numbers)

    def _sparse_1_0(self, entry: TarEntry) -> None:
        """Version 1.0 of the pax form: the map is text in front of the content."""
        text = bytearray()
        needed = 1
        while text.count(b"\n") < needed:
            block = self._take_block() if self._remaining >= BLOCK else None
            if block is None or len(text) > LARGEST_METADATA:
                raise ArchiveRefused("sparse map that is cut off or too large")
            self._remaining -= BLOCK
            text += block
            if needed == 1 and b"\n" in text:
                needed += 2 * _decimal(bytes(text.split(b"\n", 1)[0]), "sparse map")
        lines = bytes(text).split(b"\n")[1:needed]
        entry.sparse = _sparse_map([_decimal(each, "sparse map") for each in lines])
        entry.size = self._remaining

    # -- bytes -------------------------------------------------------------------------------

    def _metadata(self, size: int) -> bytes:
        if size > LARGEST_METADATA:
            raise ArchiveRefused(f"tar metadata of {size} bytes")
        self._remaining, self._padding = size, -size % BLOCK
        return b"".join(iter(lambda: bytes(self.read_content()), b""))

    def _skip_content(self) -> None:
        """To the next header. What `docker build -f -` sends ends without the last padding."""
        while self._remaining:
            self.read_content()
        while self._padding and (here := self._here_or_more()):
            step = min(self._padding, here)
            self._position += step
            self._padding -= step

    def _take_block(self) -> bytes | None:
        """The next 512 bytes; None at the end of the archive's bytes."""
        while len(self._buffer) - self._position < BLOCK:
            more = self._source.read(_CHUNK)
            if not more:
                if self._position == len(self._buffer):
                    return None
                raise ArchiveRefused("tar archive is cut off")
            self._buffer = self._buffer[self._position :] + more
            self._position = 0
            self._taken += len(more)
        self._position += BLOCK
        return self._buffer[self._position - BLOCK : self._position]

    def _here_or_more(self) -> int:
        """How many bytes are in the buffer, filled anew when it is used up; 0 at the end."""
        if self._position == len(self._buffer):
            self._buffer = self._source.read(_CHUNK)
            self._position = 0
            self._taken += len(self._buffer)
        return len(self._buffer) - self._position

    def _drain(self) -> None:
        """Read what follows the end mark: it belongs to the layer's digest."""
        self._buffer, self._position = b"", 0
        while self._source.read(_CHUNK):
            pass


def _entry(
    fields: tuple[bytes, ...], size: int, long_path: bytes | None, long_link: bytes | None
) -> TarEntry:
    name, mode, uid, gid, _size, mtime, _sum, kind, link, magic, *_names, major, minor, prefix = (
        fields
    )
    path = name.split(b"\0", 1)[0]
    if magic == b"ustar\0" and prefix[0]:
        path = prefix.split(b"\0", 1)[0] + b"/" + path
    if long_path is not None:
        path = long_path
    if kind in (b"\0", b"7"):
        kind = DIRECTORY if path.endswith(b"/") else REGULAR
    is_device = kind in (CHARACTER_DEVICE, BLOCK_DEVICE)
    return TarEntry(
        kind,
        path,
        link.split(b"\0", 1)[0] if long_link is None else long_link,
        _number(mode, "mode") & 0o7777,
        _number(uid, "uid"),
        _number(gid, "gid"),
        size if kind in (REGULAR, b"S") else 0,
        min(max(_number(mtime, "mtime", signed=True), _EARLIEST_S), _LATEST_S) * 1_000_000_000,
        _number(major, "device") if is_device else 0,
        _number(minor, "device") if is_device else 0,
    )


def _check(entry: TarEntry) -> None:
    if entry.kind not in _KINDS:
        raise ArchiveRefused(f"tar entry of unknown type {entry.kind!r}")
    if len(entry.path) > LONGEST_NAME or len(entry.link) > LONGEST_NAME:
        raise ArchiveRefused("name in tar archive is too long")
    if b"\0" in entry.path or b"\0" in entry.link:
        raise ArchiveRefused("name in tar archive with a NUL")
    # 2**32-1 would mean "leave it as it is" to chown(2).
    if max(entry.uid, entry.gid) >= (1 << 32) - 1:
        raise ArchiveRefused("owner in tar archive is out of range")
    if entry.size > _LARGEST_SIZE or entry.full_size > _LARGEST_SIZE:
        raise ArchiveRefused("size in tar archive is out of range")


def _number(field: bytes, what: str, *, signed: bool = False) -> int:
    """A number of a header: octal digits, or base 256 behind a set first bit (GNU)."""
    first = field[0]
    if first & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (len(field) * 8 - 1)) - 1)
        if first & 0x40:
            value -= 1 << (len(field) * 8 - 1)
        if value < 0 and not signed:
            raise ArchiveRefused(f"negative {what} in tar header")
        return value
    digits = field[:-1]  # as nearly every writer pads it
    if field[-1] or not digits.isdigit():
        digits = field.split(b"\0", 1)[0].strip(b" ")
        if not digits:
            return 0
        if not digits.isdigit():
            raise ArchiveRefused(f"malformed {what} in tar header")
    try:
        return int(digits, 8)
    except ValueError:
        raise ArchiveRefused(f"malformed {what} in tar header") from None


def _decimal(text: bytes, what: str) -> int:
    if not text.isdigit() or len(text) > 20:
        raise ArchiveRefused(f"malformed {what} in extended tar header")
    return int(text)


def _pax_time(text: bytes) -> int:
    """`1700000000.123456789` as nanoseconds; may be negative."""
    sign = -1 if text.startswith(b"-") else 1
    whole, _, fraction = text.removeprefix(b"-").partition(b".")
    if not whole.isdigit() or len(whole) > 20 or (fraction and not fraction.isdigit()):
        raise ArchiveRefused("malformed mtime in extended tar header")
    seconds = min(max(sign * int(whole), _EARLIEST_S), _LATEST_S)
    return seconds * 1_000_000_000 + sign * int((fraction[:9] or b"0").ljust(9, b"0"))


def _parse_pax(content: bytes) -> tuple[dict[str, bytes], list[bytes]]:
    """Records `LENGTH KEY=VALUE\\n`; apart, the repeated ones of sparse version 0.0."""
    records: dict[str, bytes] = {}
    sparse: list[bytes] = []
    position = 0
    while position < len(content):
        blank = content.find(b" ", position, position + 21)
        if blank < 0:
            raise ArchiveRefused("malformed record in extended tar header")
        end = position + _decimal(content[position:blank], "record")
        key, equals, value = content[blank + 1 : end - 1].partition(b"=")
        if end > len(content) or end <= blank + 1 or not equals or content[end - 1] != 0x0A:
            raise ArchiveRefused("malformed record in extended tar header")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            sparse.append(value)
        else:
            records[key.decode("utf-8", "surrogateescape")] = value
        position = end
    return records, sparse


def _old_sparse_numbers(pieces: bytes) -> list[int]:
    numbers = []
    for position in range(0, len(pieces), 24):
        piece = pieces[position : position + 24]
        if piece[0] == 0:
            break
        numbers += [_number(piece[:12], "sparse map"), _number(piece[12:], "sparse map")]
    return numbers


def _sparse_map(numbers: list[int]) -> tuple[tuple[int, int], ...]:
    if len(numbers) % 2:
        raise ArchiveRefused("malformed sparse map")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def check_sparse(entry: TarEntry) -> None:
    """Refuse a map whose pieces overlap, pass the end, or don't add up to the content."""
    end = total = 0
    for offset, length in entry.sparse or ():
        if offset < end:
            raise ArchiveRefused("sparse map that goes backwards")
        end = offset + length
        total += length
    if end > entry.full_size or total != entry.size:
        raise ArchiveRefused("sparse map that doesn't fit the content")
