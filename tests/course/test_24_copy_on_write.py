"""The course's chapter on copy-on-write: what it says is measured here, driver by driver.

AUFS is of the past: its name gets Docker's refusal. What the chapter shows of it (a whiteout, the
copy-up) is looked for in its successor. What it says of Device Mapper needs another kernel: see
`parity/test_storage_drivers.py` in the virtual machine (tests/vm).
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.file_systems import engine_with

pytestmark = pytest.mark.stock_differs

BIG = 16 << 20
"""Bytes of the big file in the image."""


@pytest.fixture(scope="module", params=["overlay2", "btrfs"])
def driven(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine of a driver with an image, `big`, that has one big file."""
    driver = request.param
    with engine_with("--storage-driver", driver, on="btrfs" * (driver == "btrfs")) as engine:
        write = f"head -c {BIG} /dev/zero | tr '\\0' x > /big && echo secret > /etc/shadow"
        engine.docker_ok("run", "--name", "made", "busybox", "sh", "-c", write)
        engine.docker_ok("commit", "made", "big")
        engine.docker_ok("rm", "made")
        yield engine


def used_bytes(engine: Engine) -> int:
    """What the data root's file system has given away, everything on the disk."""
    told = engine.machine.run(
        "sh", "-c", 'sync -f "$1" && stat -f -c "%S %b %f" "$1"', "sh", str(engine.data_root)
    )
    size, total, free = map(int, told.stdout.split())
    return size * (total - free)


@pytest.mark.slide("24.2", "24.5")
def test_a_container_is_free_and_a_change_is_cheap(driven: Engine) -> None:
    """Ten containers of a big image, each with a small file: no ten times the image."""
    before = used_bytes(driven) if driven.data_root.is_mount() else None
    for number in range(10):
        driven.docker_ok("run", "--name", f"c{number}", "big", "sh", "-c", "echo x > /small")
    sizes = driven.docker_ok("ps", "-as", "--format", "{{.Size}}").splitlines()
    assert len(sizes) == 10
    assert all(size.startswith("2B (virtual ") for size in sizes)
    if before is not None:
        assert used_bytes(driven) - before < BIG
    driven.remove_all_containers()


@pytest.mark.slide("24.8")
def test_deleting_a_file(driven: Engine) -> None:
    """`docker run ubuntu rm /etc/shadow`: the image has it still, the container's layer a mark."""
    driven.docker_ok("run", "--name", "remover", "big", "rm", "/etc/shadow")
    assert driven.docker_ok("diff", "remover").splitlines() == ["C /etc", "D /etc/shadow"]
    assert driven.docker_ok("run", "--rm", "big", "cat", "/etc/shadow") == "secret"
    shown = driven.inspect("remover")["GraphDriver"]
    if shown["Name"] == "overlay2":
        state = (Path(shown["Data"]["UpperDir"]) / "etc/shadow").lstat()
        assert stat.S_ISCHR(state.st_mode)
        assert state.st_rdev == os.makedev(0, 0)
        assert shown["Data"].keys() == {"LowerDir", "MergedDir", "UpperDir", "WorkDir"}
    else:
        assert shown == {"Name": "btrfs", "Data": None}
    driven.remove_all_containers()


@pytest.mark.slide("24.7")
def test_opening_a_file(driven: Engine) -> None:
    """Read-only it stays where it is; for writing it becomes the container's own."""
    driven.docker_ok("run", "--name", "reader", "big", "sh", "-c", "cat /big > /dev/null")
    assert driven.docker_ok("diff", "reader") == ""
    driven.docker_ok("run", "--name", "writer", "big", "sh", "-c", "echo >> /big")
    assert driven.docker_ok("diff", "writer") == "C /big"
    sizes = {
        each["Names"][0]: each.get("SizeRw", 0)
        for each in driven.api("GET", "/containers/json?all=1&size=1").json
    }
    assert sizes == {"/reader": 0, "/writer": BIG + 1}
    driven.remove_all_containers()


@pytest.mark.slide("24.5", "24.14")
def test_save_points(driven: Engine) -> None:
    """A commit is a checkpoint that other containers start from, and go back to."""
    driven.docker_ok("run", "--name", "worker", "busybox", "sh", "-c", "echo one > /state")
    driven.docker_ok("commit", "worker", "point:1")
    driven.docker_ok("run", "--name", "more", "point:1", "sh", "-c", "echo two > /state")
    driven.docker_ok("commit", "more", "point:2")
    for point, state in (("point:2", "two"), ("point:1", "one")):
        assert driven.docker_ok("run", "--rm", point, "cat", "/state") == state
    driven.remove_all_containers()


@pytest.mark.slide("24.6", "24.17")
def test_where_the_driver_is_told(driven: Engine) -> None:
    """`docker info` names it, and the file system below overlay2."""
    told = driven.api("GET", "/info").json
    names = [name for name, _value in told["DriverStatus"]]
    assert names[0] == {"overlay2": "Backing Filesystem", "btrfs": "Btrfs"}[told["Driver"]]


@pytest.mark.slide("24.18")
@pytest.mark.parametrize("driver", ["aufs", "zfs", "nonsense"])
def test_drivers_of_the_past(engine: Engine, driver: str) -> None:
    """The daemon does not start, and says why as dockerd does."""
    ran = engine.machine.run(*engine.program, "--storage-driver", driver)
    assert ran.returncode == 1
    assert "error initializing graphdriver: " in ran.stderr
    assert driver in ran.stderr


@pytest.mark.slide("24.15")
def test_btrfs_wants_btrfs(engine: Engine) -> None:
    """The only requirement is that the data root is on one."""
    root = engine.root / "elsewhere"
    ran = engine.machine.run(
        *engine.program, "--storage-driver", "btrfs", "--data-root", str(root),
        "-H", f"unix://{engine.root}/e.sock", "--exec-root", f"{root}-exec",
        "--pidfile", f"{root}-pid",
    )  # fmt: skip
    engine.machine.run("rm", "-rf", str(root), f"{root}-exec", f"{root}-pid")
    assert ran.returncode == 1
    assert "prerequisites for driver not satisfied (wrong filesystem?): btrfs" in ran.stderr
