"""RELIABILITY row 12 (F18): clients that read nothing hold up nobody.

A container writes at a steady pace while stalled clients of logs, attach and events hang on it.
It must not notice: no write of its takes long, its log is complete, and each such client costs
the daemon little.
"""

import re
import socket
import time
from pathlib import Path

from support.daemon import Engine
from support.proof_size import Size
from support.waiting import wait_until

LINE_BYTES = 1000
LONGEST_STALL_MS = 1000
CLIENT_BYTES = 4 << 20


def stalled(engine: Engine, method: str, target: str) -> socket.socket:
    """A client that has asked for a stream and reads nothing of it."""
    connection = socket.socket(socket.AF_UNIX)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(engine.socket)
    connection.sendall(f"{method} /v1.51{target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def resident_bytes(pid: int) -> int:
    """What a process has in memory of its own and shared."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) * 1024


def test_nobody_waits_for_them(engine: Engine, probe: Path, size: Size, figure: list[str]) -> None:
    """Stalled clients of each stream; the container's own measure of its longest write."""
    seconds, per_kind = size.of(60, 4), size.of(8, 3)
    count = seconds * 2000
    flags = ("-d", "--name", "writes", "-v", f"{probe}:/probe:ro", "--log-opt", "max-size=-1")
    words = ("/probe", "write", str(seconds), str(LINE_BYTES), str(count))
    before = resident_bytes(engine.pid)
    engine.docker_ok("run", *flags, "busybox", *words)
    clients = []
    for _ in range(per_kind):
        clients.append(stalled(engine, "GET", "/containers/writes/logs?stdout=1&follow=1"))
        clients.append(
            stalled(engine, "POST", "/containers/writes/attach?stdout=1&stream=1&logs=0")
        )
        clients.append(stalled(engine, "GET", "/events"))
    most = before
    until = time.monotonic() + seconds + 30
    while engine.inspect("writes")["State"]["Running"] and time.monotonic() < until:
        most = max(most, resident_bytes(engine.pid))
    last = engine.docker_ok("logs", "--tail", "1", "writes")
    longest_ms = int(last.removeprefix("longest "))
    lines = engine.docker_ok("logs", "writes", timeout_s=120).splitlines()
    assert len(lines) == count + 1
    assert all(int(line[:10]) == number for number, line in enumerate(lines[:-1]))
    for client in clients:
        client.close()
    wait_until("they are forgotten", lambda: engine.api("GET", "/info").json["NEventsListener"]
               == 0)  # fmt: skip
    per_client = (most - before) / len(clients)
    figure.append(
        f"{len(clients)} stalled clients: longest stall {longest_ms} ms, "
        f"{per_client / (1 << 20):.2f} MiB each"
    )
    assert longest_ms <= LONGEST_STALL_MS
    assert per_client <= CLIENT_BYTES
