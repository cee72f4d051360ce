"""The engine on another storage driver than its own default."""

from collections.abc import Iterator

import pytest

from support.daemon import Engine

pytestmark = pytest.mark.stock_differs


@pytest.fixture(scope="module")
def vfs_engine() -> Iterator[Engine]:
    """An engine whose containers have whole copies of their images."""
    engine = Engine("--storage-driver", "vfs")
    try:
        engine.start()
        engine.bootstrap()
        yield engine
    finally:
        engine.close()


def test_containers_on_copies(vfs_engine: Engine) -> None:
    """They run, write apart, keep what they wrote over restarts, and leave nothing."""
    engine = vfs_engine
    engine.docker_ok("run", "--rm", "busybox", "true")
    before = engine.settled_census()
    assert engine.api("GET", "/info").json["Driver"] == "vfs"
    engine.docker_ok("run", "--name", "first", "busybox", "sh", "-c", "echo mine > /etc/mine")
    assert "No such file" in engine.docker("run", "--rm", "busybox", "cat", "/etc/mine").stderr
    shown = engine.inspect("first")
    assert shown["Driver"] == "vfs"
    assert not shown["GraphDriver"]["Data"]
    engine.restart()
    engine.docker_ok("start", "first")
    engine.docker_ok("wait", "first")
    sizes = engine.api("GET", "/containers/json?all=1&size=1").json[0]
    assert sizes["SizeRw"] == len("mine\n")
    engine.docker_ok("rm", "first")
    assert not engine.leaks_since(before)


def test_an_image_keeps_its_bytes(vfs_engine: Engine) -> None:
    """Saved and loaded again it is the same image."""
    engine = vfs_engine
    archive = engine.root / "image.tar"
    image = engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "busybox")
    engine.docker_ok("save", "-o", str(archive), "busybox")
    engine.docker_ok("rmi", "busybox")
    engine.docker_ok("load", "-i", str(archive))
    assert engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "busybox") == image


def test_the_other_driver_refuses_this_data_root(vfs_engine: Engine) -> None:
    """One clear sentence, and the daemon does not start."""
    engine = vfs_engine
    engine.stop()
    ran = engine.machine.run(
        *engine.program,
        *("-H", f"unix://{engine.socket}", "--data-root", str(engine.data_root)),
        *("--exec-root", str(engine.exec_root), "--pidfile", str(engine.pid_file)),
    )
    assert ran.returncode == 1
    assert "it was made by the storage driver vfs" in ran.stderr
    engine.start()
