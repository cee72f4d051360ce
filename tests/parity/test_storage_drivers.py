"""The engine on another storage driver than its own default."""

from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.file_systems import made_btrfs

pytestmark = pytest.mark.stock_differs


@pytest.fixture(scope="module", params=["vfs", "btrfs", "fuse-overlayfs"])
def other_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine whose containers have copies of their images, btrfs's snapshots, or a stack that
    a program serves."""
    engine = Engine("--storage-driver", request.param)
    try:
        if request.param == "btrfs":
            image = made_btrfs(engine.root / "btrfs.image")
            engine.data_root.mkdir()
            mounted = engine.machine.run("mount", "-o", "loop", str(image), str(engine.data_root))
            assert mounted.returncode == 0, mounted.stderr
        engine.start()
        engine.bootstrap()
        yield engine
    finally:
        engine.close()


def test_containers_on_copies(other_engine: Engine) -> None:
    """They run, write apart, keep what they wrote over restarts, and leave nothing."""
    engine = other_engine
    engine.docker_ok("run", "--rm", "busybox", "true")
    before = engine.settled_census()
    driver = engine.api("GET", "/info").json["Driver"]
    engine.docker_ok("run", "--name", "first", "busybox", "sh", "-c", "echo mine > /etc/mine")
    assert "No such file" in engine.docker("run", "--rm", "busybox", "cat", "/etc/mine").stderr
    shown = engine.inspect("first")
    assert shown["Driver"] == shown["GraphDriver"]["Name"] == driver
    stacked = {"LowerDir", "MergedDir", "UpperDir", "WorkDir"}
    told = {"vfs": set(), "btrfs": set(), "fuse-overlayfs": stacked}[driver]
    assert set(shown["GraphDriver"]["Data"] or ()) == told
    engine.restart()
    engine.docker_ok("start", "first")
    engine.docker_ok("wait", "first")
    assert engine.docker_ok("diff", "first").splitlines() == ["C /etc", "A /etc/mine"]
    sizes = engine.api("GET", "/containers/json?all=1&size=1").json[0]
    assert sizes["SizeRw"] == len("mine\n")
    engine.docker_ok("rm", "first")
    assert not engine.leaks_since(before)


def test_a_bound_on_a_container(other_engine: Engine) -> None:
    """`--storage-opt size=` holds where the driver can, and is shown; else it is refused."""
    engine = other_engine
    bound = ("--storage-opt", "size=16m")
    write = ("busybox", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=32", "conv=fsync")
    ran = engine.docker("run", "--name", "bound", *bound, *write)
    if (driver := engine.api("GET", "/info").json["Driver"]) != "btrfs":
        refusal = "--storage-opt is not supported" + " for vfs" * (driver == "vfs")
        assert f"{refusal}\n" in ran.stderr
        assert not engine.docker_ok("ps", "-aq")
        return
    assert ran.returncode == 1
    assert "Disk quota exceeded" in ran.stderr
    assert engine.inspect("bound")["HostConfig"]["StorageOpt"] == {"size": "16m"}
    engine.docker_ok("rm", "bound")
    bad = engine.docker("create", "--storage-opt", "size=much", "busybox")
    assert "invalid size: 'much'" in bad.stderr


def test_an_image_keeps_its_bytes(other_engine: Engine) -> None:
    """Saved and loaded again it is the same image."""
    engine = other_engine
    archive = engine.root / "image.tar"
    image = engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "busybox")
    engine.docker_ok("save", "-o", str(archive), "busybox")
    engine.docker_ok("rmi", "busybox")
    engine.docker_ok("load", "-i", str(archive))
    assert engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "busybox") == image


def test_the_other_driver_refuses_this_data_root(other_engine: Engine) -> None:
    """One clear sentence, and the daemon does not start."""
    engine = other_engine
    engine.stop()
    ran = engine.machine.run(
        *engine.program,
        *("-H", f"unix://{engine.socket}", "--data-root", str(engine.data_root)),
        *("--exec-root", str(engine.exec_root), "--pidfile", str(engine.pid_file)),
    )
    assert ran.returncode == 1
    assert "it was made by the storage driver " in ran.stderr
    engine.start()
