"""Plain scalars that mean one thing here and another to an older YAML: what `config` warns of.

Compose reads YAML 1.2, many others read 1.1, where `no` is false and `22:22` is 1342. And a number
loses its last zeros in both. Whoever quotes such a scalar means the same to everybody.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

_TRUTHS = frozenset(["y", "yes", "on"])
_UNTRUTHS = frozenset(["n", "no", "off"])
_BASE_60 = re.compile(r"[-+]?[1-9][0-9]*(:[0-5]?[0-9])+")
_LOSING = re.compile(r"[-+]?[0-9]+\.[0-9]*0")


class Trap(NamedTuple):
    """A scalar, where it is, and what is the matter with it."""

    line: int
    problem: str


def traps_in(text: bytes) -> list[Trap]:
    """The traps of a file that has been read already, by line. Raises: yaml.YAMLError."""
    found: set[Trap] = set()
    visited: set[int] = set()
    for document in yaml.compose_all(text, Loader=yaml.CSafeLoader):
        for node in _values(document, visited):
            problem = _problem(node.value) if node.style in (None, "") else ""
            if problem:
                found.add(Trap(node.start_mark.line + 1, problem))
    return sorted(found)


def _values(node: yaml.Node, visited: set[int]) -> Iterator[yaml.ScalarNode]:
    """The scalars that are values; what aliases share is looked at once."""
    if id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.MappingNode):
        for _key, value in node.value:
            yield from _values(value, visited)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _values(value, visited)


def _problem(text: str) -> str:
    if text.lower() in _TRUTHS | _UNTRUTHS:
        other = "true" if text.lower() in _TRUTHS else "false"
        return f'{text} is the text "{text}" here and {other} to an older YAML; quote it'
    if _BASE_60.fullmatch(text):
        number = 0
        for part in text.lstrip("+-").split(":"):
            number = number * 60 + int(part)
        return f'{text} is the text "{text}" here and {number} to an older YAML; quote it'
    if _LOSING.fullmatch(text):
        shown = text.rstrip("0").rstrip(".")
        return f"{text} is the number {shown}, without its last zeros; quote it if it is a text"
    return ""
