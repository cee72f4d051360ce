"""Small projects, and `docker build` by its classic door."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.daemon import Engine


def build(engine: Engine, directory: Path, tag: str, *flags: str) -> str:
    """`docker build -t TAG DIRECTORY` by the classic builder; what it prints."""
    return classic_build(engine, directory, "-t", tag, *flags).stdout


def classic_build(
    engine: Engine, directory: Path, *arguments: str, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    """`docker build` by the classic builder, which is to succeed unless `check` is false."""
    ran = subprocess.run(
        [*engine.cli, "build", *arguments, str(directory)],
        env={**engine.environment, "DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not check or ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def small_context(place: Path) -> Path:
    """A context with some files, one of which can be run."""
    write_tree(
        place,
        {
            "a.txt": "a\n",
            "b.txt": "b\n",
            "d/e/f.txt": "f\n",
            "d/run.sh": "#!/bin/sh\necho ran\n",
        },
    )
    return place


def write_dockerfile(context: Path, text: str) -> None:
    """The Dockerfile of a context."""
    (context / "Dockerfile").write_text(text)


def output_of(engine: Engine, name: str, *command: str) -> str:
    """What a command in a container of an image writes."""
    return engine.docker_ok("run", "--rm", name, *command)


def remove_what_was_built(engine: Engine) -> None:
    """Containers, every image but busybox, and the cache."""
    engine.remove_all_containers()
    # An image of a second platform is seen when that of the first has gone.
    while built := _ids_but_busybox(engine):
        engine.docker_ok("rmi", "-f", *built)
    engine.docker_ok("builder", "prune", "-af")


def _ids_but_busybox(engine: Engine) -> list[str]:
    names = engine.docker_ok("images", "-a", "--format", "{{.ID}} {{.Repository}}").splitlines()
    return sorted({each.split()[0] for each in names if not each.endswith(" busybox")})


def write_tree(directory: Path, files: Mapping[str, str]) -> None:
    """Write a project's files; scripts can be run."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            os.chmod(path, 0o755)
