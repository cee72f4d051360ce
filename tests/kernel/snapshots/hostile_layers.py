"""Layers that try to get out, lie, or exhaust: what each one is, and what must become of it.

`CANARY` in a name stands for the absolute path of a tree on the host, `UP` for a way up to it.
A layer is either refused, with a word that must be in the reason, or unpacked, with names that
must then look as described (`None`: must not be there).
"""

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import zstandard

from support.tar_archives import (
    END,
    archive,
    directory,
    hard_link,
    member,
    padded,
    pax_record,
    symlink,
)

UP = b"../../../../../../../../../../../../../../../.."


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One layer of the corpus."""

    name: str
    make: Callable[[bytes], bytes]
    """From the canary's absolute path to the layer."""
    refused: str = ""
    """A word of the reason; empty where the layer is taken."""
    holds: Mapping[str, object] = field(default_factory=dict)
    """Name to content (bytes), link (str), mode (int) or None for absence."""


def _taken(name: str, holds: Mapping[str, object], *members: bytes) -> Hostile:
    return Hostile(name=name, make=lambda _canary: archive(*members), holds=holds)


def _refused(name: str, word: str, *members: bytes) -> Hostile:
    return Hostile(name=name, make=lambda _canary: archive(*members), refused=word)


def _raw(name: str, content: bytes, *, refused: str = "", **holds: object) -> Hostile:
    return Hostile(name=name, make=lambda _canary: content, refused=refused, holds=holds)


def _aimed(
    name: str,
    make: Callable[[bytes], bytes],
    *,
    refused: str = "",
    holds: Mapping[str, object] | None = None,
) -> Hostile:
    return Hostile(name=name, make=make, refused=refused, holds=holds or {})


# A01: names and links that lead out.
LEADING_OUT = (
    _taken("absolute name", {"etc/x": b"1"}, member("/etc/x", b"1")),
    _taken("doubled slashes and dots", {"a/b": b"1"}, member("./a//./b", b"1")),
    _taken("dots that stay inside", {"b": b"1"}, directory("a"), member("a/../b", b"1")),
    _refused("dots above the root", "leads out", member("../x", b"1")),
    _refused("dots above the root, later", "leads out", member("a/../../x", b"1")),
    _refused("dots in a whiteout", "leads out", member("../.wh.x")),
    _aimed("absolute path of the host", lambda canary: archive(member(canary + b"/secret", b"1"))),
    _aimed(
        "file through an absolute link",
        lambda canary: archive(symlink("l", canary), member("l/secret", b"1")),
        refused="leads nowhere",
    ),
    _aimed(
        "file through a relative link",
        lambda canary: archive(symlink("l", UP + canary), member("l/secret", b"1")),
        refused="leads nowhere",
    ),
    _aimed(
        "file through a chain of links",
        lambda canary: archive(
            symlink("a", "b"),
            symlink("b", "c/d"),
            directory("c"),
            symlink("c/d", canary),
            member("a/directory/file", b"1"),
        ),
        refused="leads nowhere",
    ),
    _aimed(
        "directory through a link",
        lambda canary: archive(symlink("l", canary), directory("l/new")),
        refused="leads nowhere",
    ),
    _aimed(
        "directory in the place of a link",
        lambda canary: archive(symlink("l", canary + b"/directory"), directory("l", 0o700)),
        holds={"l": 0o40700},
    ),
    _aimed(
        "file in the place of a link",
        lambda canary: archive(symlink("l", canary + b"/secret"), member("l", b"mine")),
        holds={"l": b"mine"},
    ),
    _aimed(
        "device in the place of a link",
        lambda canary: archive(
            symlink("l", canary + b"/secret"), member("l", kind=b"6", mode=0o600)
        ),
        holds={"l": 0o10600},
    ),
    _aimed(
        "hard link to a file of the host",
        lambda canary: archive(hard_link("h", canary + b"/secret"), member("h", b"1")),
        refused="not in the archive",
    ),
    _refused("hard link above the root", "leads out", hard_link("h", "../../etc/passwd")),
    _aimed(
        "hard link through a link",
        lambda canary: archive(symlink("l", canary), hard_link("h", "l/secret")),
        refused="not in the archive",
    ),
    _aimed(
        "hard link to a link, then a file of its name",
        lambda canary: archive(
            symlink("l", canary + b"/secret"), hard_link("h", "l"), member("h", b"mine")
        ),
        holds={"h": b"mine"},
    ),
    _aimed(
        "hard link in the place of a link",
        lambda canary: archive(
            member("f", b"mine"), symlink("l", canary + b"/secret"), hard_link("l", "f")
        ),
        holds={"l": b"mine"},
    ),
    _refused("hard link to a directory", "directory", directory("d"), hard_link("h", "d")),
    _refused("hard link to the root", "directory", hard_link("h", "/")),
    _taken("hard link to itself", {"f": b"1"}, member("f", b"1"), hard_link("f", "f")),
    _taken(
        "file through a link that stays inside",
        {"real/x": b"1", "l": "/real"},
        directory("real"),
        symlink("l", "/real"),
        member("l/x", b"1"),
    ),
    _taken("link text is only text", {"l": "../../../etc"}, symlink("l", "../../../etc")),
    _refused("child of a dangling link", "leads nowhere", symlink("l", "gone"), member("l/x")),
    _refused("links in a circle", "circle", symlink("a", "b"), symlink("b", "a"), member("a/x")),
    _refused("child of a file", "not a directory", member("f", b"1"), member("f/x", b"1")),
    _taken(
        "directory after a file",
        {"n/x": b"1"},
        member("n", b"0"),
        directory("n"),
        member("n/x", b"1"),
    ),
    _taken(
        "file after a directory",
        {"n": b"1"},
        directory("n"),
        member("n/x", b"0"),
        member("n", b"1"),
    ),
    _taken(
        "parent replaced while it is in use",
        {"d": "e", "e/x": b"2", "e/y": b"3"},
        directory("d"),
        member("d/x", b"1"),
        directory("e"),
        symlink("d", "e"),
        member("d/x", b"2"),
        member("d/y", b"3"),
    ),
    _refused("root as a file", "root", member("/", b"1")),
    _refused("root as a link", "root", symlink("./", "/etc")),
    _refused("no name at all", "root", member("", b"1")),
)

# A02: whiteouts.
WHITEOUTS = (
    _refused("whiteout of the directory itself", "whiteout", member(".wh..")),
    _refused("whiteout of the parent", "whiteout", member("d/.wh...")),
    _refused("whiteout of nothing", "whiteout", member(".wh.")),
    _refused("whiteout as a directory of a name", "whiteout", member(".wh./x")),
    _refused("whiteout in the middle of a name", "whiteout", member("d/.wh.e/x")),
    _aimed(
        "whiteout through a link",
        lambda canary: archive(symlink("l", canary), member("l/.wh.secret")),
        refused="leads nowhere",
    ),
    _aimed(
        "opaque marker through a link",
        lambda canary: archive(symlink("l", canary), member("l/.wh..wh..opq")),
        refused="leads nowhere",
    ),
    _taken("opaque root", {"trusted.overlay.opaque of .": b"y"}, member(".wh..wh..opq")),
    _taken("whiteout by an absolute name", {"etc/x": 0o20000}, member("/etc/.wh.x")),
    _taken("whiteout twice", {"x": 0o20000}, member(".wh.x"), member(".wh.x")),
    _taken("whiteout before a file of its name", {"x": b"1"}, member(".wh.x"), member("x", b"1")),
    _taken("whiteout after a file of its name", {"x": b"1"}, member("x", b"1"), member(".wh.x")),
    _taken(
        "whiteout before a directory of its name",
        {"d": 0o40755, "trusted.overlay.opaque of d": b"y"},
        member(".wh.d"),
        directory("d"),
    ),
    _taken(
        "whiteout before a directory that has no entry",
        {"d/x": b"1", "trusted.overlay.opaque of d": b"y"},
        member(".wh.d"),
        member("d/x", b"1"),
    ),
    _taken(
        "whiteout after a directory of its name",
        {"d/x": b"1", "trusted.overlay.opaque of d": b"y"},
        directory("d"),
        member("d/x", b"1"),
        member(".wh.d"),
    ),
    _taken(
        "opaque after content",
        {"d/x": b"1", "trusted.overlay.opaque of d": b"y"},
        directory("d"),
        member("d/x", b"1"),
        member("d/.wh..wh..opq"),
    ),
    _taken("bookkeeping of aufs", {".wh..wh.plnk": None}, member(".wh..wh.plnk/1.2", b"1")),
    _refused(
        "hard link to a whiteout", "not in the archive", member(".wh.x"), hard_link("h", "x")
    ),
)


def _with_attribute(attribute: str, value: bytes, *, kind: bytes = b"0") -> bytes:
    return member("n", kind=kind, mode=0o755, pax={f"SCHILY.xattr.{attribute}": value})


CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
"""cap_net_bind_service+ep, version 2 (linux/capability.h, struct vfs_cap_data)."""

# A03: what overlayfs and the kernel understand.
OVERLAY_TRICKS = (
    *(
        _taken(
            f"attribute {attribute} on a {'directory' if kind == b'5' else 'file'}",
            {f"{attribute} of n": None},
            _with_attribute(attribute, b"y", kind=kind),
        )
        for attribute in (
            "trusted.overlay.opaque",
            "trusted.overlay.redirect",
            "trusted.overlay.metacopy",
            "trusted.overlay.origin",
            "user.overlay.opaque",
            "user.overlay.redirect",
            "trusted.other",
            "security.selinux",
        )
        for kind in (b"0", b"5")
    ),
    _taken(
        "attribute of a user", {"user.colour of n": b"red"}, _with_attribute("user.colour", b"red")
    ),
    _taken(
        "file capability",
        {"security.capability of n": CAPABILITY},
        member("n", uid=7, pax={"SCHILY.xattr.security.capability": CAPABILITY}),
    ),
    _refused("attribute with a NUL in its name", "NUL", _with_attribute("user.a\0b", b"1")),
    _taken("setuid", {"n": 0o104755}, member("n", uid=7, mode=0o4755)),
    _taken("setgid directory", {"n": 0o42755}, directory("n", 0o2755, gid=8)),
    _taken("block device", {"n": 0o60660}, member("n", kind=b"4", mode=0o660, major=8)),
    _refused("kernel's own whiteout", "0:0", member("n", kind=b"3")),
    _refused("device number out of range", "range", member("n", kind=b"3", major=0o7777777)),
)


def _sparse_1_0(pieces: bytes, data: bytes, real_size: int) -> bytes:
    return archive(
        member(
            "GNUSparseFile.0/n",
            padded(pieces) + data,
            pax={
                "GNU.sparse.major": b"1",
                "GNU.sparse.minor": b"0",
                "GNU.sparse.name": b"n",
                "GNU.sparse.realsize": b"%d" % real_size,
            },
        )
    )


_PLAIN = archive(member("n", b"1"))
_GZIPPED = gzip.compress(_PLAIN)

# A04: lies and bombs.
LIES_AND_BOMBS = (
    _raw("nothing at all", b""),
    _raw("only the end mark", END),
    _raw("gzip in two members", gzip.compress(_PLAIN[:700]) + gzip.compress(_PLAIN[700:]), n=b"1"),
    _raw("gzip with zeros behind it", _GZIPPED + bytes(512), n=b"1"),
    _raw("gzip that is cut off", _GZIPPED[:-9], refused="cut off"),
    _raw("gzip with rubbish behind it", _GZIPPED + b"rubbish", refused="gzip stream"),
    _raw("gzip with a wrong checksum", _GZIPPED[:-8] + bytes(8), refused="damaged"),
    _raw("zstd", zstandard.compress(_PLAIN), n=b"1"),
    _raw("zstd that is cut off", zstandard.compress(_PLAIN * 9)[:-4], refused="cut off"),
    _raw(
        "zstd with rubbish behind it", zstandard.compress(_PLAIN) + b"rubbish", refused="damaged"
    ),
    # RFC 8878, 3.1.1.1: no single segment, window descriptor 0xA8 is 2 GiB.
    _raw(
        "zstd with a window of 2 GiB", b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(64), refused="damaged"
    ),
    _raw("xz", lzma.compress(_PLAIN), n=b"1"),
    _raw("xz that is cut off", lzma.compress(_PLAIN)[:-8], refused="cut off"),
    _raw("bzip2", bz2.compress(_PLAIN), n=b"1"),
    _raw("zeros without end behind the archive", gzip.compress(_PLAIN + bytes(1 << 26)), n=b"1"),
    _raw("archive cut off in a header", _PLAIN[:300], refused="cut off"),
    _raw(
        "archive cut off in its content",
        archive(member("n", b"x" * 5000))[:2000],
        refused="cut off",
    ),
    _refused("wrong checksum", "checksum", member("n", checksum=b"000000\0 ")),
    _refused("unknown type", "unknown type", member("n", kind=b"Q")),
    _refused("negative size", "negative", member("n", size_field=b"\xff" * 12)),
    _refused(
        "size of 8 EiB",
        "cut off",
        member("n", size_field=b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7),
    ),
    _refused("size that is no number", "malformed", member("n", size_field=b"0x10\0" + bytes(7))),
    _refused("size with an underscore", "malformed", member("n", size_field=b"0000000001_0")),
    _refused(
        "pax record of 1 TiB", "malformed", member("p", b"1099511627776 path=x\n", kind=b"x")
    ),
    _refused(
        "pax header of 1 TiB",
        "metadata",
        member("p", kind=b"x", size_field=b"\x80" + b"\0" * 6 + b"\1" + b"\0" * 4),
    ),
    _refused("pax header above 1 MiB", "metadata", member("p", b"x" * ((1 << 20) + 1), kind=b"x")),
    _refused("pax record without a value", "malformed", member("p", b"9 path \n\n", kind=b"x")),
    _refused(
        "pax record that ends before it begins", "malformed", member("p", b"1 path=x\n", kind=b"x")
    ),
    _refused("GNU name above 1 MiB", "metadata", member("p", b"x" * ((1 << 20) + 1), kind=b"L")),
    _taken(
        "GNU name",
        {"x" * 200: b"1"},
        member("@", b"x" * 200 + b"\0", kind=b"L"),
        member("y", b"1"),
    ),
    _taken(
        "pax defaults for all",
        {"n": b"1"},
        member("g", pax_record(b"path", b"other"), kind=b"g"),
        member("n", b"1"),
    ),
    _refused("part of a name above 255", "too long", member("n", pax={"path": b"x" * 256})),
    _refused("name above 4,096", "too long", member("n", pax={"path": b"x/" * 2100})),
    _refused("name with a NUL", "NUL", member("n", pax={"path": b"a\0b"})),
    _taken("name that is not UTF-8", {"\udcff": b"1"}, member(b"\xff", b"1")),
    _taken(
        "deep path",
        {"d/" * 1900 + "n": b"1"},
        member("n", b"1", pax={"path": b"d/" * 1900 + b"n"}),
    ),
    _taken("the same name again", {"n": b"2"}, member("n", b"1"), member("n", b"2")),
    _refused("owner 2**32-1", "owner", member("n", pax={"uid": b"4294967295"})),
    _refused("owner that is no number", "malformed", member("n", pax={"uid": b"1_0"})),
    _taken(
        "time that is none", {"n": b"1"}, member("n", b"1", pax={"mtime": b"99999999999999999.5"})
    ),
    _refused("time that is no number", "malformed", member("n", pax={"mtime": b"yesterday"})),
    _raw(
        "sparse file",
        _sparse_1_0(b"1\n1048575\n1\n", b"x", 1 << 20),
        n=bytes((1 << 20) - 1) + b"x",
    ),
    _raw(
        "sparse pieces that overlap",
        _sparse_1_0(b"2\n0\n4\n2\n4\n", b"x" * 8, 9),
        refused="backwards",
    ),
    _raw("sparse piece behind the end", _sparse_1_0(b"1\n9\n1\n", b"x", 5), refused="fit"),
    _raw("sparse map for more than there is", _sparse_1_0(b"1\n0\n9\n", b"x", 9), refused="fit"),
    _raw(
        "sparse map of millions",
        _sparse_1_0(b"5000000\n" + b"1\n" * 700_000, b"", 9),
        refused="too large",
    ),
    _raw("sparse map without an end", _sparse_1_0(b"7" * 600, b"", 9), refused="cut off"),
    _raw("sparse file of 8 EiB", _sparse_1_0(b"0\n", b"", (1 << 63) - 1), refused="too large"),
)

CORPUS = (*LEADING_OUT, *WHITEOUTS, *OVERLAY_TRICKS, *LIES_AND_BOMBS)
