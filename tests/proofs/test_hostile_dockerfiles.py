"""RELIABILITY X10, by the door: Dockerfiles that would like to cost much, or to end the daemon."""

import io
import json
import random
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import remove_what_was_built
from support.daemon import Engine
from support.mutations import mutated
from support.proof_size import Size

SECONDS = 5
MOST_BYTES = 64 << 20
TEXT = b"""# escape=\\
ARG A=1
FROM scratch AS one
ARG B="x y"
ENV C=${B:-z} D="$A"
COPY --chown=1:2 a* /b/
HEALTHCHECK --interval=5s CMD ["true"]
COPY <<EOF /here
$C
EOF
FROM one
COPY --from=one --exclude=*.x --chmod=u+x /b /d
ONBUILD RUN true
EXPOSE 80-82/udp
CMD ["a", "b"]
"""
MARKS = (
    b"\0",
    b"\r",
    b"\xc2\xa0",
    b"<<X",
    b"${",
    b"\\\n",
    b"# escape=`\n",
    b"ONBUILD ONBUILD ",
    b'["',
)


@pytest.fixture
def builder(engine: Engine) -> Iterator[Engine]:
    """The run's engine, without what was built."""
    yield engine
    remove_what_was_built(engine)


def sent(engine: Engine, dockerfile: bytes, **files: bytes) -> tuple[str, float]:
    """The problem of a build, empty if there is none, and how long it took."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in {"Dockerfile": dockerfile, "a.txt": b"a\n", **files}.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    begun = time.monotonic()
    answer = engine.api("POST", "/build", packed.getvalue(), timeout_s=60)
    took = time.monotonic() - begun
    if answer.status != 200:
        problem = str(answer.json["message"])
        # No registry is reached from here, which is told as Docker tells it.
        assert answer.status == 400 or problem.startswith('Get "https://'), answer.body
        return problem, took
    last = json.loads(bytes(answer.body).splitlines()[-1])
    return str(last.get("error", "")), took


def peak_growth(engine: Engine, dockerfile: bytes) -> tuple[str, float, int]:
    """A build's problem and time, and by how much the daemon grew at its highest."""
    process = Path(f"/proc/{engine.pid}")
    process.joinpath("clear_refs").write_text("5")
    before = field(process, "VmRSS")
    problem, took = sent(engine, dockerfile)
    return problem, took, field(process, "VmHWM") - before


def field(process: Path, name: str) -> int:
    """Bytes of a line of /proc/PID/status."""
    lines = dict(
        line.split(":", 1) for line in process.joinpath("status").read_text().splitlines()
    )
    return int(lines[name].split()[0]) * 1024


def test_mutated_dockerfiles(builder: Engine, size: Size, figure: list[str]) -> None:
    """Each is built, or refused with a reason, at once; the daemon stays."""
    dice, pid, refused, slowest = random.Random(10), builder.pid, 0, 0.0
    number = size.of(2000, 60)
    for _one in range(number):
        text = mutated(dice, TEXT, MARKS)
        if b"RUN" in text.replace(b"ONBUILD RUN", b""):
            continue
        problem, took = sent(builder, text)
        assert "Traceback" not in problem
        assert "Error:" not in problem, (problem, text)
        refused += bool(problem)
        slowest = max(slowest, took)
    figure.append(f"{number} Dockerfiles, {refused} refused, the slowest {slowest:.2f} s")
    assert builder.pid == pid
    assert slowest < SECONDS
    assert refused


EXPLOSIONS = {
    "a line of 100 MB": (b"FROM scratch\nLABEL a=" + b"a" * (100 << 20), "larger than"),
    "100 MB of lines": (b"FROM scratch\n" + b"LABEL a=b\n" * (10 << 20), "larger than"),
    "a here-document that never ends": (
        b"FROM scratch\nCOPY <<E /x\n" + b"x\n" * 10_000,
        "line 2",
    ),
    "itself": (b"FROM me AS me\nCOPY a.txt /", "lookup"),
    "a cycle": (b"FROM b AS a\nFROM a AS b\nCOPY a.txt /", "lookup"),
    "a copy of itself": (b"FROM scratch AS a\nCOPY --from=a /x /", "lookup"),
    "ONBUILD ONBUILD": (b"FROM scratch\nONBUILD ONBUILD COPY a /", "line 2"),
    "values that grow": (b"FROM scratch\nARG A=0123456789\n" + b"ARG A=$A$A$A$A\n" * 30, "line"),
    "defaults in defaults": (
        b"FROM scratch\nENV A=" + b"${B:-" * 20_000 + b"}" * 20_000,
        "line 2",
    ),
    "another escape": (b"# escape=x\nFROM scratch\nCOPY a.txt /", "line 1"),
    "two escapes": (b"# escape=`\n# escape=`\nFROM scratch", "line 2"),
    "NUL": (b"FROM scratch\nLABEL a=\0\n", "line 2"),
    "a blank that is none": (b"FROM\xc2\xa0scratch\n", "line 1"),
    "flags without end": (b"FROM scratch\nCOPY " + b"--chown=1 " * 6000 + b"a.txt /", "line 2"),
    "JSON in JSON": (b"FROM scratch\nCMD " + b"[" * 60_000 + b"]" * 5000, ""),
    "a pattern of stars": (b"FROM scratch\nCOPY " + b"*a" * 2000 + b" /x/", "no source files"),
}


@pytest.mark.parametrize("name", EXPLOSIONS)
def test_explosions(builder: Engine, name: str, figure: list[str]) -> None:
    """An error that names the line, in little time and memory."""
    content, place = EXPLOSIONS[name]
    pid = builder.pid
    problem, took, grown = peak_growth(builder, content)
    figure.append(f"{took:.2f} s, +{grown >> 20} MiB: {problem[:100]}")
    assert place in problem
    assert bool(problem) is bool(place)
    assert took < SECONDS
    assert grown < MOST_BYTES
    assert builder.pid == pid


def test_ten_thousand_stages(builder: Engine, size: Size, figure: list[str]) -> None:
    """Each on the one before it; the last one copies what is not there."""
    number = size.of(10_000, 1_000)
    stages = b"".join(b"FROM s%d AS s%d\n" % (each, each + 1) for each in range(number - 1))
    text = b"FROM scratch AS s0\n" + stages + b"COPY none /\n"
    problem, took, grown = peak_growth(builder, text)
    figure.append(f"{took:.2f} s, +{grown >> 20} MiB: {problem[:100]}")
    assert "none" in problem
    assert took < SECONDS * size.of(4, 1)
    assert grown < MOST_BYTES


def test_lines_that_end_otherwise(builder: Engine) -> None:
    """CRLF is an end like another."""
    assert sent(builder, b"FROM scratch\r\nCOPY a.txt /\r\n")[0] == ""


def test_patterns(builder: Engine, figure: list[str]) -> None:
    """Names and patterns that would take for ever where matching goes back."""
    names = {"a" * 90 + str(number): b"" for number in range(20)}
    stars = "/".join(["**", "*a*a*a*a*a*b"] * 100) + "\n" + "**/" * 500 + "x"
    for ignore, complaint in ((stars, ""), (f"{stars}\n{'[a-' * 900}", "syntax error in pattern")):
        problem, took = sent(
            builder, b"FROM scratch\nCOPY . /x/", _dockerignore=ignore.encode(), **names
        )
        figure.append(f"{took:.2f} s: {problem[:60]}")
        assert problem.startswith(complaint)
        assert bool(problem) is bool(complaint)
        assert took < SECONDS
