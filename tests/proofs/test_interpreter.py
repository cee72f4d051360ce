"""RELIABILITY row 5 (R01, PY2, PY8): the host's interpreter, seen from inside a container.

A process that joins a container is, until its execve, the host's interpreter with the host's
environment. A looker in the container tries all processes that it sees while commands join.
"""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.daemon import Engine
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size

SECRET = "WHERRY_TEST_SECRET"


@dataclass(frozen=True, slots=True)
class Seen:
    """How often the looker saw or was refused something of the host's."""

    interpreters: int
    read_only: int
    """Write-opens refused because the interpreter is behind a read-only mount."""
    busy: int
    """Write-opens that reached the host's own file, and were refused because it ran."""
    opened: int
    environments: int
    descriptors: int


def looked(engine: Engine, probe: Path, execs: int, *flags: str) -> Seen:
    """A looker, while commands join its container one after another."""
    bind = ("-v", f"{probe}:/probe:ro")
    engine.docker_ok("run", "-d", "--name", "seen", *bind, *flags, "busybox", "sleep", "1000")
    looker = subprocess.Popen(
        ["docker", "exec", "-i", "seen", "/probe", "look", SECRET],
        env=engine.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for _each in range(execs):
            made = engine.api("POST", "/containers/seen/exec", {"Cmd": ["true"]})
            answer = engine.api("POST", f"/exec/{made.json['Id']}/start", {"Detach": True})
            assert answer.status == 200, answer
        said, _words = looker.communicate("enough\n", timeout=60)
    finally:
        looker.kill()
        looker.wait()
        engine.docker_ok("rm", "-f", "seen")
    return Seen(*(int(each) for each in said.split()))


def hashes() -> dict[str, str]:
    """Of the interpreter, what it has loaded, and the engine's files."""
    import wherry.runtime.container

    source = Path(wherry.runtime.container.__file__).parents[1]
    loaded = {
        line.split(maxsplit=5)[5].strip()
        for line in Path("/proc/self/maps").read_text().splitlines()
        if ".so" in line
    }
    paths = [Path(sys.executable).resolve(), *map(Path, sorted(loaded)), *source.rglob("*.py")]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def restarted(engine: Engine) -> None:
    """The daemon again, with a secret in its environment."""
    engine.stop()
    engine.start(environment={SECRET: "1"})


@pytest.mark.stock_differs
def test_overwrite(fresh_engine: Engine, probe: Path, size: Size, figure: list[str]) -> None:
    """With CAP_SYS_PTRACE the interpreter can be seen, and never be opened for writing."""
    restarted(fresh_engine)
    before, execs = hashes(), size.of(1000, 60)
    seen = looked(fresh_engine, probe, execs, "--cap-add", "SYS_PTRACE")
    assert hashes() == before
    assert seen.interpreters > 0, "nothing was seen, so nothing was proven"
    assert (seen.opened, seen.busy) == (0, 0), seen
    figure.append(
        f"{execs} execs, interpreter seen {seen.interpreters} times, write-opens that reached it"
        f" 0, {len(before)} files unchanged"
    )


@pytest.mark.stock_differs
def test_nothing_is_seen(fresh_engine: Engine, probe: Path, size: Size, figure: list[str]) -> None:
    """An ordinary container sees neither interpreter nor environment nor descriptors (PY8)."""
    restarted(fresh_engine)
    execs = size.of(1000, 60)
    assert looked(fresh_engine, probe, execs) == Seen(0, 0, 0, 0, 0, 0)
    figure.append(f"{execs} execs, 0 interpreters, 0 environments, 0 descriptors seen")


def test_overwrite_mutant(probe: Path, figure: list[str]) -> None:
    """Without the read-only reference, opens reach the host's own file."""
    mutant = Mutant(
        "the interpreter itself is executed",
        "tasks/interpreter.py",
        "        overlay = make_filesystem(",
        "        raise OSError\n        overlay = make_filesystem(",
    )
    with mutated_engine(mutant) as engine:
        restarted(engine)
        seen = looked(engine, probe, 100, "--cap-add", "SYS_PTRACE")
    figure.append(f"killed: {mutant.name} ({seen.busy} opens of the host's file)")
    assert seen.busy > 0


def test_dumpable_mutant(probe: Path, figure: list[str]) -> None:
    """A joining process that is dumpable can be looked into."""
    mutant = Mutant(
        "joining processes are dumpable",
        "runtime/join_plan.py",
        "SetDumpable(is_dumpable=False,",
        "SetDumpable(is_dumpable=True,",
    )
    with mutated_engine(mutant) as engine:
        restarted(engine)
        seen = looked(engine, probe, 200)
    figure.append(f"killed: {mutant.name} ({seen.interpreters} interpreters seen)")
    assert seen.interpreters > 0
