"""What a build is told of a directory: what is named, where links lead, and nothing else."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from wherry.client.build_session.directories import Folder
from wherry.kit.path_patterns import Ignore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files, directories, and links among them."""
    for name in ("a/b/one", "a/b/two", "a.c", "big/inside", "kept/no", "kept/yes", "z/deep/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "alias").symlink_to("a/b")
    (tmp_path / "rooted").symlink_to("/alias/../../a.c")
    (tmp_path / "round").symlink_to("round")
    return tmp_path


def told(folder: Path, *paths: str, ignore: tuple[str, ...] = ()) -> list[str]:
    """The paths that are told of, in their order."""
    return [each.stat.path for each in Folder(str(folder)).found(paths, Ignore(ignore))]


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (("a/b/one",), ["a", "a/b", "a/b/one"]),
        (("./a//b/../b/two", "absent/x"), ["a", "a/b", "a/b/two"]),
        (("a",), ["a", "a/b", "a/b/one", "a/b/two"]),
        (("alias/one",), ["a", "a/b", "a/b/one", "alias"]),
        (("rooted",), ["a", "a/b", "a.c", "alias", "rooted"]),
        (("a/*/t?o", "*.c"), ["a", "a/b", "a/b/two", "a.c"]),
        (("z/**/x.txt",), ["z", "z/deep", "z/deep/x.txt"]),
        (("../../a.c",), ["a.c"]),
    ],
)  # fmt: skip
def test_what_is_named(folder: Path, paths: tuple[str, ...], found: list[str]) -> None:
    """Each directory before what is in it; links are told, and so is what they lead to."""
    assert told(folder, *paths) == found


def test_what_is_not_named_is_not_looked_at(folder: Path) -> None:
    """A directory that nobody may read is no hindrance to a file beside it."""
    os.chmod(folder / "big", 0)
    assert told(folder, "a.c") == ["a.c"]
    with pytest.raises(OSError, match="Too many levels"):
        told(folder, "round")


def test_directories_of_any_depth(tmp_path: Path) -> None:
    """Deeper than Python calls itself."""
    deep = "/".join("d" * 1100)
    here = os.open(tmp_path, os.O_RDONLY)
    for _each in range(1100):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert told(tmp_path)[-1] == deep
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_what_is_left_out(folder: Path) -> None:
    """A directory is told of again where something in it is an exception."""
    ignore = ("big", "kept", "!kept/yes", "a*", "r*", "z/*")
    assert told(folder, ignore=ignore) == ["kept", "kept/yes", "z"]
    assert told(folder, "kept/no", "a.c", ignore=ignore) == []


def test_what_is_told_of_files(folder: Path) -> None:
    """One file of two names is one; capabilities are told; whose a file is, and sockets, not."""
    os.link(folder / "a.c", folder / "other")
    held = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(folder / "a/b/one", "security.capability", held)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
    os.chown(folder / "a.c", 5, 6)
    stats = {each.stat.path: each.stat for each in Folder(str(folder)).found((), Ignore(()))}
    assert "socket" not in stats
    assert (stats["other"].linkname, stats["a.c"].linkname) == ("a.c", "")
    assert (stats["a.c"].uid, stats["a.c"].gid, stats["a.c"].size) == (0, 0, 3)
    assert stats["a/b/one"].xattrs == {"security.capability": held}
    assert stats["alias"].linkname == "a/b"


def test_a_link_in_the_place_of_a_file(folder: Path) -> None:
    """What has become a link after it was told is not followed."""
    (folder / "a.c").unlink()
    (folder / "a.c").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        Folder(str(folder)).opened("a.c")
