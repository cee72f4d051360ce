"""RELIABILITY row 9 (R02, CVE-2024-21626): no descriptor of the host becomes a directory.

A working directory of /proc/self/fd/N is tried for every N, for the first process and for one
that joins, directly, through /proc/1 and through a link. Each is refused, or stays inside.
"""

import pytest

from support.daemon import Engine
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size


def joining(engine: Engine, numbers: range, form: str) -> tuple[int, list[str]]:
    """Commands that join with such a directory: how many were tried, and which came out."""
    engine.docker_ok("run", "-d", "--name", "joined", "busybox", "sleep", "1000")
    if "link" in form:
        script = "".join(f"ln -s /proc/self/fd/{n} /tmp/link{n}; " for n in numbers)
        engine.docker_ok("exec", "joined", "sh", "-c", script)
    tried, out = 0, []
    for number in numbers:
        config = {"Cmd": ["true"], "WorkingDir": form.format(number)}
        made = engine.api("POST", "/containers/joined/exec", config)
        started = engine.api("POST", f"/exec/{made.json['Id']}/start", {"Detach": True})
        tried += 1
        if started.status == 200:
            out.append(f"joined in {config['WorkingDir']}")
    engine.docker_ok("rm", "-f", "joined")
    return tried, out


def starting(engine: Engine, numbers: range, form: str) -> tuple[int, list[str]]:
    """Containers that start in such a directory."""
    tried, out = 0, []
    for number in numbers:
        container = engine.create("sleep", "1000", WorkingDir=form.format(number))
        started = engine.api("POST", f"/containers/{container}/start")
        tried += 1
        if started.status == 204:
            out.append(f"started in {form.format(number)}")
        engine.api("DELETE", f"/containers/{container}?force=1")
    return tried, out


def test_working_directories(engine: Engine, size: Size, figure: list[str]) -> None:
    """Descriptors 0 to 1023 in run and in exec, and other names for them."""
    numbers = range(size.of(1024, 24))
    few = range(size.of(64, 8))
    tried, out = 0, []
    for count, found in (
        joining(engine, numbers, "/proc/self/fd/{}"),
        starting(engine, numbers, "/proc/self/fd/{}"),
        joining(engine, few, "/proc/1/fd/{}"),
        joining(engine, few, "/tmp/link{}"),
        starting(engine, few, "/proc/thread-self/fd/{}"),
    ):
        tried += count
        out += found
    figure.append(f"{tried} working directories tried, {len(out)} accepted")
    assert out == []


def test_descriptors_are_three(engine: Engine, figure: list[str]) -> None:
    """Whatever a container looks at has no host path behind it."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    script = "readlink /proc/1/fd/* /proc/self/fd/* | grep -v '^pipe:\\|^/dev/null\\|^/proc/'; :"
    assert engine.docker_ok("exec", container, "sh", "-c", script) == ""
    listing = engine.docker_ok("exec", container, "ls", "/proc/1/fd").split()
    assert listing == ["0", "1", "2"]
    figure.append("3 descriptors, 0 of them with a path of the host")


LEAK = Mutant(
    "a directory of the host stays open",
    "runtime/child.py",
    "    gc.disable()\n",
    "    gc.disable()\n    os.set_inheritable(os.open('/', os.O_RDONLY), True)\n",
)
FOLLOWS = Mutant(
    "links to descriptors are followed",
    "operations/files/nodes.py",
    "        root, made = hands.get(ROOT), 0\n        if self.makes:",
    "        root, made = hands.get(ROOT), 0\n        os.chdir(self.path)\n"
    "        return {'directory': self.path, 'made': 0}\n        if self.makes:",
)


@pytest.mark.parametrize("kind", ["start", "exec"])
def test_working_directory_mutant(kind: str, figure: list[str]) -> None:
    """The weakness of CVE-2024-21626 put in: a leaked directory that chdir(2) may reach."""
    with mutated_engine(LEAK, FOLLOWS) as engine:
        tries = starting if kind == "start" else joining
        _tried, out = tries(engine, range(32), "/proc/self/fd/{}")
    figure.append(f"killed: {LEAK.name}, {FOLLOWS.name} ({len(out)} accepted in {kind})")
    assert out
