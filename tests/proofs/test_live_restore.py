"""RELIABILITY row 11 (F05): the daemon dies under traffic and logs, again and again.

No request to a published port and no byte of a log may be lost, and the container that writes
must not be held up: nobody who writes a log should notice that there is a daemon.
"""

import contextlib
import json
import threading
import time
from pathlib import Path

import pytest

from support.daemon import Engine
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size
from support.waiting import wait_until

LINE_BYTES = 1000
LONGEST_STALL_MS = 1000
"""What is asserted. The aim, 100 ms, is for the printed figure: machines of tests are busy."""


class Requests:
    """Asks for a page again and again, from a thread."""

    def __init__(self, engine: Engine, port: int) -> None:
        self._engine, self._port = engine, port
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answered = 0
        self.lost: list[str] = []

    def _ask(self) -> None:
        while not self._enough.is_set():
            try:
                with self._engine.machine.connect("127.0.0.1", self._port) as stream:
                    stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    received = b""
                    while part := stream.recv(4096):
                        received += part
                if b"served" not in received:
                    raise OSError(f"an answer of {len(received)} bytes")
                self.answered += 1
            except OSError as problem:
                self.lost.append(repr(problem))

    def __enter__(self) -> "Requests":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._enough.set()
        self._thread.join()


def serve(engine: Engine, port: int) -> None:
    """A web server with a published port that answers."""
    script = "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www"
    engine.docker_ok("run", "-d", "-p", f"{port}:80", "--name", "web", "busybox", "sh", "-c",
                     script)  # fmt: skip

    def answers() -> bool:
        with (
            contextlib.suppress(OSError),
            engine.machine.connect("127.0.0.1", port) as stream,
        ):
            stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"served" in stream.recv(4096)
        return False

    wait_until("the port answers", answers)


def missing_lines(log: Path, count: int) -> tuple[int, int]:
    """How many lines of the writer are not in its log, in order, and its longest write in ms."""
    text = ""
    for line in log.read_text().splitlines():
        text += json.loads(line)["log"]
    lines = text.splitlines()
    numbers = [int(each[:10]) for each in lines[:-1] if len(each) == LINE_BYTES - 1]
    in_order = sum(number == index for index, number in enumerate(numbers))
    return count - in_order, int(lines[-1].removeprefix("longest "))


def dies_under_load(
    engine: Engine, probe: Path, *, seconds: int, lines: int, requests: int
) -> tuple[int, list[str], int, int, int]:
    """Requests answered, lost; lines missing; the longest stall; deaths of the daemon."""
    serve(engine, 8090)
    pid = engine.inspect("web")["State"]["Pid"]
    flags = ("-d", "--name", "writer", "-v", f"{probe}:/probe:ro", "--log-opt", "max-size=-1")
    command = ("/probe", "write", str(seconds), str(LINE_BYTES), str(lines))
    engine.docker_ok("run", *flags, "busybox", *command)
    log, deaths = Path(engine.inspect("writer")["LogPath"]), 0
    with Requests(engine, 8090) as asking:
        begun = time.monotonic()
        while time.monotonic() - begun < seconds or asking.answered < requests:
            engine.kill9()
            deaths += 1
            dead = time.monotonic()
            wait_until("a while without a daemon", lambda dead=dead: time.monotonic() > dead + 2)
            engine.start()
            if asking.lost:
                break
        wait_until(
            "the writer is done",
            lambda: engine.inspect("writer")["State"]["Status"] == "exited",
            within_s=120,
        )
    assert engine.inspect("web")["State"]["Pid"] == pid
    missing, stall = missing_lines(log, lines)
    return asking.answered, asking.lost, missing, stall, deaths


def test_nothing_is_lost(fresh_engine: Engine, probe: Path, size: Size, figure: list[str]) -> None:
    """Whole: 10,000 requests and 100 MB of logs."""
    lines = size.of(100_000, 5_000)
    requests = size.of(10_000, 300)
    answered, lost, missing, stall, deaths = dies_under_load(
        fresh_engine, probe, seconds=size.of(60, 6), lines=lines, requests=requests
    )
    figure.append(
        f"{deaths} deaths, {answered} requests, {len(lost)} lost; {lines * LINE_BYTES // 1000} kB"
        f" of logs, {missing} lines lost; longest write {stall} ms"
    )
    assert (lost, missing) == ([], 0)
    assert answered >= requests
    assert stall < LONGEST_STALL_MS


MUTANTS = (
    Mutant(
        "a booting daemon forgets which networks are in use",
        "engine/boot.py",
        "await self._networks.sweep(self._live.ids())",
        "await self._networks.sweep(())",
    ),
    Mutant(
        "the shim waits when its daemon has gone",
        "shim/control.py",
        "    def _drop(self, connection: socket.socket) -> None:\n",
        "    def _drop(self, connection: socket.socket) -> None:\n"
        "        __import__('time').sleep(1.5)\n",
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.name)
def test_live_restore_mutant(mutant: Mutant, probe: Path, figure: list[str]) -> None:
    """Losses and stalls are noticed."""
    with mutated_engine(mutant) as engine:
        _answered, lost, missing, stall, _deaths = dies_under_load(
            engine, probe, seconds=8, lines=50_000, requests=10
        )
    figure.append(f"killed: {mutant.name} ({len(lost)} requests lost, longest write {stall} ms)")
    assert lost or missing or stall >= LONGEST_STALL_MS
