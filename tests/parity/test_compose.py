"""Compose v2 itself drives the engine, and what it makes bears the hashes that we compute."""

import subprocess
from pathlib import Path

import pytest

from support.compose_oracle import oracle_program
from support.daemon import Engine
from wherry.compose import Wishes, load_project, service_hash

_FILE = """
name: handed
services:
  first:
    image: busybox
    command: sleep 99
    env_file: [first.env]
    ports: ["80"]
    volumes: [data:/data]
  second: {image: busybox, command: [sleep, "99"], depends_on: [first], environment: {B: 2}}
volumes: {data: }
"""


def _compose(engine: Engine, file: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(oracle_program()), "-f", str(file), *words],
        env=engine.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_labels_have_our_hashes(engine: Engine, tmp_path: Path) -> None:
    """A project that Compose v2 starts has, on each container, the hash that we compute."""
    file = tmp_path / "compose.yaml"
    file.write_text(_FILE)
    (tmp_path / "first.env").write_text("A=1\n")
    try:
        started = _compose(engine, file, "up", "-d")
        assert started.returncode == 0, started.stderr
        project = load_project(Wishes(files=[str(file)]), {}, pytest.fail)
        services = project.typed()["services"]
        assert isinstance(services, dict)
        for name, service in services.items():
            assert isinstance(service, dict)
            labels = engine.inspect(f"handed-{name}-1")["Config"]["Labels"]
            assert labels["com.docker.compose.config-hash"] == service_hash(service)
    finally:
        ended = _compose(engine, file, "down", "-v", "-t", "0")
    assert ended.returncode == 0, ended.stderr
    assert engine.docker_ok("ps", "-aq") == ""
