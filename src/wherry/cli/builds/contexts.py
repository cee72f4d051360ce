"""What a build is made of: a directory, standard input, or something elsewhere."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from wherry.cli.failures import CommandFailed
from wherry.cli.local_trees import pack
from wherry.kit.path_patterns import BadPattern, Ignore, read_ignore

if TYPE_CHECKING:
    from wherry.client.build_session.directories import Directory

STDIN = "-"
_PIECE_BYTES = 256 * 1024
_TAR_MAGIC = b"ustar"
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_DOCKERFILE = "Dockerfile"
_SENT_DOCKERFILE = ".dockerfile.wherry"
"""The name in the tar of a Dockerfile that is not part of the context."""


class Sent(NamedTuple):
    """A context on its way as a tar."""

    dockerfile: str
    """What the Dockerfile is called in it."""
    pieces: Iterator[bytes]


class Elsewhere(NamedTuple):
    """A context that the engine fetches."""

    dockerfile: str

    def sent(self) -> Sent:
        """Nothing of it."""
        return Sent(self.dockerfile, iter(()))

    def directories(self) -> Mapping[str, "Directory"]:
        """None."""
        return {}


class LocalContext(NamedTuple):
    """A directory of this machine, and the Dockerfile that it is built by."""

    top: str
    dockerfile: str
    """Its path below the directory that it is in."""
    text: bytes | None = None
    """What is in a Dockerfile that is not part of the context."""
    beside: str = ""
    """The directory that such a file is in; empty for a text that is no file."""

    def sent(self) -> Sent:
        """All that is not ignored, as a tar. Raises: CommandFailed."""
        name = self.dockerfile if self.text is None else _SENT_DOCKERFILE
        ignore = _ignored(self.top, name)
        wanted = {name, f"{name}.dockerignore", ".dockerignore"}

        def is_left_out(called: str) -> bool:
            inside = called.removeprefix("./")
            return inside != "." and inside not in wanted and ignore.excludes(inside)

        pieces = pack(self.top, ".", is_left_out)
        if self.text is not None:
            pieces = _followed(_alone(name, self.text), pieces)
        return Sent(name, pieces)

    def directories(self) -> Mapping[str, "Directory"]:
        """What an engine may ask for, by BuildKit's names."""
        from wherry.client.build_session.directories import Folder, Texts

        context = Folder(self.top)
        if self.text is None:
            return {"context": context, "dockerfile": context}
        if self.beside:
            return {"context": context, "dockerfile": Folder(self.beside)}
        return {"context": context, "dockerfile": Texts({self.dockerfile: self.text})}


def context_at(place: str, dockerfile: str) -> LocalContext:
    """A directory, by the Dockerfile that is named, or that is in it. Raises: CommandFailed."""
    top = _directory(place)
    if dockerfile == STDIN:
        return LocalContext(top, _DOCKERFILE, sys.stdin.buffer.read())
    path = os.path.abspath(dockerfile) if dockerfile else os.path.join(top, _DOCKERFILE)
    inside = os.path.join(top, dockerfile)
    if dockerfile and not os.path.exists(path) and os.path.exists(inside):
        path = inside
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as problem:
        raise CommandFailed(
            "unable to prepare context: unable to evaluate symlinks in Dockerfile path: "
            f"lstat {path}: {(problem.strerror or '').lower()}"
        ) from None
    path = os.path.realpath(path)
    name = os.path.relpath(path, top)
    if name.startswith("../"):
        return LocalContext(top, os.path.basename(path), content, os.path.dirname(path))
    return LocalContext(top, name)


def context_with(place: str, content: str) -> LocalContext:
    """A directory, by a Dockerfile that is no file. Raises: CommandFailed."""
    return LocalContext(_directory(place), _DOCKERFILE, content.encode())


def sent_by_stdin(dockerfile: str) -> Sent:
    """Standard input: a context as a tar, or a Dockerfile without a context.

    Raises: CommandFailed.
    """
    if dockerfile == STDIN:
        raise CommandFailed(
            "invalid argument: can't use stdin for both build context and dockerfile"
        )
    stdin = sys.stdin.buffer
    head = stdin.read(512)
    if head[257:262] != _TAR_MAGIC and not head.startswith(_COMPRESSED):
        return Sent(_DOCKERFILE, _alone(_DOCKERFILE, head + stdin.read()))

    def pieces() -> Iterator[bytes]:
        yield head
        while piece := stdin.read(_PIECE_BYTES):
            yield piece

    return Sent(dockerfile or _DOCKERFILE, pieces())


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


def _directory(place: str) -> str:
    if not os.path.exists(place):
        raise CommandFailed(f'unable to prepare context: path "{place}" not found')
    if not os.path.isdir(place):
        raise CommandFailed(f"unable to prepare context: context must be a directory: {place}")
    return os.path.realpath(place)


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
