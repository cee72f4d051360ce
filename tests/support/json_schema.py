"""As much of JSON schema (draft 4) as the OCI schemas use, and not a word more."""

import json
import re
from pathlib import Path
from typing import Any

_KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
}
_KNOWN = frozenset({
    "$ref", "$schema", "additionalProperties", "allOf", "anyOf", "description", "enum", "items",
    "maximum", "minItems", "minimum", "pattern", "patternProperties", "properties", "required",
    "type",
})  # fmt: skip


class Schemas:
    """A directory of schemas that refer to each other."""

    def __init__(self, directory: Path) -> None:
        self._documents = {
            each.name: json.loads(each.read_text()) for each in directory.glob("*.json")
        }

    def complaints(self, value: object, document: str) -> list[str]:
        """What is wrong with a value; members that the schema does not know are wrong too."""
        return [*self._check(value, self._documents[document], document, "")]

    def _check(self, value: Any, schema: dict[str, Any], document: str, place: str) -> list[str]:
        unknown = schema.keys() - _KNOWN
        assert not unknown, f"keywords that this checker does not know: {unknown}"
        found: list[str] = []
        if "$ref" in schema:
            target, name = self._resolve(schema["$ref"], document)
            found += self._check(value, target, name, place)
        if "allOf" in schema:
            found += self._check(value, self._united(schema["allOf"], document), document, place)
        if "anyOf" in schema:
            tries = [self._check(value, each, document, place) for each in schema["anyOf"]]
            found += [] if any(not each for each in tries) else tries[0]
        found += self._scalar(value, schema, place)
        if isinstance(value, dict):
            found += self._members(value, schema, document, place)
        if isinstance(value, list):
            if len(value) < schema.get("minItems", 0):
                found.append(f"{place}: too few items")
            for index, item in enumerate(value):
                found += self._check(item, schema.get("items", {}), document, f"{place}[{index}]")
        return found

    def _united(self, parts: list[dict[str, Any]], document: str) -> dict[str, Any]:
        """One schema of the members of several, all of one document."""
        properties: dict[str, Any] = {}
        required: list[str] = []
        for part in parts:
            if "$ref" in part:
                part, name = self._resolve(part["$ref"], document)
                assert name == document, "allOf over documents"
            properties |= part.get("properties", {})
            required += part.get("required", ())
        return {"type": "object", "properties": properties, "required": required}

    def _scalar(self, value: Any, schema: dict[str, Any], place: str) -> list[str]:
        kind = schema.get("type")
        if kind is not None and type(value) is not _KINDS[kind]:
            return [f"{place}: {value!r} is no {kind}"]
        wrong = (
            ("enum" in schema and value not in schema["enum"])
            or ("minimum" in schema and value < schema["minimum"])
            or ("maximum" in schema and value > schema["maximum"])
            or ("pattern" in schema and not re.search(schema["pattern"], value))
        )
        return [f"{place}: {value!r} is not allowed"] if wrong else []

    def _members(
        self, value: dict[str, Any], schema: dict[str, Any], document: str, place: str
    ) -> list[str]:
        missing = [name for name in schema.get("required", ()) if name not in value]
        found = [f"{place}.{name}: missing" for name in missing]
        known = schema.get("properties")
        patterns = list(schema.get("patternProperties", {}).values())
        for name, member in value.items():
            inside = f"{place}.{name}"
            if known and name in known:
                found += self._check(member, known[name], document, inside)
            elif patterns:
                found += self._check(member, patterns[0], document, inside)
            elif known:
                found.append(f"{inside}: not in the schema")
        return found

    def _resolve(self, reference: str, document: str) -> tuple[dict[str, Any], str]:
        name, _, path = reference.partition("#")
        name = name or document
        target = self._documents[name]
        for part in path.strip("/").split("/"):
            target = target[part]
        return target, name
