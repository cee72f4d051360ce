"""Files by descriptor: resolution inside a root, removal of trees, attributes."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.linux import xattrs
from wherry.linux.files import (
    file_creation_mask,
    open_beneath,
    open_in_root,
    remove_tree,
    syncfs,
)
from wherry.linux.syscall import KernelError


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    """A descriptor of the test's directory."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_open_in_root_takes_the_directory_for_the_root(here: int, tmp_path: Path) -> None:
    """Absolute links and `..` end at the directory."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "n").write_text("inside")
    (tmp_path / "link").symlink_to("/etc/n")
    for name in ("link", "/etc/n", "../../etc/n"):
        descriptor = open_in_root(here, name, os.O_RDONLY)
        with os.fdopen(descriptor) as file:
            assert file.read() == "inside"


def test_open_beneath_refuses_to_leave(here: int, tmp_path: Path) -> None:
    """A link or `..` that leads out is an error, not something else."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name in ("link", "../x", "/etc/passwd"):
        with pytest.raises(KernelError) as caught:
            open_beneath(here, name, os.O_RDONLY)
        assert caught.value.errno == errno.EXDEV


def test_remove_tree_takes_everything_and_counts(here: int, tmp_path: Path) -> None:
    """Files, links and directories, also with names that it might choose itself."""
    top = tmp_path / "top"
    for name in ("a/b/c", ".removing-0/x", "d"):
        (top / name).mkdir(parents=True)
        (top / name / "f").write_text("1")
    (top / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "f").write_text("1")
    assert remove_tree(here, "top") == 11
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["f"]


def test_remove_tree_of_other_things(here: int, tmp_path: Path) -> None:
    """A file or a link is removed; nothing is no error."""
    (tmp_path / "f").write_text("1")
    (tmp_path / "l").symlink_to("gone")
    assert [remove_tree(here, name) for name in ("f", "l", "nothing")] == [1, 1, 0]


def test_remove_tree_needs_few_descriptors(here: int, tmp_path: Path) -> None:
    """Depth costs neither stack nor descriptors."""
    home = os.open(".", os.O_RDONLY)
    os.chdir(tmp_path)
    try:
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(home)
        os.close(home)
    assert remove_tree(here, "d") == 1500


def test_attributes_by_name_and_by_descriptor(here: int, tmp_path: Path) -> None:
    """Set by a name in a directory, read in both ways; absence is None."""
    (tmp_path / "f").write_text("1")
    xattrs.set_at(here, "f", "user.a", b"1")
    descriptor = os.open(tmp_path / "f", os.O_RDONLY)
    try:
        assert xattrs.get(descriptor, "user.a") == b"1"
        assert "user.a" in xattrs.list_of(descriptor)
        assert xattrs.get(descriptor, "user.b") is None
    finally:
        os.close(descriptor)
    assert xattrs.get_at(here, "f", "user.a") == b"1"
    assert "user.a" in xattrs.list_at(here, "f")


def test_attributes_of_a_link_are_not_those_of_its_target(here: int, tmp_path: Path) -> None:
    """A name is never followed."""
    (tmp_path / "f").write_text("1")
    xattrs.set_at(here, "f", "user.a", b"1")
    (tmp_path / "l").symlink_to("f")
    assert xattrs.get_at(here, "l", "user.a") is None


def test_mask_and_sync(here: int) -> None:
    """The mask is the process's; a file system can be synced through any descriptor of it."""
    mask = os.umask(0o027)
    try:
        assert file_creation_mask() == 0o027
    finally:
        os.umask(mask)
    syncfs(here)
    with pytest.raises(KernelError) as caught:
        syncfs(-1)
    assert caught.value.errno == errno.EBADF
