"""Builds of the same thing at the same time: each step once, and nobody depends on anybody."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.buildx import BuildClient, project
from support.daemon import Engine
from support.waiting import wait_until

UUID = "cat /proc/sys/kernel/random/uuid"
DIAMOND = f"""FROM busybox AS bottom
RUN --mount=type=cache,id=gate,target=/gate \\
    until [ -e /gate/GATE ]; do sleep 0.1; done; {UUID} > /b
FROM bottom AS left
RUN {UUID} > /l
FROM bottom AS right
RUN {UUID} > /r
FROM busybox
COPY --from=left /b /l /
COPY --from=right /r /
"""


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[BuildClient]:
    """A client with a project."""
    with project(engine, tmp_path) as made:
        yield made


class Building:
    """A build that goes on beside the test."""

    def __init__(self, client: BuildClient, tag: str) -> None:
        self.told = client.directory.parent / f"{tag}.log"
        with self.told.open("w") as log:
            self._process = subprocess.Popen(
                ["docker", "buildx", "build", "--progress=plain", "-t", tag, "."],
                cwd=client.directory,
                env={**client.engine.environment, "DOCKER_CONFIG": str(client.config)},
                stderr=log,
            )
        wait_until(f"{tag} is at its first step", lambda: "RUN --mount" in self.told.read_text())

    def leave(self) -> None:
        """The client goes away."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """All of it is built."""
        assert self._process.wait(60) == 0, self.told.read_text()


def running(engine: Engine) -> list[str]:
    """The containers of steps."""
    return engine.docker_ok("ps", "-q").split()


def open_gate(engine: Engine, name: str) -> None:
    """Let the first step of the builds go on."""
    (mount,) = (engine.data_root / "build-mounts").iterdir()
    (mount / name).touch()


def files_of(engine: Engine, name: str) -> list[str]:
    """What each node of the diamond has written."""
    return engine.docker_ok("run", "--rm", name, "cat", "/b", "/l", "/r").split()


def test_two_builds_run_a_diamond_once(engine: Engine, client: BuildClient) -> None:
    """Who comes second waits; when the first one's client leaves, it goes on by itself."""
    client.docker("version")
    client.write(Dockerfile=DIAMOND.replace("GATE", "one"))
    first = Building(client, "first")
    wait_until("the first one's command runs", lambda: len(running(engine)) == 1)
    (own,) = running(engine)
    second = Building(client, "second")
    assert running(engine) == [own]
    first.leave()
    wait_until("the second one's runs", lambda: running(engine) not in ([], [own]))
    open_gate(engine, "one")
    second.end()
    client.write(Dockerfile=DIAMOND.replace("GATE", "two"))
    pair = [Building(client, "third"), Building(client, "fourth")]
    assert len(running(engine)) <= 1
    open_gate(engine, "two")
    for each in pair:
        each.end()
    assert files_of(engine, "third") == files_of(engine, "fourth") != files_of(engine, "second")
