"""Commands that join a running container."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest

from support import http_over_unix
from support.daemon import Engine


@pytest.fixture
def host(engine: Engine) -> str:
    """A container that waits."""
    return engine.docker_ok("run", "-d", "--name", "host", "-e", "A=1", "busybox", "sleep", "1000")


def test_exit_code_streams_and_stdin(engine: Engine, host: str) -> None:
    """Exec hands over stdin, both streams and the exit code."""
    script = "cat; echo err >&2; exit 8"
    ran = engine.docker("exec", "-i", host, "sh", "-c", script, stdin="typed\n")
    assert (ran.stdout, ran.stderr, ran.returncode) == ("typed\n", "err\n", 8)


def test_it_is_really_inside(engine: Engine, host: str) -> None:
    """All namespaces, the root, the cgroups and the environment are the container's."""
    script = "for each in cgroup ipc mnt net pid uts; do readlink /proc/{}/ns/$each; done"
    own = engine.docker_ok("exec", host, "sh", "-c", script.format("self"))
    first = engine.docker_ok("exec", host, "sh", "-c", script.format("1"))
    assert own == first
    assert engine.docker_ok("exec", host, "sh", "-c", "echo $A") == "1"
    same = "diff /proc/1/cgroup /proc/self/cgroup && echo same"
    assert engine.docker_ok("exec", host, "sh", "-c", same) == "same"


def test_user_directory_and_environment(engine: Engine, host: str) -> None:
    """`-u`, `-w` and `-e` are for this command alone."""
    flags = ("-u", "1000:1000", "-w", "/tmp", "-e", "A=2")
    script = 'echo "$(id -u):$(id -g) $PWD $A"'
    assert engine.docker_ok("exec", *flags, host, "sh", "-c", script) == "1000:1000 /tmp 2"


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (["no-such-program"], 127, "executable file not found in $PATH"),
        (["/etc/passwd"], 126, "permission denied"),
        (["/no/such"], 127, "no such file or directory"),
    ],
)
def test_commands_that_cannot_run(
    engine: Engine, host: str, command: list[str], code: int, text: str
) -> None:
    """127 for what is not there, 126 for what can't be executed, with Docker's words."""
    ran = engine.docker("exec", host, *command)
    assert text in ran.stderr + ran.stdout
    assert ran.returncode in ({code} if engine.api_prefix != "/v1.41" else {code, 126})


def test_detached(engine: Engine, host: str) -> None:
    """`exec -d` returns at once and the command runs on."""
    engine.docker_ok("exec", "-d", host, "sh", "-c", "echo here > /tmp/made; sleep 1000")
    script = "until [ -s /tmp/made ]; do sleep 0.02; done; cat /tmp/made"
    assert engine.docker_ok("exec", host, "sh", "-c", script) == "here"


def test_inspect_tells_the_end(engine: Engine, host: str) -> None:
    """An exec session is inspected before, during and after."""
    body = {"Cmd": ["sh", "-c", "exit 3"], "AttachStdout": True}
    session = engine.api("POST", f"/containers/{host}/exec", body).json["Id"]
    seen = engine.api("GET", f"/exec/{session}/json").json
    assert (seen["Running"], seen["ExitCode"], seen["ContainerID"]) == (False, None, host)
    assert engine.api("POST", f"/exec/{session}/start", {"Detach": False}).status == 200
    seen = engine.api("GET", f"/exec/{session}/json").json
    assert (seen["Running"], seen["ExitCode"]) == (False, 3)
    assert seen["ProcessConfig"]["entrypoint"] == "sh"
    again = engine.api("POST", f"/exec/{session}/start", {"Detach": True})
    assert again.status == 409


@contextlib.contextmanager
def taken_over(engine: Engine, path: str, body: object) -> Iterator[socket.socket]:
    """A connection that a POST turns into a stream; the answer's head is not read yet."""
    content = json.dumps(body).encode()
    head = (
        f"POST {engine.api_prefix}{path} HTTP/1.1\r\nHost: d\r\n"
        "Content-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    with http_over_unix.connect(engine.socket) as stream:
        stream.sendall(head.encode() + content)
        yield stream


@pytest.mark.stock_differs  # Debian's dockerd forgets exec_detach.
def test_leaving_is_an_event(engine: Engine) -> None:
    """The engine looks for the keys too, and tells who left a container or a session.

    The stock client takes them out of what it sends, so that nothing is told of those.
    """
    container = engine.create("sh", OpenStdin=True, Tty=True)
    engine.docker_ok("start", container)
    body = {"Cmd": ["sh"], "AttachStdin": True, "AttachStdout": True, "Tty": True,
            "DetachKeys": "ctrl-x,y"}  # fmt: skip
    session = engine.api("POST", f"/containers/{container}/exec", body).json["Id"]
    assert engine.api("GET", f"/exec/{session}/json").json["DetachKeys"] == "GHk="
    attach = f"/containers/{container}/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-x,y"
    before = time.time()
    for path, said in ((attach, {}), (f"/exec/{session}/start", {"Tty": True})):
        with taken_over(engine, path, said) as stream:
            seen = stream.recv(4096)  # What comes before the head of the answer dockerd drops.
            stream.sendall(b"echo $((6*7))\n")
            while b"42" not in seen:
                seen += stream.recv(4096)
            stream.sendall(b"\x18y")
            while stream.recv(4096):
                pass
    told = {each["Action"]: each["Actor"]["Attributes"] for each in engine.events_since(before)}
    assert "execID" not in told["detach"]
    assert told["exec_detach"]["execID"] == session
    assert engine.inspect(container)["State"]["Running"]


@pytest.mark.stock_differs
def test_upgraded_connection_half_closes(engine: Engine, host: str) -> None:
    """With `Upgrade: tcp`, the end of the client's input is the end of stdin, not of output."""
    body = {"Cmd": ["wc", "-c"], "AttachStdin": True, "AttachStdout": True}
    session = engine.api("POST", f"/containers/{host}/exec", body).json["Id"]
    with taken_over(engine, f"/exec/{session}/start", {"Detach": False}) as stream:
        stream.sendall(b"five!")
        stream.shutdown(socket.SHUT_WR)
        received = b""
        while part := stream.recv(4096):
            received += part
    assert received.startswith(b"HTTP/1.1 101 ")
    frame = received.partition(b"\r\n\r\n")[2]
    assert frame[:4] == b"\x01\0\0\0"
    assert frame[8:].strip() == b"5"


def test_not_running(engine: Engine) -> None:
    """Exec needs a running container."""
    container = engine.create("true")
    answer = engine.api("POST", f"/containers/{container}/exec", {"Cmd": ["true"]})
    assert answer.status == 409
    assert answer.message.lower() == f"container {container} is not running"


def test_many_at_once(engine: Engine, host: str) -> None:
    """Twenty sessions in parallel each get their own code and words."""
    from concurrent.futures import ThreadPoolExecutor

    def run(number: int) -> tuple[int, str]:
        ran = engine.docker("exec", host, "sh", "-c", f"echo {number}; exit {number}")
        return ran.returncode, ran.stdout

    with ThreadPoolExecutor(5) as pool:
        results = list(pool.map(run, range(20)))
    assert results == [(number, f"{number}\n") for number in range(20)]


def test_stop_ends_sessions(engine: Engine, host: str) -> None:
    """When the container ends, its sessions end with it."""
    engine.docker_ok("exec", "-d", host, "sleep", "1000")
    engine.docker_ok("kill", host)
    assert engine.inspect(host)["State"]["Running"] is False
