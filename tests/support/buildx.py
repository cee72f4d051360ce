"""buildx, the docker CLI's builder plugin, and Compose v2: clients that speak BuildKit."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest

from support.builds import remove_what_was_built
from support.compose_oracle import oracle_program
from support.daemon import OWN_CLI, Engine, Ran
from support.source_tree import REPOSITORY
from support.waiting import PATIENCE

_PLUGIN = REPOSITORY / ".tools/docker-plugins/docker-buildx"
_OLD = Path("/usr/bin/docker")


@contextlib.contextmanager
def project(engine: Engine, place: Path) -> "Iterator[BuildClient]":
    """A client with a directory of its own; what it built goes again."""
    (place / "project").mkdir()
    yield BuildClient(engine, place / "project")
    remove_what_was_built(engine)


def _version(program: Path) -> str:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return shown.stdout.removeprefix("Docker version ")


class BuildClient:
    """Builds in a directory, by either program."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine = engine
        self.directory = directory
        self.config = directory.parent / f"{directory.name}-docker-config"
        plugins = self.config / "cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        if _PLUGIN.exists() and not (plugins / "docker-buildx").exists():
            os.symlink(_PLUGIN, plugins / "docker-buildx")

    def write(self, **files: str) -> None:
        """Files of the directory, by name; `_` stands for a dot."""
        for name, text in files.items():
            (self.directory / name.replace("_", ".")).write_text(text)

    def docker(
        self, *words: str, is_ok: bool = True, stdin: IO[str] | None = None, **environment: str
    ) -> Ran:
        """The stock CLI with buildx."""
        if not _PLUGIN.exists():
            pytest.skip("this host has no buildx (scripts/fetch-buildx.sh)")
        return self._run(["docker", *words], environment, is_ok=is_ok, stdin=stdin)

    def old_docker(self, *words: str, is_ok: bool = True, **environment: str) -> Ran:
        """Debian's docker CLI 20.10, which has a client of BuildKit inside."""
        if not _OLD.exists() or not _version(_OLD).startswith("20."):
            pytest.skip("this host has no docker CLI 20.10 (docker.io of Debian 12)")
        more = {"DOCKER_BUILDKIT": "1", **environment}
        return self._run([str(_OLD), *words], more, is_ok=is_ok)

    def own(self, *words: str, is_ok: bool = True, **environment: str) -> Ran:
        """Our own CLI."""
        return self._run([*OWN_CLI, *words], environment, is_ok=is_ok)

    def compose(self, *words: str, is_ok: bool = True, **environment: str) -> Ran:
        """Compose v2 with the builder that is built in."""
        command = [str(oracle_program()), "--progress", "plain", *words]
        return self._run(command, {"COMPOSE_BAKE": "false", **environment}, is_ok=is_ok)

    def _run(
        self,
        command: Sequence[str],
        more: dict[str, str],
        *,
        is_ok: bool,
        stdin: IO[str] | None = None,
    ) -> Ran:
        environment = {**self.engine.environment, "DOCKER_CONFIG": str(self.config), **more}
        ran = subprocess.run(
            command,
            cwd=self.directory,
            env=environment,
            stdin=stdin or subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60 * PATIENCE,
            check=False,
        )
        assert not is_ok or ran.returncode == 0, ran.stdout + ran.stderr + self.engine.log_tail()
        return ran
