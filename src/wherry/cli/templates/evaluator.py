"""What pipelines, commands, fields and functions of a template give, with Go's run-time errors."""

from collections.abc import Callable, Mapping, Sequence

from wherry.cli.templates import nodes
from wherry.cli.templates.functions import Arguments, CallFailed, Function
from wherry.cli.templates.scope import Scope
from wherry.cli.templates.values import (
    ANY,
    BOOL,
    COMPLEX128,
    FLOAT64,
    INT,
    STRING,
    Kind,
    Value,
    element_type,
    entries_of,
    indirect,
    is_true,
    unwrapped,
)


class TemplateExecutionError(ValueError):
    """A template that fails on this value; the text is Go's."""


_NOTHING = object()


class Evaluator:
    """Gives values for the operands of one template, run over one value."""

    def __init__(
        self,
        template: nodes.Template,
        value: Value | None,
        functions: Mapping[str, Function],
        *,
        missing_key_fails: bool,
    ) -> None:
        self.scope = Scope(value)
        self._template = template
        self._functions = functions
        self._missing_key_fails = missing_key_fails
        self._node: tuple[int, object] = (0, "")

    # Errors name the node that was being evaluated.

    def at(self, node: nodes.Node | nodes.Operand | nodes.Command) -> None:
        """This node is being evaluated: a failure names it."""
        self._node = (node.position, node)

    def failure(self, problem: str) -> TemplateExecutionError:
        """A failure at the node that is being evaluated."""
        position, node = self._node
        before = self._template.source[:position]
        line = 1 + before.count("\n")
        column = len(before[before.rfind("\n") + 1 :].encode(errors="surrogateescape"))
        name = self._template.name
        return TemplateExecutionError(
            f'template: {name}:{line}:{column}: executing "{name}" at <{node}>: {problem}'
        )

    # Pipelines and commands.

    def pipeline(self, dot: Value | None, pipeline: nodes.Pipeline) -> Value | None:
        """What a pipeline gives; what it declares is in the scope. Raises: as `execute`."""
        value: Value | None = None
        for position, command in enumerate(pipeline.commands):
            final = value if position else _NOTHING
            value = unwrapped(self._command(dot, command, final))
        for variable in pipeline.declared:
            if pipeline.is_assignment:
                self.assign(variable.name, value)
            elif len(pipeline.declared) == 1:
                self.scope.declare(variable.name, value)
        return value

    def assign(self, name: str, value: Value | None) -> None:
        """Another value for a variable. Raises: TemplateExecutionError."""
        try:
            self.scope.assign(name, value)
        except KeyError:
            raise self.failure(f"undefined variable: {name}") from None

    def _lookup(self, name: str) -> Value | None:
        try:
            return self.scope.value(name)
        except KeyError:
            raise self.failure(f"undefined variable: {name}") from None

    def _command(self, dot: Value | None, command: nodes.Command, final: object) -> Value | None:
        first, *arguments = command.operands
        match first:
            case nodes.Field():
                self.at(first)
                return self._fields(dot, dot, first, first.names, arguments, final)
            case nodes.Chain():
                return self._chain(dot, first, arguments, final)
            case nodes.Identifier():
                self.at(first)
                return self._call(dot, first, command, arguments, final)
            case nodes.Pipeline():
                self._no_function(first, arguments, final)
                return self.pipeline(dot, first)
            case nodes.Variable():
                self.at(first)
                value = self._lookup(first.name)
                if not first.names:
                    self._no_function(first, arguments, final)
                    return value
                return self._fields(dot, value, first, first.names, arguments, final)
        self.at(first)
        self._no_function(first, arguments, final)
        if isinstance(first, nodes.Nil):
            raise self.failure("nil is not a command")
        return self._constant(dot, first)

    def _constant(self, dot: Value | None, node: nodes.Operand) -> Value | None:
        match node:
            case nodes.Dot():
                return dot
            case nodes.Boolean():
                return Value(BOOL, node.value)
            case nodes.String():
                return Value(STRING, node.value)
            case nodes.Number(value=float()):
                return Value(FLOAT64, node.value)
            case nodes.Number(value=complex()):
                return Value(COMPLEX128, node.value)
            case nodes.Number(value=int(number)):
                if not -(1 << 63) <= number < 1 << 63:
                    raise self.failure(f"{node.text} overflows int")
                return Value(INT, number)
        raise self.failure(f"can't evaluate command {node}")

    def _no_function(
        self, node: nodes.Operand, arguments: Sequence[nodes.Operand], final: object
    ) -> None:
        if arguments or final is not _NOTHING:
            self.at(node)
            raise self.failure(f"can't give argument to non-function {node}")

    def _chain(
        self,
        dot: Value | None,
        chain: nodes.Chain,
        arguments: Sequence[nodes.Operand],
        final: object,
    ) -> Value | None:
        self.at(chain)
        if isinstance(chain.operand, nodes.Nil):
            raise self.failure("indirection through explicit nil in " + str(chain))
        value = self._argument(dot, chain.operand, "interface {}")
        return self._fields(dot, value, chain, chain.names, arguments, final)

    # Fields.

    def _fields(
        self,
        dot: Value | None,
        receiver: Value | None,
        node: nodes.Operand,
        names: tuple[str, ...],
        arguments: Sequence[nodes.Operand],
        final: object,
    ) -> Value | None:
        for name in names[:-1]:
            receiver = self._field(dot, receiver, node, name, (), _NOTHING)
        return self._field(dot, receiver, node, names[-1], arguments, final)

    def _field(
        self,
        dot: Value | None,
        receiver: Value | None,
        node: nodes.Operand,
        name: str,
        arguments: Sequence[nodes.Operand],
        final: object,
    ) -> Value | None:
        if receiver is None:
            if self._missing_key_fails:
                self.at(node)
                raise self.failure(f'nil data; no entry for key "{name}"')
            return None
        static = receiver.type
        found, is_nil = indirect(receiver)
        if found.type.kind is Kind.INTERFACE and is_nil:
            self.at(node)
            raise self.failure(f"nil pointer evaluating {static.name}.{name}")
        method = found.type.methods.get(name)
        if method is not None:
            values = [self._argument(dot, each, "interface {}") for each in arguments]
            return method(found.datum, [each for each in values if each is not None])
        self.at(node)
        has_arguments = bool(arguments) or final is not _NOTHING
        match found.type.kind:
            case Kind.STRUCT:
                path = found.type.struct_field(name)
                if path is not None:
                    if has_arguments:
                        raise self.failure(
                            f"{name} has arguments but cannot be invoked as function"
                        )
                    return self._follow(found, path)
            case Kind.MAP if found.type.key == "string":
                if has_arguments:
                    raise self.failure(f"{name} is not a method but has arguments")
                entries = entries_of(found)
                if name in entries:
                    return Value(element_type(found.type), entries[name])
                if self._missing_key_fails:
                    raise self.failure(f'map has no entry for key "{name}"')
                return None
            case Kind.POINTER if is_nil:
                element = element_type(found.type)
                is_struct = element.kind is Kind.STRUCT
                if not is_struct or element.struct_field(name) is not None:
                    raise self.failure(f"nil pointer evaluating {static.name}.{name}")
        raise self.failure(f"can't evaluate field {name} in type {static.name}")

    def _follow(self, struct: Value, path: Sequence[object]) -> Value:
        value = struct
        for step in path:
            value, is_nil = indirect(value)
            if is_nil:
                raise self.failure(f"nil pointer evaluating {value.type.name}")
            name = str(getattr(step, "name", ""))
            fields = value.type.struct_field(name)
            if fields is None:
                raise self.failure(f"can't evaluate field {name} in type {value.type.name}")
            value = Value(fields[-1].type, entries_of(value)[name])
        return value

    # Functions.

    def _call(
        self,
        dot: Value | None,
        identifier: nodes.Identifier,
        node: nodes.Identifier | nodes.Command,
        operands: Sequence[nodes.Operand],
        final: object,
    ) -> Value | None:
        name = identifier.name
        function = self._functions[name]
        self._check_count(function, name, len(operands) + (final is not _NOTHING))
        if name in ("and", "or"):
            return self._short_circuit(dot, name, operands, final)
        types = _parameter_types(function, len(operands) + (final is not _NOTHING))
        values = [
            self._argument(dot, operand, kind)
            for operand, kind in zip(operands, types, strict=False)
        ]
        if final is not _NOTHING:
            value = final if isinstance(final, Value) else None
            values.append(self._validated(value, types[-1]))
        self.at(node)
        return self._called(function.call, name, values)

    def _called(
        self, call: Callable[[Arguments], Value | None], name: str, values: Arguments
    ) -> Value | None:
        try:
            return call(values)
        except CallFailed as problem:
            raise self.failure(f"error calling {name}: {problem}") from None

    def _check_count(self, function: Function, name: str, count: int) -> None:
        wanted = len(function.parameters)
        if function.rest:
            if count < wanted:
                raise self.failure(
                    f"wrong number of args for {name}: want at least {wanted} got {count}"
                )
        elif count != wanted:
            raise self.failure(f"wrong number of args for {name}: want {wanted} got {count}")

    def _short_circuit(
        self, dot: Value | None, name: str, operands: Sequence[nodes.Operand], final: object
    ) -> Value | None:
        value: Value | None = None
        for operand in operands:
            value = self._argument(dot, operand, "reflect.Value")
            if is_true(unwrapped(value)) is (name == "or"):
                return value
        if final is not _NOTHING:
            return final if isinstance(final, Value) else None
        return value

    def _argument(self, dot: Value | None, node: nodes.Operand, kind: str) -> Value | None:
        """Evaluate one argument for a parameter of a type."""
        self.at(node)
        match node:
            case nodes.Dot():
                return self._validated(dot, kind)
            case nodes.Nil():
                if kind in ("string", "int"):
                    raise self.failure(f"cannot assign nil to {kind}")
                return None
            case nodes.Field():
                value = self._fields(dot, dot, node, node.names, (), _NOTHING)
                return self._validated(value, kind)
            case nodes.Variable():
                value = self._lookup(node.name)
                if node.names:
                    value = self._fields(dot, value, node, node.names, (), _NOTHING)
                return self._validated(value, kind)
            case nodes.Pipeline():
                return self._validated(self.pipeline(dot, node), kind)
            case nodes.Identifier():
                return self._validated(self._call(dot, node, node, (), _NOTHING), kind)
            case nodes.Chain():
                return self._validated(self._chain(dot, node, (), _NOTHING), kind)
        if kind == "string" and not isinstance(node, nodes.String):
            raise self.failure(f"expected string; found {node}")
        if kind == "int" and not isinstance(getattr(node, "value", None), int):
            raise self.failure(f"expected integer; found {node}")
        if kind == "int" and isinstance(node, nodes.Boolean):
            raise self.failure(f"expected integer; found {node}")
        return self._constant(dot, node)

    def _validated(self, value: Value | None, kind: str) -> Value | None:
        """Check an evaluated value against a parameter's type."""
        if kind == "reflect.Value":
            return value
        value = unwrapped(value)
        if kind == ANY.name:
            return value
        if value is None:
            raise self.failure(f"invalid value; expected {kind}")
        if value.type.name != kind:
            followed, is_nil = indirect(value)
            if value.type.kind is Kind.POINTER and followed.type.name == kind and not is_nil:
                return followed
            raise self.failure(f"wrong type for value; expected {kind}; got {value.type.name}")
        return value


def _parameter_types(function: Function, count: int) -> list[str]:
    fixed = list(function.parameters)
    return fixed + [function.rest] * (count - len(fixed))
