"""RELIABILITY rows 16 and 17 (F09, F10, F16), for images: a full disk, and damaged files.

What can't be done is told with the system's words and leaves nothing; what makes room still
works; and once there is room, everything does, without a restart. Damage is found at a start,
which it never prevents, and is healed by what brings the image again.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from support.daemon import Engine
from support.debian_registry import debian_registry
from support.image_archives import docker_archive
from support.proof_size import Size
from support.small_disks import FULL, SMALL, small_disk
from support.tar_archives import archive, member


@contextlib.contextmanager
def engine_on(place: Path, *options: str) -> Iterator[Engine]:
    """The engine of a small disk."""
    with small_disk(place, *options) as disk:
        yield disk.engine


def inside(engine: Engine, script: str) -> str:
    """Run a script where the data root is mounted."""
    return engine.machine.run("sh", "-c", f"cd {engine.data_root}; {script}").stdout


def kept(engine: Engine) -> str:
    """Every image, layer and blob, and what is under way."""
    return inside(engine, "ls overlay2 content/blobs/sha256 content/ingest tmp")


def large_image(path: Path, *, files: int = 1) -> Path:
    """More than the disk holds: in bytes or, with many files, in names."""
    content = os.urandom(SMALL // files) if files == 1 else b""
    layer = archive(*(member(f"f{number}", content) for number in range(files)))
    path.write_bytes(docker_archive(layer, tags=("large:1",)))
    return path


def fails(engine: Engine, *words: str) -> str:
    """A command that must fail; what is said."""
    ran = engine.docker(*words, timeout_s=120)
    assert ran.returncode != 0, words
    return ran.stderr.lower()


def test_no_room_for_an_image(tmp_path: Path, figure: list[str]) -> None:
    """A load, an import and a pull that don't fit fail whole; small ones go on."""
    large = large_image(tmp_path / "large.tar")
    tree = tmp_path / "tree.tar"
    tree.write_bytes(archive(member("f", os.urandom(SMALL))))
    with engine_on(tmp_path) as engine:
        running = engine.docker_ok("run", "-d", "busybox", "sleep", "99")
        before = kept(engine)
        for words in (("load", "-i", str(large)), ("import", str(tree), "large:1")):
            assert FULL in fails(engine, *words)
            assert kept(engine) == before, words
        with debian_registry(engine, port=5031) as registry:
            ours = ("skopeo", "copy", "-q", "--dest-tls-verify=false")
            pushed = engine.machine.run(
                *ours, f"docker-archive:{large}", f"docker://{registry}/large:1"
            )
            assert pushed.returncode == 0, pushed.stderr
            assert FULL in fails(engine, "pull", f"{registry}/large:1")
        engine.docker_ok("image", "prune", "-f")
        assert engine.docker_ok("ps", "-q", "--no-trunc") == running
        assert engine.docker_ok("run", "--rm", "busybox", "echo", "on") == "on"
        engine.docker_ok("rm", "-f", running)
    figure.append("load, import, pull: 0 half images")


def test_no_inode_free(tmp_path: Path, figure: list[str]) -> None:
    """Names run out before bytes do: the same words, and nothing half-done."""
    large = large_image(tmp_path / "many.tar", files=3000)
    with engine_on(tmp_path, "-N", "2048") as engine:
        before = kept(engine)
        assert FULL in fails(engine, "load", "-i", str(large))
        assert kept(engine) == before
        assert engine.docker_ok("run", "--rm", "busybox", "echo", "on") == "on"
    figure.append("3,000 files on 2,048 inodes: 0 half images")


def test_damaged_blobs(tmp_path: Path, size: Size, figure: list[str]) -> None:
    """With an image's configuration damaged or gone the engine starts, and a load heals it."""
    made = Engine()
    saved = tmp_path / "box.tar"
    damages = (b"", None, b"half", os.urandom(4096), b"{}", b'{"rootfs":[]}')
    try:
        made.start()
        made.bootstrap()
        made.docker_ok("save", "-o", str(saved), "busybox")
        identity = made.docker_ok("inspect", "-f", "{{.Id}}", "busybox")
        config = made.data_root / "content/blobs/sha256" / identity.removeprefix("sha256:")
        for damage in damages[: size.of(6, 2)]:
            made.stop()
            config.unlink()
            if damage is not None:
                config.write_bytes(damage)
            made.start()
            assert "busybox" not in made.docker_ok("images")
            assert made.docker_ok("load", "-i", str(saved)) == "Loaded image: busybox:latest"
            assert made.docker_ok("inspect", "-f", "{{.Id}}", "busybox") == identity
            assert made.docker_ok("run", "--rm", "busybox", "echo", "on") == "on"
    finally:
        made.close()
    figure.append(f"{size.of(6, 2)} kinds of damage: all started, all healed by a load")
