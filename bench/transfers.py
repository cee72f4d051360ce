"""What it costs to bring images in and out: a registry on loopback, archives, many layers."""

import contextlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from session import Session
from table import Table

from support.debian_registry import debian_registry

IMAGE_BYTES = 120 << 20
_PLACES = ("/usr/lib/x86_64-linux-gnu", "/usr/share", "/usr/bin", "/usr/lib")


def transfers(table: Table) -> None:
    """Images to and from a registry and archives."""
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="wherry-bench-images-"))
        made = {
            session: stack.enter_context(Transfers.beside(session, Path(work)))
            for session in table.sessions
        }
        for name, unit, goal, times, sample in (
            ("a pull's memory, above idle", "MiB", "<= 64 MiB", 3, Transfers.pull_mib),
            ("pull of a 120 MB image from loopback", "s", "<= 0.4", 5, Transfers.pull_s),
            ("push of a 120 MB image to loopback", "s", "<= 0.5", 5, Transfers.push_s),
            ("load with a new layer of 120 MB", "s", "<= 0.5", 5, Transfers.load_s),
            ("save of a 120 MB image", "s", "<= 1", 5, Transfers.save_s),
            ("first container from 20 fresh layers", "ms", "<= 1", 10, Transfers.first_ms),
        ):
            table.measure(name, unit, goal, times, lambda session, of=sample: of(made[session]))
        ours = made[table.ours]
        table.compare(
            "extraction of 20,000 files, beside GNU tar [s]",
            "<= 1.2",
            5,
            ours=ours.extraction_s,
            theirs=ours.tar_s,
        )


class Transfers:
    """Measurements on one engine, with a registry beside it."""

    def __init__(self, session: Session, registry: str, work: Path) -> None:
        self._session = session
        self._registry = registry
        self._work = work
        self._count = 0
        self._files = work / "files.tar"
        if not self._files.exists():
            _system_files(self._files)
        self._load(self._archive("bench/large:1", [self._files.read_bytes()]))
        self._many = work / "many.tar"
        if not self._many.exists():
            _small_files(self._many)
        self._pulled = f"{registry}/bench/large:1"
        self._docker("tag", "bench/large:1", self._pulled)
        self._docker("push", "-q", self._pulled)
        self._docker("rmi", "bench/large:1", self._pulled)

    @classmethod
    @contextlib.contextmanager
    def beside(cls, session: Session, work: Path) -> Iterator["Transfers"]:
        """With a registry of its own."""
        with debian_registry(session.engine) as name:
            yield cls(session, name, work)

    def pull_s(self) -> float:
        """A pull of an image that is not here."""
        begun = time.perf_counter()
        self._docker("pull", "-q", self._pulled)
        took = time.perf_counter() - begun
        self._docker("rmi", self._pulled)
        return took

    def push_s(self) -> float:
        """A push of an image that neither registry nor engine has compressed before."""
        name = f"{self._registry}/bench/pushed:{self._number()}"
        self._load(self._archive(name, [self._fresh_layer()]))
        begun = time.perf_counter()
        self._docker("push", "-q", name)
        took = time.perf_counter() - begun
        self._docker("rmi", name)
        return took

    def load_s(self) -> float:
        """`docker load` of an archive with a layer that is not here."""
        name = f"bench/loaded:{self._number()}"
        path = self._archive(name, [self._fresh_layer()])
        begun = time.perf_counter()
        self._load(path)
        took = time.perf_counter() - begun
        self._docker("rmi", name)
        return took

    def save_s(self) -> float:
        """`docker save` of it."""
        if not self._docker("images", "-q", "bench/saved"):
            self._load(self._archive("bench/saved:1", [self._files.read_bytes()]))
        begun = time.perf_counter()
        self._docker("save", "-o", str(self._work / "saved.tar"), "bench/saved:1")
        return time.perf_counter() - begun

    def first_ms(self) -> float:
        """Create, start and wait for a container of an image of 20 layers just loaded."""
        base = _layer(("bin/true", Path("/bin/busybox").read_bytes()))
        number = self._number()
        layers = [base, *(_layer((f"f{n}", f"{number} {n}".encode())) for n in range(19))]
        name = f"bench/stack:{number}"
        self._load(self._archive(name, layers))
        body = {"Image": name, "Cmd": ["/bin/true"], "HostConfig": {"NetworkMode": "none"}}
        begun = time.perf_counter()
        _, answer = self._session.call("POST", "/containers/create", body)
        container = str(json.loads(answer)["Id"])
        self._session.call("POST", f"/containers/{container}/start")
        self._session.call("POST", f"/containers/{container}/wait")
        took = (time.perf_counter() - begun) * 1000
        self._session.removed(container)
        self._docker("rmi", name)
        return took

    def pull_mib(self) -> float:
        """How far the daemon's resident memory rises above what it was before, in a pull."""
        pid = self._session.engine.pid
        before = _status_kib(pid, "VmRSS")
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._docker("pull", "-q", self._pulled)
        peak = _status_kib(pid, "VmHWM")
        self._docker("rmi", self._pulled)
        return (peak - before) / 1024

    def extraction_s(self) -> float:
        """A load of one layer of 20,000 small files, with all that makes it durable."""
        name = f"bench/many:{self._number()}"
        path = self._archive(name, [self._many.read_bytes()])
        begun = time.perf_counter()
        self._load(path)
        took = time.perf_counter() - begun
        self._docker("rmi", name)
        return took

    def tar_s(self) -> float:
        """GNU tar's extraction of the same files, and a sync of them."""
        place = self._session.engine.root / f"tar{self._number()}"
        place.mkdir()
        begun = time.perf_counter()
        subprocess.run(["tar", "-xf", self._many, "-C", place], check=True)
        subprocess.run(["sync", "-f", place], check=True)
        took = time.perf_counter() - begun
        subprocess.run(["rm", "-rf", place], check=True)
        return took

    # -- images ------------------------------------------------------------------------------

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _fresh_layer(self) -> bytes:
        """The files, and one more that no layer had before."""
        own = _layer(("fresh", os.urandom(64)), ends=False)
        return own + self._files.read_bytes()

    def _archive(self, name: str, layers: Sequence[bytes]) -> Path:
        """A docker-archive in a file of this engine's."""
        digests = [sha256(each).hexdigest() for each in layers]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each}" for each in digests]},
        }
        names = [f"{each}/layer.tar" for each in digests]
        manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": names}]
        path = self._session.engine.root / "archive.tar"
        with tarfile.open(path, "w") as archive:
            for member, content in (
                ("config.json", json.dumps(config).encode()),
                *zip(names, layers, strict=True),
                ("manifest.json", json.dumps(manifest).encode()),
            ):
                entry = tarfile.TarInfo(member)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return path

    def _load(self, path: Path) -> None:
        self._docker("load", "-q", "-i", str(path))

    def _docker(self, *words: str) -> str:
        return self._session.engine.docker_ok(*words, timeout_s=300)


def _layer(*files: tuple[str, bytes], ends: bool = True) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
        length = buffer.tell()
    return buffer.getvalue() if ends else buffer.getvalue()[:length]


def _system_files(path: Path) -> None:
    """A layer of this system's own files: what a Debian image is made of."""
    length = 0
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for place in _PLACES:
            for root, _directories, names in os.walk(place):
                for name in sorted(names):
                    each = os.path.join(root, name)
                    if length > IMAGE_BYTES:
                        return
                    if os.path.isfile(each) and not os.path.islink(each):
                        archive.add(each, each.lstrip("/"), recursive=False)
                        length += os.path.getsize(each)


def _small_files(path: Path) -> None:
    content = os.urandom(1024)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for number in range(20_000):
            entry = tarfile.TarInfo(f"d{number // 500}/f{number}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _status_kib(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)
