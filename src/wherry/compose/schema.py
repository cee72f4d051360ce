"""The Compose schema, and what is wrong with a document in the words of Compose.

The schema is Compose's own (compose_spec.json). Of what it complains about, Compose tells the
one complaint that is deepest in the document, and the first of those; so do we. The keywords that
are read here are all that the schema uses: another one makes a test fail, not the user.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from os.path import dirname, join
from typing import NamedTuple

from wherry.client.documents import Document, Json, document, text, texts
from wherry.compose.errors import ComposeError
from wherry.compose.yaml_source import Path, as_text

_KINDS = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool)
        and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
}


class Complaint(NamedTuple):
    """One thing that is wrong, and where."""

    path: Path
    problem: str


@cache
def _schema() -> Document:
    with open(join(dirname(__file__), "compose_spec.json"), "rb") as file:
        return document(json.load(file))


def validate(value: Document, name: str, lines: dict[Path, int]) -> None:
    """Check a document. Raises: ComposeError with the file, Compose's text and the line."""
    found = _deepest(_complaints(value, _schema(), ()))
    if found is not None:
        raise ComposeError(
            f"validating {name}: {'.'.join(found.path)} {found.problem}{_line_of(found, lines)}"
        )


def _line_of(found: Complaint, lines: dict[Path, int]) -> str:
    path = found.path
    named = re.match(r"additional properties '([^']*)'", found.problem)
    if named and (*path, named[1]) in lines:
        path = (*path, named[1])
    while path and path not in lines:
        path = path[:-1]
    return f" (line {lines[path]})" if path in lines else ""


def _deepest(complaints: Iterator[Complaint]) -> Complaint | None:
    best: Complaint | None = None
    for each in complaints:
        if best is None or len(each.path) > len(best.path):
            best = each
    return best


def _complaints(value: Json, schema: Document, path: Path) -> Iterator[Complaint]:
    if reference := text(schema, "$ref"):
        definitions = document(_schema()["definitions"])
        yield from _complaints(value, document(definitions[reference.rpartition("/")[2]]), path)
        return
    kinds = texts(schema, "type") or ([text(schema, "type")] if "type" in schema else [])
    if kinds and not any(_KINDS[kind](value) for kind in kinds):
        yield Complaint(path, f"must be a {_alternatives(kinds)}")
        return
    yield from _own(value, schema, path)
    if isinstance(value, dict):
        yield from _of_object(value, schema, path)
    elif isinstance(value, list):
        yield from _of_array(value, schema, path)
    yield from _of_choices(value, schema, path)


def _own(value: Json, schema: Document, path: Path) -> Iterator[Complaint]:
    allowed = schema.get("enum")
    if isinstance(allowed, list) and value not in allowed:
        shown = ", ".join(f"'{as_text(each)}'" for each in allowed)
        yield Complaint(path, f"value must be {'one of ' if len(allowed) > 1 else ''}{shown}")
    pattern = text(schema, "pattern")
    if pattern and isinstance(value, str) and not re.search(pattern, value):
        yield Complaint(path, f"'{value}' does not match pattern '{pattern}'")
    if _KINDS["number"](value) and isinstance(value, int | float):
        lowest, highest = schema.get("minimum"), schema.get("maximum")
        if isinstance(lowest, int | float) and value < lowest:
            yield Complaint(path, f"minimum: got {as_text(value)}, want {as_text(lowest)}")
        if isinstance(highest, int | float) and value > highest:
            yield Complaint(path, f"maximum: got {as_text(value)}, want {as_text(highest)}")


def _of_object(value: Document, schema: Document, path: Path) -> Iterator[Complaint]:
    missing = [name for name in texts(schema, "required") if name not in value]
    if missing:
        shown = ", ".join(f"'{name}'" for name in missing)
        yield Complaint(path, f"missing propert{'y' if len(missing) == 1 else 'ies'} {shown}")
    properties = document(schema.get("properties"))
    patterns = document(schema.get("patternProperties"))
    others = schema.get("additionalProperties", True)
    unknown: list[str] = []
    for key, each in value.items():
        place = (*path, key)
        if key in properties:
            yield from _complaints(each, document(properties[key]), place)
        matched = [rule for pattern, rule in patterns.items() if re.search(pattern, key)]
        for rule in matched:
            yield from _complaints(each, document(rule), place)
        if key in properties or matched:
            continue
        if others is False:
            unknown.append(key)
        elif isinstance(others, dict):
            yield from _complaints(each, others, place)
    if unknown:
        shown = ", ".join(f"'{key}'" for key in sorted(unknown))
        yield Complaint(path, f"additional properties {shown} not allowed")


def _of_array(value: list[Json], schema: Document, path: Path) -> Iterator[Complaint]:
    if schema.get("uniqueItems") is True:
        seen: dict[str, int] = {}
        for at, each in enumerate(value):
            key = json.dumps(each, sort_keys=True)
            if key in seen:
                yield Complaint(path, f"items at {seen[key]} and {at} are equal")
                break
            seen[key] = at
    if isinstance(items := schema.get("items"), dict):
        for at, each in enumerate(value):
            yield from _complaints(each, items, (*path, str(at)))


def _of_choices(value: Json, schema: Document, path: Path) -> Iterator[Complaint]:
    for keyword in ("oneOf", "anyOf"):
        choices = schema.get(keyword)
        if not isinstance(choices, list):
            continue
        results = [list(_complaints(value, document(each), path)) for each in choices]
        if all(results):
            for each in results:
                yield from each
        elif keyword == "oneOf" and sum(not each for each in results) > 1:
            first, second = [at for at, each in enumerate(results) if not each][:2]
            yield Complaint(path, f"oneOf failed, subschemas {first}, {second} matched")


def _alternatives(kinds: list[str]) -> str:
    """`null, number or string`."""
    *first, last = sorted("mapping" if kind == "object" else kind for kind in kinds)
    return f"{', '.join(first)} or {last}" if first else last
