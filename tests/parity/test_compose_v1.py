"""Debian's docker-compose 1.29.2, the last in Python, drives the engine too."""

import subprocess
from pathlib import Path

import pytest

from support.compose_projects import OURS, ComposeProject
from support.daemon import Engine, Ran

_PROGRAM = Path("/usr/bin/docker-compose")
_FILE = """
version: "3.7"
services:
  web:
    image: busybox
    command: sh -c "echo started; sleep 99"
    init: true
    ports: ["80"]
    volumes: ["kept:/kept", "/anonymous"]
    depends_on: [db]
    links: ["db:base"]
  db: {image: busybox, command: sleep 99, init: true}
volumes: {kept: {}}
"""


@pytest.fixture
def old(engine: Engine, tmp_path: Path) -> ComposeProject:
    """A project by its directory's name, as the old tool has it."""
    if not _PROGRAM.exists() or b"python" not in _PROGRAM.read_bytes()[:40]:
        pytest.skip("this host has no docker-compose 1")
    directory = tmp_path / "oldproject"
    directory.mkdir()
    return ComposeProject(engine, directory, _FILE, "oldproject")


def _old(project: ComposeProject, *words: str) -> Ran:
    ran = subprocess.run(
        [str(_PROGRAM), "-f", str(project.directory / "compose.yaml"), *words],
        env=project.engine.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
    return ran


def test_the_old_tool(old: ComposeProject) -> None:
    """up, exec with a link's name, scale, run, logs and down do what they always did."""
    _old(old, "up", "-d")
    assert sorted(old.container_ids()) == ["oldproject_db_1", "oldproject_web_1"]
    assert "base" in _old(old, "exec", "-T", "web", "nslookup", "base").stdout
    assert "started" in _old(old, "logs", "--no-color", "web").stdout
    _old(old, "up", "-d", "--scale", "db=2")
    assert "once" in _old(old, "run", "--rm", "db", "echo", "once").stdout
    shown = old.ok(OURS, "--compatibility", "ps", "-q", "db").stdout.split()
    assert len(shown) == 2
    _old(old, "down", "-v", "-t", "0")
    assert old.container_ids() == {}
    assert old.engine.docker_ok("volume", "ls", "-q") == ""
