"""USER looked up in an image's files: Docker's rules, and no number that only looks like one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.runtime.accounts import AccountNotFound, Identity, home_of, resolve

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
# a comment: 1:2
broken:x:nonsense:0::/broken:
huge:x:4294967296:0::/huge:
short:x:5
app:x:1000:1001::/home/app:/bin/sh
homeless:x:1002:1002
second:x:1000:7::/second:
"""
GROUP = """\
root:x:0:
staff:x:50:app,other
app:x:1001:
more:x:51:someone,app
bad:x:many:app
tail:x:60
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A root with account files."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    descriptor = os.open(tmp_path, os.O_PATH)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("user", "added", "expected"),
    [
        ("", (), (0, 0, (0,), "/root")),
        ("app", (), (1000, 1001, (1001, 50, 51), "/home/app")),
        ("1000", (), (1000, 1001, (1001, 50, 51), "/home/app")),
        ("app:50", (), (1000, 50, (50,), "/home/app")),
        ("app:staff", ("app",), (1000, 50, (50, 1001), "/home/app")),
        ("9", (), (9, 0, (0,), "/")),
        ("9:9", ("staff", "9"), (9, 9, (9, 50), "/")),
        (":staff", (), (0, 50, (50,), "/root")),
        ("app:staff:ignored", (), (1000, 50, (50,), "/home/app")),
        ("homeless", (), (1002, 1002, (1002,), "/")),
        ("app", ("tail",), (1000, 1001, (1001, 50, 51, 60), "/home/app")),
    ],
)
def test_resolve(
    root: int, user: str, added: tuple[str, ...], expected: tuple[int, int, tuple[int, ...], str]
) -> None:
    """Names and numbers, with and without a group; the primary group is in the list."""
    uid, gid, groups, home = expected
    assert resolve(root, user, added) == Identity(uid=uid, gid=gid, groups=groups, home=home)


@pytest.mark.parametrize(
    ("user", "added", "reference", "is_group"),
    [
        ("nobody", (), "nobody", False),
        ("broken", (), "broken", False),
        ("huge", (), "huge", False),
        ("short", (), "short", False),
        ("app:nothing", (), "nothing", True),
        ("app:bad", (), "bad", True),
        ("app", ("nothing",), "nothing", True),
        ("2147483648", (), "2147483648", False),
        ("-0", (), "-0", False),
        ("0b1", (), "0b1", False),
        ("app:1_0", (), "1_0", True),
        ("app:4294967296", (), "4294967296", True),
        ("x" * 300, (), "x" * 256, False),
        ("9" * 5000, (), "9" * 256, False),
    ],
)
def test_refused(
    root: int, user: str, added: tuple[str, ...], reference: str, is_group: bool
) -> None:
    """What is not there, and what is no possible number, is an error that names it."""
    with pytest.raises(AccountNotFound) as caught:
        resolve(root, user, added)
    assert (caught.value.reference, caught.value.is_group) == (reference, is_group)


def test_without_files(tmp_path: Path) -> None:
    """An image without account files has numbers only."""
    descriptor = os.open(tmp_path, os.O_PATH)
    try:
        assert resolve(descriptor, "5:6") == Identity(uid=5, gid=6, groups=(6,), home="/")
        with pytest.raises(AccountNotFound):
            resolve(descriptor, "app")
    finally:
        os.close(descriptor)


def test_links_stay_in_the_root(root: int, tmp_path: Path) -> None:
    """/etc/passwd may be a link, whose target is looked up inside the root."""
    (tmp_path / "etc/passwd").unlink()
    (tmp_path / "etc/passwd").symlink_to("/etc/real")
    (tmp_path / "etc/real").write_text("inside:x:77:77::/:\n")
    assert resolve(root, "inside").uid == 77
    with pytest.raises(AccountNotFound):
        resolve(root, "root")


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1])
def test_size_limit(root: int, tmp_path: Path, size: int) -> None:
    """One MiB is read, one byte more is not."""
    line = "last:x:5:5::/:\n"
    (tmp_path / "etc/passwd").write_text("#" * (size - len(line) - 1) + "\n" + line)
    if size == 1 << 20:
        assert resolve(root, "last").uid == 5
    else:
        with pytest.raises(AccountNotFound, match="larger than"):
            resolve(root, "last")


def test_home_of_a_number(root: int) -> None:
    """The first account of a number has the say."""
    assert home_of(root, 1000) == "/home/app"
    assert home_of(root, 4711) == "/"
