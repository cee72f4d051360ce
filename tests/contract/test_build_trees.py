"""What both kinds of the builder's trees promise: a directory, and a tar that stays packed."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from wherry.builder.sources.contexts import content_of
from wherry.builder.sources.directory_trees import DirectoryTree
from wherry.builder.sources.tar_trees import TarTree
from wherry.builder.sources.trees import Tree, View
from wherry.kit.path_patterns import Ignore
from wherry.model.errors.builds import NotInContext
from wherry.model.errors.images import ArchiveRefused


def directory_tree(place: Path) -> Tree:
    """The directory as it is."""
    return DirectoryTree(os.open(place, os.O_RDONLY | os.O_DIRECTORY))


def tar_tree(place: Path) -> Tree:
    """The directory as a client sends it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(place, ".", filter=_of_root)
    packed.seek(0)
    spool = open(place.parent / "spool", "w+b")  # noqa: SIM115
    return TarTree(packed, spool)


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = os.getuid()
    return member


@pytest.fixture(params=[directory_tree, tar_tree])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Tree]:
    """Opens the files of a place, whose tree is either kind."""
    place = tmp_path / "place"
    (place / "d/e").mkdir(parents=True)
    (place / "a.txt").write_text("a\n")
    (place / "b.txt").write_text("b\n")
    (place / "d/e/f.txt").write_text("f\n")
    os.link(place / "a.txt", place / "z.txt")
    os.symlink("d", place / "to-d")
    os.symlink("/d/e", place / "to-e")
    os.symlink("../../../../../etc/passwd", place / "out")
    os.symlink("circle", place / "circle")
    return lambda: request.param(place)


def contents(view: View, path: str, *excluded: str) -> dict[str, bytes]:
    """Names and content of what a path leads to."""
    archive, found = view.entries(view.place(path), excluded), {}
    for entry in archive:
        found[os.fsdecode(entry.path)] = b"".join(
            bytes(piece) for piece in iter(lambda: archive.read_content(3), b"")
        )
    return found


def test_names_and_wildcards(opened: Callable[[], Tree]) -> None:
    """A source is a path or a pattern; what is ignored is not there."""
    view = View(opened(), Ignore(["b.txt"]))
    assert view.found("/a.txt") == ["a.txt"]
    assert view.found("../a.txt") == ["a.txt"]
    assert view.found("*.txt") == ["a.txt", "z.txt"]
    assert view.found("?/*/f*") == ["d/e/f.txt"]
    for missing in ("b.txt", "nope", "nope/*", "a.txt/x"):
        with pytest.raises(NotInContext):
            view.found(missing)


def test_links_stay_inside(opened: Callable[[], Tree]) -> None:
    """A link leads where it would if the tree were all there is."""
    tree = opened()
    view = View(tree)
    assert view.place("to-d/e/f.txt").path == "d/e/f.txt"
    assert view.place("to-e").path == "d/e"
    assert content_of(tree, "to-e/f.txt", 100) == b"f\n"
    for nowhere in ("out", "circle"):
        with pytest.raises(NotInContext):
            view.found(nowhere)


def test_what_is_below_and_what_is_left_out(opened: Callable[[], Tree]) -> None:
    """Itself first; a file whose first name is left out still has its content."""
    assert contents(View(opened()), "a.txt") == {".": b"a\n"}
    assert contents(View(opened()), "d") == {".": b"", "e": b"", "e/f.txt": b"f\n"}
    whole = contents(View(opened(), Ignore(["d", "!d/e/f.txt"])), "", "a.*")
    assert {"d", "d/e", "a.txt"}.isdisjoint(whole)
    assert whole["d/e/f.txt"] == b"f\n"
    assert whole["z.txt"] == b"a\n"


def test_a_digest_is_of_content(opened: Callable[[], Tree], tmp_path: Path) -> None:
    """Times do not count; content, names and permissions do."""
    seen = {View(opened()).digest("")}
    os.utime(tmp_path / "place/b.txt", (1, 1))
    seen.add(View(opened()).digest(""))
    assert len(seen) == 1
    os.chmod(tmp_path / "place/b.txt", 0o755)
    seen.add(View(opened()).digest(""))
    (tmp_path / "place/b.txt").write_text("B\n")
    seen.add(View(opened()).digest(""))
    os.rename(tmp_path / "place/b.txt", tmp_path / "place/c.txt")
    seen.add(View(opened()).digest(""))
    assert len(seen) == 4


def tar_of(*members: tuple[str, bytes, str]) -> TarTree:
    """A tar of names, kinds and what they link to; files hold their names."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = len(name) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(name.encode()))
    packed.seek(0)
    return TarTree(packed, io.BytesIO())


FILE, LINK, HARD, DIRECTORY = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


def test_a_tar_that_names_no_directories_and_goes_through_links() -> None:
    """Parents are there all the same; a later member takes the place of an earlier one."""
    tree = tar_of(
        ("a/b/c", FILE, ""), ("to", LINK, "a/b"), ("to/d", FILE, ""), ("x/y", FILE, ""),
        ("x", FILE, ""), ("new", LINK, "a/later"), ("new/file", FILE, ""),
    )  # fmt: skip
    names = [path for path, _member in tree.walk("")]
    assert names == [
        "", "a", "a/b", "a/b/c", "a/b/d", "a/later", "a/later/file", "new", "to", "x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "members",
    [
        [("../x", FILE, "")],
        [("a/../../x", FILE, "")],
        [("x", HARD, "nothing")],
        [("d", DIRECTORY, ""), ("x", HARD, "d")],
        [("a", LINK, "b"), ("b", LINK, "a"), ("a/x", FILE, "")],
    ],
)
def test_a_tar_that_leads_outside_is_refused(members: list[tuple[str, bytes, str]]) -> None:
    """By a name, or by a hard link to what it has not."""
    with pytest.raises(ArchiveRefused):
        tar_of(*members)
