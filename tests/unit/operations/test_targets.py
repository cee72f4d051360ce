"""Places in a root that somebody else wrote: made inside it, whatever the links say."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.linux.syscall import KernelError
from wherry.operations.files import targets
from wherry.operations.files.targets import TargetRefused


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A root with links that want out."""
    inside = tmp_path / "root"
    inside.mkdir()
    (inside / "up").symlink_to("../../../..")
    (inside / "absolute").symlink_to("/made/here")
    (inside / "loop").symlink_to("loop")
    (inside / "file").write_text("x")
    descriptor = os.open(inside, os.O_PATH)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "place", "made"),
    [
        ("/a/b/c", "a/b/c", 3),
        ("a//b/", "a/b", 2),
        ("/up/x", "x", 1),
        ("/absolute/y", "made/here/y", 3),
        ("/../../z", "z", 1),
    ],
)
def test_directories(root: int, tmp_path: Path, path: str, place: str, made: int) -> None:
    """Missing directories are made inside, one by one, and counted."""
    opened, count = targets.open_directory(root, path)
    try:
        assert os.path.samestat(os.fstat(opened), os.stat(tmp_path / "root" / place))
        assert targets.resolved_name(root, opened) == f"/{place}"
    finally:
        os.close(opened)
    assert count == made
    assert sorted(os.listdir(tmp_path)) == ["root"]


def test_files(root: int, tmp_path: Path) -> None:
    """A missing file is made empty, through a dangling link too."""
    (tmp_path / "root/dangling").symlink_to("/etc/there")
    opened, made, created = targets.open_file(root, "/dangling")
    os.close(opened)
    assert (made, created) == (1, True)
    assert (tmp_path / "root/etc/there").read_bytes() == b""
    opened, made, created = targets.open_file(root, "/file")
    os.close(opened)
    assert (made, created) == (0, False)


@pytest.mark.parametrize("path", ["/loop/x", "/loop", "/file/x"])
def test_what_can_be_no_directory(root: int, path: str) -> None:
    """A loop and a file in the way are the kernel's errors."""
    with pytest.raises(KernelError):
        targets.open_directory(root, path)


def test_a_place_outside_is_refused(root: int, tmp_path: Path) -> None:
    """What was opened by other means, and is not below the root, has no name in it."""
    opened = os.open(tmp_path, os.O_PATH)
    try:
        with pytest.raises(TargetRefused, match="outside of the container's root"):
            targets.resolved_name(root, opened)
    finally:
        os.close(opened)


@pytest.mark.parametrize(
    ("destination", "resolved", "filesystem", "source"),
    [
        ("/proc", "/proc", "proc", ""),
        ("/sys", "/sys", "sysfs", ""),
        ("/proc/meminfo", "/proc/meminfo", "", "/host/meminfo"),
        ("/data", "/data", "", "/srv"),
        ("/proc", "/proc", "", "/proc"),
        ("/process", "/process", "tmpfs", ""),
    ],
)
def test_what_may_be_mounted(
    destination: str, resolved: str, filesystem: str, source: str
) -> None:
    """procfs on /proc, files that only inform, and everything elsewhere."""
    targets.refuse_hiding_proc(destination, resolved, filesystem, source)


@pytest.mark.parametrize(
    ("destination", "resolved", "filesystem", "source"),
    [
        ("/proc", "/evil", "proc", ""),
        ("/sys", "/evil", "sysfs", ""),
        ("/proc", "/proc", "tmpfs", ""),
        ("/link", "/proc/sys", "", "/srv"),
        ("/proc/self", "/proc/self", "", "/srv"),
    ],
)
def test_what_may_not(destination: str, resolved: str, filesystem: str, source: str) -> None:
    """Nothing else may cover the kernel's files, by whichever name."""
    with pytest.raises(TargetRefused, match=destination):
        targets.refuse_hiding_proc(destination, resolved, filesystem, source)
