"""Writable snapshots, and what happens to layers that are not needed or not whole."""

import io
import os
import stat
import subprocess
from pathlib import Path

import pytest

from kernel.snapshots.conftest import names_on_disk
from support.tar_archives import archive, directory, member
from wherry.model.errors import StateUnreadable, StepFailed
from wherry.model.ids import ChainId, SnapshotKey
from wherry.operations.plan import Hands, Verdict, undo
from wherry.snapshots import Snapshots
from wherry.store import Database

pytestmark = pytest.mark.kernel

KEY = SnapshotKey("b" * 64)


def one_layer(
    snapshots: Snapshots, content: bytes = b"1", parent: ChainId | None = None
) -> ChainId:
    """Commit a layer with one file."""
    return snapshots.apply_layer(parent, io.BytesIO(archive(member("n", content)))).chain_id


def test_snapshots_have_nothing_to_do_with_each_other(snapshots: Snapshots) -> None:
    """ext4 is told so (chattr(1), `T`) of their directory, and of none of them."""
    snapshots.prepare(KEY, None)
    marks = subprocess.run(
        ["lsattr", "-d", snapshots.directory, f"{snapshots.directory}/{KEY}"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()[::2]
    if dict(snapshots.status())["Backing Filesystem"] == "extfs":
        assert ["T" in each for each in marks] == [True, False]


def reopened(snapshots: Snapshots) -> Snapshots:
    """The same store as a new program sees it."""
    data_root = os.path.dirname(snapshots.directory)
    return Snapshots(data_root, Database(f"{data_root}/engine.db", Snapshots.MIGRATIONS))


def own_files(snapshots: Snapshots) -> str:
    """Where a snapshot's own files are."""
    return f"{snapshots.directory}/{KEY}/diff"


def test_a_snapshot_of_nothing_is_its_own_directory(snapshots: Snapshots) -> None:
    """overlayfs wants a layer below; without one there is nothing to copy from."""
    snapshots.prepare(KEY, None)
    rootfs = snapshots.rootfs(KEY)
    assert (rootfs.type, rootfs.source) == ("bind", own_files(snapshots))


def test_prepare_makes_what_overlayfs_needs(snapshots: Snapshots) -> None:
    """Upper and work directories, named so that the mount instruction finds them."""
    chain = one_layer(snapshots)
    snapshots.prepare(KEY, chain)
    rootfs = snapshots.rootfs(KEY)
    assert rootfs.lower == ("1/diff",)
    assert Path(rootfs.directory, rootfs.lower[0], "n").read_bytes() == b"1"
    assert os.listdir(rootfs.upper) == os.listdir(rootfs.work) == []
    assert os.readlink(f"{snapshots.directory}/{KEY}/lower") == "../1"


def test_prepare_is_explained_and_can_be_undone(snapshots: Snapshots) -> None:
    """The journal has one entry, whose operation finds the snapshot and removes it."""
    journal = snapshots.prepare(KEY, one_layer(snapshots), why="a test wants it")
    operation = journal[0].operation
    assert operation.kind == "prepare-snapshot"
    assert operation.why == "a test wants it"
    assert operation.check(journal[0].evidence).verdict is Verdict.STILL_TRUE
    assert undo(journal, Hands()) == []
    assert operation.check(journal[0].evidence).verdict is Verdict.GONE
    assert names_on_disk(snapshots) == ["1"]


def test_root_looks_like_that_of_the_topmost_layer(snapshots: Snapshots) -> None:
    """overlayfs shows mode and owner of the upper root, so they must be the image's."""
    packed = io.BytesIO(archive(directory("./", 0o1711, uid=3, gid=4)))
    snapshots.prepare(KEY, snapshots.apply_layer(None, packed).chain_id)
    state = os.stat(own_files(snapshots))
    assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid) == (0o1711, 3, 4)


def test_prepare_commits_nothing(snapshots: Snapshots, database: Database) -> None:
    """No transaction is on the hot path: the database is untouched by a snapshot's life."""
    chain = one_layer(snapshots)
    before = database.commits
    snapshots.prepare(KEY, chain)
    snapshots.rootfs(KEY)
    snapshots.remove(KEY)
    assert database.commits == before


def test_the_same_key_twice_is_refused_and_harmless(snapshots: Snapshots) -> None:
    """A second `prepare` doesn't touch what the first snapshot holds."""
    snapshots.prepare(KEY, None)
    written = Path(own_files(snapshots), "n")
    written.write_text("kept")
    with pytest.raises(StateUnreadable):
        snapshots.prepare(KEY, None)
    assert written.read_text() == "kept"


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "../x", "12", "x" * 129, "a\n"])
def test_keys_that_are_no_names_are_refused(snapshots: Snapshots, key: str) -> None:
    """A key is one plain name, and never looks like a layer's number."""
    with pytest.raises(ValueError, match="not a snapshot key"):
        snapshots.prepare(SnapshotKey(key), None)
    with pytest.raises(ValueError, match="not a snapshot key"):
        snapshots.remove(SnapshotKey(key))
    assert names_on_disk(snapshots) == []


def test_remove_is_idempotent(snapshots: Snapshots) -> None:
    """Removing what is gone is no error; the key can be used again."""
    snapshots.prepare(KEY, None)
    Path(own_files(snapshots), "d").mkdir()
    for _ in range(2):
        snapshots.remove(KEY)
    assert names_on_disk(snapshots) == []
    snapshots.prepare(KEY, None)


def test_remove_of_a_very_deep_tree(snapshots: Snapshots) -> None:
    """A container can make a tree deeper than any path or stack; it is removed like any other."""
    snapshots.prepare(KEY, None)
    home = os.open(".", os.O_RDONLY)
    os.chdir(own_files(snapshots))
    try:
        for _ in range(5000):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(home)
        os.close(home)
    snapshots.remove(KEY)
    assert names_on_disk(snapshots) == []


def test_usage_counts_each_inode_once(snapshots: Snapshots) -> None:
    """Hard links don't make a snapshot larger."""
    snapshots.prepare(KEY, None)
    upper = Path(own_files(snapshots))
    (upper / "d").mkdir()
    (upper / "d" / "a").write_bytes(b"x" * 1000)
    os.link(upper / "d" / "a", upper / "b")
    (upper / "c").write_bytes(b"x" * 23)
    assert snapshots.usage(KEY) == 1023


def test_graph_data_names_every_directory(snapshots: Snapshots) -> None:
    """Docker's words for where a container's and an image's files are."""
    first = one_layer(snapshots)
    second = one_layer(snapshots, b"2", first)
    snapshots.prepare(KEY, second)
    top = snapshots.directory
    assert snapshots.graph_data(KEY) == {
        "LowerDir": f"{top}/2/diff:{top}/1/diff",
        "MergedDir": f"{top}/{KEY}/merged",
        "UpperDir": f"{top}/{KEY}/diff",
        "WorkDir": f"{top}/{KEY}/work",
    }
    assert snapshots.graph_data(second)["LowerDir"] == f"{top}/1/diff"
    assert "LowerDir" not in snapshots.graph_data(first)


def test_a_new_program_knows_snapshots_and_layers(snapshots: Snapshots) -> None:
    """After a restart the same mount instruction comes out, without a row for the snapshot."""
    snapshots.prepare(KEY, one_layer(snapshots))
    again = reopened(snapshots)
    assert again.rootfs(KEY) == snapshots.rootfs(KEY)
    assert again.layers.all() == snapshots.layers.all()


def test_sweep_removes_strangers_and_half_layers(snapshots: Snapshots) -> None:
    """What no container and no row speaks of goes; the rest stays."""
    chain = one_layer(snapshots)
    snapshots.prepare(KEY, chain)
    snapshots.prepare(SnapshotKey("stranger"), chain)
    snapshots.layers.stage(chain, io.BytesIO(archive(member("half"))))
    again = reopened(snapshots)
    assert set(again.sweep({KEY})) == {"stranger", "2"}
    assert names_on_disk(again) == ["1", KEY]
    assert again.rootfs(KEY).lower == ("1/diff",)


def test_layers_below_a_snapshot_are_kept(snapshots: Snapshots) -> None:
    """No image needs them, a container does; when it is gone, they go too."""
    first = one_layer(snapshots)
    second = one_layer(snapshots, b"2", first)
    beside = one_layer(snapshots, b"3", first)
    snapshots.prepare(KEY, second)
    assert snapshots.remove_unneeded_layers(()) == (beside,)
    snapshots.remove(KEY)
    assert snapshots.remove_unneeded_layers(()) == (second, first)
    assert names_on_disk(snapshots) == []


def test_the_same_layer_is_unpacked_once(snapshots: Snapshots) -> None:
    """A stack that is here is not read again: the stream isn't even touched."""
    layer = snapshots.apply_layer(None, io.BytesIO(archive(member("n"))))
    untouched = io.BytesIO(b"not even a tar")
    again = snapshots.apply_layer(None, untouched, diff_id=layer.diff_id)
    assert again == layer
    assert untouched.tell() == 0


def test_layers_are_synced_before_their_rows(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk refuses to sync, nothing says that the layer is there."""

    def refuse(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("wherry.snapshots.layer_store.syncfs", refuse)
    with pytest.raises(StepFailed):
        one_layer(snapshots)
    assert snapshots.layers.all() == ()
    assert names_on_disk(snapshots) == []


def test_a_missing_stack_is_named(snapshots: Snapshots) -> None:
    """A snapshot on layers that aren't here is refused before anything is made."""
    with pytest.raises(StateUnreadable):
        snapshots.prepare(KEY, ChainId("sha256:" + "0" * 64))
    assert names_on_disk(snapshots) == []


def test_status_tells_what_docker_info_shows(snapshots: Snapshots) -> None:
    """The names are Docker's, and the backing file system is a real one."""
    status = dict(snapshots.status())
    assert status["Supports d_type"] == "true"
    assert status["Backing Filesystem"] not in ("", "unknown")
