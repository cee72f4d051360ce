"""What it costs to build: steps from the cache, steps that run, and many files copied."""

import io
import subprocess
import tarfile
import time
from collections.abc import Sequence

from session import Session
from table import Table

FILES = 5000
_RUNS = 10


def builds(table: Table) -> None:
    """Images from Dockerfiles, by the classic door."""
    made = {session: Builds(session) for session in table.sessions}
    for name, goal, times, sample in (
        ("build of 20 cached steps", "<= 1", 10, Builds.cached_s),
        ("build of 20 steps, 5 of them RUN", "<= 0.6", 5, Builds.mixed_s),
        ("build of 10 RUN", "<= 0.5", 5, Builds.ran_s),
        ("build that copies 5,000 files", "<= 0.3", 5, Builds.copied_s),
        ("build that has copied 5,000 files", "<= 0.4", 5, Builds.copied_cached_s),
    ):
        table.measure(name, "s", goal, times, lambda session, of=sample: of(made[session]))
    for each in made.values():
        each.close()


class Builds:
    """Measurements on one engine, all by the classic door, which both engines have."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._count = 0
        self._many = _context("FROM busybox\nARG N\nRUN true $N\nCOPY . /files", FILES)
        self._built("kept", self._many, "--build-arg", "N=0")
        self._cached = _context("FROM busybox\n" + "ENV A=b\n" * 10 + "RUN true\n" * 9)
        self._built("cached", self._cached)

    def close(self) -> None:
        """Remove what was built."""
        docker = ["docker", "image", "prune", "-f"]
        subprocess.run(["docker", "rmi", "-f", "kept", "cached"], **self._quietly())  # type: ignore[call-overload]
        subprocess.run(docker, **self._quietly())  # type: ignore[call-overload]

    def cached_s(self) -> float:
        """Twenty steps, all of them done before."""
        return self._built("cached", self._cached)

    def ran_s(self) -> float:
        """Ten commands, none of them done before."""
        lines = "".join(f"RUN echo {self._number()} > /{each}\n" for each in range(_RUNS))
        return self._built("kept", _context("FROM busybox\n" + lines))

    def mixed_s(self) -> float:
        """Twenty steps of which five are commands, none of them done before."""
        lines = "".join(
            f"ENV A{each}={self._number()}\nLABEL a=b\nEXPOSE {each + 80}\nRUN true\n"
            for each in range(5)
        )
        return self._built("kept", _context("FROM busybox\n" + lines))

    def copied_s(self) -> float:
        """COPY of many small files on a step that was not done before."""
        return self._built("kept", self._many, "--build-arg", f"N={self._number()}")

    def copied_cached_s(self) -> float:
        """The same COPY, done before."""
        return self._built("kept", self._many, "--build-arg", f"N={self._count}")

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _built(self, name: str, context: bytes, *flags: str) -> float:
        command: Sequence[str] = ("docker", "build", "-q", "-t", name, *flags, "-")
        begun = time.perf_counter()
        subprocess.run(command, input=context, **self._quietly())  # type: ignore[call-overload]
        return time.perf_counter() - begun

    def _quietly(self) -> dict[str, object]:
        environment = {**self._session.engine.environment, "DOCKER_BUILDKIT": "0"}
        return {"env": environment, "check": True, "capture_output": True}


def _context(dockerfile: str, files: int = 0) -> bytes:
    """A context as a tar, with some small files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        content = dockerfile.encode()
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
        for number in range(files):
            member = tarfile.TarInfo(f"d{number % 50}/file{number}")
            member.size = 1000
            archive.addfile(member, io.BytesIO(b"%04d" % number * 250))
    return packed.getvalue()
