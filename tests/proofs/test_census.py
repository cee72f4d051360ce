"""RELIABILITY row 2: the census notices one thing left behind of each of its classes.

It is what all other tests rely on, so it is tested by leaking on purpose: these leaks are its
mutants.
"""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.census import difference, take
from support.machine import PrivateMachine
from support.waiting import wait_until

Leak = Callable[[PrivateMachine, Path], contextlib.AbstractContextManager[object]]


@pytest.fixture(scope="module")
def machine() -> Iterator[PrivateMachine]:
    """A machine of this module's own."""
    made = PrivateMachine()
    yield made
    made.close()


@contextlib.contextmanager
def commands(machine: PrivateMachine, done: str, undone: str) -> Iterator[None]:
    """A shell line in the machine, and the one that takes it back."""
    for words, wanted in ((done, 0), (undone, None)):
        ran = machine.run("sh", "-c", words)
        if wanted == 0:
            assert ran.returncode == 0, ran.stderr
            yield


@contextlib.contextmanager
def program(machine: PrivateMachine, *words: str) -> Iterator[None]:
    """A program that goes on running in the machine."""
    before = set(machine.processes())
    running = subprocess.Popen(machine.command(*words), stdin=subprocess.DEVNULL)
    try:
        wait_until("it runs", lambda: "sleep" in _commands(machine, before))
        yield
    finally:
        for pid in set(machine.processes()) - before:
            subprocess.run(["kill", "-9", str(pid)], check=False)
        running.wait()


def _commands(machine: PrivateMachine, before: set[int]) -> str:
    shown = ""
    for pid in set(machine.processes()) - before:
        with contextlib.suppress(OSError):
            shown += Path(f"/proc/{pid}/comm").read_text()
    return shown


@contextlib.contextmanager
def directory(path: Path) -> Iterator[None]:
    """A directory."""
    path.mkdir(parents=True)
    yield
    path.rmdir()


@contextlib.contextmanager
def loop_device(root: Path) -> Iterator[None]:
    """A loop device on a file of the engine's."""
    file = root / "disk"
    file.write_bytes(bytes(1 << 20))
    shown = subprocess.run(["losetup", "-f", "--show", file], capture_output=True, text=True,
                           check=True)  # fmt: skip
    try:
        yield
    finally:
        subprocess.run(["losetup", "-d", shown.stdout.strip()], check=True)
        file.unlink()


LEAKS: dict[str, Leak] = {
    "mount": lambda m, _r: commands(m, "mount -t tmpfs leak /mnt", "umount /mnt"),
    "link": lambda m, _r: commands(m, "ip link add leak type veth", "ip link del leak"),
    "address": lambda m, _r: commands(
        m, "ip addr add 203.0.113.9/32 dev lo", "ip addr del 203.0.113.9/32 dev lo"
    ),
    "route": lambda m, _r: commands(
        m, "ip route add 203.0.113.0/24 dev eth0", "ip route del 203.0.113.0/24 dev eth0"
    ),
    "packet filter": lambda m, _r: commands(
        m, "nft add table inet leak", "nft delete table inet leak"
    ),
    "cgroup": lambda m, _r: directory(m.cgroups[0] / "leak"),
    "process": lambda m, _r: program(m, "sleep", "1234"),
    "zombie": lambda m, _r: program(m, "sh", "-c", "true & exec sleep 1234"),
    "network namespace": lambda m, _r: program(m, "unshare", "--net", "sleep", "1234"),
    "namespace": lambda m, _r: program(m, "unshare", "--uts", "sleep", "1234"),
    "listening socket": lambda m, _r: m.listen("127.0.0.1", 4567),
    "loop device": lambda _m, root: loop_device(root),
    "file": lambda _m, root: directory(root / "leak"),
    "blob": lambda _m, root: directory(root / "content" / "blobs" / "sha256" / "0123"),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_is_noticed(
    kind: str, machine: PrivateMachine, tmp_path: Path, figure: list[str]
) -> None:
    """One thing more of a class is one line of the difference; without it there is none."""
    (tmp_path / "content" / "blobs" / "sha256").mkdir(parents=True)
    before = take(machine, directories=(tmp_path,))
    with LEAKS[kind](machine, tmp_path):
        noticed = difference(before, take(machine, directories=(tmp_path,)))
    assert any(line.startswith(f"{kind} left behind") for line in noticed), noticed

    def is_clean() -> bool:
        return not difference(before, take(machine, directories=(tmp_path,)))

    wait_until("the machine is as before", is_clean)
    figure.append("noticed")


def test_all_classes_are_leaked(machine: PrivateMachine) -> None:
    """No class of the census is without its leak here."""
    assert len(LEAKS) == 14
