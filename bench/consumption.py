"""What an engine takes for itself: memory, and processor time while it watches and probes."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from session import Session
from table import Table

from support import http_over_unix


def memory(table: Table) -> None:
    """Memory of an engine that does nothing, and what each container adds."""
    idle = table.row("engine PSS, idle [MiB]", "<= 60 MiB")
    each = table.row(f"engine PSS per container, at {table.count} [MiB]", "<= 1.8 MiB")
    for session, samples in table.in_turn(idle):
        samples.append(_pss_mib(session))
        with contextlib.ExitStack() as stack:
            for _ in range(table.count):
                stack.enter_context(session.running("sleep", "3600"))
            grown = _pss_mib(session) - samples[0]
        (each.ours if samples is idle.ours else each.theirs).append(grown / table.count)
    idle.show()
    each.show()


def watching(table: Table) -> None:
    """What it costs the engine that every container is watched."""
    row = table.row(f"stats of {table.count} containers, streamed [% of a core]", "<= 5 %")
    for session, samples in table.in_turn(row):
        with contextlib.ExitStack() as stack:
            made = [
                stack.enter_context(session.running("sleep", "3600")) for _ in range(table.count)
            ]
            samples.append(_watching_percent(session, made, seconds=5 if table.quick else 15))
    row.show()


def health(table: Table) -> None:
    """What it costs that every container is probed each five seconds."""
    name = f"health checks of {table.count} containers, every 5 s [% of a core]"
    row = table.row(name, "<= 20 %")
    check = {"Test": ["CMD", "true"], "Interval": 5 * 10**9}
    for session, samples in table.in_turn(row):
        made = [session.created("sleep", "3600", health=check) for _ in range(table.count)]
        for each in made:
            session.call("POST", f"/containers/{each}/start")
        time.sleep(6)
        samples.append(_probing_percent(session, 10 if table.quick else 30))
        for each in made:
            session.removed(each)
    row.show()


def _watching_percent(session: Session, containers: Sequence[str], seconds: float) -> float:
    """What the daemon takes of one processor while all these stream their statistics."""
    with contextlib.ExitStack() as stack:
        for container in containers:
            client = stack.enter_context(
                http_over_unix.connect(session.engine.socket, timeout_s=300)
            )
            target = f"{session.engine.api_prefix}/containers/{container}/stats"
            client.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
            threading.Thread(target=_drain, args=(client,), daemon=True).start()
        time.sleep(2)
        begun, before = time.perf_counter(), _processor_seconds(session.engine.pid)
        time.sleep(seconds)
        used = _processor_seconds(session.engine.pid) - before
        return 100 * used / (time.perf_counter() - begun)


def _probing_percent(session: Session, seconds: float) -> float:
    """What all of the engine, and the probes that it starts, take of one processor."""
    begun, before = time.perf_counter(), _seconds_of_all(session)
    time.sleep(seconds)
    used = _seconds_of_all(session) - before
    return 100 * used / (time.perf_counter() - begun)


def _seconds_of_all(session: Session) -> float:
    """Of the engine's own processes, with what they have waited for."""
    total = 0.0
    for pid in _own_processes(session):
        with contextlib.suppress(OSError):
            total += _processor_seconds(pid, with_children=True)
    return total


def _own_processes(session: Session) -> Iterator[int]:
    """Those of the engine, not of the containers."""
    for pid in session.engine.machine.processes():
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            levels = next(x for x in status.splitlines() if x.startswith("NSpid:")).split()
            if len(levels) > 3:
                continue  # in a container's pid namespace: payload
            if status.startswith("Name:\tnsenter\n"):
                continue  # how we got the daemon into its machine
            yield pid


def _pss_mib(session: Session) -> float:
    """Proportional memory of the engine's own processes, not of the containers'."""
    total = 0
    for pid in _own_processes(session):
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += sum(int(x.split()[1]) for x in rollup.splitlines() if x[:4] == "Pss:")
    return total / 1024


def _drain(client: socket.socket) -> None:
    """Read until there is no more."""
    with contextlib.suppress(OSError):
        while client.recv(1 << 16):
            pass


def _processor_seconds(pid: int, *, with_children: bool = False) -> float:
    """User and system time of a process so far, and of ended children (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(each) for each in fields[11 : 15 if with_children else 13])
    return ticks / os.sysconf("SC_CLK_TCK")
