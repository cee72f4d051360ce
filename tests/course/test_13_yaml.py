"""Chapter 13 of the course: YAML, as Compose files use it."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Engine
from support.source_tree import REPOSITORY

pytestmark = pytest.mark.stock_differs

FILE = """
# A comment; every service has one or more ports, in whatever form.
services:
  flow: {image: nginx, ports: [ 80, 443 ]}
  "block":
    image: bind
    ports:
    - 53/tcp
    - "53/udp"
    environment: { "A": "1", B: two words, C: "comma, and all", D: null }
  text:
    image: busybox
    environment:
      BREAKS: "in double quoted strings\\n(like this)"
      KEPT: |
        line one
        line two
      FOLDED: >
        one
        line
  base: &base
    image: debian
    labels: {packages: deb}
  again: *base
  more:
    <<: *base
    hostname: jammy
"""


def config(engine: Engine, directory: Path, text: str) -> tuple[Any, str]:
    """What Compose understands, and of what it warns."""
    (directory / "compose.yaml").write_text(text)
    file = str(directory / "compose.yaml")
    ran = engine.wherry("compose", "-f", file, "config", "--format", "json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout), ran.stderr


@pytest.mark.slide("13.4", "13.5", "13.6", "13.7", "13.8", "13.16", "13.17")
def test_what_yaml_says(engine: Engine, tmp_path: Path) -> None:
    """Sequences and mappings in both styles, texts of several lines, anchors; JSON is YAML."""
    services = config(engine, tmp_path, FILE)[0]["services"]
    assert [each["target"] for each in services["flow"]["ports"]] == [80, 443]
    assert [(each["target"], each["protocol"]) for each in services["block"]["ports"]] == [
        (53, "tcp"), (53, "udp"),
    ]  # fmt: skip
    block = services["block"]["environment"]
    assert block == {"A": "1", "B": "two words", "C": "comma, and all", "D": None}
    assert services["text"]["environment"] == {
        "BREAKS": "in double quoted strings\n(like this)",
        "KEPT": "line one\nline two\n",
        "FOLDED": "one line\n",
    }
    assert services["again"] == services["base"]
    assert services["more"] == {**services["base"], "hostname": "jammy"}
    as_json = json.dumps({"services": {"one": {"image": "x", "ports": [80]}}})
    assert config(engine, tmp_path, as_json)[0]["services"]["one"]["image"] == "x"


@pytest.mark.slide("13.9", "13.10", "13.11", "13.12", "13.13", "13.14")
def test_traps(engine: Engine, tmp_path: Path) -> None:
    """Compose reads `no` and `22:22` as texts; `config` warns of each, and not of quoted ones."""
    text = (
        "services:\n  a:\n    image: x\n    environment:\n      NORWAY: {}\n"
        "      LIBFOO: {}\n    ports: [{}]\n"
    )
    meant, warned = config(engine, tmp_path, text.format("no", "1.10", "22:22"))
    assert meant["services"]["a"]["environment"] == {"NORWAY": "no", "LIBFOO": "1.1"}
    assert meant["services"]["a"]["ports"][0]["published"] == "22"
    for line in (5, 6, 7):
        assert f"compose.yaml:{line}" in warned or f"line {line}" in warned
    quoted, silent = config(engine, tmp_path, text.format('"no"', '"1.10"', '"22:22"'))
    assert quoted["services"]["a"]["environment"]["LIBFOO"] == "1.10"
    assert "NORWAY" not in silent


@pytest.mark.slide("15.1")
def test_the_exercise(engine: Engine) -> None:
    """A Compose file for wordsmith (`make examples` brings it up)."""
    file = REPOSITORY / "examples/wordsmith/docker-compose.yml"
    ran = engine.wherry("compose", "-f", str(file), "config", "--services")
    assert set(ran.stdout.split()) == {"web", "words", "db"}
