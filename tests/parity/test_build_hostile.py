"""Builds that somebody made to do harm: what they are told, and that the engine goes on."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import classic_build as build
from support.builds import output_of as run
from support.builds import remove_what_was_built, small_context
from support.builds import write_dockerfile as write
from support.daemon import Engine
from support.mutations import mutated
from wherry.builder import dockerfile as language
from wherry.model.errors import DockerfileRefused

TEXT = b"""# escape=\\
ARG A=1
FROM busybox:$A AS one
ARG B="x y"
ENV C=${B:-z} D="$A"
RUN --mount=type=cache,target=/c --network=none echo $C \\
  && true
COPY --chown=1:2 --from=one a* /b/
ADD --checksum=sha256:0 http://x/y /z
HEALTHCHECK --interval=5s CMD ["true"]
RUN <<EOF
echo hi
EOF
FROM one
ONBUILD RUN true
CMD ["a", "b"]
"""
MARKS = (b"\0", b"\r", b"\xc2\xa0", b"<<X", b"${", b"\\\n")


@pytest.fixture(autouse=True)
def _leaves_no_image(engine: Engine) -> Iterator[None]:
    """What was built goes again, and so does the cache."""
    yield
    remove_what_was_built(engine)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with some files."""
    return small_context(tmp_path)


def test_two_thousand_mutated_dockerfiles() -> None:
    """Each is understood, or refused with a reason (X10)."""
    dice = random.Random(7)
    refused = 0
    for _number in range(2000):
        try:
            language.parse(mutated(dice, TEXT, MARKS))
        except DockerfileRefused:
            refused += 1
    assert 200 < refused < 2000


@pytest.mark.parametrize(
    "content",
    [
        b"FROM busybox\nRUN <<EOF\necho never ends",
        b"FROM b AS a\nCOPY --from=a x /\n",
        b"FROM busybox\nONBUILD ONBUILD RUN true",
        b"FROM scratch AS s0\n"
        + b"".join(b"FROM s%d AS s%d\n" % (each, each + 1) for each in range(9_999))
        + b"COPY none /",
        b"FROM busybox\nARG A=0123456789\n" + b"ARG A=${A}${A}${A}${A}\n" * 30 + b"ENV B=$A",
    ],
    ids=["heredoc", "cycle", "onbuild", "stages", "growth"],
)
def test_dockerfiles_that_explode(engine: Engine, tmp_path: Path, content: bytes) -> None:
    """An error, and the engine is there as before (X10)."""
    (tmp_path / "Dockerfile").write_bytes(content)
    pid = engine.pid
    ran = build(engine, tmp_path, check=False)
    assert ran.returncode != 0, ran.stdout[-500:]
    assert engine.pid == pid
    assert engine.docker_ok("ps", "-aq") == ""


def test_patterns_that_explode(engine: Engine, context: Path) -> None:
    """Matching is linear, whatever stars there are (X10)."""
    for number in range(20):
        (context / ("a" * 200 + str(number))).touch()
    (context / ".dockerignore").write_text("/".join(["**", "*a*a*a*a*a*b"] * 100))
    write(context, "FROM busybox\nCOPY . /x")
    packed = subprocess.run(["tar", "-c", "."], cwd=context, capture_output=True, check=True)
    ran = subprocess.run(
        ["docker", "build", "-"],
        env={**engine.environment, "DOCKER_BUILDKIT": "0"},
        input=packed.stdout,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert b"Successfully built" in ran.stdout, ran.stderr


def test_the_same_bytes_at_another_time(engine: Engine, context: Path) -> None:
    """With SOURCE_DATE_EPOCH a build that runs everything again makes the same image."""
    write(context, "FROM busybox\nRUN mkdir -p /d/e; date > /dev/null; echo x > /d/f\nCOPY . /c/")
    wanted = ("-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000")
    first, second = (build(engine, context, *wanted).stdout.strip() for _time in range(2))
    assert first == second
    moments = run(engine, first, "stat", "-c", "%Y", "/d/f", "/d/e").split()
    assert moments == ["1700000000", "1700000000"]
    created = engine.docker_ok("image", "inspect", "-f", "{{.Created}}", first)
    assert created.startswith("2023-11-14T22:13:20")
    refused = build(engine, context, "--build-arg", "SOURCE_DATE_EPOCH=soon", check=False)
    assert "invalid SOURCE_DATE_EPOCH: soon" in refused.stderr
