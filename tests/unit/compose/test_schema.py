"""What is read of the Compose schema is all that it says."""

import json
from collections.abc import Iterator
from importlib.resources import files

from wherry import compose

CHECKED = frozenset({
    "$ref", "additionalProperties", "anyOf", "enum", "format", "items", "maximum", "minimum",
    "oneOf", "pattern", "patternProperties", "properties", "required", "type", "uniqueItems",
})  # fmt: skip
REMARKS = frozenset({"$id", "$schema", "default", "definitions", "deprecated", "description",
                     "title"})  # fmt: skip
OF_NAMES = frozenset({"definitions", "patternProperties", "properties"})
"""Keywords whose value has a schema for each name."""


def keywords(schema: object) -> Iterator[str]:
    """Each keyword that a schema uses, at any depth."""
    if isinstance(schema, list):
        for each in schema:
            yield from keywords(each)
    elif isinstance(schema, dict):
        for name, value in schema.items():
            yield name
            below = list(value.values()) if name in OF_NAMES else value
            if name not in ("default", "enum", "required"):
                yield from keywords(below)


def test_no_keyword_is_passed_over() -> None:
    """A newer schema with another keyword is noticed here, not by a user."""
    schema = json.loads(files(compose).joinpath("compose_spec.json").read_bytes())
    assert set(keywords(schema)) <= CHECKED | REMARKS
