"""Containers outlive the daemon: its death is noticed by nobody but its clients."""

import contextlib
import os
import socket
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from support.daemon import Engine
from support.terminal import Terminal
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs


class Requests:
    """Asks for a page again and again, from a thread, and counts what is lost."""

    def __init__(self, engine: Engine, port: int) -> None:
        self._engine, self._port = engine, port
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answered = 0
        self.lost: list[str] = []

    def _ask(self) -> None:
        while not self._enough.wait(0.01):
            try:
                with self._engine.machine.connect("127.0.0.1", self._port) as stream:
                    stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    stream.shutdown(socket.SHUT_WR)
                    received = b""
                    while part := stream.recv(4096):
                        received += part
                assert b"served" in received
                self.answered += 1
            except (OSError, AssertionError) as problem:
                self.lost.append(repr(problem))

    def __enter__(self) -> "Requests":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._enough.set()
        self._thread.join()


def serve(engine: Engine, port: int) -> str:
    """A web server with a published port that answers."""
    script = "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www"
    flags = ("-d", "-p", f"{port}:80", "--name", "web")
    container = engine.docker_ok("run", *flags, "busybox", "sh", "-c", script)

    def answers() -> bool:
        with contextlib.suppress(OSError):
            engine.machine.connect("127.0.0.1", port).close()
            return True
        return False

    wait_until("the port answers", answers)
    return container


@pytest.mark.timeout(120)
def test_nothing_is_lost_while_the_daemon_is_dead(engine: Engine, probe: Path) -> None:
    """kill -9 amid a stream of lines and requests: no line and no request is lost."""
    serve(engine, 8080)
    flags = ("-d", "--name", "stream", "-v", f"{probe}:/probe:ro")
    engine.docker_ok("run", *flags, "busybox", "/probe", "stream", "10", "1000")
    engine.docker_ok("run", "-d", "--name", "short", "busybox", "sh", "-c", "sleep 3; exit 42")
    pids = {name: engine.inspect(name)["State"]["Pid"] for name in ("web", "stream")}
    with Requests(engine, 8080) as requests:
        wait_until("some requests are answered", lambda: requests.answered > 50)
        engine.kill9()
        dead_at = time.time()
        wait_until("five seconds without a daemon", lambda: time.time() - dead_at > 5)
        engine.start()
        wait_until("the stream has ended", lambda: ended(engine, "stream"), within_s=30)
    assert requests.lost == []
    assert requests.answered > 200
    assert {name: engine.inspect(name)["State"]["Pid"] for name in ("web",)} == {
        "web": pids["web"]
    }
    lines = engine.docker_ok("logs", "stream").splitlines()
    assert lines == [f"line {n}" for n in range(1, 1001)]

    state = engine.inspect("short")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 42)
    finished = datetime.fromisoformat(state["FinishedAt"][:26]).replace(tzinfo=timezone.utc)
    started = datetime.fromisoformat(state["StartedAt"][:26]).replace(tzinfo=timezone.utc)
    assert 2.9 < (finished - started).total_seconds() < 4
    assert finished.timestamp() < dead_at + 5


def ended(engine: Engine, container: str) -> bool:
    """Whether a container has exited."""
    return str(engine.inspect(container)["State"]["Status"]) == "exited"


def test_everything_works_again(engine: Engine) -> None:
    """After the restart logs, exec, attach, top, pause and stop work as before."""
    script = "trap 'exit 9' TERM; while read word; do echo got $word; done"
    engine.docker_ok("run", "-dit", "--name", "old", "busybox", "sh", "-c", script)
    before = engine.inspect("old")["State"]
    engine.kill9()
    engine.start()
    after = engine.inspect("old")["State"]
    assert (after["Pid"], after["StartedAt"], after["Running"]) == (
        before["Pid"],
        before["StartedAt"],
        True,
    )
    with Terminal(["docker", "attach", "old"], engine.environment) as terminal:
        terminal.wait_until_raw()
        terminal.type("hello\n")
        terminal.expect("got hello")
    assert engine.docker_ok("exec", "old", "echo", "inside") == "inside"
    assert engine.docker("exec", "old", "sh", "-c", "exit 3").returncode == 3
    assert "got hello" in engine.docker_ok("logs", "old")
    assert engine.docker_ok("top", "old")
    engine.docker_ok("pause", "old")
    engine.docker_ok("unpause", "old")
    engine.docker_ok("stop", "-t", "5", "old")
    assert engine.inspect("old")["State"]["ExitCode"] in (9, 143)
    engine.docker_ok("start", "old")
    engine.docker_ok("rm", "-f", "old")


def test_an_exec_that_ends_meanwhile(engine: Engine) -> None:
    """A detached exec session goes on without the daemon."""
    engine.docker_ok("run", "-d", "--name", "host", "busybox", "sleep", "1000")
    engine.docker_ok("exec", "-d", "host", "sh", "-c", "sleep 0.5; echo made > /made")
    engine.kill9()
    engine.start()
    script = "until [ -s /made ]; do sleep 0.02; done; cat /made"
    assert engine.docker_ok("exec", "host", "sh", "-c", script) == "made"


def test_auto_removal_of_one_that_ended_meanwhile(engine: Engine) -> None:
    """`--rm` holds also when nobody was there to do it."""
    container = engine.docker_ok("run", "-d", "--rm", "busybox", "sleep", "0.5")
    pid = engine.container_pid(container)
    engine.kill9()
    wait_until("it has ended", lambda: not Path(f"/proc/{pid}").exists())
    engine.start()
    wait_until("it is gone", lambda: engine.docker_ok("ps", "-aq") == "")


def test_ports_are_still_taken(engine: Engine) -> None:
    """A published port of a living container is not given away after a restart."""
    serve(engine, 8081)
    engine.kill9()
    with pytest.raises(OSError, match="Address already in use"):
        engine.machine.listen("0.0.0.0", 8081)
    engine.start()
    refused = engine.docker("run", "--rm", "-p", "8081:80", "busybox", "true")
    assert refused.returncode == 125
    assert "port is already allocated" in refused.stderr
    engine.docker_ok("rm", "-f", "web")
    assert engine.docker("run", "--rm", "-p", "8081:80", "busybox", "true").returncode == 0


def test_addresses_are_not_given_twice(engine: Engine) -> None:
    """A new container after a restart gets an address that no living one has."""
    serve(engine, 8082)
    engine.kill9()
    engine.start()
    other = engine.docker_ok("run", "-d", "busybox", "sleep", "100")
    addresses = {engine.inspect(each)["NetworkSettings"]["IPAddress"] for each in ("web", other)}
    assert len(addresses) == 2


def test_an_orderly_stop_keeps_containers(engine: Engine) -> None:
    """Stopping the daemon is no reason to stop containers."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    before = engine.inspect(container)["State"]["Pid"]
    engine.restart()
    assert engine.inspect(container)["State"]["Pid"] == before


def test_a_dead_shim_is_noticed(engine: Engine) -> None:
    """When a supervisor is killed, its container is reported ended within seconds."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    pid = engine.container_pid(container)
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert "shim" in Path(f"/proc/{shim}/comm").read_text()
    os.kill(shim, 9)
    wait_until("it is reported", lambda: ended(engine, container), within_s=5)
    state = engine.inspect(container)["State"]
    assert state["ExitCode"] == 137
    wait_until("its process is gone", lambda: not Path(f"/proc/{pid}").exists())
