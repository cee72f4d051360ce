"""A project as text: YAML as Compose writes it, or JSON."""

import json

import yaml

from wherry.client.documents import Document, Json, document
from wherry.compose.project import SHAPES
from wherry.compose.shapes import hashed_structure
from wherry.compose.yaml_source import resolve


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # the library has no types
    """Block style, lists indented below their key, strings quoted when they would be read so."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists are never at their key's own indent."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        """The same value twice is written twice."""
        return True

    def check_simple_key(self) -> bool:
        """An empty key needs no `?` before it: it is quoted."""
        is_empty = isinstance(self.event, yaml.ScalarEvent) and not self.event.value
        return is_empty or bool(super().check_simple_key())


_OLD_TRUTHS = frozenset(
    [
        "y",
        "Y",
        "yes",
        "Yes",
        "YES",
        "on",
        "On",
        "ON",
        "n",
        "N",
        "no",
        "No",
        "NO",
        "off",
        "Off",
        "OFF",
    ]
)


def _string(dumper: yaml.SafeDumper, text: str) -> "yaml.Node":
    style = None
    if "\n" in text:
        style = "|"
    elif not isinstance(resolve(text), str) or text in _OLD_TRUTHS:
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def escaped(value: Json) -> Json:
    """The value with every `$` doubled, so that it can be read as a Compose file again."""
    if isinstance(value, dict):
        return {key: escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [escaped(each) for each in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def as_yaml(value: Json) -> str:
    """The value as YAML."""
    written: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=True, indent=2
    )
    return written


def json_order(typed: Document) -> Document:
    """A typed project as Compose has it in JSON: sorted, and some empty fields are there."""
    result = {"name": "", **typed}
    for kind, shape in SHAPES.items():
        if kind in typed:
            result[kind] = {
                name: hashed_structure(shape, each) for name, each in document(typed[kind]).items()
            }
    result.pop("models", None)  # Compose's encoder of JSON doesn't know of them.
    return dict(sorted(result.items()))


def as_json(value: Json) -> str:
    """The value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)
