"""`wherry compose` knows the engine by its API alone: Debian's dockerd serves it as well."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.compose_projects import OURS, THEIRS, ComposeProject
from support.stock_engine import StockEngine

_FILE = """
name: elsewhere
x-idle: &idle {image: busybox, command: sleep 99, init: true, stop_grace_period: 0s}
services:
  first: {<<: *idle, networks: [default, other], volumes: ["kept:/kept"],
          healthcheck: {test: "true", interval: 1s},
          configs: [{source: said, target: /etc/said}]}
  second: {<<: *idle, scale: 2, depends_on: {first: {condition: service_healthy}}}
volumes: {kept: }
networks: {other: }
configs: {said: {content: "hello"}}
"""


@pytest.fixture
def dockerd() -> Iterator[StockEngine]:
    """The original in a machine of its own."""
    if shutil.which("dockerd") is None:
        pytest.skip("this host has no dockerd")
    engine = StockEngine()
    try:
        engine.start()
        engine.bootstrap()
        yield engine
    finally:
        engine.remove_all_containers()
        engine.close()


def test_against_dockerd(dockerd: StockEngine, tmp_path: Path) -> None:
    """Networks one by one, conditions, carried files and volumes: as on our own engine."""
    project = ComposeProject(dockerd, tmp_path, _FILE, "elsewhere")
    project.ok(OURS, "up", "-d")
    before = project.container_ids()
    assert sorted(before) == ["elsewhere-first-1", "elsewhere-second-1", "elsewhere-second-2"]
    networks = dockerd.inspect("elsewhere-first-1")["NetworkSettings"]["Networks"]
    assert sorted(networks) == ["elsewhere_default", "elsewhere_other"]
    assert "first" in networks["elsewhere_other"]["Aliases"]
    assert project.ok(OURS, "exec", "-T", "first", "cat", "/etc/said").stdout == "hello"
    assert "Recreate" not in project.ok(THEIRS, "up", "-d").stderr
    assert project.container_ids() == before
    project.ok(OURS, "down", "-v", "-t", "0")
    assert project.container_ids() == {}
    assert "elsewhere" not in dockerd.docker_ok("network", "ls")
    assert dockerd.docker_ok("volume", "ls", "-q") == ""
