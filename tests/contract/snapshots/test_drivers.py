"""What every snapshot driver does: the same tree, the same changes, nothing left."""

import io
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.file_systems import HAS_PROJECTS, mounted_anew
from support.tar_archives import archive, directory, hard_link, member, symlink
from wherry.model.errors import InvalidValue, StateUnreadable
from wherry.model.files import ADDED, CHANGED, DELETED
from wherry.model.ids import ChainId, SnapshotKey
from wherry.oci.runtime_spec import RootfsMount
from wherry.snapshots import Snapshots, open_snapshots
from wherry.store import Database

pytestmark = pytest.mark.kernel

OPTIONS = {
    "devicemapper": {
        "dm.basesize": "64m", "dm.loopdatasize": "512m", "dm.loopmetadatasize": "16m"
    }
}  # fmt: skip
KEY, OTHER = SnapshotKey("a" * 64), SnapshotKey("b" * 64)

BOUNDS = {
    "btrfs": ("8m", 4, 16, "Disk quota exceeded"),
    "overlay2 on xfs": ("8m", 4, 16, "No space left on device"),
    "devicemapper": ("128m", 80, 160, "No space left on device"),
}
"""A bound, what is within it, what is not, in MiB, and what the kernel says then. That of a device
is no less than its pool's base."""

FACTS = """
cd "$1"
find . -mindepth 1 | sort | while read -r each; do
    stat -c '%n %f %u:%g %t:%T %Y' "$each" | sed 's/^\\(.* 4[0-9a-f]\\{3\\} .*\\) [0-9]*$/\\1/'
    [ -L "$each" ] && readlink "$each"
    [ -f "$each" ] && [ ! -L "$each" ] && cksum < "$each" && stat -c 'links %h' "$each"
    getfattr -d -m - --absolute-names "$each" 2>/dev/null | grep -v '^#' | grep -v overlay
done
:
"""


@contextmanager
def file_system(kind: str) -> Iterator[Path]:
    """One on a loop file, gone afterwards."""
    # Not in pytest's directories, which it renames.
    with (
        tempfile.TemporaryDirectory(prefix=f"wherry-{kind}-") as place,
        mounted_anew(kind, Path(place)),
    ):
        yield Path(place)


FILE_SYSTEMS = {"btrfs": "btrfs", "overlay2 on xfs": "xfs"}
"""What a driver is tried on that is not on any."""
DRIVERS = ["overlay2", "btrfs", "fuse-overlayfs", "vfs"]
if os.path.exists("/dev/mapper/control"):
    DRIVERS.append("devicemapper")  # in the virtual machine (tests/vm)
ON_XFS = ["overlay2 on xfs"] if HAS_PROJECTS else []
"""Where one thing more can be done than on others."""


@pytest.fixture(params=DRIVERS)
def snapshots(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Snapshots]:
    """An empty store of each driver."""
    driver = request.param.partition(" ")[0]
    with ExitStack() as mounted:
        if kind := FILE_SYSTEMS.get(request.param):
            tmp_path = mounted.enter_context(file_system(kind))
        (tmp_path / "data").mkdir()
        database = Database(str(tmp_path / "data" / "engine.db"), Snapshots.MIGRATIONS)
        opened = open_snapshots(driver, str(tmp_path / "data"), database, OPTIONS.get(driver))
        yield opened
        opened.sweep(())
        opened.remove_unneeded_layers(())
        database.close()
    if pool := dict(opened.status()).get("Pool Name"):
        subprocess.run(["dmsetup", "remove", "--noudevsync", pool], check=True)


def stack(snapshots: Snapshots) -> ChainId:
    """Three layers in which everything happens that layers can say."""
    layers = (
        (
            directory("./", 0o755),
            directory("kept", 0o2750, uid=3, gid=4),
            member("kept/file", b"one"),
            hard_link("kept/twin", "kept/file"),
            directory("emptied"),
            member("emptied/lost", b"x"),
            directory("replaced"),
            member("replaced/inner", b"x"),
            member("gone", b"x"),
            symlink("link", "kept/file"),
            member("became-directory", b"x"),
        ),
        (
            member("kept/file", b"two, and longer"),
            member(".wh.gone", b""),
            directory("emptied"),
            member("emptied/.wh..wh..opq", b""),
            member("emptied/new", b"y"),
            member("replaced", b"now a file"),
            directory("became-directory"),
            member("became-directory/inner", b"y"),
        ),
        (member("top", b"z"), member(".wh.link", b"")),
    )
    chain: ChainId | None = None
    for members in layers:
        chain = snapshots.apply_layer(chain, io.BytesIO(archive(*members))).chain_id
    assert chain is not None
    return chain


def inside(snapshots: Snapshots, key: SnapshotKey, script: str) -> str:
    """What a script says in a snapshot's root, mounted where only it sees it."""
    return mounted(snapshots.rootfs(key), script)


def mounted(root: RootfsMount, script: str) -> str:
    """The same of any root."""
    mount = f"mount --bind {root.source} /mnt"
    if root.filesystem:
        mount = f"mount -t {root.filesystem} {root.source} /mnt"
    if root.lower:
        options = f"lowerdir={':'.join(root.lower)}"
        options += f",upperdir={root.upper},workdir={root.work}" if root.upper else ",ro"
        program = "mount -t overlay overlay" if root.type == "overlay" else root.type
        mount = f"cd {root.directory} && {program} -o {options} /mnt"
    # Unmounted by name, too: a program that serves it would keep the namespace.
    ran = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c",
         f"{mount} && set -- /mnt && ({script}); status=$?; cd /; umount /mnt; exit $status"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def can_have_user_attributes(directory: str) -> bool:
    """Whether the layers' file system has them; a tmpfs does since Linux 6.6."""
    try:
        os.setxattr(directory, "user.tried", b"x")
    except OSError:
        return False
    return True


NAMES = "cd /mnt && find . -mindepth 1 | sort"
MERGED = [
    "./became-directory", "./became-directory/inner", "./emptied", "./emptied/new", "./kept",
    "./kept/file", "./kept/twin", "./replaced", "./top",
]  # fmt: skip
"""What is to be seen of `stack`."""


def test_the_merged_tree(snapshots: Snapshots) -> None:
    """Whiteouts, opaque directories and changes of kind have had their effect."""
    snapshots.prepare(KEY, stack(snapshots))
    assert inside(snapshots, KEY, NAMES).split() == MERGED
    shown = inside(snapshots, KEY, "cd /mnt/kept && cat file twin && stat -c '%a %u:%g' .")
    assert shown == "two, and longerone2750 3:4\n"


def test_a_snapshot_is_ones_own(snapshots: Snapshots) -> None:
    """What one container writes, no other sees, nor the layers."""
    chain = stack(snapshots)
    snapshots.prepare(KEY, chain)
    inside(snapshots, KEY, "echo mine > /mnt/kept/file; rm /mnt/top")
    snapshots.prepare(OTHER, chain)
    assert inside(snapshots, OTHER, "cat /mnt/kept/file /mnt/top") == "two, and longerz"


def test_changes_become_a_layer(snapshots: Snapshots) -> None:
    """The difference, applied on the same stack elsewhere, gives the same tree."""
    chain = stack(snapshots)
    snapshots.prepare(KEY, chain)
    inside(
        snapshots,
        KEY,
        "cd /mnt && echo more >> kept/file && rm -r became-directory && rm top && ln -s /etc new"
        " && mkdir -m 1777 made && mkfifo made/fifo && chmod 700 emptied && chown 5:6 replaced",
    )
    packed = io.BytesIO()
    digest = snapshots.diff_layer(KEY, packed).diff_id
    packed.seek(0)
    committed = snapshots.apply_layer(chain, packed)
    assert committed.diff_id == digest
    snapshots.prepare(OTHER, committed.chain_id)
    assert inside(snapshots, OTHER, FACTS) == inside(snapshots, KEY, FACTS)


def test_a_snapshot_becomes_a_layer(snapshots: Snapshots) -> None:
    """It has what its tar has: packed again it gives the same bytes, and what no layer holds is
    gone. Its owner can remove what is left; a second one like it is the same layer."""
    chain = stack(snapshots)
    has_yours = can_have_user_attributes(snapshots.directory)
    yours = "&& setfattr -n user.yours -v y again" if has_yours else ""
    layers = []
    for key in (KEY, OTHER):
        snapshots.prepare(key, chain)
        inside(
            snapshots,
            key,
            "cd /mnt && mkdir -p etc dev proc && touch etc/hosts dev/console && mkdir proc/kept"
            " && rm -r emptied && mkdir emptied && echo new > emptied/more && rm top"
            " && ln emptied/more again && truncate -s 1M holes && chmod 4755 kept/file"
            f" && setfattr -n trusted.mine -v x again {yours}"
            " && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"kept/s\")'"
            " && find . -depth -exec touch -h -d @1000000000 {} +",
        )
        packed = io.BytesIO()
        written = snapshots.diff_layer(key, packed)
        layer = snapshots.become_layer(key, written, lambda tar=packed: io.BytesIO(tar.getvalue()))
        layers.append(layer)
        snapshots.remove(key)
        again = io.BytesIO()
        repeated = snapshots.diff_layer(layer.chain_id, again)
        assert repeated.diff_id == written.diff_id == layer.diff_id
        assert not repeated.counts.left_out
        assert again.getvalue() == packed.getvalue()
    assert layers[0] == layers[1]
    snapshots.prepare(KEY, layers[0].chain_id)
    assert inside(snapshots, KEY, "cd /mnt; ls -A etc dev proc kept emptied").split() == [
        "dev:", "emptied:", "more", "etc:", "kept:", "file", "twin", "proc:", "kept",
    ]  # fmt: skip
    told = inside(snapshots, KEY, "getfattr -d -m 'trusted.mine|user' --absolute-names /mnt/again")
    assert ("user.yours" in told) is has_yours
    assert "trusted.mine" not in told


def test_no_change_is_an_empty_layer(snapshots: Snapshots) -> None:
    """A snapshot as it was made differs in nothing, and weighs nothing."""
    snapshots.prepare(KEY, stack(snapshots))
    packed = io.BytesIO()
    snapshots.diff_layer(KEY, packed)
    assert len(packed.getvalue()) <= 2048, "only the root directory and the end"
    assert snapshots.usage(KEY) == 0
    inside(snapshots, KEY, "head -c 5000 /dev/zero > /mnt/big")
    assert snapshots.usage(KEY) == 5000


def test_changes_are_told(snapshots: Snapshots) -> None:
    """Each by its name and kind, those above a change too, and nothing else."""
    snapshots.prepare(KEY, stack(snapshots))
    assert snapshots.changes(KEY) == []
    inside(snapshots, KEY, "cd /mnt && echo more >> kept/file && rm top && mkdir made")
    told = {(os.fsdecode(each.path), each.kind) for each in snapshots.changes(KEY)}
    assert told == {
        ("/kept", CHANGED), ("/kept/file", CHANGED), ("/top", DELETED), ("/made", ADDED)
    }  # fmt: skip


def test_modes_of_the_directories(snapshots: Snapshots) -> None:
    """Only root and those it lets in see what containers write."""
    snapshots.prepare(KEY, stack(snapshots))
    for place in (snapshots.directory, f"{snapshots.directory}/{KEY}"):
        assert os.stat(place).st_mode & 0o777 == 0o710
    assert inside(snapshots, KEY, "stat -c %a /mnt") == "755\n"


@pytest.mark.parametrize("snapshots", [*DRIVERS, *ON_XFS], indirect=True)
def test_a_bound_on_what_is_written(snapshots: Snapshots, request: pytest.FixtureRequest) -> None:
    """Is kept where the driver can, and refused where it can't."""
    kind = request.node.callspec.params["snapshots"]
    if kind not in BOUNDS:
        with pytest.raises(InvalidValue, match=r"--storage-opt is (not )?supported"):
            snapshots.check_options({"size": "8m"})
        return
    chain = stack(snapshots)
    none = [{"size": "0"}] if kind != "overlay2 on xfs" else []
    for bad in ({"size": "x"}, {"colour": "red"}, *none):
        with pytest.raises(InvalidValue):
            snapshots.check_options(bad)
    size, fits, too_much, complaint = BOUNDS[kind]
    snapshots.prepare(KEY, chain, options={"size": size})
    write = "dd if=/dev/zero of=/mnt/big bs=1M count={} conv=fsync 2>&1 || true"
    assert complaint not in inside(snapshots, KEY, write.format(fits))
    assert complaint in inside(snapshots, KEY, write.format(too_much))
    snapshots.prepare(OTHER, chain)
    assert complaint not in inside(snapshots, OTHER, write.format(fits // 2))
    snapshots.remove(KEY)
    snapshots.prepare(KEY, chain)
    assert complaint not in inside(snapshots, KEY, write.format(too_much))


def test_subvolumes_of_a_container_go_with_it(snapshots: Snapshots) -> None:
    """A root with the right to do so makes subvolumes in its own."""
    snapshots.prepare(KEY, stack(snapshots))
    make = "btrfs subvolume create" if snapshots.name == "btrfs" else "mkdir"
    deep = "mkdir /mnt/kept/inner/deep && touch /mnt/kept/inner/deep/file"
    inside(snapshots, KEY, f"{make} /mnt/kept/inner && {deep}")
    snapshots.remove(KEY)
    assert not os.path.exists(f"{snapshots.directory}/{KEY}")


def test_it_is_there_after_a_restart(snapshots: Snapshots) -> None:
    """A new program finds the snapshot and what it stands on; strangers are swept away. It is the
    machine that was restarted, where that makes a difference: devices lose their names."""
    snapshots.prepare(KEY, stack(snapshots))
    inside(snapshots, KEY, "echo kept > /mnt/kept/mine")
    if pool := dict(snapshots.status()).get("Pool Name"):
        for name in (os.path.basename(snapshots.rootfs(KEY).source), pool):
            subprocess.run(["dmsetup", "remove", "--noudevsync", name], check=True)
    os.mkdir(f"{snapshots.directory}/scratch-left")
    data_root = os.path.dirname(snapshots.directory)
    database = Database(f"{data_root}/engine.db", Snapshots.MIGRATIONS)
    again = open_snapshots(snapshots.name, data_root, database, OPTIONS.get(snapshots.name))
    assert again.sweep({KEY}) == ("scratch-left",)
    assert again.keys() == {KEY}
    assert again.rootfs(KEY) == snapshots.rootfs(KEY)
    assert inside(again, KEY, "cat /mnt/kept/mine") == "kept\n"
    database.close()


def test_removal_leaves_nothing(snapshots: Snapshots) -> None:
    """Nor does removing twice hurt; layers that a snapshot stands on stay until it goes."""
    snapshots.prepare(KEY, stack(snapshots))
    assert snapshots.remove_unneeded_layers(()) == ()
    snapshots.remove(KEY)
    snapshots.remove(KEY)
    assert len(snapshots.remove_unneeded_layers(())) == 3
    assert os.listdir(snapshots.directory) == []


def test_a_view(snapshots: Snapshots) -> None:
    """Who only reads has a directory, or several to stack; the layers stay until it is removed."""
    lower = snapshots.view(KEY, stack(snapshots), why="a test")
    if len(lower) == 1:
        root = RootfsMount(type="bind", directory="/", source=lower[0])
    else:
        root = RootfsMount(type="overlay", directory="/", lower=lower)
    assert mounted(root, NAMES).split() == MERGED
    assert snapshots.remove_unneeded_layers(()) == ()
    snapshots.remove(KEY)
    assert len(snapshots.remove_unneeded_layers(())) == 3
    assert os.listdir(snapshots.directory) == []


def test_the_same_key_twice(snapshots: Snapshots) -> None:
    """Is refused; a snapshot on a stack that is not here too."""
    snapshots.prepare(KEY, None)
    with pytest.raises(StateUnreadable):
        snapshots.prepare(KEY, None)
    with pytest.raises(StateUnreadable):
        snapshots.prepare(OTHER, ChainId("sha256:" + "0" * 64))
    assert snapshots.keys() == {KEY}


def test_a_data_root_belongs_to_one_driver(snapshots: Snapshots) -> None:
    """The other one refuses it by name."""
    data_root = os.path.dirname(snapshots.directory)
    other = "overlay2" if snapshots.name == "vfs" else "vfs"
    database = Database(f"{data_root}/engine.db", Snapshots.MIGRATIONS)
    with pytest.raises(StateUnreadable, match=f"storage driver {snapshots.name}"):
        open_snapshots(other, data_root, database)
    database.close()


def test_a_pool_that_is_none(snapshots: Snapshots, tmp_path: Path) -> None:
    """Is refused by name, and nothing is made for it."""
    if snapshots.name != "devicemapper":
        return
    (tmp_path / "other").mkdir()
    database = Database(str(tmp_path / "other.db"), Snapshots.MIGRATIONS)
    options = {"dm.thinpooldev": "/dev/mapper/nowhere"}
    with pytest.raises(StateUnreadable, match=r"dm.thinpooldev: .* is no thin pool"):
        open_snapshots("devicemapper", str(tmp_path / "other"), database, options)
    assert os.listdir(tmp_path / "other") == []
    database.close()
