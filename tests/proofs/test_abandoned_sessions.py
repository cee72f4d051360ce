"""PY6 (CVE-2022-23471, CVE-2025-64329): sessions that are begun and forgotten leave nothing."""

import os
from pathlib import Path

from support.daemon import Engine
from support.proof_size import Size
from support.waiting import wait_until

SLACK = 2


def test_abandoned_sessions(engine: Engine, size: Size, figure: list[str]) -> None:
    """Commands that nobody collects: the daemon's descriptors and threads stay as they were."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    daemon = Path(f"/proc/{engine.pid}")

    def held() -> tuple[int, int]:
        return len(os.listdir(daemon / "fd")), len(os.listdir(daemon / "task"))

    def once() -> None:
        made = engine.api("POST", f"/containers/{container}/exec", {"Cmd": ["true"]})
        engine.api("POST", f"/exec/{made.json['Id']}/start", {"Detach": True})

    for _each in range(20):
        once()
    before, sessions = held(), size.of(2000, 60)
    for _each in range(sessions):
        once()

    def is_as_before() -> bool:
        return all(now <= then + SLACK for now, then in zip(held(), before, strict=True))

    wait_until("the daemon holds what it held", is_as_before)
    figure.append(f"{sessions} sessions; descriptors and threads {before}, then {held()}")
