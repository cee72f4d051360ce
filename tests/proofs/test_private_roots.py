"""RELIABILITY A08: a user of this host reaches nothing of what the engine keeps.

CVE-2021-41091, 2021-41103, 2024-25621: a data root that others may enter lends them the setuid
programs of every layer. Here somebody else tries each path that root knows of.
"""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.image_archives import docker_archive
from support.tar_archives import archive, directory, member

STRANGER = 1000
SCRIPT = b"#!/bin/sh\necho $EUID\n"


def as_stranger(work: Callable[[], list[str]]) -> list[str]:
    """Do some work as a user who is nobody here; what it found."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setresgid(STRANGER, STRANGER, STRANGER)
            os.setresuid(STRANGER, STRANGER, STRANGER)
            with os.fdopen(write, "w") as answer:
                answer.write("\n".join(work()))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        found = answer.read()
    os.waitpid(child, 0)
    return found.splitlines()


def reached(paths: list[Path]) -> list[str]:
    """Those of them that can be read, listed, written, executed or spoken to."""
    return [f"{how} {path}" for path in paths for how in _ways(path)]


def _ways(path: Path) -> Iterator[str]:
    try:
        kind = path.lstat().st_mode >> 12
    except OSError:
        return  # not even its name is known
    if kind == 0o14:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stream:
            try:
                stream.connect(str(path))
                yield "connects to"
            except PermissionError:
                pass
            except OSError:
                yield "is let through to"
        return
    for how, flags in (("reads", os.O_RDONLY), ("writes", os.O_WRONLY)):
        try:
            os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW))
            yield how
        except OSError:
            continue
    if kind == 0o10 and os.access(path, os.X_OK):
        yield "executes"


def everything_below(*roots: Path) -> list[Path]:
    """Every path, as root sees it."""
    return [
        Path(directory, each)
        for root in roots
        for directory, names, files in os.walk(root)
        for each in (*names, *files)
    ]


@pytest.fixture
def lived_in(engine: Engine, tmp_path: Path) -> Iterator[Engine]:
    """The run's engine, with a setuid program in a layer, a volume, and containers."""
    layer = archive(directory("bin", 0o777), member("bin/su", SCRIPT, mode=0o4755),
                    member("open", b"for all", mode=0o666))  # fmt: skip
    (tmp_path / "suid.tar").write_bytes(docker_archive(layer, tags=("suid:1",)))
    engine.docker_ok("load", "-i", str(tmp_path / "suid.tar"))
    engine.docker_ok("volume", "create", "private")
    script = "echo open > /v/f; chmod 777 /v /v/f; chmod 777 /; echo own > /own; chmod 4755 /own"
    engine.docker_ok("run", "--rm", "-v", "private:/v", "busybox", "sh", "-c", script)
    engine.docker_ok("network", "create", "private")
    flags = ("--network", "private", "-v", "private:/v", "-p", "8081:80", "--tmpfs", "/t")
    engine.docker_ok("run", "-d", *flags, "busybox", "sh", "-c", f"{script}; sleep 1000")
    engine.docker_ok("run", "-dt", "busybox", "sh")
    engine.docker_ok("create", "suid:1", "/bin/su")
    yield engine
    engine.remove_all_containers()
    engine.docker("rmi", "suid:1")
    engine.docker("volume", "rm", "private")
    engine.docker("network", "rm", "private")


def test_nothing_is_reached(lived_in: Engine, figure: list[str]) -> None:
    """Root's own list of paths, tried one by one by a stranger who knows them all."""
    paths = everything_below(lived_in.data_root, lived_in.exec_root)
    assert any(path.name == "su" for path in paths)
    assert any(path.name == "shim.sock" for path in paths)
    found = as_stranger(lambda: reached([lived_in.data_root, lived_in.exec_root, *paths]))
    assert found == []
    figure.append(f"{len(paths)} paths, 0 reached by another user")


def test_modes(lived_in: Engine) -> None:
    """The data root is the owner's; files of state and sockets are, too."""
    assert lived_in.data_root.stat().st_mode & 0o777 == 0o710
    for path in everything_below(lived_in.exec_root):
        if path.is_socket():
            assert path.stat().st_mode & 0o077 == 0, path
    for name in ("engine.db", "engine.db.copy", "events.log"):
        assert (lived_in.data_root / name).stat().st_mode & 0o777 == 0o600, name


def test_an_open_root_is_noticed(lived_in: Engine) -> None:
    """The same walk finds the setuid program when the data root may be entered."""
    lived_in.data_root.chmod(0o755)
    driver = lived_in.data_root / "overlay2"
    modes = {each: each.stat().st_mode & 0o7777 for each in (driver, *driver.iterdir())}
    try:
        for each in modes:
            each.chmod(0o755)
        found = as_stranger(lambda: reached(everything_below(lived_in.data_root)))
    finally:
        for each, mode in modes.items():
            each.chmod(mode)
        lived_in.data_root.chmod(0o710)
    assert any(each.startswith("executes") and each.endswith("/su") for each in found)
