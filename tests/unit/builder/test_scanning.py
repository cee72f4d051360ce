"""What a scanner of images leaves: a stranger's files, of which only plain ones are read."""

import json
import os
from pathlib import Path

import pytest

from wherry.builder.results.scanning import read_statements, wanted_scan
from wherry.builder.results.statements import Predicate
from wherry.model.errors import FeatureMissing, InvalidValue

SPDX = "https://spdx.dev/Document"


def test_statements_are_read(tmp_path: Path) -> None:
    """By name; what is no statement by its name is left alone."""
    for name in ("b", "a"):
        said = {"predicateType": SPDX, "predicate": {"name": name}, "subject": "whoever"}
        (tmp_path / f"{name}.spdx.json").write_text(json.dumps(said))
    os.mkfifo(tmp_path / "notes")
    assert [*read_statements(str(tmp_path))] == [
        Predicate(type=SPDX, content={"name": each}, file=f"{each}.spdx.json")
        for each in ("a", "b")
    ]


def test_what_is_none(tmp_path: Path) -> None:
    """A link, a pipe, a directory, and texts of other kinds."""
    place = tmp_path / "x.json"
    place.symlink_to("/etc/passwd")
    with pytest.raises(InvalidValue, match=r"x\.json: Too many levels"):
        [*read_statements(str(tmp_path))]
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(InvalidValue, match=r"x\.json is no regular file"):
        [*read_statements(str(tmp_path))]
    place.unlink()
    deep = "[" * 100_000
    for text in ("", "[]", "{}", deep, '{"predicateType": "", "predicate": {}}',
                 '{"predicateType": "x", "predicate": []}'):  # fmt: skip
        place.write_text(text)
        with pytest.raises(InvalidValue, match=r"statement x\.json"):
            [*read_statements(str(tmp_path))]


def test_what_is_wanted() -> None:
    """A scanner has a name; its parameters keep theirs."""
    wish = wanted_scan({"sbom": "generator=a/b:1,Depth=3"})
    assert wish is not None
    assert (wish.generator, wish.parameters) == ("a/b:1", {"Depth": "3"})
    assert wanted_scan({"sbom": "disabled=true"}) is None
    assert wanted_scan({"provenance": ""}) is None
    with pytest.raises(FeatureMissing, match="generator=IMAGE"):
        wanted_scan({"sbom": ""})
    with pytest.raises(InvalidValue, match="'magic'"):
        wanted_scan({"magic": ""})
