"""What goes to the engine beside a context: secrets, named contexts, layouts."""

import csv
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from wherry.cli.failures import CommandFailed
from wherry.cli.images.oci_directories import digest_in_directory, pieces_of_directory
from wherry.cli.local_trees import pack
from wherry.cli.session import explain
from wherry.kit.values import dataclass

if TYPE_CHECKING:
    from wherry.client.build_session.directories import Directory

_IMAGE, _LAYOUT = "docker-image://", "oci-layout://"
_LARGEST_SECRET = 500 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the body: `secret`, `context` or `layout`."""

    kind: str
    name: str
    pieces: Iterable[bytes]


class PartedBody:
    """Parts as `multipart/form-data` (RFC 7578), sent as they come."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._boundary = secrets.token_hex(16)

    @property
    def content_type(self) -> str:
        """What the request says of its body."""
        return f"multipart/form-data; boundary={self._boundary}"

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            name = quote(part.name, safe="")
            yield (
                f"--{self._boundary}\r\nContent-Disposition: form-data; "
                f'name="{part.kind}"; filename="{name}"\r\n\r\n'
            ).encode()
            yield from part.pieces
            yield b"\r\n"
        yield f"--{self._boundary}--\r\n".encode()


def read_secret(given: str) -> tuple[str, bytes]:
    """`id=NAME[,src=PATH][,env=VARIABLE]`: its id, and what it is. Raises: CommandFailed."""
    values: dict[str, str] = {}
    for field in next(csv.reader([given]), []):
        key, equals, value = field.partition("=")
        if not equals or key.lower() not in ("type", "id", "source", "src", "env"):
            raise CommandFailed(f"invalid secret {given!r}: unexpected {field!r}")
        values[key.lower().replace("source", "src")] = value
    kind = values.get("type", "")
    if kind not in ("", "file", "env"):
        raise CommandFailed(f"unsupported secret type {kind!r}")
    name = values.get("id") or os.path.basename(values.get("src", "")) or values.get("env", "")
    if not name:
        raise CommandFailed(f"invalid secret {given!r}: it has no id")
    variable = values.get("env") or (values.get("src", name) if kind == "env" else "")
    if not variable and "src" not in values and name in os.environ and kind != "file":
        variable = name
    if variable:
        if variable not in os.environ:
            raise CommandFailed(f"secret {name}: the environment has no {variable}")
        return name, os.environ[variable].encode(errors="surrogateescape")
    try:
        with open(values.get("src", name), "rb") as file:
            content = file.read(_LARGEST_SECRET + 1)
    except OSError as problem:
        raise CommandFailed(f"secret {name}: {explain(problem)}") from None
    if len(content) > _LARGEST_SECRET:
        raise CommandFailed(f"secret {name} is larger than {_LARGEST_SECRET} bytes")
    return name, content


@dataclass(frozen=True, slots=True)
class NamedContext:
    """One `--build-context`: an image by its reference, or a place of this machine."""

    name: str
    image: str = ""
    """The image that it stands for: `docker-image://...` or `oci-layout://...`."""
    directory: str = ""
    layout: str = ""
    """The layout that the image is in."""

    @property
    def parts(self) -> Sequence[Part]:
        """What has to be sent for it. Raises: CommandFailed."""
        if self.directory:
            return [Part("context", self.name, pack(self.directory, "."))]
        return [layout_part(each, path) for each, path in self.layouts.items()]

    @property
    def offered(self) -> str:
        """What an engine is told of it that may ask for its files."""
        return self.image or f"local:context:{self.name}"

    @property
    def folder(self) -> "Directory | None":
        """What such an engine may ask for."""
        from wherry.client.build_session.directories import Folder

        return Folder(self.directory) if self.directory else None

    @property
    def layouts(self) -> Mapping[str, str]:
        """The directories of layouts, by the names that engines know them under."""
        return {f"oci:{self.name}": self.layout} if self.layout else {}


def layout_part(name: str, path: str) -> Part:
    """A layout as it is sent. Raises: CommandFailed."""
    return Part("layout", name, pieces_of_directory(path))


def named_context(given: str) -> NamedContext:
    """`NAME=PATH`, `NAME=docker-image://REFERENCE` or `NAME=oci-layout://PATH[:TAG][@DIGEST]`.

    Raises: CommandFailed.
    """
    name, equals, place = given.partition("=")
    if not equals or not name or not place:
        raise CommandFailed(f"invalid context value: {given}, expected key=value")
    if place.startswith(_IMAGE):
        return NamedContext(name, place)
    if place.startswith(_LAYOUT):
        return _layout(name, place.removeprefix(_LAYOUT))
    if "://" in place or not os.path.isdir(place):
        raise CommandFailed(f"failed to find named context {name}: {place} is no directory")
    return NamedContext(name, directory=os.path.realpath(place))


def _layout(name: str, place: str) -> NamedContext:
    """An image of a layout, by the digest that the layout's index gives its tag."""
    path, _at, digest = place.partition("@")
    tag = ""
    if not os.path.isdir(path):
        path, _colon, tag = path.rpartition(":")
    digest = digest or digest_in_directory(path, tag)
    return NamedContext(name, f"{_LAYOUT}{name}@{digest}", layout=path)
