"""Recipes of base images, as far as they need no host."""

import io
from pathlib import Path

import pytest

from support.tar_archives import END
from wherry.images.bootstrap import base_image
from wherry.images.bootstrap.busybox import is_static
from wherry.images.bootstrap.debian import AptSource, parse_deb822, parse_one_line
from wherry.images.bootstrap.recipe import TreeWriter
from wherry.model.errors import InvalidValue
from wherry.snapshots import TarReader


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("busybox", "busybox:latest"),
        ("docker.io/library/busybox:latest", "busybox:latest"),
        ("hello", "hello:latest"),
        ("debian:bookworm", "debian:bookworm"),
    ],
)
def test_recipes_are_found_by_any_form_of_the_name(text: str, name: str) -> None:
    """A recipe answers to the familiar and to the full name."""
    assert base_image(text).name == name


@pytest.mark.parametrize("text", ["alpine", "debian", "busybox:1.36", "me/busybox"])
def test_other_names_have_no_recipe(text: str) -> None:
    """The refusal lists the ones that there are."""
    with pytest.raises(InvalidValue) as caught:
        base_image(text)
    assert "debian:bookworm" in caught.value.sentence


def test_one_line_sources() -> None:
    """Options, comments and source packages are no hindrance."""
    text = (
        "# deb http://mirror.example/debian old main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb http://mirror.example/debian\n"
    )
    assert list(parse_one_line(text)) == [
        AptSource(
            uri="http://mirror.example/debian", suite="bookworm", components=("main", "contrib")
        )
    ]


def test_deb822_sources() -> None:
    """Each combination of archive and suite; continued lines count, switched-off ones don't."""
    text = (
        "Types: deb deb-src\n# a comment\nURIs: http://mirror.example/debian\n"
        "Suites: bookworm\n bookworm-updates\nComponents: main\n\n"
        "Types: deb\nEnabled: no\nURIs: http://mirror.example/off\nSuites: bookworm\n"
    )
    assert [str(each) for each in parse_deb822(text)] == [
        "deb http://mirror.example/debian bookworm main",
        "deb http://mirror.example/debian bookworm-updates main",
    ]


def test_written_trees_are_tars() -> None:
    """What a recipe writes is read back: names, modes, links, content."""
    out = io.BytesIO()
    tree = TreeWriter(out, mtime_ns=5_000_000_000)
    tree.directory("bin", 0o711)
    tree.file("bin/a", b"x" * 600, 0o755)
    tree.hard_link("bin/b", "bin/a")
    tree.symlink("c", "bin/a")
    tree.end()
    assert out.getvalue().endswith(END)
    out.seek(0)
    entries = [(e.kind, e.path, e.mode, e.link, e.size, e.mtime_ns) for e in TarReader(out)]
    assert entries == [
        (b"5", b"bin/", 0o711, b"", 0, 5_000_000_000),
        (b"0", b"bin/a", 0o755, b"", 600, 5_000_000_000),
        (b"1", b"bin/b", 0o755, b"bin/a", 0, 5_000_000_000),
        (b"2", b"c", 0o777, b"bin/a", 0, 5_000_000_000),
    ]


def test_static_programs_are_told_from_others(tmp_path: Path) -> None:
    """A script is not one, nor is a program that names an interpreter."""
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert not is_static(str(script))
    for kind, expected in ((3, False), (1, True)):
        program = tmp_path / f"program{kind}"
        header = b"\x7fELF\x02\x01" + bytes(10) + b"\2\0\x3e\0" + bytes(12)
        header += (64).to_bytes(8, "little") + bytes(8 + 4 + 2) + (56).to_bytes(2, "little")
        header += (1).to_bytes(2, "little") + bytes(6)
        program.write_bytes(header + kind.to_bytes(4, "little") + bytes(52))
        assert is_static(str(program)) is expected
