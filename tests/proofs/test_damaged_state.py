"""RELIABILITY row 17 (F16): every file of an engine's state, damaged in six ways.

The engine starts each time, the container that runs goes on, nothing else is lost, and the damage
is told by `info` where it cannot simply be made good.
"""

import contextlib
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parity.test_managed_plugins import context as plugin_context
from support.daemon import Engine
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size
from support.waiting import wait_until

Damaging = Callable[[Path], None]


def _written(content: bytes) -> Damaging:
    def damage(path: Path) -> None:
        path.write_bytes(content)

    return damage


DAMAGES: dict[str, Damaging] = {
    "empty": lambda path: os.truncate(path, 0),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "random": lambda path: _written(os.urandom(path.stat().st_size + 1))(path),
    "bad JSON": _written(b'{"version": 1, "reco'),
    "wrong schema": _written(b'{"version": 1, "colour": "blue"}'),
    "gone": lambda path: path.unlink(),
}
RECORDS = {
    "empty": b"", "half": None, "random": b"\x00\xff\x80", "bad JSON": b'{"id": ',
    "wrong schema": b'{"colour": "blue"}',
}  # fmt: skip

TREES = ("diff", "work", "_data", "snapshots", "rootfs", "netns")
"""Directories of what is other people's."""
MADE_ANEW = re.compile(r"/(hosts|resolv\.conf|hostname|engine\.lock|platforms\.json|\w+\.bpf)$")
"""What each start writes, or what is nothing but a lock."""
ASKED_FOR = re.compile(
    r"/(resolv\.conf\.hash|[0-9a-f]{64}-json\.log|(\w+-)?journal\.json|exit\.json|config\.json"
    r"|events\.log|name)$|/plugins/"
)
"""What is read when it is asked for, and passes over or names what it can't read."""


class World:
    """An engine with one of each thing that it keeps."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        ok = engine.docker_ok
        ok("network", "create", "--subnet", "10.77.0.0/24", "web")
        ok("volume", "create", "data")
        ok("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo kept > /d/file")
        assert engine.wherry("volume", "snapshot", "--name", "one", "data").returncode == 0
        context = engine.root / "context"
        context.mkdir()
        (context / "Dockerfile").write_text("FROM busybox\nRUN echo built > /built\n")
        ok("build", "-q", "-t", "built", str(context))
        self.running = ok(
            "run", "-d", "--name", "runs", "--network", "web", "-v", "data:/d", "-p", "8000:80",
            "busybox", "sleep", "100000",
        )  # fmt: skip
        engine.docker("run", "--name", "ended", "built", "sh", "-c", "echo mine > /mine; exit 3")
        ok("create", "--name", "made", "busybox", "true")
        ok("plugin", "create", "keeper", str(plugin_context(engine.root / "plugin")))
        self.pid = engine.inspect("runs")["State"]["Pid"]

    def state_files(self) -> list[Path]:
        """Every file that the engine keeps of itself: not the contents of trees."""
        found = []
        for root in (self.engine.data_root, self.engine.exec_root):
            for directory, names, files in os.walk(root):
                names[:] = [each for each in names if each not in TREES]
                found += [Path(directory, each) for each in files]
        return sorted(each for each in found if each.is_file())

    def warnings(self) -> str:
        """What `info` tells of damage."""
        return "\n".join(self.engine.api("GET", "/info").json["Warnings"] or ())

    def check(self, case: str, *, images: bool = True, ended: bool = True) -> None:
        """All that does not depend on the damaged thing is as before."""
        engine = self.engine
        state = engine.inspect("runs")["State"]
        assert (state["Running"], state["Pid"]) == (True, self.pid), case
        assert engine.docker_ok("exec", "runs", "cat", "/d/file") == "kept", case
        names = set(engine.docker_ok("ps", "-a", "--format", "{{.Names}}").split())
        assert names == {"runs", "ended", "made"}, case
        assert "web" in engine.docker_ok("network", "ls", "--format", "{{.Name}}").split(), case
        assert "data" in engine.docker_ok("volume", "ls", "-q").split(), case
        assert "keeper" in engine.docker_ok("plugin", "ls"), case
        if images:
            found = set(engine.docker_ok("images", "--format", "{{.Repository}}").split())
            assert found == {"busybox", "built"}, case
        if ended:
            assert engine.inspect("ended")["State"]["ExitCode"] == 3, case
            diff = engine.docker_ok("diff", "ended").split()
            assert diff == ["A", "/mine"], case


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One engine for all of it."""
    made = Engine()
    try:
        made.start()
        made.bootstrap()
        yield World(made)
    finally:
        made.close()


def forget_what_was_set_aside(engine: Engine) -> None:
    """As an operator does who misses nothing."""
    for each in engine.data_root.glob("engine.db.damaged-*"):
        each.unlink()


def test_every_file_damaged(world: World, size: Size, figure: list[str]) -> None:
    """A start with it, and the same again once the file is as it was."""
    engine = world.engine
    engine.restart()  # What a build has kept for the length of its run goes at a start.
    engine.stop()
    files = [str(each) for each in world.state_files()]
    engine.start()
    cases = [(file, damage) for file in files for damage in DAMAGES]
    cases = cases[:: size.of(1, len(cases) // 2)]
    told = silent = 0
    for file, damage in cases:
        case, path = f"{file}: {damage}", Path(file)
        engine.stop()
        before = path.read_bytes()
        DAMAGES[damage](path)
        engine.start()
        is_blob = "/blobs/" in file
        world.check(case, images=not is_blob)
        if MADE_ANEW.search(file) or ASKED_FOR.search(file):
            silent += 1
        elif file.endswith(("engine-id", ".copy")) and damage == "gone":
            silent += 1  # made anew
        else:
            name = path.name if not file.endswith(".copy") else "engine.db"
            assert name in world.warnings(), case
            told += 1
        if is_blob:
            engine.stop()
            path.write_bytes(before)
            engine.start()
        forget_what_was_set_aside(engine)
    engine.restart()
    world.check("in the end")
    assert not [each for each in world.warnings().splitlines() if "support" not in each]
    figure.append(
        f"{len(cases)} cases of {len(files)} files x 6: {len(cases)} starts, {told} told by info, "
        f"{silent} made good or named when asked for"
    )


def test_names_of_a_container_lost(world: World) -> None:
    """The file that a running container has for /etc/hosts is written anew, and it goes on."""
    path = Path(world.engine.inspect("runs")["HostsPath"])
    world.engine.stop()
    path.unlink()
    world.engine.start()
    world.check("hosts gone")
    assert "localhost" in path.read_text()


@contextlib.contextmanager
def rows(engine: Engine) -> Iterator[sqlite3.Connection]:
    """The database, while the engine is not there; and no newer copy than before."""
    with contextlib.closing(sqlite3.connect(engine.data_root / "engine.db")) as connection:
        yield connection
        connection.commit()


def test_every_row_damaged(world: World, size: Size, figure: list[str]) -> None:
    """A record that can't be read is taken from the copy; the others are not touched."""
    engine = world.engine
    tables = ("containers", "networks", "volumes", "volume_snapshots", "plugins")
    cases = [((table,), damage) for table in tables for damage in RECORDS]
    for damaged, damage in cases if size.is_whole else [(tables, "bad JSON")]:
        engine.stop()
        with rows(engine) as database:
            for table in damaged:
                half = "substr(record, 1, length(record) / 2)"
                database.execute(
                    f"UPDATE {table} SET record = ifnull(?, {half})", (RECORDS[damage],)
                )
        engine.start()
        world.check(f"{damaged}: {damage}")
        assert engine.wherry("volume", "snapshots", "data").stdout.count("one") == 1
        assert "taken from the copy" in world.warnings()
    figure.append(f"{size.of(len(cases), 1)} x damaged records: all taken from the copy")


def test_a_row_without_a_copy(world: World) -> None:
    """Its container is nowhere, its files and everything else are there, and it is told."""
    engine = world.engine
    ended = engine.inspect("ended")["Id"]
    engine.stop()
    copy = engine.data_root / "engine.db.copy"
    with rows(engine) as database:
        kept = database.execute("SELECT record FROM containers WHERE id = ?", (ended,)).fetchone()
        name = database.execute("SELECT name FROM containers WHERE id = ?", (ended,)).fetchone()
        database.execute("UPDATE containers SET record = X'7B' WHERE id = ?", (ended,))
    copy.unlink()
    for _ in range(2):
        engine.start()
        names = engine.docker_ok("ps", "-a", "--format", "{{.Names}}").split()
        assert sorted(names) == ["made", "runs"]
        assert ended in world.warnings()
        assert (engine.data_root / "overlay2" / ended / "diff" / "mine").read_text() == "mine\n"
        engine.stop()
    with rows(engine) as database:
        database.execute("DELETE FROM damaged_rows")
        database.execute("INSERT INTO containers VALUES (?, ?, 1, ?)", (ended, *name, *kept))
    copy.unlink()
    engine.start()
    world.check("the row was put back")


def test_the_whole_database_lost(world: World, figure: list[str]) -> None:
    """Its copy is as old as the last stop, so all is there."""
    engine = world.engine
    engine.stop()
    (engine.data_root / "engine.db").unlink()
    engine.start()
    world.check("the database is gone")
    assert "from its copy" in world.warnings()
    forget_what_was_set_aside(engine)
    figure.append("the whole database lost: all there")


def lose_the_log(world: World) -> None:
    """A crash, and the log of the database is cut off; the copy knows of what was in it."""
    engine = world.engine
    engine.docker_ok("rename", "made", "other")
    engine.docker_ok("rename", "other", "made")
    wait_until("the copy is fresh", lambda: _is_fresh(engine), within_s=30)
    engine.kill9()
    os.truncate(engine.data_root / "engine.db-wal", 0)
    engine.start()
    world.check("no log")
    assert "older than its copy" in world.warnings()
    forget_what_was_set_aside(engine)


def test_the_log_of_the_database_lost(world: World, size: Size) -> None:
    """SQLite would go on with an older state (a unit test of `store` shows it, too)."""
    if size.is_whole:
        lose_the_log(world)


def _is_fresh(engine: Engine) -> bool:
    script = "SELECT value FROM store_facts WHERE name = 'commits'"
    told = []
    for name in ("engine.db", "engine.db.copy"):
        with contextlib.closing(sqlite3.connect(engine.data_root / name)) as connection:
            told.append(connection.execute(script).fetchone())
    return told[0] == told[1]


def test_links_of_snapshots(world: World, size: Size) -> None:
    """What a container stands on is put right by what its record says."""
    engine = world.engine
    ended = engine.inspect("ended")["Id"]
    lower = engine.data_root / "overlay2" / ended / "lower"
    for target in ("", "../1", "nowhere")[: size.of(3, 1)]:
        engine.stop()
        lower.unlink()
        if target:
            lower.symlink_to(target)
        engine.start()
        world.check(f"lower leads to {target or 'nothing'}")
    assert engine.docker_ok("start", "-a", "made") == ""


def test_a_layer_lost(world: World, tmp_path: Path) -> None:
    """Its image is told to be damaged, and a load heals it; containers keep what they wrote."""
    engine = world.engine
    saved = tmp_path / "built.tar"
    engine.docker_ok("save", "-o", str(saved), "built")
    top = engine.inspect("ended")["GraphDriver"]["Data"]["LowerDir"].split(":")[0]
    engine.stop()
    engine.machine.run("rm", "-rf", str(Path(top).parent))
    engine.start()
    world.check("a layer is gone", images=False, ended=False)
    assert "load or pull its image again" in world.warnings()
    assert engine.docker_ok("images", "--format", "{{.Repository}}") == "busybox"
    assert engine.docker_ok("load", "-i", str(saved)) == "Loaded image: built:latest"
    assert engine.docker_ok("run", "--rm", "built", "cat", "/built") == "built"
    engine.restart()
    world.check("loaded again")


def change_blobs(world: World, most: int = 1) -> int:
    """Other bytes of the same size are found by a check, and what was saved before heals them."""
    engine = world.engine
    archive = engine.root / "saved.tar"
    engine.docker_ok("save", "-o", str(archive), "built", "busybox")
    blobs = sorted((engine.data_root / "content/blobs/sha256").iterdir())[:most]
    for blob in blobs:
        content = bytearray(blob.read_bytes())
        content[-1] ^= 1
        blob.write_bytes(content)
        checked = engine.wherry("system", "check")
        assert checked.returncode == 1
        assert f"sha256:{blob.name}: its content has another digest" in checked.stdout
        assert blob.name in world.warnings()
        world.check(f"{blob.name} is changed")
        engine.docker_ok("load", "-i", str(archive))
        assert engine.wherry("system", "check", "--quiet").returncode == 0
    return len(blobs)


def test_blobs_of_the_same_size(world: World, size: Size, figure: list[str]) -> None:
    """The engine need not be started again for any of it."""
    count = change_blobs(world, size.of(100, 1))
    world.engine.restart()
    world.check("healed")
    figure.append(f"{count} blobs with one byte changed: all found by a check, all healed")


def lose_everything(world: World) -> None:
    """Nothing says what there was: what containers wrote and volumes hold is kept."""
    engine = world.engine
    ended = engine.inspect("ended")["Id"]
    engine.docker_ok("rm", "-f", "runs")
    engine.stop()
    for each in engine.data_root.glob("engine.db*"):
        each.unlink()
    for _ in range(2):
        engine.start()
        assert engine.docker_ok("volume", "ls", "-q") == "data"
        assert (engine.data_root / "volumes/data/_data/file").read_text() == "kept\n"
        assert (engine.data_root / "overlay2" / ended / "diff" / "mine").exists()
        assert "engine.db" in world.warnings()
        engine.stop()
    forget_what_was_set_aside(engine)
    engine.start()
    assert not (engine.data_root / "overlay2" / ended).exists()
    engine.bootstrap()
    assert engine.docker_ok("run", "--rm", "-v", "data:/d", "busybox", "cat", "/d/file") == "kept"


def test_the_database_and_its_copy_lost(world: World, figure: list[str]) -> None:
    """The last of these tests: nothing is as it was, but nothing that people made is gone."""
    lose_everything(world)
    figure.append("database and copy lost: files of containers and volumes kept")


_MUTANTS: tuple[tuple[Callable[[World], object], Mutant], ...] = (
    (lose_everything, Mutant("strangers are swept", "engine/stock_taking.py",
                             "if self._database.has_lost:", "if False:")),
    (lose_the_log, Mutant("the age is not compared", "store/database.py",
                          "if known is not None and known >", "if known is None and 1 >")),
    (change_blobs, Mutant("what is read is not compared", "content/store.py",
                          "if not piece and", "if piece is None and")),
)  # fmt: skip


@pytest.mark.parametrize(("lose", "mutant"), _MUTANTS, ids=[each.name for _, each in _MUTANTS])
def test_mutants(lose: Callable[[World], object], mutant: Mutant) -> None:
    """Without the guard something is lost, or nobody is told."""
    with mutated_engine(mutant) as engine, pytest.raises(AssertionError):
        lose(World(engine))
