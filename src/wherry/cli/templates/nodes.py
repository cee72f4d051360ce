"""What a template is made of, once parsed. `str()` of a node is how errors quote it."""

from collections.abc import Iterator
from typing import TypeAlias

from wherry.kit.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text."""

    position: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Dot:
    """The cursor, `.`."""

    position: int

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil:
    """The untyped constant `nil`."""

    position: int

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false`."""

    position: int
    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Number:
    """A constant; a whole one may also be used where a fraction is asked for."""

    position: int
    text: str
    value: int | float | complex

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class String:
    """A string constant: as written, and unquoted."""

    position: int
    quoted: str
    value: str

    def __str__(self) -> str:
        return self.quoted


@dataclass(frozen=True, slots=True)
class Identifier:
    """The name of a function."""

    position: int
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field:
    """A chain of fields from the cursor: `.A.B`."""

    position: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable and a chain of fields from it: `$x.A`."""

    position: int
    name: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.names))


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of fields from a parenthesized pipeline or a function's name."""

    position: int
    operand: "Operand"
    names: tuple[str, ...]

    def __str__(self) -> str:
        shown = f"({self.operand})" if isinstance(self.operand, Pipeline) else str(self.operand)
        return shown + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Command:
    """A function or value, with its arguments."""

    position: int
    operands: tuple["Operand", ...]

    def __str__(self) -> str:
        return " ".join(
            f"({each})" if isinstance(each, Pipeline) else str(each) for each in self.operands
        )


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each fed with the value of the one before; may set variables."""

    position: int
    declared: tuple[Variable, ...]
    commands: tuple[Command, ...]
    is_assignment: bool = False

    def __str__(self) -> str:
        shown = " | ".join(str(command) for command in self.commands)
        if not self.declared:
            return shown
        sign = " = " if self.is_assignment else " := "
        return ", ".join(str(each) for each in self.declared) + sign + shown


Operand: TypeAlias = (
    Dot | Nil | Boolean | Number | String | Identifier | Field | Variable | Chain | Pipeline
)


@dataclass(frozen=True, slots=True)
class Action:
    """`{{pipeline}}`: print its value, unless it sets a variable."""

    position: int
    pipeline: Pipeline

    def __str__(self) -> str:
        return f"{{{{{self.pipeline}}}}}"


@dataclass(frozen=True, slots=True)
class Break:
    """`{{break}}`."""

    position: int

    def __str__(self) -> str:
        return "{{break}}"


@dataclass(frozen=True, slots=True)
class Continue:
    """`{{continue}}`."""

    position: int

    def __str__(self) -> str:
        return "{{continue}}"


@dataclass(frozen=True, slots=True)
class Control:
    """`if`, `with` or `range`, with its body and what happens otherwise."""

    position: int
    word: str
    pipeline: Pipeline
    body: "Body"
    otherwise: "Body"

    def __str__(self) -> str:
        other = f"{{{{else}}}}{self.otherwise}" if self.otherwise.nodes else ""
        return f"{{{{{self.word} {self.pipeline}}}}}{self.body}{other}{{{{end}}}}"


Node: TypeAlias = Text | Action | Break | Continue | Control


@dataclass(frozen=True, slots=True)
class Body:
    """Nodes in order."""

    nodes: tuple[Node, ...] = field(default=())

    def __str__(self) -> str:
        return "".join(str(node) for node in self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template, with its name and text for error messages."""

    name: str
    source: str
    body: Body
