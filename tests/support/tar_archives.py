"""Tar archives made by hand, byte for byte: the ones that no honest tool would write too."""

import struct
from collections.abc import Mapping

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
END = bytes(1024)


def member(
    name: bytes | str,
    content: bytes = b"",
    *,
    kind: bytes = b"0",
    link: bytes | str = b"",
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 1_700_000_000,
    major: int = 0,
    minor: int = 0,
    pax: Mapping[str, bytes] | None = None,
    size_field: bytes | None = None,
    checksum: bytes | None = None,
    magic: bytes = b"ustar\x0000",
) -> bytes:
    """One member: header, content, padding; a pax header in front where there are records."""
    block = bytearray(
        _HEADER.pack(
            _bytes(name)[:100],
            b"%07o" % mode,
            b"%07o" % uid,
            b"%07o" % gid,
            b"%011o" % len(content) if size_field is None else size_field,
            b"%011o" % mtime,
            b" " * 8,
            kind,
            _bytes(link)[:100],
            magic,
            b"",
            b"",
            b"%07o" % major,
            b"%07o" % minor,
            b"",
        )
    )
    block[148:156] = b"%06o\0 " % sum(block) if checksum is None else checksum
    records = b"".join(pax_record(key.encode(), value) for key, value in (pax or {}).items())
    front = member("PaxHeaders/x", records, kind=b"x") if records else b""
    return front + bytes(block) + padded(content)


def directory(name: bytes | str, mode: int = 0o755, **more: int) -> bytes:
    """A directory."""
    return member(name, kind=b"5", mode=mode, **more)


def symlink(name: bytes | str, target: bytes | str) -> bytes:
    """A symbolic link."""
    return member(name, kind=b"2", link=target, mode=0o777)


def hard_link(name: bytes | str, target: bytes | str) -> bytes:
    """Another name of a file."""
    return member(name, kind=b"1", link=target)


def archive(*members: bytes) -> bytes:
    """Members and the end mark."""
    return b"".join(members) + END


def pax_record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE` with a newline, the length counting itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def padded(content: bytes) -> bytes:
    """Content up to a whole number of blocks."""
    return content + bytes(-len(content) % 512)


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text
