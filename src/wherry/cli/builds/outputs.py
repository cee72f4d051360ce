"""What a build makes beside an image that the engine keeps: files and archives of this machine."""

import csv
import json
import os
import sys
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Queue

from wherry.cli.failures import CommandFailed
from wherry.cli.images.oci_directories import add_to_directory
from wherry.cli.local_trees import unpack
from wherry.cli.whole_files import WholeFile
from wherry.client.documents import Document, number, text
from wherry.kit.values import dataclass, field

_FILES = ("tar", "oci", "docker")


@dataclass(frozen=True, slots=True)
class Output:
    """One `--output`."""

    kind: str
    attributes: dict[str, str] = field(default_factory=dict)
    place: str = ""
    """A directory, a file, or `-` for the standard output."""
    is_layout: bool = False
    """The place is a directory that an archive of images is unpacked into (`tar=false`)."""

    def as_document(self) -> Document:
        """As the engine is asked for it."""
        return {"Type": self.kind, "Attrs": {**self.attributes}}


def read_output(given: str) -> Output:
    """`type=KIND,dest=PLACE,...`, or a directory alone. Raises: CommandFailed."""
    if not given:
        raise CommandFailed("dest is required for local output")
    if "=" not in given:
        return Output("tar", place="-") if given == "-" else Output("local", place=given)
    attributes: dict[str, str] = {}
    for part in next(csv.reader([given]), []):
        key, equals, value = part.partition("=")
        if not equals:
            raise CommandFailed(f"invalid value {part}")
        attributes[key.strip().lower()] = value
    kind, place = attributes.pop("type", ""), attributes.pop("dest", "")
    if not kind:
        raise CommandFailed("type is required for output")
    if kind == "registry":
        return Output("image", {**attributes, "push": "true"})
    if kind not in ("image", "local", *_FILES):
        raise CommandFailed(f"unsupported output type {kind!r}")
    if kind == "local" and not place:
        raise CommandFailed("dest is required for local output")
    if kind == "docker" and not place:
        return Output("image", attributes)
    if kind in _FILES:
        place = place or "-"
        if attributes.get("tar") == "false" and place == "-":
            raise CommandFailed("dest is required for tar=false")
        if place == "-" and sys.stdout.isatty():
            raise CommandFailed(
                "dest file is required for tar exporter. refusing to write to console"
            )
    if kind in ("oci", "docker") and attributes.get("tar") == "false":
        del attributes["tar"]
        return Output(kind, attributes, place, is_layout=True)
    return Output(kind, attributes, place)


def outputs_query(outputs: Sequence[Output]) -> str:
    """What the engine is asked for: a directory in one piece, which is unpacked here."""
    kinds = ["tar" if each.kind == "local" else each.kind for each in outputs]
    asked = [
        {**each.as_document(), "Type": kind} for each, kind in zip(outputs, kinds, strict=True)
    ]
    return json.dumps(asked)


def annotation(given: str) -> tuple[str, str]:
    """`[PLACE[PLATFORM]:]key=value`, as an attribute of an output. Raises: CommandFailed."""
    place, colon, rest = given.partition(":")
    if not colon or "=" in place:
        place, rest = "manifest", given
    key, equals, value = rest.partition("=")
    if not equals or not key:
        raise CommandFailed(f"invalid annotation {given!r}, expected key=value")
    kind, bracket, platform = place.partition("[")
    if kind not in ("manifest", "index", "manifest-descriptor", "index-descriptor"):
        raise CommandFailed(f"unknown annotation type {kind!r}")
    return f"annotation-{kind}{bracket}{platform}.{key}", value


class Results:
    """Writes results as their pieces come; what is not whole does not stay."""

    def __init__(self, outputs: Sequence[Output], caches: Sequence[Output] = ()) -> None:
        """`caches`: what a build leaves behind its outputs, numbered after them."""
        self._outputs = outputs
        self._caches = caches
        self._taking: dict[int, _Taking] = {}

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        for taking in self._taking.values():
            taking.end(is_whole=kind is None)

    def take(self, piece: Document) -> None:
        """One piece. Raises: CommandFailed, OSError."""
        self.put(number(piece, "Output"), b64decode(text(piece, "Data")))

    def put(self, which: int, content: bytes) -> None:
        """A piece of the output with a number. Raises: CommandFailed, OSError."""
        if which not in self._taking:
            self._taking[which] = self._begun(which)
        self._taking[which].put(content)

    def _begun(self, which: int) -> "_Taking":
        if which >= max(1, len(self._outputs)):
            cache = self._caches[which - max(1, len(self._outputs))]
            tag = cache.attributes.get("tag", "latest")
            return _Unpacking(partial(add_to_directory, cache.place, tag=tag))
        output = self._outputs[which]
        if output.kind == "local":
            os.makedirs(output.place, exist_ok=True)
            return _Unpacking(lambda pieces: unpack(pieces, output.place, ".", ""))
        if output.is_layout:
            tag = output.attributes.get("name", "").rpartition(":")[2]
            return _Unpacking(partial(add_to_directory, output.place, tag=tag))
        return _StandardOutput() if output.place == "-" else WholeFile(output.place)


class _StandardOutput:
    """A result that whoever called reads as it comes."""

    def put(self, content: bytes) -> None:
        """Write a piece."""
        sys.stdout.buffer.write(content)

    def end(self, *, is_whole: bool) -> None:
        """Keep nothing back."""
        sys.stdout.buffer.flush()


class _Unpacking:
    """A result that is a directory: a tar, unpacked by a thread while it comes."""

    def __init__(self, unpack_all: Callable[[Iterator[bytes]], object]) -> None:
        self._unpack_all = unpack_all
        self._pieces: Queue[bytes] = Queue(16)
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._unpack, daemon=True)
        self._thread.start()

    def put(self, content: bytes) -> None:
        """Unpack a piece."""
        if content:
            self._pieces.put(content)

    def end(self, *, is_whole: bool) -> None:
        """Wait until all is there. Raises: what unpacking did."""
        self._pieces.put(b"")
        self._thread.join()
        if self._problem is not None and is_whole:
            raise self._problem

    def _unpack(self) -> None:
        coming = iter(self._pieces.get, b"")
        try:
            self._unpack_all(coming)
        except Exception as problem:  # told by the thread that waits for this one
            self._problem = problem
        for _rest in coming:
            pass


_Taking = WholeFile | _StandardOutput | _Unpacking


def without_pieces(messages: Iterator[Document], results: Results) -> Iterator[Document]:
    """Messages, but for those that bring pieces of results."""
    for message in messages:
        aux = message.get("aux")
        if isinstance(aux, dict) and "Data" in aux:
            results.take(aux)
        else:
            yield message
