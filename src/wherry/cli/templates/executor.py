"""Walks a parsed template over a value and writes its text."""

from collections.abc import Mapping
from contextlib import suppress

from wherry.cli.templates import nodes
from wherry.cli.templates.evaluator import Evaluator, TemplateExecutionError
from wherry.cli.templates.formatting import shown
from wherry.cli.templates.functions import ALL, Function
from wherry.cli.templates.values import (
    INT,
    STRING,
    GoType,
    Kind,
    Value,
    element_type,
    entries_of,
    indirect,
    is_true,
    items_of,
    unwrapped,
)

__all__ = ["TemplateExecutionError", "execute"]

LARGEST_RANGE = 1_000_000


def execute(
    template: nodes.Template,
    value: Value | None,
    *,
    functions: Mapping[str, Function] = ALL,
    missing_key_fails: bool = False,
) -> str:
    """The template's text for a value.

    A key that a map lacks gives `<no value>`, or fails.

    Raises: TemplateExecutionError.
    """
    evaluator = Evaluator(template, value, functions, missing_key_fails=missing_key_fails)
    run = _Run(evaluator)
    run.walk_body(value, template.body)
    return "".join(run.output)


class _Broke(Exception):
    """`{{break}}`."""


class _Continued(Exception):
    """`{{continue}}`."""


class _Run:
    """Writes the text of one template, run over one value."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.output: list[str] = []
        self._evaluator = evaluator
        self._scope = evaluator.scope

    def walk_body(self, dot: Value | None, body: nodes.Body) -> None:
        """Write what some nodes give."""
        for node in body:
            self._walk(dot, node)

    def _walk(self, dot: Value | None, node: nodes.Node) -> None:
        self._evaluator.at(node)
        match node:
            case nodes.Text():
                self.output.append(node.text)
            case nodes.Action():
                value = self._evaluator.pipeline(dot, node.pipeline)
                if not node.pipeline.declared:
                    self._print(node, value)
            case nodes.Control(word="range"):
                self._range(dot, node)
            case nodes.Control():
                self._if_or_with(dot, node)
            case nodes.Break():
                raise _Broke
            case nodes.Continue():
                raise _Continued

    def _print(self, node: nodes.Action, value: Value | None) -> None:
        self._evaluator.at(node)
        if value is not None and value.type.kind is Kind.POINTER:
            value, _ = indirect(value)
        self.output.append("<no value>" if value is None else shown(value))

    def _if_or_with(self, dot: Value | None, node: nodes.Control) -> None:
        visible = self._scope.mark()
        value = self._evaluator.pipeline(dot, node.pipeline)
        if is_true(unwrapped(value)):
            self.walk_body(value if node.word == "with" else dot, node.body)
        else:
            self.walk_body(dot, node.otherwise)
        self._scope.leave(visible)

    def _range(self, dot: Value | None, node: nodes.Control) -> None:
        visible = self._scope.mark()
        value = self._evaluator.pipeline(dot, node.pipeline)
        ranged = None
        if value is not None:
            ranged, _ = indirect(value)
        pairs = self._pairs(ranged)
        inside = self._scope.mark()
        try:
            for key, element in pairs:
                self._set_range_variables(node.pipeline, key, element)
                with suppress(_Continued):
                    self.walk_body(element, node.body)
                self._scope.leave(inside)
        except _Broke:
            pass
        if not pairs:
            self.walk_body(dot, node.otherwise)
        self._scope.leave(visible)

    def _pairs(self, value: Value | None) -> list[tuple[Value, Value | None]]:
        if value is None:
            return []
        match value.type.kind:
            case Kind.SLICE:
                element = element_type(value.type)
                return [
                    (Value(INT, position), Value(element, each))
                    for position, each in enumerate(items_of(value))
                ]
            case Kind.MAP:
                element = element_type(value.type)
                key_type = _key_type(value.type)
                return [
                    (Value(key_type, key), Value(element, each))
                    for key, each in sorted(entries_of(value).items())
                ]
            case Kind.INT | Kind.UINT if isinstance(value.datum, int):
                if value.datum > LARGEST_RANGE:
                    raise self._evaluator.failure(f"range can't iterate over {shown(value)}")
                numbers = (Value(value.type, number) for number in range(value.datum))
                return [(number, number) for number in numbers]
            case Kind.POINTER | Kind.INTERFACE if value.datum is None:
                pass
        raise self._evaluator.failure(f"range can't iterate over {shown(value)}")

    def _set_range_variables(
        self, pipeline: nodes.Pipeline, key: Value, element: Value | None
    ) -> None:
        """The first variable alone is the element; of two, the first is the key."""
        declared = pipeline.declared
        values = {1: [element], 2: [key, element]}.get(len(declared), [])
        for variable, value in zip(declared, values, strict=True):
            if pipeline.is_assignment:
                self._evaluator.assign(variable.name, value)
            else:
                self._scope.declare(variable.name, value)


def _key_type(of: GoType) -> GoType:
    return STRING if of.key == "string" else GoType(kind=Kind.STRING, name=of.key)
