"""Files of many kinds mean what they mean to Compose v2 itself, which is asked."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from support.compose_oracle import oracle_program
from support.source_tree import REPOSITORY
from wherry.compose.config_hashes import service_hash
from wherry.compose.errors import ComposeError
from wherry.compose.loading import load_project
from wherry.compose.project import Project
from wherry.compose.rendering import as_json, as_yaml, escaped, json_order
from wherry.compose.whereabouts import Wishes

CORPUS = REPOSITORY / "tests" / "compose_corpus"
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/home/someone", "FULL": "full", "EMPTY": ""}
ACCEPTED = sorted((CORPUS / "accepted").glob("*.yaml"), key=str)
REFUSED = sorted((CORPUS / "refused").glob("*.yaml"), key=str)


def oracle(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Compose v2 itself."""
    return subprocess.run(
        [str(oracle_program()), *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def loaded(path: Path, *, hashes: bool = False) -> Project:
    """The project of a file of the corpus."""
    wishes = Wishes(files=[str(path)], profiles=["*"], resolves_environment=not hashes)
    return load_project(wishes, ENVIRONMENT, lambda _warning: None)


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.stem)
def test_same_meaning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML, JSON and the hashes of a file are those of Compose v2."""
    monkeypatch.setenv("HOME", ENVIRONMENT["HOME"])
    common = ("-f", str(path), "--profile", "*", "config")
    typed = escaped(loaded(path).typed())
    assert isinstance(typed, dict)
    with ThreadPoolExecutor(3) as pool:
        forms = ((), ("--format", "json"), ("--hash", "*"))
        told, as_told_json, told_hashes = pool.map(lambda form: oracle(*common, *form), forms)
    assert told.returncode == 0, told.stderr
    assert yaml.safe_load(as_yaml(typed)) == yaml.safe_load(told.stdout)
    assert json.loads(as_json(json_order(typed))) == json.loads(as_told_json.stdout)
    services = loaded(path, hashes=True).typed()["services"]
    assert isinstance(services, dict)
    hashes = "".join(f"{name} {service_hash(each)}\n" for name, each in services.items())
    if services:
        assert hashes == told_hashes.stdout


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_same_refusal(path: Path) -> None:
    """What Compose v2 refuses is refused with its text; the line may follow."""
    told = oracle("-f", str(path), "config")
    assert told.returncode != 0
    with pytest.raises(ComposeError) as refusal:
        loaded(path).typed()
    assert str(refusal.value).partition(" (line ")[0] == told.stderr.strip()
