"""Values behave as the standard library's dataclasses do."""

import copy
import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from wherry.kit import values


def _classes(dataclass: Any, field: Any) -> dict[str, Any]:
    """The same classes, made by one of the two modules."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Base:
        kind: ClassVar[str] = "base"
        why: str

        def told(self) -> str:
            return f"{self.kind}: {self.why}"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Derived(Base):
        kind: ClassVar[str] = "derived"
        labels: Mapping[str, str] = field(default_factory=dict)
        secret: str = field(default="", repr=False, compare=False)
        why: str = "because"

    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 2

    @dataclass(slots=True, kw_only=True)
    class Changing:
        count: int = 0

    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    @dataclass(frozen=True, slots=True, kw_only=True)
    class OwnWords:
        name: str

        def __repr__(self) -> str:
            return f"<{self.name}>"

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None

    @dataclass(eq=False, slots=True)
    class Failure(Exception):
        name: str
        holder: str = ""

    @dataclass(eq=False)
    class Loose(Exception):
        name: str
        notes: list[str] = field(default_factory=list)

        def __str__(self) -> str:
            return f"{self.name} {vars(self)}"

    class Looser(Loose):
        pass

    made = (Base, Derived, Point, Changing, Empty, OwnWords, Failure, Loose, Looser)
    return {each.__name__: each for each in made}


OURS = _classes(values.dataclass, values.field)
THEIRS = _classes(dataclasses.dataclass, dataclasses.field)

EXPRESSIONS = (
    "Base(why='a')",
    "Base(why='a').told()",
    "Derived().told()",
    "Derived(labels={'a': 'b'}, secret='s', why='w')",
    "Derived() == Derived(secret='other')",
    "Derived() == Derived(why='other')",
    "Derived() == Base(why='because')",
    "Derived() != Derived()",
    "Derived().labels is Derived().labels",
    "Point(1), Point(1, 3), Point(y=1, x=4)",
    "{Point(1): 1}[Point(1, 2)]",
    "hash(Empty()) == hash(Empty()), Empty() == Empty(), Empty()",
    "hash(Derived())",
    "hash(Changing())",
    "hash(OwnWords(name='n')) == hash(OwnWords(name='n'))",
    "OwnWords(name='n'), OwnWords(name='n') == 3",
    "Failure('a') == Failure('a'), Failure('a').holder, repr(Failure('a'))",
    "str(Loose('a')), repr(Looser('a')), Loose('a').args, hasattr(Loose, 'notes')",
    "Loose(name='a').notes is Loose(name='a').notes, Loose.__hash__ is Exception.__hash__",
    "Point.__match_args__, Derived.__match_args__",
    "Derived.__slots__, Point.__slots__, hasattr(Point(1), '__dict__')",
    "setattr(Point(1), 'x', 2)",
    "delattr(Point(1), 'x')",
    "setattr(Changing(), 'count', 1)",
    "setattr(Changing(), 'other', 1)",
    "dataclasses.replace(Point(1), y=9)",
    "dataclasses.replace(Derived(secret='s'), why='x').secret",
    "dataclasses.asdict(Derived(labels={'a': 'b'}))",
    "dataclasses.astuple(Point(3))",
    "dataclasses.is_dataclass(Point), dataclasses.is_dataclass(Empty())",
    "[(x.name, x.type, x.repr, x.compare, x.kw_only) for x in dataclasses.fields(Derived)]",
    "[x.default for x in dataclasses.fields(Point)][1:]",
    "copy.copy(Point(1)), copy.deepcopy(Derived(labels={'a': 'b'}))",
    "copy.deepcopy(Changing(count=4))",
    "(lambda Point=Point: Point.__name__)()",
    "Point()",
    "Point(1, 2, 3)",
    "Point(1, x=1)",
    "Point(1, z=1)",
    "Base('a')",
    "Base()",
    "Derived(surplus=1)",
)


def _outcome(expression: str, classes: dict[str, Any]) -> object:
    """What an expression gives in text, or the kind of its failure."""
    scope = {**classes, "dataclasses": dataclasses, "copy": copy}
    try:
        return repr(eval(expression, scope))
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_gives_what_it_gives_with_dataclasses(expression: str) -> None:
    """Making, comparing, changing, copying and looking into: all as the original."""
    assert _outcome(expression, OURS) == _outcome(expression, THEIRS)


def test_a_value_is_matched_by_its_positions() -> None:
    """`case Point(x, y)` takes a value apart."""
    match OURS["Point"](1):
        case point if isinstance(point, OURS["Point"]):
            assert (point.x, point.y) == (1, 2)


def test_fields_and_replace_are_as_the_original() -> None:
    """The quick forms of the two give the same names and the same values."""
    derived = OURS["Derived"]
    assert [x.name for x in values.fields(derived)] == [
        x.name for x in dataclasses.fields(derived)
    ]
    made = derived(why="a", secret="s")
    changed = values.replace(made, why="b")
    assert (changed.why, changed.secret) == ("b", "s")
    with pytest.raises(TypeError, match="unexpected keyword argument 'surplus'"):
        values.replace(made, surplus=1)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("Point()", r"Point.__init__\(\) missing required arguments: 'x'"),
        ("Point(1, 2, 3)", "takes 3 positional arguments but 4 were given"),
        ("Point(1, x=1)", "got multiple values for argument 'x'"),
        ("Derived(surplus=1)", "unexpected keyword argument 'surplus'"),
    ],
)
def test_a_wrong_call_is_told_with_the_name(expression: str, told: str) -> None:
    """The sentence of a TypeError names the class and the argument."""
    with pytest.raises(TypeError, match=told):
        eval(expression, OURS)


def test_values_import_no_dataclasses() -> None:
    """A module of values needs neither `dataclasses` nor `inspect`."""
    code = (
        "import sys\nfrom wherry.kit.values import dataclass\n"
        "@dataclass(frozen=True, slots=True)\nclass Point:\n    x: int\n"
        "assert repr(Point(1)) == 'Point(x=1)'\n"
        "print({'dataclasses', 'inspect'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
