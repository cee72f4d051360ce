"""Copies into and out of a container that swaps a directory for a link to `/` all the while.

The link leads, for whoever follows it outside of the container, to a canary on the host. A copy
must give the container's own file, or nothing; and the canary must stay as it was.
"""

import io
import json
import os
import subprocess
import tarfile
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import quote

from support import http_over_unix
from support.daemon import BUSYBOX, Engine

HOST, INSIDE = b"of the host", b"of the container"


def exchanger(directory: Path) -> Path:
    """The static program that exchanges two names."""
    made = directory / "exchange"
    source = Path(__file__).parent / "exchange.c"
    subprocess.run(["gcc", "-O1", "-static", "-o", made, source], check=True)
    return made


class CopyRace:
    """One container that swaps, one canary, and copies that are counted by how they ended."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine = engine
        self.canary = directory / "canary"
        self.canary.mkdir()
        (self.canary / "secret").write_bytes(HOST)
        self.outcomes: Counter[str] = Counter()
        self.escapes: list[str] = []
        program = exchanger(directory)
        inside = f"/work/swapped{self.canary}"
        script = (
            f"mkdir -p {inside} && printf '%s' '{INSIDE.decode()}' > {inside}/secret"
            " && ln -s / /work/link && exec /exchange /work/swapped /work/link"
        )
        self.container = engine.docker_ok(
            "run", "-d", "-v", f"{program}:/exchange:ro", BUSYBOX, "sh", "-c", script
        )
        self._target = f"/work/swapped{self.canary}"

    def run(self, copies: int, *, threads: int = 2) -> None:
        """Half of the copies go in, half come out."""
        workers = [
            threading.Thread(target=self._copy, args=(copies // threads,)) for _ in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        left = sorted(each.name for each in self.canary.iterdir())
        if left != ["secret"] or (self.canary / "secret").read_bytes() != HOST:
            self.escapes.append(f"the canary was changed: {left}")
        assert json.loads(self._engine.docker_ok("inspect", self.container))[0]["State"]["Running"]

    def _copy(self, copies: int) -> None:
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w") as archive:
            entry = tarfile.TarInfo("planted")
            entry.size = len(INSIDE)
            archive.addfile(entry, io.BytesIO(INSIDE))
        for number in range(copies):
            if number % 2:
                self._note("in", self._ask("PUT", self._target, body.getvalue()))
            else:
                self._note("out", self._ask("GET", f"{self._target}/secret", b""))

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        target = f"{self._engine.api_prefix}/containers/{self.container}/archive"
        answer = http_over_unix.request(
            self._engine.socket, method, f"{target}?path={quote(path)}", body or None,
            headers={"Content-Type": "application/x-tar"}, timeout_s=60,
        )  # fmt: skip
        return answer.status, answer.body

    def _note(self, direction: str, answer: tuple[int, bytes]) -> None:
        status, body = answer
        self.outcomes[f"{direction} {status}"] += 1
        if HOST in body:
            self.escapes.append("a file of the host came out")
        elif status == 200 and direction == "out" and INSIDE not in body:
            self.escapes.append("something that is not the container's came out")
        elif status not in (200, 400, 404):
            self.escapes.append(f"status {status}: {os.fsdecode(body)}")
