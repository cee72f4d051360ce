"""The event stream, with the stock client: complete, in order, kept, filtered, never gapped."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Engine
from support.waiting import wait_until


def events(engine: Engine, *flags: str) -> list[dict[str, Any]]:
    """What is kept so far."""
    until = str(int(time.time()) + 1)
    words = ("--since", "0", "--until", until, "--format", "{{json .}}", *flags)
    return [json.loads(line) for line in engine.docker_ok("events", *words).splitlines()]


def actions(engine: Engine, *flags: str) -> list[str]:
    """The actions of events, in order."""
    return [str(each["Action"]) for each in events(engine, *flags)]


def test_a_life_in_events(engine: Engine) -> None:
    """Each step of a life with its attributes, in order."""
    flags = ("--name", "once", "--label", "team=blue")
    engine.docker("run", *flags, "busybox", "sh", "-c", "exit 3")
    engine.docker_ok("rename", "once", "twice")
    container = engine.inspect("twice")["Id"]
    engine.docker_ok("rm", "twice")
    told = events(engine, "--filter", f"container={container}")
    assert [each["Action"] for each in told] == [
        "create", "attach", "start", "die", "rename", "destroy",
    ]  # fmt: skip
    by_action = {each["Action"]: each["Actor"]["Attributes"] for each in told}
    assert by_action["create"]["team"] == "blue"
    assert by_action["create"]["image"] == "busybox"
    assert by_action["die"]["exitCode"] == "3"
    assert by_action["die"]["execDuration"] == "0"
    assert by_action["rename"]["oldName"] == "/once"
    assert "by" not in told[0]
    network = events(engine, "--filter", "type=network")
    assert [each["Action"] for each in network][-2:] == ["connect", "disconnect"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("event=start",), ["start"]),
        (("event=start", "event=die"), ["start", "die"]),
        (("event=die", "label=team=blue"), ["die"]),
        (("event=die", "label=team=blue", "label=nope"), []),
        (("event=die", "image=busybox"), ["die"]),
        (("event=die", "image=other"), []),
        (("type=container", "event=create"), ["create"]),
        (("scope=local", "event=create", "type=container"), ["create"]),
        (("container=filt", "event=create"), ["create"]),
        (("volume=filtered",), []),
        (("daemon=x",), []),
    ],
)
def test_filters(engine: Engine, filters: tuple[str, ...], expected: list[str]) -> None:
    """Keys are all wanted, values of a key are alternatives (but for labels)."""
    since = f"{time.time():.6f}"
    engine.docker("run", "--name", "filtered", "--label", "team=blue", "busybox", "true")
    words = [each for filter_ in filters for each in ("--filter", filter_)]
    until = f"{time.time() + 0.001:.6f}"
    flags = ("--since", since, "--until", until, "--format", "{{.Action}}")
    assert engine.docker_ok("events", *flags, *words).splitlines() == expected


@pytest.mark.stock_differs
def test_events_outlive_the_daemon(engine: Engine) -> None:
    """create to destroy are complete over kill -9, and the file knows who asked."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    pid = engine.container_pid(container)
    engine.kill9()
    os.kill(pid, 9)
    engine.start()
    engine.docker_ok("rm", container)
    told = actions(engine, "--filter", f"container={container}")
    assert told == ["create", "start", "die", "destroy"]
    lines = (engine.data_root / "events.log").read_text().splitlines()
    by = {
        each["event"]["action"]: each["by"]
        for each in map(json.loads, lines)
        if each["event"]["actor_id"] == container
    }
    assert by["create"]["uid"] == 0
    assert "docker" in by["destroy"]["program"] or by["destroy"]["pid"] == 0
    assert by["die"] is None


@pytest.mark.stock_differs
@pytest.mark.timeout(120)
def test_a_busy_stream(engine: Engine) -> None:
    """A reader gets each one in order; one that stalls is told so; `since` has them all."""
    engine.docker_ok("create", "--name", "renamed0", "busybox", "true")
    container = engine.inspect("renamed0")["Id"]
    begun = f"{time.time():.6f}"
    fast, stalled = _subscribe(engine), _subscribe(engine)
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    count = 1500
    for number in range(count):
        engine.api("POST", f"/containers/{container}/rename?name=renamed{number + 1}")
    received = b""
    fast.settimeout(20)
    while f"/renamed{count - 1}".encode() not in received:
        received += fast.recv(1 << 16)
    order = [
        json.loads(line)["Actor"]["Attributes"]["oldName"]
        for line in received.splitlines()
        if line.startswith(b'{"') and b"oldName" in line
    ]
    assert order == [f"/renamed{number}" for number in range(count)]
    fast.close()
    stalled.close()
    flags = ("--since", begun, "--until", f"{time.time():.6f}", "--filter", "event=rename")
    assert len(engine.docker_ok("events", *flags).splitlines()) == count


def _subscribe(engine: Engine) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(engine.socket)
    connection.sendall(b"GET /v1.51/events HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def test_since_after_until(engine: Engine) -> None:
    """A time that runs backwards is refused."""
    answer = engine.api("GET", "/events?since=20&until=10")
    assert answer.status == 400
    assert answer.message == "`since` time (20) cannot be after `until` time (10)"


def test_live_events(engine: Engine) -> None:
    """A subscriber without `since` hears what comes."""
    with _subscribe(engine) as connection:
        engine.docker_ok("create", "--name", "fresh", "busybox")
        heard = b""
        connection.settimeout(10)
        while b'"create"' not in heard:
            heard += connection.recv(1 << 16)
    assert b'"name":"fresh"' in heard
    wait_until("nobody listens", lambda: engine.api("GET", "/info").json["NEventsListener"] == 0)


def test_who_looked_at_the_processes(engine: Engine) -> None:
    """`top` is told; one that `ps` refuses is not."""
    begun = f"{time.time():.6f}"
    engine.docker_ok("run", "-d", "--name", "seen", "busybox", "sleep", "1000")
    engine.docker_ok("top", "seen")
    assert engine.docker("top", "seen", "--nonsense").returncode == 1
    flags = ("--since", begun, "--until", f"{time.time():.6f}", "--filter", "event=top")
    (line,) = engine.docker_ok("events", *flags, "--format", "{{json .}}").splitlines()
    assert json.loads(line)["Actor"]["Attributes"]["name"] == "seen"


def test_an_archive_tells_of_its_own_images(engine: Engine, tmp_path: Path) -> None:
    """Also of one that was there before, once, whatever names it brings."""
    archive = tmp_path / "both.tar"
    engine.docker_ok("tag", "busybox", "also:1")
    engine.docker_ok("save", "-o", str(archive), "busybox", "also:1")
    before = len(actions(engine, "--filter", "event=load"))
    engine.docker_ok("load", "-i", str(archive))
    told = events(engine, "--filter", "event=load")[before:]
    assert [each["Actor"]["ID"] for each in told] == [
        engine.docker_ok("images", "-q", "--no-trunc", "busybox")
    ]
    engine.docker_ok("rmi", "also:1")
