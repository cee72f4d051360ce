"""`make install`: a copy that needs no checkout, and `docker compose` where no other is."""

import json
import os
import shutil
import signal
import subprocess
import sys
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


def _install(root: Path) -> None:
    subprocess.run(
        [str(REPOSITORY / "scripts" / "install.sh")],
        env={**os.environ, "DESTDIR": str(root), "PREFIX": "/usr"},
        check=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make install` puts below a prefix."""
    root = tmp_path_factory.mktemp("installed")
    _install(root)
    return root / "usr"


@pytest.fixture
def plugged(engine: Engine, installed: Path, tmp_path: Path) -> Iterator[ComposeProject]:
    """A project, and the plugin where this test's docker looks for it."""
    plugins = Path(engine.environment["DOCKER_CONFIG"]) / "cli-plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / "docker-compose").symlink_to(installed / "lib/docker/cli-plugins/docker-compose")
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


def test_others_stay(installed: Path) -> None:
    """A docker-compose that isn't ours is left where it is."""
    other = installed / "bin/docker-compose"
    other.write_text("#!/bin/sh\n")
    _install(installed.parent)
    assert other.read_text() == "#!/bin/sh\n"


_EVERYTHING = """
import pkgutil, sys
sys.path.insert(0, sys.argv[1])
import wherry
for module in pkgutil.walk_packages(wherry.__path__, "wherry."):
    __import__(module.name)
"""


def test_a_copy(installed: Path) -> None:
    """The programs run from the copy, wherever it was moved, and every module is there whole."""
    moved = installed.rename(installed.with_name("moved"))
    (tree,) = moved.glob("lib/wherry/*")
    trace = moved / "trace"
    traced = ["strace", "-f", "-e", "trace=openat", "-A", "-o", str(trace)]
    try:
        for name in ("wherry", "wherryd", "wherry-runtime"):
            command = [*traced, str(moved / "bin" / name), "--version"]
            told = subprocess.run(command, capture_output=True, text=True, cwd="/", check=True)
            assert "0.1.0" in told.stdout
        base = os.path.realpath(sys.executable)
        subprocess.run([*traced, base, "-IS", "-c", _EVERYTHING, str(tree)], cwd="/", check=True)
        assert str(tree) in trace.read_text()
        assert str(REPOSITORY) not in trace.read_text()
    finally:
        moved.rename(installed)


def test_who_runs_keeps_the_copy(installed: Path) -> None:
    """An update leaves the copy that a process was started from, and removes it afterwards."""
    older = installed / "lib/wherry/older"
    older.mkdir()
    (older / "program.py").write_text("input()\n")
    with subprocess.Popen([sys.executable, older / "program.py"], stdin=subprocess.PIPE) as runs:
        _install(installed.parent)
        assert older.exists()
        runs.communicate(b"\n")
    _install(installed.parent)
    assert len([*installed.glob("lib/wherry/*")]) == 1
