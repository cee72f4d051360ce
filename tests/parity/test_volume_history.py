"""The history of volumes, through our own command line and beside the stock one."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support import http_over_unix
from support.daemon import Engine
from support.file_systems import engine_with
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs
_ONE_WAY, _OTHER_WAY = ("data", "then"), ("then", "data")


@pytest.fixture(scope="module")
def engine_on_btrfs() -> Iterator[Engine]:
    """An engine whose volumes are subvolumes; its containers stand on overlayfs all the same."""
    with engine_with(on="btrfs") as made:
        yield made


@pytest.fixture(params=["copied", "btrfs"])
def engine(request: pytest.FixtureRequest, engine: Engine) -> Engine:
    """The run's engine, whose file system can only copy, and one on btrfs."""
    if request.param == "btrfs":
        found: Engine = request.getfixturevalue("engine_on_btrfs")
        return found
    return engine


@pytest.fixture(autouse=True)
def _no_volumes(engine: Engine) -> Iterator[None]:
    """Each test leaves no volume."""
    yield
    engine.remove_all_containers()
    for name in engine.docker_ok("volume", "ls", "-q").split():
        engine.docker_ok("volume", "rm", name)
    assert not list((engine.data_root / "volumes").iterdir())


def volume(engine: Engine, *words: str) -> str:
    """What `wherry volume` prints."""
    ran = engine.wherry("volume", *words)
    assert ran.returncode == 0, (words, ran.stderr)
    return ran.stdout.strip()


def refused(engine: Engine, *words: str) -> str:
    """What `wherry volume` complains of."""
    ran = engine.wherry("volume", *words)
    assert ran.returncode == 1, (words, ran)
    return ran.stderr


def files(engine: Engine, name: str) -> Path:
    """Where a volume's files are."""
    place = json.loads(engine.docker_ok("volume", "inspect", name))[0]["Mountpoint"]
    return Path(place)


def filled(engine: Engine, name: str = "data") -> Path:
    """A volume with a few files."""
    engine.docker_ok("volume", "create", "--label", "tier=db", name)
    place = files(engine, name)
    (place / "deep").mkdir()
    (place / "deep" / "file").write_text("first")
    os.chown(place / "deep" / "file", 999, 998)
    (place / "gone").write_text("soon")
    (place / "link").symlink_to("/etc/passwd")
    return place


def is_on_btrfs(engine: Engine) -> bool:
    """Whether a volume can be a subvolume."""
    return (engine.root / "data.image").exists()


def snapshots(engine: Engine, name: str) -> list[dict[str, Any]]:
    """A volume's snapshots, as programs see them."""
    answer = engine.api("GET", f"/v1.51/wherry/volumes/{name}/snapshots")
    assert answer.status == 200
    found: list[dict[str, Any]] = answer.json
    return found


def test_back_and_forth(engine: Engine) -> None:
    """A rollback brings the files back, keeps what it displaces, and can be undone by it."""
    place = filled(engine)
    assert volume(engine, "snapshot", "--name", "one", "data") == "one"
    (taken,) = snapshots(engine, "data")
    assert taken["Method"] == ("btrfs snapshot" if is_on_btrfs(engine) else "copy")
    (place / "deep" / "file").write_text("second")
    (place / "gone").unlink()
    (place / "new").mkdir()
    assert volume(engine, "diff", "data").splitlines() == [
        "C /deep/file", "D /gone", "A /new",
    ]  # fmt: skip
    assert volume(engine, "diff", "data", "present", "one").splitlines() == [
        "C /deep/file", "A /gone", "D /new",
    ]  # fmt: skip
    assert "kept as before-one" in volume(engine, "rollback", "data", "one")
    assert (place / "deep" / "file").read_text() == "first"
    state = (place / "deep" / "file").stat()
    assert (state.st_uid, state.st_gid) == (999, 998)
    assert (place / "gone").exists()
    assert (place / "link").readlink() == Path("/etc/passwd")
    assert volume(engine, "snapshots", "-q", "data").split() == ["one", "before-one"]
    volume(engine, "rollback", "data", "before-one")
    assert (place / "deep" / "file").read_text() == "second"
    assert not (place / "gone").exists()
    assert volume(engine, "diff", "data", "one", "before-one").splitlines()[0] == "C /deep/file"
    assert volume(engine, "snapshots", "--rm", "one", "--rm", "before-one", "data")
    (left,) = snapshots(engine, "data")
    assert (left["Name"], left["Method"]) == ("before-before-one", "put aside")


def test_clone_and_rename(engine: Engine) -> None:
    """A clone has files and labels of its own; a rename moves nothing under a running process."""
    place = filled(engine)
    volume(engine, "snapshot", "--name", "one", "data")
    (place / "gone").unlink()
    assert volume(engine, "clone", "data", "now") == "now"
    assert volume(engine, "clone", "--from", "one", "data", "then") == "then"
    assert not (files(engine, "now") / "gone").exists()
    assert (files(engine, "then") / "gone").exists()
    assert json.loads(engine.docker_ok("volume", "inspect", "then"))[0]["Labels"] == {"tier": "db"}
    assert "there is a volume then already" in refused(engine, "clone", "data", "then")
    assert "there is a volume data already" in refused(engine, "clone", "data", "data")
    with ThreadPoolExecutor(8) as clients:  # Each way waits for what the other one holds.
        told = clients.map(lambda way: refused(engine, "clone", *way), [_ONE_WAY, _OTHER_WAY] * 4)
    assert all(" already" in each for each in told)

    script = "while :; do cat /d/deep/file > /d/seen; sleep 0.1; done"
    engine.docker_ok("run", "-d", "--name", "runs", "-v", "data:/d", "busybox", "sh", "-c", script)
    engine.docker_ok("create", "--name", "waits", "-v", "data:/d:ro", "busybox", "ls", "/d/deep")
    volume(engine, "rename", "data", "better")
    moved = files(engine, "better")
    assert not place.exists()
    (moved / "deep" / "file").write_text("after the rename")
    wait_until("it goes on", lambda: (moved / "seen").read_text() == "after the rename")
    for name, bind in (("runs", "better:/d"), ("waits", "better:/d:ro")):
        shown = engine.inspect(name)
        assert shown["Mounts"][0]["Source"] == str(moved)
        assert shown["HostConfig"]["Binds"] == [bind]
    assert engine.docker_ok("start", "-a", "waits") == "file"
    assert "volume is in use" in engine.docker("volume", "rm", "better").stderr
    assert "no such volume" in engine.docker("volume", "inspect", "data").stderr
    assert [each["Name"] for each in snapshots(engine, "better")] == ["one"]
    engine.restart()
    engine.docker_ok("rm", "-f", "runs", "waits")
    engine.docker_ok("volume", "rm", "better")


def test_who_writes_meanwhile(engine: Engine) -> None:
    """A snapshot says who wrote; paused and stopped containers do not, and go on afterwards."""
    script = "while :; do date > /d/time; done"
    run = ("run", "-d", "-v", "data:/d", "busybox", "sh", "-c", script)
    engine.docker_ok(*run[:2], "--name", "writer", "--init", *run[2:])
    engine.docker_ok(
        "run", "-d", "--init", "--name", "reader", "-v", "data:/d:ro", "busybox", "sleep", "99"
    )
    ran = engine.wherry("volume", "snapshot", "--name", "plain", "data")
    assert ran.stdout == "plain\n"
    # A subvolume's snapshot is of one moment: it is no half of what anybody wrote.
    is_at_once = is_on_btrfs(engine)
    assert ("WARNING: writer went on writing" in ran.stderr) is not is_at_once
    started = engine.inspect("writer")["State"]["StartedAt"]
    assert not engine.wherry(
        "volume", "snapshot", "--name", "still", "--consistent", "pause", "data"
    ).stderr
    state = engine.inspect("writer")["State"]
    assert (state["Status"], state["StartedAt"]) == ("running", started)
    volume(engine, "snapshot", "--name", "ended", "--consistent", "stop", "data")
    state = engine.inspect("writer")["State"]
    assert state["Status"] == "running"
    assert state["StartedAt"] != started
    told = {
        each["Name"]: (each["Consistency"], each["Writers"]) for each in snapshots(engine, "data")
    }
    assert told == {
        "plain": ("none", ["writer"]), "still": ("pause", []), "ended": ("stop", []),
    }  # fmt: skip
    assert "is mounted by" in refused(engine, "rollback", "data", "plain")
    volume(engine, "rollback", "--restart", "data", "plain")
    assert engine.inspect("writer")["State"]["Running"]
    place = files(engine, "data")
    wait_until("it writes to what is in place now", lambda: (place / "time").stat().st_size > 0)
    assert engine.inspect("reader")["State"]["Running"]
    assert "which this host lacks" in refused(engine, "snapshot", "--consistent", "freeze", "data")


@pytest.mark.parametrize("packed", ["", "gzip", "zstd"])
def test_out_and_in(engine: Engine, tmp_path: Path, packed: str) -> None:
    """What is exported is imported the same, and a file that was changed on the way is refused."""
    filled(engine)
    archive = tmp_path / "data.tar"
    volume(engine, "export", "--compress", packed, "-o", str(archive), "data")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert Path(f"{archive}.sha256").read_text() == f"{digest}  data.tar\n"
    assert volume(engine, "import", "other", str(archive)) == "other"
    compared = subprocess.run(
        ["diff", "-r", "--no-dereference", files(engine, "data"), files(engine, "other")],
        check=False,
    )
    assert compared.returncode == 0
    state = (files(engine, "other") / "deep" / "file").stat()
    assert (state.st_uid, state.st_gid) == (999, 998)
    assert "there is a volume other already" in refused(engine, "import", "other", str(archive))
    (files(engine, "other") / "mine").write_text("kept")
    volume(engine, "import", "--replace", "other", str(archive))
    assert not (files(engine, "other") / "mine").exists()
    assert volume(engine, "snapshots", "-q", "other") == "before-import"
    with archive.open("r+b") as file:
        file.seek(100)
        file.write(b"changed")
    assert "has checksum" in refused(engine, "import", "third", str(archive))
    assert engine.docker_ok("volume", "ls", "-q").split() == ["data", "other"]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("../out", tarfile.REGTYPE, "name leads out of the archive: '../out'"),
        ("a/../../out", tarfile.REGTYPE, "name leads out of the archive"),
        ("/etc/out", tarfile.REGTYPE, "name leads out of the archive: '/etc/out'"),
        ("disk", tarfile.BLKTYPE, "device file: 'disk'"),
    ],
)
def test_hostile_archives(engine: Engine, name: str, kind: bytes, words: str) -> None:
    """A name that leads out, or a device, is refused, and no volume is left."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.devmajor, entry.devminor = kind, 7, 0
        archive.addfile(entry, io.BytesIO(b""))
    target = "/v1.51/wherry/volumes/evil/import"
    answer = http_over_unix.request(engine.socket, "POST", target, made.getvalue())
    assert answer.status == 400
    assert words in answer.json["message"]
    assert not list((engine.data_root / "volumes").iterdir())
    if kind == tarfile.BLKTYPE:
        target += "?devices=1"
        assert http_over_unix.request(engine.socket, "POST", target, made.getvalue()).status == 201
        assert (files(engine, "evil") / "disk").is_block_device()


def test_a_container_that_swaps_directories(engine: Engine) -> None:
    """A copy of a volume whose directories become links to the host meanwhile has no host file."""
    secret = engine.root / "secret"
    secret.mkdir()
    (secret / "canary").write_text("host")
    script = (
        "mkdir /d/real; touch /d/real/canary; "
        f"ln -s {secret} /d/evil; "
        "cd /d; while :; do mv real x; mv evil real; mv real evil; mv x real; done"
    )
    engine.docker_ok("run", "-d", "-v", "data:/d", "busybox", "sh", "-c", script)
    for number in range(20):
        volume(engine, "snapshot", "--name", f"s{number}", "data")
    kept = engine.data_root / "volumes" / "data" / "snapshots"
    assert len(list(kept.iterdir())) == 20
    for directory, _names, names in os.walk(kept):
        for name in names:
            assert Path(directory, name).read_text() == "", "a file of the host"


def test_refusals(engine: Engine) -> None:
    """What is not there, names that can't be, and volumes that can have no history."""
    filled(engine)
    volume(engine, "snapshot", "--name", "one", "data")
    engine.docker_ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory")
    for words, problem in (
        (("snapshots", "none"), "get none: no such volume"),
        (("snapshot", "--name", "one", "data"), "volume data has a snapshot one already"),
        (("snapshot", "--name", "../x", "data"), 'invalid snapshot name "../x"'),
        (("snapshot", "--consistent", "hope", "data"), "must be none, freeze, pause or stop"),
        (("snapshot", "memory"), "can have no snapshots: its options mount something on it"),
        (("rollback", "data", "two"), "volume data has no snapshot two"),
        (("clone", "data", "a/b"), "includes invalid characters for a local volume name"),
        (("rename", "data", "memory"), "there is a volume memory already"),
        (("rename", "none", "other"), "get none: no such volume"),
        (("clone", "a/b", "other"), "get a/b: no such volume"),
        (("export", "a/b"), "get a/b: no such volume"),
        (("snapshot", "--name", "a/b", "data"), 'invalid snapshot name "a/b": only'),
        (("snapshot", "--name", "present", "data"), 'name "present": it is what a volume is now'),
        (("rollback", "data", "present"), "volume data has no snapshot present"),
        (("export", "--compress", "rar", "data"), "must be gzip, zstd or empty"),
    ):
        assert problem in refused(engine, *words), words
    assert not list((engine.data_root / "volumes" / "data").glob(".*"))
    assert (
        "invalid archive"
        in engine.wherry("volume", "import", "new", "-", stdin="no tar" * 200).stderr
    )
    assert engine.docker_ok("volume", "ls", "-q").split() == ["data", "memory"]
