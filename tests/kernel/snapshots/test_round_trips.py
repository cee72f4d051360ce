"""Layers that are unpacked and packed again, and what overlayfs makes of them."""

import gzip
import io
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from kernel.snapshots.conftest import layer_directory, names_on_disk
from kernel.snapshots.hostile_layers import CAPABILITY
from support.tar_archives import archive, directory, hard_link, member, symlink
from support.trees import Facts, tree
from wherry.model.errors.images import DigestMismatch
from wherry.model.ids import ChainId, DiffId, SnapshotKey
from wherry.snapshots import Snapshots

pytestmark = pytest.mark.kernel

KEY = SnapshotKey("a" * 64)


def full_tree(root: Path) -> None:
    """One of everything that a container can leave in its writable layer."""
    (root / "etc").mkdir()
    (root / "etc" / "plain").write_text("plain\n")
    (root / "etc" / "odd \udcff name").write_bytes(b"\0\1\2")
    os.link(root / "etc" / "plain", root / "etc" / "second name")
    os.symlink("../../outside", root / "etc" / "link")
    long = root / ("d" * 120) / ("e" * 120)
    long.mkdir(parents=True)
    (long / "f").write_text("deep")
    (root / "setuid").write_text("#!")
    os.chown(root / "setuid", 1000, 2_000_000_000)
    (root / "setuid").chmod(0o4755)
    (root / "capable").write_text("x")
    os.setxattr(root / "capable", "security.capability", CAPABILITY)
    os.setxattr(root / "capable", "user.colour", b"red\n=\0")
    (root / "sticky").mkdir(0o1777)
    (root / "sticky").chmod(0o1777)
    os.mkfifo(root / "fifo", 0o600)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "disk", stat.S_IFBLK | 0o660, os.makedev(8, 0))
    with (root / "sparse").open("wb") as file:
        file.seek(1 << 22)
        file.write(b"end")
    with (root / "only a hole").open("wb") as file:
        file.truncate(1 << 20)
    os.mknod(root / "gone", stat.S_IFCHR, os.makedev(0, 0))
    (root / "opaque").mkdir()
    os.setxattr(root / "opaque", "trusted.overlay.opaque", b"y")
    for path in (root / "etc" / "plain", root / "etc", root / "opaque", root):
        os.utime(path, (1_600_000_000, 1_600_000_000))


def upper(snapshots: Snapshots) -> Path:
    """Where a snapshot's own files are."""
    return Path(snapshots.directory, KEY, "diff")


def test_apply_of_diff_is_the_same_tree(snapshots: Snapshots) -> None:
    """Whatever overlayfs can hold comes back: links, holes, devices, attributes, whiteouts."""
    snapshots.prepare(KEY, None)
    full_tree(upper(snapshots))
    packed = io.BytesIO()
    diff_id = snapshots.diff_layer(KEY, packed).diff_id
    packed.seek(0)
    layer = snapshots.apply_layer(None, packed, diff_id=diff_id)
    unpacked = layer_directory(snapshots, layer.number)
    assert tree(unpacked) == tree(upper(snapshots))
    assert (unpacked / "sparse").stat().st_blocks < 100
    assert (unpacked / "only a hole").stat().st_blocks == 0


def test_diff_of_apply_is_the_same_tar(snapshots: Snapshots) -> None:
    """Packing is deterministic: the second tar is the first one, byte for byte."""
    snapshots.prepare(KEY, None)
    full_tree(upper(snapshots))
    first, second = io.BytesIO(), io.BytesIO()
    diff_id = snapshots.diff_layer(KEY, first).diff_id
    layer = snapshots.apply_layer(None, io.BytesIO(first.getvalue()))
    assert snapshots.diff_layer(layer.chain_id, second).diff_id == diff_id
    assert second.getvalue() == first.getvalue()


def test_gnu_tar_reads_what_we_write(snapshots: Snapshots, tmp_path: Path) -> None:
    """GNU tar gets the same files, names, owners, modes and holes out of our archive."""
    snapshots.prepare(KEY, None)
    full_tree(upper(snapshots))
    (upper(snapshots) / "gone").unlink()
    os.removexattr(upper(snapshots) / "opaque", "trusted.overlay.opaque")
    packed = tmp_path / "layer.tar"
    with packed.open("wb") as out:
        snapshots.diff_layer(KEY, out)
    (tmp_path / "gnu").mkdir()
    options = ("--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf")
    subprocess.run(["tar", "-C", tmp_path / "gnu", *options, packed], check=True, timeout=30)
    assert tree(tmp_path / "gnu") == tree(upper(snapshots))


def test_we_read_what_gnu_tar_writes(snapshots: Snapshots, tmp_path: Path) -> None:
    """Archives of GNU tar in its own and in pax form, compressed, give the same tree."""
    source = tmp_path / "source"
    source.mkdir()
    full_tree(source)
    (source / "gone").unlink()
    os.removexattr(source / "opaque", "trusted.overlay.opaque")
    for number, form in enumerate(("gnu", "pax"), 1):
        packed = tmp_path / f"{form}.tar"
        options = ("--xattrs", "--xattrs-include=*", "--sparse", f"--format={form}")
        if form == "gnu":
            options = options[2:]
        subprocess.run(["tar", "-C", source, *options, "-cf", packed, "."], check=True, timeout=30)
        layer = snapshots.apply_layer(None, io.BytesIO(gzip.compress(packed.read_bytes())))
        ours = tree(layer_directory(snapshots, number), with_times=True)
        assert layer.number == number
        if form == "gnu":
            assert without_attributes(ours) == without_attributes(tree(source))
        else:
            assert ours == tree(source)


def without_attributes(facts: dict[str, Facts]) -> dict[str, Facts]:
    """GNU's own form can't hold them."""
    return {name: each[:-1] for name, each in facts.items()}


def test_a_socket_is_left_out(snapshots: Snapshots) -> None:
    """No tar can hold a socket, and nobody would answer on it."""
    snapshots.prepare(KEY, None)
    with socket.socket(socket.AF_UNIX) as listener:
        descriptor = os.open(upper(snapshots), os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{descriptor}/socket")
        os.close(descriptor)
    packed = io.BytesIO()
    snapshots.diff_layer(KEY, packed)
    assert b"socket" not in packed.getvalue()


def test_another_digest_is_refused_and_leaves_nothing(snapshots: Snapshots) -> None:
    """A layer that isn't what its digest says is thrown away whole."""
    promised = DiffId("sha256:" + "0" * 64)
    with pytest.raises(DigestMismatch):
        snapshots.apply_layer(None, io.BytesIO(archive(member("n"))), diff_id=promised)
    assert names_on_disk(snapshots) == []


def test_parents_without_entries_look_like_the_layer_below(snapshots: Snapshots) -> None:
    """A directory that only its content implies keeps the mode and owner that it had."""
    below = snapshots.apply_layer(
        None, io.BytesIO(archive(directory("home", 0o750, uid=5, gid=6)))
    )
    layer = snapshots.apply_layer(below.chain_id, io.BytesIO(archive(member("home/n"))))
    state = (layer_directory(snapshots, layer.number) / "home").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid) == (0o750, 5, 6)


def test_files_in_setgid_directories_keep_their_own_group(snapshots: Snapshots) -> None:
    """What the kernel gives to a new file there is not what the archive says."""
    members = (directory("d", 0o2775, gid=7), member("d/n", gid=0), directory("d/e", 0o755))
    layer = snapshots.apply_layer(None, io.BytesIO(archive(*members)))
    root = layer_directory(snapshots, layer.number)
    assert (root / "d").stat().st_gid == 7
    assert (root / "d" / "n").stat().st_gid == 0
    assert stat.S_IMODE((root / "d" / "e").stat().st_mode) == 0o755


def test_overlayfs_agrees(snapshots: Snapshots, tmp_path: Path) -> None:
    """Three layers, mounted: whiteouts hide, opaque directories begin anew, links are kept."""
    first = archive(
        directory("keep"), member("keep/a", b"1"), directory("clear"), member("clear/old", b"1"),
        directory("gone"), member("gone/x", b"1"), member("removed", b"1"), directory("again"),
        member("again/old", b"1"),
    )  # fmt: skip
    second = archive(
        member(".wh.removed"), member(".wh.gone"), member("clear/.wh..wh..opq"),
        member("clear/new", b"2"), member("keep/.wh.a"), member("keep/b", b"2"),
        hard_link("keep/c", "keep/b"), symlink("keep/l", "b"), member(".wh.again"),
        directory("again"), member("again/new", b"2"),
    )  # fmt: skip
    third = archive(member("removed", b"3"))
    chain: ChainId | None = None
    for packed in (first, second, third):
        chain = snapshots.apply_layer(chain, io.BytesIO(packed)).chain_id
    snapshots.prepare(KEY, chain)
    assert merged(snapshots, tmp_path) == [
        "again", "again/new", "clear", "clear/new", "keep", "keep/b", "keep/c", "keep/l",
        "removed",
    ]  # fmt: skip


def test_most_layers_fit_in_one_mount(snapshots: Snapshots, tmp_path: Path) -> None:
    """The largest stack that an image may have can be mounted with relative names."""
    chain: ChainId | None = None
    staged = []
    for number in range(128):
        staged.append(
            snapshots.layers.stage(chain, io.BytesIO(archive(member(f"f{number:03}", b"1"))))
        )
        chain = staged[-1].layer.chain_id
    snapshots.layers.commit(staged)
    snapshots.prepare(KEY, chain)
    assert len(merged(snapshots, tmp_path)) == 128


def merged(snapshots: Snapshots, tmp_path: Path) -> list[str]:
    """The names in a mounted snapshot, from a mount namespace that ends with its process."""
    rootfs = snapshots.rootfs(KEY)
    target = tmp_path / "merged"
    target.mkdir()
    options = f"lowerdir={':'.join(rootfs.lower)},upperdir={rootfs.upper},workdir={rootfs.work}"
    script = 'cd "$1" && mount -t overlay overlay -o "$2" "$3" && cd "$3" && find . -mindepth 1'
    listed = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
         rootfs.directory, options, target],
        check=True, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return sorted(line.removeprefix("./") for line in listed.stdout.splitlines())
