"""Small projects, and `docker build` by its classic door."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.daemon import Engine


def build(engine: Engine, directory: Path, tag: str, *flags: str) -> str:
    """`docker build -t TAG DIRECTORY` by the classic builder; what it prints."""
    ran = subprocess.run(
        [*engine.cli, "build", "-t", tag, *flags, str(directory)],
        env={**engine.environment, "DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def write_tree(directory: Path, files: Mapping[str, str]) -> None:
    """Write a project's files; scripts can be run."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            os.chmod(path, 0o755)
