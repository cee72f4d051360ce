"""What the classic builder says when it fails, to the byte: scripts look for these lines."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import remove_what_was_built, small_context, write_dockerfile
from support.daemon import Engine

REFUSED = "Error response from daemon: "
_NOT_FOUND = "file not found in build context or excluded by .dockerignore: stat"

STEPS = {
    "a command that fails": (
        "RUN exit 3", "The command '/bin/sh -c exit 3' returned a non-zero code: 3"),
    "a command in the exec form": (
        'RUN ["false", "a b"]', "The command 'false a b' returned a non-zero code: 1"),
    "a user that is not there": (
        "USER nosuch\nRUN true",
        "unable to find user nosuch: no matching entries in passwd file"),
    "a file that is not there": (
        "COPY none /", f"COPY failed: {_NOT_FOUND} none: file does not exist"),
    "another one, of ADD": (
        "ADD a.txt none /x/", f"ADD failed: {_NOT_FOUND} none: file does not exist"),
    "a pattern of nothing": ("COPY none* /", "COPY failed: no source files were specified"),
    "a way out": (
        "COPY ../x /", "COPY failed: forbidden path outside the build context: ../x ()"),
    "a longer way out": (
        "ADD d/../../x /", "ADD failed: forbidden path outside the build context: d/../../x ()"),
    "a file that a stage has not": (
        "FROM busybox AS two\nCOPY --from=0 /none /",
        "COPY failed: stat none: file does not exist"),
    "several to what is no directory": (
        "COPY a.txt b.txt /x",
        "When using COPY with more than one source file, the destination must be a directory and "
        "end with a /"),
    "a directory below a file": (
        "WORKDIR /etc/passwd", "Cannot mkdir: /etc/passwd is not a directory"),
    "an owner that is not there": (
        "COPY --chown=nosuch a.txt /",
        "unable to convert uid/gid chown string to host mapping: can't find uid for user nosuch: "
        "no such user: nosuch"),
}  # fmt: skip
"""What dockerd 20.10 says too, while it builds."""

FILES = {
    "an unknown instruction": ("FOO bar", "unknown instruction: FOO"),
    "an unknown flag": ("COPY --foo=bar a.txt /", "unknown flag: --foo"),
    "a flag twice": ("COPY --chown=1 --chown=2 a.txt /", "duplicate flag specified: chown"),
    "a chain": (
        "ONBUILD ONBUILD RUN true", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
    "no argument": ("WORKDIR", "WORKDIR requires exactly one argument"),
    "a check of another kind": (
        "HEALTHCHECK FOO", 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
}  # fmt: skip
"""What the parser of a newer Docker says, before anything is built."""


@pytest.fixture(autouse=True, scope="module")
def _leaves_nothing(shared_engine: Engine) -> Iterator[None]:
    """What was built on the way goes again."""
    yield
    if os.environ.get("WHERRY_TEST_ENGINE") != "dockerd":
        remove_what_was_built(shared_engine)


def failure(engine: Engine, context: Path, dockerfile: str) -> str:
    """The last thing that `docker build` writes to its standard error."""
    write_dockerfile(context, f"FROM busybox\n{dockerfile}\n")
    ran = subprocess.run(
        ["docker", "build", "."],
        cwd=context,
        env={**engine.environment, "DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode != 0, ran.stdout
    return ran.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", STEPS)
def test_steps(engine: Engine, tmp_path: Path, name: str) -> None:
    """A step that fails ends the build with Docker's words."""
    dockerfile, said = STEPS[name]
    assert failure(engine, small_context(tmp_path / "context"), dockerfile) == said


@pytest.mark.stock_differs("the parser of a newer Docker")
@pytest.mark.parametrize("name", FILES)
def test_files(engine: Engine, tmp_path: Path, name: str) -> None:
    """A Dockerfile that is wrong is refused with its line."""
    dockerfile, said = FILES[name]
    told = failure(engine, small_context(tmp_path / "context"), dockerfile)
    assert told == f"{REFUSED}dockerfile parse error on line 2: {said}"


@pytest.mark.stock_differs("the engine looks at all stages before it begins")
def test_a_stage_without_a_name(engine: Engine, tmp_path: Path) -> None:
    """A number that no stage has is no image either."""
    told = failure(engine, small_context(tmp_path / "context"), "COPY --from=7 /x /")
    assert told == f"{REFUSED}invalid from flag value 7: index out of bounds"


def test_standard_error_is_red(engine: Engine, tmp_path: Path) -> None:
    """What a command writes there is told in red, as Docker does, whatever reads it."""
    context = small_context(tmp_path / "context")
    write_dockerfile(context, "FROM busybox\nRUN echo plain; echo red >&2\n")
    ran = subprocess.run(
        ["docker", "build", "--no-cache", str(context)],
        env={**engine.environment, "DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "plain\n" in ran.stdout
    assert "\x1b[91mred\n\x1b[0m" in ran.stdout
