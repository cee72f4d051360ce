"""How fast what a container writes comes: into its log, out of it, and to the command line."""

import subprocess
import tempfile
import time
from pathlib import Path

from session import Session
from table import Table

from support.stock_engine import StockEngine
from wherry.kit.streams import Unframer

_LINE = b"2026-01-01 GET /some/where?with=words 200 0.0013 the-quick-brown-fox/1.0\n"


def logs(table: Table) -> None:
    """Written, read back, streamed."""
    with tempfile.NamedTemporaryFile(prefix="wherry-payload-") as file:
        payload = Path(file.name)
        payload.chmod(0o644)
        payload.write_bytes(_LINE * ((16 if table.quick else 96) * 10**6 // len(_LINE)))
        written = table.row("stdout to json-file [MB/s]", ">= 2")
        back = table.row("json-file read back, 0 bytes lost [MB/s]", ">= 3")
        for _ in range(3):
            for session, samples in table.in_turn(written):
                container, speed = _written(session, payload)
                samples.append(speed)
                others = back.ours if samples is written.ours else back.theirs
                others.append(_read_back(session, container, payload))
                session.removed(container)
        written.show()
        back.show()
        table.measure(
            "stdout to the command line",
            "MB/s",
            ">= 3",
            3,
            lambda session: _streamed(session, payload),
        )


def _written(session: Session, payload: Path) -> tuple[str, float]:
    """A container that wrote a file to its log, and how fast: MB/s from start to end."""
    # dockerd 20.10 has no limit unless told so, and does not read its own "-1".
    limits = {} if isinstance(session.engine, StockEngine) else {"max-size": "-1"}
    unbounded = {"Type": "json-file", "Config": limits}
    container = session.created(
        "cat", "/payload", Binds=[f"{payload}:/payload:ro"], LogConfig=unbounded
    )
    begun = time.perf_counter()
    session.call("POST", f"/containers/{container}/start")
    session.call("POST", f"/containers/{container}/wait")
    took = time.perf_counter() - begun
    return container, payload.stat().st_size / took / 1e6


def _read_back(session: Session, container: str, payload: Path) -> float:
    """How fast a log is read whole, MB/s; every byte of it must come."""
    begun = time.perf_counter()
    content = session.fetched(f"/containers/{container}/logs?stdout=1&stderr=1")
    took = time.perf_counter() - begun
    whole = b"".join(text for _stream, text in Unframer().feed(content))
    lost = payload.stat().st_size - len(whole)
    if lost or whole != payload.read_bytes():
        raise RuntimeError(f"{lost} bytes of the log are missing, or it is another text")
    return payload.stat().st_size / took / 1e6


def _streamed(session: Session, payload: Path) -> float:
    """How fast the stock command line shows what a container writes, MB/s."""
    command = ["docker", "run", "--rm", "--log-driver", "none"]
    command += ["-v", f"{payload}:/payload:ro", "busybox", "cat", "/payload"]
    begun = time.perf_counter()
    with subprocess.Popen(
        command, env=session.engine.environment, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        seen = 0
        while chunk := running.stdout.read(1 << 20):
            seen += len(chunk)
    took = time.perf_counter() - begun
    if seen != payload.stat().st_size:
        raise RuntimeError(f"{payload.stat().st_size - seen} bytes did not come")
    return seen / took / 1e6
