"""JSON documents of the Engine API, read by field with the type that the field should have.

The engine that answers may be older or newer than we are, so that a field may be absent, null,
or of another type; each reader then gives the type's empty value, as Go's decoder does.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
Document: TypeAlias = dict[str, Json]


def parse(text: bytes | str) -> Json:
    """A JSON value. Raises: ValueError."""
    value: Json = json.loads(text)
    return value


def encode(value: Json) -> bytes:
    """Compact UTF-8 JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def document(value: Json) -> Document:
    """The value as an object; an empty one if it is something else."""
    return value if isinstance(value, dict) else {}


def documents(value: Json) -> list[Document]:
    """The objects of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(of: Document, key: str) -> str:
    """A string field."""
    value = of.get(key)
    return value if isinstance(value, str) else ""


def number(of: Document, key: str) -> int:
    """A whole-number field."""
    value = of.get(key)
    return int(value) if isinstance(value, int | float) else 0


def flag(of: Document, key: str) -> bool:
    """A boolean field."""
    return of.get(key) is True


def child(of: Document, key: str) -> Document:
    """An object field."""
    return document(of.get(key))


def children(of: Document, key: str) -> list[Document]:
    """A field that is a list of objects."""
    return documents(of.get(key))


def texts(of: Document, key: str) -> list[str]:
    """A field that is a list of strings."""
    value = of.get(key)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def mapping(of: Document, key: str) -> dict[str, str]:
    """A field that maps strings to strings."""
    return {key: each for key, each in child(of, key).items() if isinstance(each, str)}


def as_json(values: Iterable[str] | Mapping[str, str]) -> Json:
    """Strings, or a map of strings, as a JSON value (containers are invariant to the checker)."""
    if isinstance(values, Mapping):
        return dict(values.items())
    return list(values)


def stream(chunks: Iterable[bytes]) -> Iterator[Document]:
    """The objects of a stream of concatenated JSON values, each as soon as it is whole.

    Raises: ValueError when what arrives is not JSON.
    """
    decoder = json.JSONDecoder()
    pending = b""
    for chunk in chunks:
        pending += chunk
        # A newline ends every value the engine sends; without one, try only what may be whole.
        if not pending.rstrip().endswith((b"}", b"]")):
            continue
        waiting = pending.decode(errors="surrogateescape").lstrip()
        while waiting:
            try:
                value, end = decoder.raw_decode(waiting)
            except ValueError:
                break
            yield document(value)
            waiting = waiting[end:].lstrip()
        pending = waiting.encode(errors="surrogateescape")
    if pending.strip():
        yield document(parse(pending))
