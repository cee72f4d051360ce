"""The Go types of the documents that `inspect`, `info`, `version` and `events` print.

A template that Docker's CLI runs on a typed value must give the same here: field names in Go's
spelling (`.ID` where the document has "Id"), fields that the document lacks, the order in which
`json` and `print` show them, and errors that name the type. The schema (docker_types.schema) has
a block for each struct, and a line for each field: its Go name, its type, its name in JSON where
that is another, and `omit` for omitempty. A name with `:` is a named type over a plain one;
`embed` stands for an embedded struct.
"""

import re
from collections.abc import Iterator
from functools import cache
from os.path import dirname, join

from wherry.cli.templates.values import (
    ANY,
    BOOL,
    FLOAT64,
    INT,
    INT64,
    STRING,
    Datum,
    GoType,
    Kind,
    StructField,
    map_of,
    pointer_to,
    slice_of,
)
from wherry.kit.durations import duration_text

_EMPTY = GoType(kind=Kind.STRUCT, name="struct {}")
_PLAIN = {
    "string": STRING, "bool": BOOL, "int": INT, "int64": INT64, "float64": FLOAT64,
    "interface{}": ANY, "struct{}": _EMPTY,
}  # fmt: skip
_UNSIGNED = re.compile(r"uint(8|16|32|64)?")


def _duration_text(datum: Datum) -> str:
    """A time.Duration."""
    return duration_text(datum if isinstance(datum, int) else 0)


def _time_text(datum: Datum) -> str:
    """A time.Time as Go's String prints it."""
    text = str(datum)
    moment, zone = (text[:-1], "+0000 UTC") if text.endswith("Z") else (text[:-6], "")
    if not zone:
        offset = text[-6:].replace(":", "")
        zone = f"{offset} {offset}"
    return f"{moment.replace('T', ' ')} {zone}"


def _ulimit_text(datum: Datum) -> str:
    entries = datum if isinstance(datum, dict) else {}
    return f"{entries.get('Name')}={entries.get('Soft')}:{entries.get('Hard')}"


_ZERO_TIME = "0001-01-01T00:00:00Z"


def _blocks() -> Iterator[tuple[str, list[str]]]:
    with open(join(dirname(__file__), "docker_types.schema"), encoding="ascii") as file:
        for block in file.read().rstrip().split("\n\n"):
            name, *lines = block.split("\n")
            yield name, lines


@cache
def _types() -> dict[str, GoType]:
    known = dict(_PLAIN)
    known["time.Duration"] = GoType(kind=Kind.INT, name="time.Duration", shows=_duration_text)
    known["time.Time"] = GoType(
        kind=Kind.STRING, name="time.Time", shows=_time_text, zero=_ZERO_TIME
    )
    known["strslice.StrSlice"] = GoType(kind=Kind.SLICE, name="strslice.StrSlice", element=STRING)
    blocks = dict(_blocks())
    for name in blocks:
        known[name] = GoType(kind=Kind.STRUCT, name=name)
    known["nat.PortSet"] = GoType(
        kind=Kind.MAP, name="nat.PortSet", element=_EMPTY, key="nat.Port"
    )
    bindings = slice_of(known["nat.PortBinding"])
    known["nat.PortMap"] = GoType(
        kind=Kind.MAP, name="nat.PortMap", element=bindings, key="nat.Port"
    )
    known["units.Ulimit"].shows = _ulimit_text
    for name, lines in blocks.items():
        known[name].fields = tuple(_field(line.split(), known) for line in lines)
    return known


def _field(words: list[str], known: dict[str, GoType]) -> StructField:
    name, kind, *rest = words
    omits = rest[-1:] == ["omit"]
    rest = rest[:-1] if omits else rest
    of = _type(kind, known)
    is_embedded = name == "embed"
    if is_embedded:
        name = kind.lstrip("*").rpartition(".")[2]
    json_name = rest[0] if rest else name
    return StructField(
        name=name,
        type=of,
        json_name="" if json_name == "-" else json_name,
        omits_empty=omits,
        is_embedded=is_embedded,
    )


def _type(expression: str, known: dict[str, GoType]) -> GoType:
    if expression in known:
        return known[expression]
    if expression.startswith("*"):
        return pointer_to(_type(expression[1:], known))
    if expression.startswith("[]"):
        return slice_of(_type(expression[2:], known))
    if expression.startswith("[2]"):
        element = _type(expression[3:], known)
        empty = [0, 0] if element.kind is Kind.UINT else ["", ""]
        return GoType(kind=Kind.SLICE, name=f"[2]{element.name}", element=element, zero=empty)
    if expression.startswith("map[string]"):
        return map_of(_type(expression.removeprefix("map[string]"), known))
    if ":" in expression:
        name, plain = expression.split(":")
        return GoType(kind=_type(plain, known).kind, name=name)
    if _UNSIGNED.fullmatch(expression):
        return GoType(kind=Kind.UINT, name=expression)
    raise KeyError(expression)


def type_named(name: str) -> GoType:
    """A type of the schema by its Go name. Raises: KeyError."""
    return _types()[name]
