"""What a build is made of, as it is sent: a directory, standard input, or something elsewhere."""

import os
import sys
from collections.abc import Iterable, Iterator

from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Parsed
from wherry.cli.local_trees import pack
from wherry.cli.session import Session
from wherry.kit.byte_sizes import human_size
from wherry.kit.path_patterns import BadPattern, Ignore, read_ignore

_STDIN = "-"
_PIECE_BYTES = 256 * 1024
_TAR_MAGIC = b"ustar"
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_SENT_DOCKERFILE = ".dockerfile.wherry"
"""The name in the tar of a Dockerfile that is not part of the context."""


def context(session: Session, parsed: Parsed, *, is_quiet: bool) -> tuple[str, Iterator[bytes]]:
    """The Dockerfile's name in the context, and the context as a tar."""
    place, dockerfile = parsed.arguments[0], parsed.text("file")
    if is_remote(place):
        return dockerfile or "Dockerfile", iter(())
    if place == _STDIN:
        if dockerfile == _STDIN:
            raise CommandFailed(
                "invalid argument: can't use stdin for both build context and dockerfile"
            )
        return _from_stdin(dockerfile)
    if not os.path.isdir(place):
        raise CommandFailed(f'unable to prepare context: path "{place}" not found')
    return _from_directory(session, place, dockerfile, is_quiet=is_quiet)


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A context on its way, as gzip."""
    import zlib

    packer = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def is_remote(place: str) -> bool:
    """Whether the engine fetches the context."""
    return place.startswith(("http://", "https://", "git://", "git@", "ssh://", "github.com/"))


def _from_stdin(dockerfile: str) -> tuple[str, Iterator[bytes]]:
    """Standard input: a context as a tar, or a Dockerfile without a context."""
    stdin = sys.stdin.buffer
    head = stdin.read(512)
    if head[257:262] != _TAR_MAGIC and not head.startswith(_COMPRESSED):
        return "Dockerfile", _alone("Dockerfile", head + stdin.read())

    def pieces() -> Iterator[bytes]:
        yield head
        while piece := stdin.read(_PIECE_BYTES):
            yield piece

    return dockerfile or "Dockerfile", pieces()


def _from_directory(
    session: Session, place: str, dockerfile: str, *, is_quiet: bool
) -> tuple[str, Iterator[bytes]]:
    top = os.path.realpath(place)
    extra = b""
    if dockerfile == _STDIN:
        name, extra = _SENT_DOCKERFILE, sys.stdin.buffer.read()
    else:
        path = dockerfile or os.path.join(top, "Dockerfile")
        if dockerfile and not os.path.exists(path):
            path = os.path.join(top, dockerfile)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as problem:
            raise CommandFailed(
                "unable to prepare context: unable to evaluate symlinks in Dockerfile path: "
                f"lstat {path}: {(problem.strerror or '').lower()}"
            ) from None
        name = os.path.relpath(os.path.realpath(path), top)
        if name.startswith("../"):
            name, extra = _SENT_DOCKERFILE, content
    ignore = _ignored(top, name)
    wanted = {name, f"{name}.dockerignore", ".dockerignore"}

    def is_left_out(called: str) -> bool:
        inside = called.removeprefix("./")
        return inside != "." and inside not in wanted and ignore.excludes(inside)

    pieces = pack(top, ".", is_left_out)
    if extra:
        pieces = _followed(_alone(_SENT_DOCKERFILE, extra), pieces)
    return name, pieces if is_quiet else _told(session, pieces)


def context_of_directory(
    session: Session, place: str, dockerfile: str
) -> tuple[str, Iterator[bytes]]:
    """The Dockerfile's name in the context, and a directory as a context."""
    if not os.path.isdir(place):
        raise CommandFailed(f'unable to prepare context: path "{place}" not found')
    return _from_directory(session, place, os.path.join(place, dockerfile), is_quiet=True)


def context_of_text(session: Session, place: str, content: str) -> tuple[str, Iterator[bytes]]:
    """As `context_of_directory`, with a Dockerfile that is no file."""
    if not os.path.isdir(place):
        raise CommandFailed(f'unable to prepare context: path "{place}" not found')
    top = os.path.realpath(place)
    ignore = _ignored(top, "Dockerfile")
    alone = _alone(_SENT_DOCKERFILE, content.encode())
    pieces = pack(top, ".", lambda called: ignore.excludes(called.removeprefix("./")))
    return _SENT_DOCKERFILE, _followed(alone, pieces)


def _ignored(top: str, dockerfile: str) -> Ignore:
    """The patterns beside the Dockerfile, or those of the context."""
    for each in (f"{dockerfile}.dockerignore", ".dockerignore"):
        try:
            with open(os.path.join(top, each), "rb") as file:
                return Ignore(read_ignore(file.read()))
        except FileNotFoundError:
            continue
        except BadPattern as problem:
            raise CommandFailed(f"error checking context: {problem}") from None
    return Ignore(())


def _alone(name: str, content: bytes) -> Iterator[bytes]:
    """A tar of one file."""
    import tarfile

    member = tarfile.TarInfo(name)
    member.size = len(content)
    yield member.tobuf(tarfile.PAX_FORMAT) + content
    yield bytes(-len(content) % tarfile.BLOCKSIZE) + bytes(2 * tarfile.BLOCKSIZE)


def _followed(first: Iterator[bytes], second: Iterator[bytes]) -> Iterator[bytes]:
    """Two tars as one: the first without the blocks that would end it."""
    head = b"".join(first)
    yield head[:-1024]
    yield from second


def _told(session: Session, pieces: Iterator[bytes]) -> Iterator[bytes]:
    sent = 0
    for piece in pieces:
        sent += len(piece)
        yield piece
    session.say(f"Sending build context to Docker daemon  {human_size(sent)}")
