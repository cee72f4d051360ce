"""Requests made out of the API's own description: well-formed, nearly so, and not at all.

`engine-api-1.51.json` is the public description without its prose: each operation with its
parameters, each definition with its fields.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

Schema = dict[str, Any]

_DESCRIPTION = json.loads((Path(__file__).with_name("engine-api-1.51.json")).read_text())
OPERATIONS: dict[str, Schema] = _DESCRIPTION["operations"]
_DEFINITIONS: dict[str, Schema] = _DESCRIPTION["definitions"]
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Sent:
    """One request."""

    method: str
    target: str
    body: bytes | None
    content_type: str


NAMES = ("cc", "dd", "ghost", "busybox", "busybox:latest", "bridge", "host", "kept", "x" * 64)
"""What exists in the engine under test, and what does not."""

_STRINGS = st.one_of(
    st.sampled_from(("", "0", "1", "-1", "true", "false", "cc", "busybox", "bridge", "default",
                     "none", "..", "/", "/tmp/x", "a:b", "9" * 30, "é", "\u202e", "\u0000", "%s",
                     "null", "{}", "[]", "1h", "80/tcp", "SIGTERM", "\ud800".encode(
                         "utf-8", "replace").decode())),
    st.text(max_size=12),
)  # fmt: skip
_NUMBERS = st.one_of(
    st.integers(min_value=-2, max_value=5),
    st.sampled_from((2**31, 2**63 - 1, -(2**63), 2**64, 10**30)),
)
_JUNK: st.SearchStrategy[object] = st.one_of(
    st.none(), st.booleans(), _NUMBERS, st.floats(allow_nan=False), _STRINGS,
    st.just([]), st.just({}), st.just([None]), st.just({"": None}),
)  # fmt: skip

_HARMLESS: dict[str, st.SearchStrategy[object]] = {
    "Binds": st.lists(st.sampled_from(("", "kept:/x", "a:b", "/a:/b:zz", ":::")), max_size=2),
    "Source": st.sampled_from(("", "/nope", "kept", "rel", "/tmp")),
    "PathOnHost": st.sampled_from(("", "/dev/null", "/dev/nope")),
    "Cmd": st.sampled_from((["true"], [], None, "x", ["/nope"])),
    "Entrypoint": st.sampled_from(([], None, [""], ["true"])),
    "CgroupParent": st.sampled_from(("", "/fuzz", "../x")),
}  # fmt: skip
"""Fields in which chance must not reach out of the private machine."""


def value_of(schema: Schema, name: str = "", depth: int = 0) -> st.SearchStrategy[object]:
    """Values of a schema; now and then something else altogether."""
    if name in _HARMLESS:
        return _HARMLESS[name]
    while "$ref" in schema:
        schema = _DEFINITIONS[schema["$ref"].rpartition("/")[2]]
    return st.one_of(_proper(schema, depth), _proper(schema, depth), _JUNK)


def _proper(schema: Schema, depth: int) -> st.SearchStrategy[object]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    fields = _fields(schema)
    if fields and depth < _DEEPEST:
        return st.fixed_dictionaries(
            {}, optional={each: value_of(fields[each], each, depth + 1) for each in fields}
        )
    match schema.get("type"):
        case "string":
            return _STRINGS
        case "integer" | "number":
            return _NUMBERS
        case "boolean":
            return st.booleans()
        case "array":
            if depth >= _DEEPEST:
                return st.just([])
            return st.lists(value_of(schema.get("items", {}), "", depth + 1), max_size=2)
        case _:
            extra = schema.get("additionalProperties")
            if isinstance(extra, dict) and depth < _DEEPEST:
                return st.dictionaries(_STRINGS, value_of(extra, "", depth + 1), max_size=2)
            return st.just({})


def _fields(schema: Schema) -> dict[str, Schema]:
    while "$ref" in schema:
        schema = _DEFINITIONS[schema["$ref"].rpartition("/")[2]]
    found: dict[str, Schema] = {}
    for part in schema.get("allOf", ()):
        found |= _fields(part)
    return found | schema.get("properties", {})


# -- whole requests --------------------------------------------------------------------------

_FIXED_QUERY = {
    "GET /events": {"until": "1"},
    "GET /containers/{id}/logs": {"follow": "0"},
    "GET /containers/{id}/stats": {"stream": "0", "one-shot": "1"},
    "POST /containers/{id}/stop": {"t": "0"},
    "POST /containers/{id}/restart": {"t": "0"},
}
"""What would go on for ever, or for long."""


@st.composite
def requests(draw: st.DrawFn, operation: str) -> Sent:
    """A request of one operation."""
    method, template = operation.split(" ", 1)
    target, query, body = template, {}, None
    for parameter in OPERATIONS[operation]["parameters"]:
        name = parameter["name"]
        match parameter["in"]:
            case "path":
                text = draw(st.one_of(st.sampled_from(NAMES), st.text(min_size=1, max_size=8)))
                target = target.replace(
                    "{" + name + "}", quote(text.replace("\ud800", ""), safe="")
                )
            case "query":
                if draw(st.integers(0, 2)):
                    value = draw(value_of(parameter, name))
                    query[name] = value if isinstance(value, str) else json.dumps(value)
            case "body" if draw(st.integers(0, 9)):
                schema = parameter.get("schema", {})
                binary = schema.get("format") == "binary" or schema.get("type") == "string"
                value = draw(st.binary(max_size=600)) if binary else draw(value_of(schema))
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
    query |= _FIXED_QUERY.get(operation, {})
    content_type = draw(st.sampled_from(("application/json",) * 8 + ("", "text/plain")))
    encoded = urlencode(query, errors="replace")
    return Sent(method, f"{target}?{encoded}" if query else target, body, content_type)
