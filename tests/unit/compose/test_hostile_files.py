"""Files made to hurt are refused at once, with file and line, and nothing is constructed."""

import time
from pathlib import Path

import pytest

from wherry.compose.errors import ComposeError
from wherry.compose.loading import load_project
from wherry.compose.whereabouts import Wishes
from wherry.compose.yaml_source import MOST_BYTES

_LAUGHS = "a0: &a0 [lol]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)
_DEEP = "a: " + "[" * 5000 + "]" * 5000
_MERGES = "x0: &m0 {a: 1}\n" + "".join(
    f"x{level}: &m{level} {{<<: [{', '.join([f'*m{level - 1}'] * 9)}], b{level}: 1}}\n"
    for level in range(1, 10)
)
_BOMB = "${A:-" * 60 + "x" + "}" * 60

HOSTILE = {
    "nine levels of laughs": (f"{_LAUGHS}services: {{}}\n", "excessive aliasing"),
    "a hundred thousand anchors": (
        "".join(f"x{at}: &n{at} 1\n" for at in range(100_001)),
        "excessive aliasing",
    ),
    "merges of merges": (f"{_MERGES}services: {{}}\n", "excessive aliasing"),
    "an anchor in itself": ("x: &a [*a]\n", "line 1: anchor 'a' value contains itself"),
    "a merge of itself": ("x: &a\n  <<: *a\n", "line 2: anchor 'a' value contains itself"),
    "an object of Python's": (
        "services:\n  a: !!python/object/apply:os.system [id]\n",
        "line 2: tag tag:yaml.org,2002:python/object/apply:os.system is not",
    ),
    "a tag of somebody's": ("services: !thing {}\n", "line 1: tag !thing is not"),
    "the same key twice": (
        "services:\n  a: {image: b}\n  a: {image: c}\n",
        'line 3: mapping key "a" already defined at line 2',
    ),
    "five thousand levels": (f"{_DEEP}\n", "line 1: exceeded maximum nesting depth"),
    "two hundred levels": (f"a: {'[' * 200}{']' * 200}\n", "more than 100 levels deep"),
    "variables in variables": (f'services: {{a: {{image: "{_BOMB}"}}}}\n', "nested more than 50"),
    "a number as a key": ("services: {1: {image: a}}\n", "non-string key in services: 1"),
    "a list": ("- a\n", "top-level object must be a mapping"),
    "no end": ("services: {a: [\n", "line 2:"),
    "extends itself": (
        "services: {a: {image: a, extends: {service: a, file: compose.yaml}}}\n",
        "Circular reference:",
    ),
    "includes itself": ("include: [compose.yaml]\nservices: {}\n", "include cycle detected:"),
    "includes from elsewhere": (
        "include: ['oci://example/x:1']\nservices: {}\n",
        "include oci://example/x:1: remote resources are not there yet",
    ),
    "too long": ("#" * (MOST_BYTES + 1), "is longer than the"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_at_once(name: str, tmp_path: Path) -> None:
    """Each hostile file is refused within two seconds, naming itself."""
    text, told = HOSTILE[name]
    (tmp_path / "compose.yaml").write_text(text)
    begin = time.process_time()
    with pytest.raises(ComposeError) as refusal:
        load_project(Wishes(files=[str(tmp_path / "compose.yaml")]), {}, lambda _warning: None)
    assert time.process_time() - begin < 2
    assert told in str(refusal.value)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["compose.yaml"]


def test_text_that_doubles(tmp_path: Path) -> None:
    """Values in place of variables can't make a text without end."""
    (tmp_path / "compose.yaml").write_text("services: {a: {image: '" + "${A}" * 100 + "'}}\n")
    with pytest.raises(ComposeError, match="more than 4194304 characters"):
        load_project(
            Wishes(files=[str(tmp_path / "compose.yaml")]),
            {"A": "x" * 100_000},
            lambda _warning: None,
        )
