"""Finds the handler for a method and a path: a walk along the path's segments.

A template's `{id}` stands for one segment; `{name}` at an image stands for one or more, because
image names contain slashes. Fixed words come before parameters; an endpoint that lacks the
method leaves the path to the next one that fits, so that `DELETE /images/json` removes an image.
"""

from collections.abc import Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from wherry.kit.values import dataclass, field

H = TypeVar("H")

GREEDY = "{name...}"
"""A parameter of one or more segments; in documents it is written `{name}`."""


class Match(NamedTuple, Generic[H]):
    """A handler, and what stood in the place of the template's parameter."""

    handler: H
    parameter: str


@dataclass(slots=True)
class _Node(Generic[H]):
    words: dict[str, "_Node[H]"] = field(default_factory=dict)
    parameter: "_Node[H] | None" = None
    greedy: "_Node[H] | None" = None
    handlers: dict[str, H] = field(default_factory=dict)


class Router(Generic[H]):
    """Handlers by method and template."""

    def __init__(self, routes: Mapping[tuple[str, str], H]) -> None:
        self._root: _Node[H] = _Node()
        for (method, template), handler in routes.items():
            self._add(method, template, handler)

    def find(self, method: str, path: str) -> Match[H] | None:
        """The handler of a decoded path, or None."""
        return next(self._search(self._root, path.split("/")[1:], method, ""), None)

    def _add(self, method: str, template: str, handler: H) -> None:
        node = self._root
        for segment in template.split("/")[1:]:
            if segment == GREEDY:
                node.greedy = node.greedy or _Node()
                node = node.greedy
            elif segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.words.setdefault(segment, _Node())
        node.handlers[method] = handler

    def _search(
        self, node: _Node[H], segments: list[str], method: str, parameter: str
    ) -> Iterator[Match[H]]:
        if not segments:
            if method in node.handlers:
                yield Match(node.handlers[method], parameter)
            return
        first, rest = segments[0], segments[1:]
        if first in node.words:
            yield from self._search(node.words[first], rest, method, parameter)
        if node.parameter is not None and first:
            yield from self._search(node.parameter, rest, method, first)
        if node.greedy is not None and first:
            yield from self._search_greedily(node.greedy, segments, method)

    def _search_greedily(
        self, node: _Node[H], segments: list[str], method: str
    ) -> Iterator[Match[H]]:
        """The longest name first: what follows a name is one word at most."""
        for length in range(len(segments), 0, -1):
            name = "/".join(segments[:length])
            yield from self._search(node, segments[length:], method, name)
