"""What it costs to build: steps from the cache, steps that run, and many files copied."""

import io
import os
import re
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from session import Session
from table import Table

from support.daemon import OWN_CLI, Engine

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
        ("build of two stages of 5 s each", "<= 6.5 s", 3, Builds.side_by_side_s),
    ):
        table.measure(name, "s", goal, times, lambda session, of=sample: of(made[session]))
    for each in made.values():
        each.close()
    with tempfile.TemporaryDirectory(prefix="wherry-bench-build-") as place:
        project = Project(table.ours.engine, Path(place))
        for name, goal, sent in (
            ("of 10,000 files, one changed: sent [B]", "<= 1,000 B", project.changed_bytes),
            ("of a GiB, a file of 6 B copied: sent [B]", "6 B", project.small_bytes),
        ):
            table.compare(name, goal, 3, ours=sent, theirs=None)


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

    def side_by_side_s(self) -> float:
        """Two stages that don't need each other, each with a command that takes its time."""
        number = self._number()
        stages = "".join(
            f"FROM busybox AS {name}\nRUN sleep 5; echo {number} > /{name}\n" for name in "ab"
        )
        copies = "COPY --from=a /a /\nCOPY --from=b /b /\n"
        return self._built("kept", _context(f"{stages}FROM busybox\n{copies}"))

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


class Project:
    """A directory that stays with the client: how much of it a build asks for."""

    def __init__(self, engine: Engine, place: Path) -> None:
        self._engine = engine
        self._place = place
        self._count = 0
        (place / "big").touch()
        os.truncate(place / "big", 1 << 30)
        (place / "small").write_text("small\n")
        for number in range(100):
            (place / f"many/{number}").mkdir(parents=True)
            for each in range(FILES // 50):
                (place / f"many/{number}/{each}").write_text(f"{number} {each}\n" * 50)

    def changed_bytes(self) -> float:
        """Of many files, one of which has changed since the build before."""
        self._count += 1
        (self._place / "many/7/7").write_text(f"{self._count:06}\n" * 100)
        return self._sent("COPY many /many")

    def small_bytes(self) -> float:
        """Of a directory with a large file in it, of which a small one is copied."""
        self._count += 1
        (self._place / "small").write_text(f"{self._count:05}\n")
        return self._sent("COPY small /")

    def _sent(self, line: str) -> float:
        (self._place / "Dockerfile").write_text(f"FROM busybox\n{line}\n")
        told = subprocess.run(
            [*OWN_CLI, "build", "--progress=plain", "-t", "sent", self._place],
            env=self._engine.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stderr
        found = re.findall(r"transferring context: ([0-9.]+)([kMG]?)B", told)
        scale = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
        return sum(float(number) * scale[unit] for number, unit in found)


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
