"""What it costs to get files in and out of containers: copies, changes, commits."""

import subprocess
import tempfile
import time
from pathlib import Path

from session import Session
from table import Table

COPIED_BYTES = 200 << 20
_CHANGES = (
    "mkdir /many && i=0; while [ $i -lt 2000 ]; do echo $i > /many/$i; i=$((i+1)); done;"
    " dd if=/dev/urandom of=/big bs=1M count=50 2>/dev/null"
)


def files(table: Table) -> None:
    """Copies into and out of a container, its changes, and an image of them."""
    with tempfile.TemporaryDirectory(prefix="wherry-bench-files-") as work:
        made = {session: Files(session, Path(work)) for session in table.sessions}
        for name, unit, goal, times, sample in (
            ("docker cp of 200 MB into a container", "s", "<= 1", 5, Files.copied_in_s),
            ("docker cp of 200 MB out of it", "s", "<= 1", 5, Files.copied_out_s),
            ("diff of 2,000 files", "ms", "<= 1", 20, Files.diff_ms),
            ("commit of 2,000 files + 50 MB", "s", "<= 0.7", 5, Files.commit_s),
        ):
            if sample is Files.diff_ms:
                for each in made.values():
                    each.without_copy()
            table.measure(name, unit, goal, times, lambda session, of=sample: of(made[session]))
        for each in made.values():
            each.close()


class Files:
    """Measurements on one engine, with a container of its own that wrote many files."""

    def __init__(self, session: Session, work: Path) -> None:
        self._session = session
        self._payload = work / "payload"
        self._work = work
        if not self._payload.exists():
            with self._payload.open("wb") as file:
                subprocess.run(["head", "-c", str(COPIED_BYTES), "/dev/urandom"],
                               stdout=file, check=True)  # fmt: skip
        self._committed: list[str] = []
        self.changed = session.created("sh", "-c", _CHANGES)
        session.call("POST", f"/containers/{self.changed}/start")
        session.call("POST", f"/containers/{self.changed}/wait")

    def close(self) -> None:
        """Remove the container, and its images.

        Not earlier: ext4 looks at each inode that was freed a moment ago before it takes another,
        and that would be most of what is measured.
        """
        for name in self._committed:
            self._session.call("DELETE", f"/images/{name}")
        self._committed.clear()
        self._session.removed(self.changed)

    def copied_in_s(self) -> float:
        """`docker cp` of 200 MB into a container."""
        return self._copied(str(self._payload), f"{self.changed}:/payload")

    def copied_out_s(self) -> float:
        """`docker cp` of 200 MB out of it; it was copied in before."""
        return self._copied(f"{self.changed}:/payload", str(self._work / "out"))

    def _copied(self, source: str, target: str) -> float:
        begun = time.perf_counter()
        self._session.engine.docker_ok("cp", "-q", source, target, timeout_s=300)
        return time.perf_counter() - begun

    def without_copy(self) -> None:
        """Leave no 200 MB for the commits: a container of the same changes without it."""
        self.close()
        Files.__init__(self, self._session, self._work)

    def diff_ms(self) -> float:
        """The list of 2,000 changed files."""
        begun = time.perf_counter()
        _status, content = self._session.call("GET", f"/containers/{self.changed}/changes")
        took = time.perf_counter() - begun
        assert content.count(b"/many/") == 2000
        return took * 1000

    def commit_s(self) -> float:
        """An image of 2,000 small files and one of 50 MB."""
        name = f"bench:{len(self._committed)}"
        self._committed.append(name)
        begun = time.perf_counter()
        self._session.call(
            "POST",
            f"/commit?container={self.changed}&repo=bench&tag={name[6:]}&comment={name}",
        )
        return time.perf_counter() - begun
