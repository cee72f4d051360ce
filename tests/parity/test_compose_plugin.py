"""`docker compose` and `docker-compose` are ours after `make install`, where no other is."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.compose_projects import ComposeProject
from support.daemon import Engine
from support.source_tree import REPOSITORY

_FILE = """
name: plugged
services:
  a: {image: busybox, command: [sh, -c, "trap 'exit 7' TERM; echo here; while :; do sleep 0.1; done"]}
"""  # noqa: E501


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make install` puts below a prefix."""
    root = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [str(REPOSITORY / "scripts" / "install.sh")],
        env={**os.environ, "DESTDIR": str(root), "PREFIX": "/usr"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return root / "usr"


@pytest.fixture
def plugged(engine: Engine, installed: Path, tmp_path: Path) -> Iterator[ComposeProject]:
    """A project, and the plugin where this test's docker looks for it."""
    plugins = Path(engine.environment["DOCKER_CONFIG"]) / "cli-plugins"
    plugins.mkdir(exist_ok=True)
    shutil.copy(installed / "lib/docker/cli-plugins/docker-compose", plugins)
    project = ComposeProject(engine, tmp_path, _FILE, "plugged")
    yield project
    project.down()
    shutil.rmtree(plugins)


def test_docker_compose(plugged: ComposeProject) -> None:
    """docker finds the plugin, tells of it, and hands it the line and its code."""
    engine, file = plugged.engine, str(plugged.directory / "compose.yaml")
    listed = json.loads(engine.docker_ok("info", "--format", "{{json .ClientInfo.Plugins}}"))
    assert [each["Vendor"] for each in listed if each["Name"] == "compose"] == ["Wherry"]
    assert engine.docker_ok("compose", "version", "--short") == "2.40.3"
    assert engine.docker("compose", "-f", file, "up", "-d").returncode == 0
    ran = engine.docker("compose", "-f", file, "exec", "-T", "a", "sh", "-c", "echo hi; exit 4")
    assert (ran.returncode, ran.stdout) == (4, "hi\n")


def test_interrupted_docker(plugged: ComposeProject) -> None:
    """Without a terminal docker closes the plugin's socket at SIGINT; that stops what runs."""
    process = subprocess.Popen(
        ["docker", "compose", "-f", str(plugged.directory / "compose.yaml"), "up"],
        env=plugged.engine.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    seen = ""
    while "| here" not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert "Gracefully Stopping" in output
    assert "a-1 exited with code 7" in output


def test_alone(plugged: ComposeProject, installed: Path) -> None:
    """docker-compose is a program of its own too; --compatibility gives underscores."""
    ran = subprocess.run(
        [str(installed / "bin/docker-compose"), "--compatibility", "up", "-d"],
        cwd=plugged.directory,
        env=plugged.engine.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert list(plugged.container_ids()) == ["plugged_a_1"]
    told = plugged.theirs("--compatibility", "up", "-d")
    assert "Container plugged_a_1  Running" in told.stderr


def test_others_stay(installed: Path, tmp_path: Path) -> None:
    """A docker-compose that isn't ours is left where it is."""
    other = tmp_path / "usr/bin/docker-compose"
    other.parent.mkdir(parents=True)
    other.write_text("#!/bin/sh\n")
    subprocess.run(
        [str(REPOSITORY / "scripts" / "install.sh")],
        env={**os.environ, "DESTDIR": str(tmp_path), "PREFIX": "/usr"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert other.read_text() == "#!/bin/sh\n"
