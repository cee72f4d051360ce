"""The engine on another storage driver than its own default."""

import os
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.file_systems import HAS_PROJECTS, engine_with

pytestmark = pytest.mark.stock_differs


OPTIONS = {"devicemapper": ("--storage-opt", "dm.basesize=64m", "--storage-opt", "dm.fs=ext4")}
DRIVERS = ["vfs", "btrfs", "fuse-overlayfs"]
if os.path.exists("/dev/mapper/control"):
    DRIVERS.append("devicemapper")  # in the virtual machine (tests/vm)
ON_XFS = ["overlay2 on xfs"] if HAS_PROJECTS else []
FILE_SYSTEMS = {"btrfs": "btrfs", "overlay2 on xfs": "xfs"}
DATA = {
    "overlay2": {"LowerDir", "MergedDir", "UpperDir", "WorkDir"},
    "vfs": set[str](),
    "btrfs": set[str](),
    "fuse-overlayfs": {"LowerDir", "MergedDir", "UpperDir", "WorkDir"},
    "devicemapper": {"DeviceId", "DeviceName", "DeviceSize"},
}
BOUNDS = {
    "btrfs": ("16m", 32, "Disk quota exceeded"),
    "overlay2": ("16m", 32, "No space left on device"),
    "devicemapper": ("128m", 192, "No space left on device"),
}
"""What is asked for, more than that in MiB, and what the kernel says."""


@pytest.fixture(scope="module", params=DRIVERS)
def other_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine whose containers have copies of their images, btrfs's snapshots, or a stack that
    a program serves."""
    driver = request.param.partition(" ")[0]
    flags = ("--storage-driver", driver, *OPTIONS.get(driver, ()))
    with engine_with(*flags, on=FILE_SYSTEMS.get(request.param, "")) as engine:
        yield engine


def test_images_are_mounted(other_engine: Engine) -> None:
    """Stacked by the kernel where the driver has them apart."""
    engine = other_engine
    engine.docker_ok("run", "--rm", "busybox", "true")
    before = engine.settled_census()
    mount = "type=image,source=busybox,target=/other"
    ran = engine.docker("run", "--rm", "--mount", mount, "busybox", "ls", "/other/bin/sh")
    assert ran.stdout == "/other/bin/sh\n", ran.stderr
    assert not engine.leaks_since(before)


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
    assert set(shown["GraphDriver"]["Data"] or ()) == DATA[driver]
    engine.restart()
    engine.docker_ok("start", "first")
    engine.docker_ok("wait", "first")
    assert engine.docker_ok("diff", "first").splitlines() == ["C /etc", "A /etc/mine"]
    sizes = engine.api("GET", "/containers/json?all=1&size=1").json[0]
    assert sizes["SizeRw"] == len("mine\n")
    engine.docker_ok("rm", "first")
    assert not engine.leaks_since(before)


on_xfs_too = pytest.mark.parametrize(
    "other_engine", [*DRIVERS, *ON_XFS], indirect=True, scope="module"
)


@on_xfs_too
def test_a_bound_on_a_container(other_engine: Engine) -> None:
    """`--storage-opt size=` holds where the driver can, and is shown; else it is refused."""
    engine = other_engine
    driver = engine.api("GET", "/info").json["Driver"]
    size, too_much, complaint = BOUNDS.get(driver, ("16m", 32, ""))
    bound = ("--storage-opt", f"size={size}")
    write = ("dd", "if=/dev/zero", "of=/big", "bs=1M", f"count={too_much}", "conv=fsync")
    ran = engine.docker("run", "--name", "bound", *bound, "busybox", *write)
    if driver not in BOUNDS:
        refusal = "--storage-opt is not supported" + " for vfs" * (driver == "vfs")
        assert f"{refusal}\n" in ran.stderr
        assert not engine.docker_ok("ps", "-aq")
        return
    assert ran.returncode == 1
    assert complaint in ran.stderr
    assert engine.inspect("bound")["HostConfig"]["StorageOpt"] == {"size": size}
    engine.docker_ok("rm", "bound")
    bad = engine.docker("create", "--storage-opt", "size=much", "busybox")
    assert "invalid size: 'much'" in bad.stderr
    if driver == "devicemapper":
        small = engine.docker("create", "--storage-opt", "size=1m", "busybox")
        assert "Container size cannot be smaller than 67.11MB" in small.stderr


@on_xfs_too
def test_a_bound_on_a_volume(other_engine: Engine) -> None:
    """`-o size=` holds where the data root's file system keeps bounds; else it is refused."""
    engine = other_engine
    driver = engine.api("GET", "/info").json["Driver"]
    made = engine.docker("volume", "create", "-o", "size=16m", "small")
    if driver not in ("btrfs", "overlay2"):
        assert "create small: quota size requested but no quota support\n" in made.stderr
        assert "small" not in engine.docker_ok("volume", "ls", "-q")
        return
    write = ("dd", "if=/dev/zero", "of=/v/big", "bs=1M", "count=32", "conv=fsync")
    ran = engine.docker("run", "--rm", "-v", "small:/v", "busybox", *write)
    assert ran.returncode == 1
    assert BOUNDS[driver][2] in ran.stderr
    assert engine.docker_ok("volume", "inspect", "-f", "{{.Options.size}}", "small") == "16m"
    assert "it is bounded" in engine.wherry("volume", "snapshot", "small").stderr
    engine.docker_ok("volume", "rm", "small")
    engine.docker_ok("run", "--rm", "-v", "small:/v", "busybox", *write)
    engine.docker_ok("volume", "rm", "small")


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


def test_a_kernel_without_thin_pools(engine: Engine) -> None:
    """The daemon does not start on devicemapper, says why, and leaves nothing in the data root."""
    hidden = '[ -d /dev/mapper ] && mount -t tmpfs none /dev/mapper; exec "$@"'
    root = engine.root / "elsewhere"
    ran = engine.machine.run(
        *("unshare", "--mount", "sh", "-c", hidden, "sh"),
        *(*engine.program, "--storage-driver", "devicemapper", "--data-root", str(root)),
        *("-H", f"unix://{engine.root}/e.sock", "--exec-root", f"{root}-exec"),
        *("--pidfile", f"{root}-pid"),
    )
    assert ran.returncode == 1
    assert "devicemapper: driver not supported: this kernel has no thin pools" in ran.stderr
    assert not (root / "thin-pool").exists()
    engine.machine.run("rm", "-rf", str(root), f"{root}-exec", f"{root}-pid")
