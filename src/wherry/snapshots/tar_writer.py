"""Tar headers as layers and image archives need them: ustar, with pax records where it's short.

Deterministic: the same entry gives the same bytes on each machine (no user names, no device
numbers of ours, times in whole seconds as other engines write them).
"""

import struct

from wherry.snapshots.tar_reader import BLOCK, TarEntry

END = bytes(2 * BLOCK)
"""What closes an archive."""

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_LARGEST_OCTAL_8, _LARGEST_OCTAL_12 = 0o7777777, 0o77777777777


def padding(size: int) -> bytes:
    """Zeros that fill the last block of some content."""
    return bytes(-size % BLOCK)


def header(entry: TarEntry) -> bytes:
    """The header of an entry, with an extended one in front where it needs one.

    A sparse entry's content begins with `sparse_map(entry)`; its `size` counts the data only.
    """
    records: dict[bytes, bytes] = {}
    name, prefix = _split_name(entry.path)
    if name is None:
        records[b"path"] = entry.path
        name, prefix = entry.path[:100], b""
    if len(entry.link) > 100:
        records[b"linkpath"] = entry.link
    size = entry.size
    if entry.sparse is not None:
        size += len(sparse_map(entry))
        records[b"GNU.sparse.major"], records[b"GNU.sparse.minor"] = b"1", b"0"
        records[b"GNU.sparse.name"] = entry.path
        records[b"GNU.sparse.realsize"] = b"%d" % entry.full_size
    if size > _LARGEST_OCTAL_12:
        records[b"size"] = b"%d" % size
    if entry.uid > _LARGEST_OCTAL_8:
        records[b"uid"] = b"%d" % entry.uid
    if entry.gid > _LARGEST_OCTAL_8:
        records[b"gid"] = b"%d" % entry.gid
    mtime = entry.mtime_ns // 1_000_000_000
    if not 0 <= mtime <= _LARGEST_OCTAL_12:
        records[b"mtime"] = b"%d" % mtime
    for attribute, value in sorted(entry.xattrs.items()):
        records[b"SCHILY.xattr." + attribute.encode("utf-8", "surrogateescape")] = value
    plain = _ustar(entry, name, prefix, size, mtime)
    return _extended(name, records) + plain if records else plain


def sparse_map(entry: TarEntry) -> bytes:
    """The map in front of a sparse file's data (GNU tar manual, "PAX 1.0")."""
    pieces = entry.sparse or ()
    numbers = [len(pieces), *(number for piece in pieces for number in piece)]
    text = b"".join(b"%d\n" % number for number in numbers)
    return text + padding(len(text))


def _ustar(entry: TarEntry, name: bytes, prefix: bytes, size: int, mtime: int) -> bytes:
    block = bytearray(
        _HEADER.pack(
            name,
            b"%07o" % entry.mode,
            b"%07o" % (entry.uid if entry.uid <= _LARGEST_OCTAL_8 else 0),
            b"%07o" % (entry.gid if entry.gid <= _LARGEST_OCTAL_8 else 0),
            b"%011o" % (size if size <= _LARGEST_OCTAL_12 else 0),
            b"%011o" % min(max(mtime, 0), _LARGEST_OCTAL_12),
            b" " * 8,
            entry.kind,
            entry.link[:100],
            b"ustar\x0000",
            b"",
            b"",
            b"%07o" % entry.major,
            b"%07o" % entry.minor,
            prefix,
        )
    )
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _split_name(path: bytes) -> tuple[bytes | None, bytes]:
    """A path as ustar's name and prefix; None when it fits in neither way."""
    if len(path) <= 100:
        return path, b""
    cut = path.rfind(b"/", 0, 156)
    if cut > 0 and 0 < len(path) - cut - 1 <= 100:
        return path[cut + 1 :], path[:cut]
    return None, b""


def _extended(name: bytes, records: dict[bytes, bytes]) -> bytes:
    content = b"".join(_record(key, value) for key, value in records.items())
    short = name.rstrip(b"/").rpartition(b"/")[2][:80]
    entry = TarEntry(b"x", b"PaxHeaders/" + short, b"", 0o644, 0, 0, len(content), 0, 0, 0)
    block = _ustar(entry, entry.path, b"", len(content), 0)
    return block + content + padding(len(content))


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts its own digits too."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
