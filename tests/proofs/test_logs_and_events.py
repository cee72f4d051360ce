"""RELIABILITY row 22 (F27, F28): followers across rotations, and the event stream."""

import contextlib
import json
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.daemon import Engine
from support.proof_size import Size

FILE_BYTES = 1_000_000
FILES = 5
LAST_CHUNK = b"0\r\n\r\n"


def test_followers_across_rotations(
    engine: Engine, probe: Path, size: Size, figure: list[str]
) -> None:
    """Each follower has each line once and in order; the files stay within their bounds."""
    seconds, followers = size.of(20, 5), size.of(4, 2)
    count = seconds * size.of(4000, 2500)
    flags = ("--name", "writes", "-v", f"{probe}:/probe:ro")
    options = ("--log-opt", f"max-size={FILE_BYTES}", "--log-opt", f"max-file={FILES}")
    engine.docker_ok("create", *flags, *options, "busybox", "/probe", "write", str(seconds),
                     "1000", str(count))  # fmt: skip
    engine.docker_ok("start", "writes")
    outputs = [engine.root / f"followed{number}" for number in range(followers)]
    following = []
    for path in outputs:
        with path.open("wb") as file:
            following.append(
                subprocess.Popen(["docker", "logs", "-f", "writes"], env=engine.environment,
                                 stdout=file)
            )  # fmt: skip
    log = Path(engine.inspect("writes")["LogPath"])
    most = 0
    while following[0].poll() is None:
        with contextlib.suppress(FileNotFoundError):  # renamed between the list and the look
            most = max(most, sum(each.stat().st_size for each in log.parent.glob(f"{log.name}*")))
        time.sleep(0.05)
    assert all(each.wait(timeout=60) == 0 for each in following)
    wrong = 0
    for path in outputs:
        numbers = [int(line[:10]) for line in path.read_text().splitlines()[:-1]]
        wrong += numbers != list(range(numbers[0], count))
        assert numbers[0] < 2500, "the follower began late"
        path.unlink()
    rotations = count * 1080 // FILE_BYTES
    figure.append(
        f"{followers} followers over {rotations} rotations: {wrong} with lost, doubled or "
        f"disordered lines; at most {most / 1e6:.2f} MB on disk"
    )
    assert not wrong
    assert rotations >= size.of(20, 10)
    assert most <= (FILES + 1) * FILE_BYTES


def subscribe(engine: Engine) -> socket.socket:
    """A subscriber to all events."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(engine.socket)
    connection.sendall(b"GET /v1.51/events HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def heard(connection: socket.socket, until: bytes) -> list[dict[str, object]]:
    """Every event up to one that has a text, or up to the end; that is no good end of a body."""
    received = b""
    connection.settimeout(60)
    with contextlib.suppress(ConnectionResetError):
        while until not in received and (part := connection.recv(1 << 16)):
            received += part
    assert not received.endswith(LAST_CHUNK) or until in received
    lines = [line for line in received.splitlines() if line.startswith(b'{"')]
    return [json.loads(line) for line in lines if line.endswith(b"}")]


def test_the_event_stream(engine: Engine, size: Size, figure: list[str]) -> None:
    """Nothing is lost by a reader, nothing silently by one that stalls, nothing by `since`."""
    count = size.of(10_000, 5_000)
    engine.docker_ok("create", "--name", "renamed0", "busybox", "true")
    container = engine.inspect("renamed0")["Id"]
    begun = f"{time.time():.6f}"
    fast, stalled = subscribe(engine), subscribe(engine)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(heard, fast, f'"/renamed{count - 1}"'.encode())
        for number in range(count):
            engine.api("POST", f"/containers/{container}/rename?name=renamed{number + 1}")
        promptly = [str(_old_name(each)) for each in reading.result() if _old_name(each)]
    wanted = [f"/renamed{number}" for number in range(count)]
    flags = ("--since", begun, "--until", f"{time.time():.6f}", "--filter", "event=rename",
             "--format", "{{.Actor.Attributes.oldName}}")  # fmt: skip
    replayed = engine.docker_ok("events", *flags, timeout_s=120).splitlines()
    # The last event says that too many waited, or the connection broke as nothing was read.
    told = heard(stalled, b"stream-cut")
    late = [str(_old_name(each)) for each in told if _old_name(each)]
    stalled.close()
    fast.close()
    gaps = late != wanted[: len(late)]
    figure.append(
        f"{count} events: replayed {len(replayed)}, a stalled reader had {len(late)} "
        f"{'with a silent gap' if gaps else 'without a gap, and was told where it was cut'}"
    )
    assert promptly == wanted
    assert replayed == wanted
    assert not gaps


def _old_name(event: dict[str, object]) -> object:
    actor = event.get("Actor")
    return actor["Attributes"].get("oldName") if isinstance(actor, dict) else None
