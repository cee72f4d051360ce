"""RELIABILITY A07, X09: archives that no tool would write, by the doors of a running engine.

`tests/kernel/images` says what becomes of each archive of images. Here the daemon is looked at:
it is the same afterwards, as small as before, and nothing was staged that stays. Beside the
archives that somebody thought of there are mutations by chance: bits, headers, lengths.
"""

import contextlib
import http.client
import io
import itertools
import json
import os
import random
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.images.test_archives import HOSTILE_ARCHIVES
from support.daemon import Engine
from support.image_archives import docker_archive, oci_layout
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size
from support.tar_archives import archive, directory, hard_link, member, symlink
from support.waiting import wait_until
from wherry.images.documents import LARGEST_DOCUMENT

LARGEST_GROWTH_KIB = 64 << 10
FIVE_GB = 5 << 30
SEED = 5_2026


class Footprint:
    """The daemon's pid and peak of memory from one moment on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pid = engine.pid
        self._before = self._kib("VmRSS")
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")

    def growth_kib(self) -> int:
        """How much larger it was at its largest. Raises: AssertionError for another daemon."""
        assert self._engine.pid == self._pid
        return max(0, self._kib("VmHWM") - self._before)

    def _kib(self, name: str) -> int:
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return next(int(each.split()[1]) for each in lines if each.startswith(f"{name}:"))


def staged(engine: Engine) -> list[str]:
    """What is under way on the disk."""
    data = engine.data_root
    return sorted(os.listdir(data / "content" / "ingest")) + sorted(os.listdir(data / "tmp"))


def layers(engine: Engine) -> list[str]:
    """The names of everything that is unpacked."""
    return sorted(os.listdir(engine.data_root / "overlay2"))


def test_archives_of_images(engine: Engine, figure: list[str]) -> None:
    """Each is refused, in words and at once, and leaves nothing."""
    before, footprint = layers(engine), Footprint(engine)
    for name, content in HOSTILE_ARCHIVES.items():
        answer = engine.api("POST", "/images/load", content, timeout_s=30)
        said = json.loads(answer.body.splitlines()[-1])
        assert said.get("error") or said.get("message"), (name, said)
        assert answer.status < 500, (name, said)
        assert (layers(engine), staged(engine)) == (before, []), name
    growth = footprint.growth_kib()
    assert growth <= LARGEST_GROWTH_KIB
    figure.append(f"{len(HOSTILE_ARCHIVES)} archives refused, memory +{growth >> 10} MiB")


def five_gigabytes(name: str) -> Iterator[bytes]:
    """A tar whose one member is that large, and holes."""
    yield member(name, size_field=b"\x80" + FIVE_GB.to_bytes(11, "big"))
    nothing = bytes(1 << 20)
    for _ in range(FIVE_GB >> 20):
        yield nothing


def send(engine: Engine, pieces: Iterator[bytes]) -> tuple[int, int]:
    """Send a body; how much of it was sent, and how much of it was at most kept on the disk."""
    connection = http.client.HTTPConnection("engine", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(engine.socket)
    connection.putrequest("POST", "/v1.51/images/load")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    sent = kept = 0
    with (
        contextlib.closing(connection),
        contextlib.suppress(BrokenPipeError, ConnectionResetError),
    ):
        for piece in pieces:
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            sent += len(piece)
            kept = max(kept, kept_bytes(engine) if not sent >> 20 & 15 else 0)
    return sent, kept


def kept_bytes(engine: Engine) -> int:
    """How much is staged at this moment."""
    found = 0
    for each in (engine.data_root / "content" / "ingest").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += each.stat().st_size
    return found


@pytest.mark.parametrize("name", ["manifest.json", "index.json", "repositories"])
def test_a_document_of_five_gigabytes(
    engine: Engine, name: str, size: Size, figure: list[str]
) -> None:
    """It is refused by its header: whatever a client goes on to send of it is kept nowhere."""
    footprint, pieces = Footprint(engine), five_gigabytes(name)
    sent, kept = send(engine, itertools.islice(pieces, size.of(5121, 256)))
    assert kept <= LARGEST_DOCUMENT
    wait_until("nothing is staged", lambda: not staged(engine))
    growth = footprint.growth_kib()
    assert growth <= LARGEST_GROWTH_KIB
    assert engine.api("GET", "/_ping").status == 200
    figure.append(f"{sent >> 20} MiB sent, {kept} bytes kept, memory +{growth >> 10} MiB")


# -- by chance -------------------------------------------------------------------------------


def seeds() -> dict[str, list[bytes]]:
    """Sound archives, by the door that takes them."""
    tree = archive(
        directory("d"), member("d/f", b"content" * 100),
        symlink("s", "d/f"), hard_link("h", "d/f"),
        member("p", b"x", pax={"SCHILY.xattr.user.a": b"b", "path": b"d/long"}),
        member("n", kind=b"3", major=1, minor=3),
    )  # fmt: skip
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        entry = tarfile.TarInfo("x" * 150)
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"12345"))
    dockerfile = member("Dockerfile", b"FROM scratch\nADD d /\nCOPY s h /e/\nCMD x\n")
    return {
        "/images/load": [docker_archive(tree), oci_layout({tree: tree}, "app:1")],
        "/images/create?fromSrc=-&repo=mutated": [tree, packed.getvalue()],
        "/containers/mutated/archive?path=/root": [tree, packed.getvalue()],
        "/build?t=mutated&nocache=1": [dockerfile + tree],
    }


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The same with a few bits turned, headers exchanged, numbers changed, or its end missing."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        blocks = max(1, len(changed) // 512)
        place = chance.randrange(blocks) * 512
        match chance.randrange(6):
            case 0 | 1:
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            case 2:
                other = chance.randrange(blocks) * 512
                changed[place : place + 512] = changed[other : other + 512]
            case 3:
                size = chance.choice((b"77777777777\0", b"-0000000001\0", b"\x80" + b"\xff" * 11,
                                      b"\xff" * 12, b"\0" * 12))  # fmt: skip
                changed[place + 124 : place + 136] = size
            case 4:
                changed[place + 156 : place + 157] = chance.choice(
                    b"0123456789xgLKSVD\0"
                ).to_bytes()
            case _:
                del changed[chance.randrange(len(changed)) :]
        _seal(changed, place)
        if not changed:
            return b"\0"
    return bytes(changed)


def _seal(content: bytearray, place: int) -> None:
    """Give a header the sum that it should have, or nothing would be looked at behind it."""
    block = content[place : place + 512]
    if len(block) == 512 and block[257:262] == b"ustar":
        block[148:156] = b" " * 8
        content[place + 148 : place + 156] = b"%06o\0 " % sum(block)


def test_mutated_tars(engine: Engine, size: Size, figure: list[str]) -> None:
    """None ends the daemon, hangs, gets a 500, makes it large, or leaves something half-done."""
    engine.docker_ok("create", "--name", "mutated", "busybox", "true")
    chance, footprint, count = random.Random(SEED), Footprint(engine), size.of(10_000, 25)
    statuses: dict[int, int] = {}
    for door, sound in seeds().items():
        for number in range(count):
            body = mutated(chance.choice(sound), chance)
            method = "PUT" if "archive" in door else "POST"
            answer = engine.api(method, door, body, timeout_s=30)
            assert answer.status < 500, (door, number, answer)
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            if not number % 500:
                tidy(engine)
    tidy(engine)
    assert staged(engine) == []
    growth = footprint.growth_kib()
    assert growth <= LARGEST_GROWTH_KIB
    figure.append(
        f"{count} x {len(seeds())} mutated archives: {dict(sorted(statuses.items()))}, "
        f"memory +{growth >> 10} MiB"
    )


def tidy(engine: Engine) -> None:
    """Remove the images that were made by right."""
    for image in engine.api("GET", "/images/json?all=1").json:
        if not any(each.startswith("busybox") for each in image["RepoTags"]):
            engine.api("DELETE", f"/images/{image['Id']}?force=1")
    engine.api("POST", "/build/prune?all=1")


def test_mutant(figure: list[str]) -> None:
    """Without the bound a document is kept, however long it is."""
    mutant = Mutant("documents have no bound", "images/archive_reader.py",
                    "entry.size > LARGEST_DOCUMENT:", "entry.size > 1 << 62:")  # fmt: skip
    with mutated_engine(mutant) as engine:
        _sent, kept = send(engine, itertools.islice(five_gigabytes("manifest.json"), 256))
    assert kept > LARGEST_DOCUMENT
    figure.append(f"killed: {mutant.name}")
