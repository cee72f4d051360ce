"""What clients send becomes a tree of its own, and nothing outside of it."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from wherry.builder.sources.client_trees import ClientTree
from wherry.builder.sources.kept_contexts import open_kept
from wherry.model.errors import InvalidValue
from wherry.model.files import SentFile

DIRECTORY = stat.S_IFDIR | 0o755
FILE = stat.S_IFREG | 0o644
LINK = stat.S_IFLNK | 0o777


class Place:
    """A kept copy, and the trees that builds get."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def receive(
        self, files: Sequence[SentFile], contents: dict[str, bytes]
    ) -> tuple[Path, list[str]]:
        """A build's tree of what is sent, and what had to be sent."""
        self.count += 1
        root = self.path / f"tree-{self.count}"
        root.mkdir()
        descriptor = os.open(root, os.O_RDONLY)
        kept = open_kept(str(self.path / "kept"), "context")
        tree = ClientTree(descriptor, kept)
        try:
            wanted = tree.add(files)
            for number in wanted:
                tree.write([(number, contents[files[number].path]), (number, b"")])
            tree.finish()
        finally:
            tree.close()
            os.close(descriptor)
            os.close(kept)
        return root, [files[number].path for number in wanted]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty one; what is beside it must stay as it is."""
    (tmp_path / "outside").write_text("untouched")
    yield Place(tmp_path)
    assert (tmp_path / "outside").read_text() == "untouched"
    assert not list((tmp_path / "kept/coming").iterdir()), "nothing half-sent stays"


def file(path: str, size: int, *, mode: int = FILE, at: int = 1) -> SentFile:
    """A regular file."""
    return SentFile(path=path, mode=mode, size=size, modified_ns=at)


def test_a_tree_is_what_was_sent(place: Place) -> None:
    """Directories, files, links of both kinds, permissions and times."""
    files = [
        SentFile(path="d", mode=stat.S_IFDIR | 0o700, modified_ns=5_000_000_001),
        file("d/a", 3, mode=stat.S_IFREG | 0o4755, at=7),
        SentFile(path="d/again", mode=FILE, link="d/a"),
        SentFile(path="d/link", mode=LINK, link="/etc/passwd", modified_ns=9),
        SentFile(path="pipe", mode=stat.S_IFIFO | 0o600),
    ]
    root, wanted = place.receive(files, {"d/a": b"abc"})
    assert wanted == ["d/a"]
    assert (root / "d/a").read_bytes() == b"abc"
    assert (root / "d/a").stat().st_mode == stat.S_IFREG | 0o4755
    assert (root / "d/a").stat().st_mtime_ns == 7
    assert (root / "d/again").samefile(root / "d/a")
    assert os.readlink(root / "d/link") == "/etc/passwd"
    assert (root / "d").stat().st_mode == stat.S_IFDIR | 0o700
    assert (root / "d").stat().st_mtime_ns == 5_000_000_001
    assert stat.S_ISFIFO((root / "pipe").stat().st_mode)


def test_only_what_changed_is_sent_again(place: Place) -> None:
    """By size, time and permissions; and what is gone at the client is in no new tree."""
    contents = {"a": b"aa", "b": b"bb", "c": b"cc"}
    place.receive([file(each, 2) for each in "abc"], contents)
    again = [file("a", 2), file("b", 2, at=2)]
    root, wanted = place.receive(again, {"b": b"BB"})
    assert wanted == ["b"]
    assert {each.name: each.read_bytes() for each in root.iterdir()} == {"a": b"aa", "b": b"BB"}
    assert place.receive([file("a", 2, mode=stat.S_IFREG | 0o600)], contents)[1] == ["a"]
    assert (place.path / "tree-1/b").read_bytes() == b"bb", "an earlier build's tree stays"


def test_a_kept_file_gives_way(place: Place) -> None:
    """A file where a directory was kept, and a directory where a file was."""
    place.receive([SentFile(path="x", mode=DIRECTORY), file("x/y", 1)], {"x/y": b"1"})
    root, _wanted = place.receive([file("x", 1)], {"x": b"2"})
    assert (root / "x").read_bytes() == b"2"
    root, _wanted = place.receive(
        [SentFile(path="x", mode=DIRECTORY), file("x/y", 1)], {"x/y": b"3"}
    )
    assert (root / "x/y").read_bytes() == b"3"


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "../outside", "/outside", "a/../../outside", "a//b", "./a", "a/", "x\0y"],
)
def test_names_that_lead_outside_are_refused(place: Place, path: str) -> None:
    """Whatever kind of file has them."""
    for mode in (FILE, DIRECTORY, LINK):
        with pytest.raises(InvalidValue, match="the client sends"):
            place.receive([SentFile(path=path, mode=mode, link="x" if mode == LINK else "")], {})


def test_a_link_is_no_way_in(place: Place) -> None:
    """What is sent behind a link that was sent is refused, as another name of a file as well."""
    link = SentFile(path="l", mode=LINK, link="..")
    for behind in (file("l/outside", 1), SentFile(path="x", mode=FILE, link="l/outside")):
        with pytest.raises(InvalidValue, match="the client sends"):
            place.receive([link, behind], {"l/outside": b"!"})


def test_files_before_their_directories_are_refused(place: Place) -> None:
    """A walk tells of a directory first."""
    with pytest.raises(InvalidValue, match="No such file"):
        place.receive([file("d/a", 1)], {})


@pytest.mark.parametrize("mode", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_devices_are_refused(place: Place, mode: int) -> None:
    """A context has none."""
    with pytest.raises(InvalidValue, match="device"):
        place.receive([SentFile(path="null", mode=mode | 0o666)], {})


def test_what_nobody_asked_for_is_refused(place: Place) -> None:
    """Contents of unknown files, of directories, and of files that are whole."""
    root = place.path / "tree"
    root.mkdir()
    descriptor, kept = os.open(root, os.O_RDONLY), open_kept(str(place.path / "kept"), "context")
    tree = ClientTree(descriptor, kept)
    tree.add([SentFile(path="d", mode=DIRECTORY), file("a", 1)])
    tree.write([(1, b"a"), (1, b"")])
    for number in (0, 1, 2, 1 << 31):
        with pytest.raises(InvalidValue, match="nobody asked for"):
            tree.write([(number, b"!")])
    tree.close()
    os.close(descriptor)
    os.close(kept)


def test_what_did_not_come_is_missed(place: Place) -> None:
    """A transfer that ends too early is an error, and the half file is gone."""
    root = place.path / "tree"
    root.mkdir()
    descriptor, kept = os.open(root, os.O_RDONLY), open_kept(str(place.path / "kept"), "context")
    tree = ClientTree(descriptor, kept)
    tree.add([file("a", 2)])
    tree.write([(0, b"a")])
    with pytest.raises(InvalidValue, match="did not send 'a'"):
        tree.finish()
    tree.close()
    os.close(descriptor)
    os.close(kept)
