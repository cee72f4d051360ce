"""A verb on volumes may be cut off at any moment: it is done or it is not, and can be repeated.

The engine is killed before each step in turn, and started again. That is: the room of volumes is,
and what a boot asks of it is asked; the daemon's own kills are in the parity tests.
"""

import contextlib
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.crash_points import cut_off, steps_of
from support.fake_clock import FakeClock
from wherry.model.errors import WherryError
from wherry.model.errors.volumes import VolumeExists, VolumeNotFound
from wherry.model.volumes import Consistency, VolumeSpec
from wherry.store import Database
from wherry.volumes import MIGRATIONS, Volumes

Verb = Callable[[Volumes], object]


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Volumes]:
    """The room, as a boot has it."""
    database = Database(f"{root}/engine.db", MIGRATIONS)
    try:
        volumes = Volumes(str(root), database, FakeClock())
        for old in volumes.heal():
            volumes.end_rename(old)
        yield volumes
    finally:
        database.close()


def prepared(root: Path) -> None:
    """A volume that says `old` in a snapshot, and `new` at present."""
    root.mkdir()
    with opened(root) as volumes:
        volume, _is_new = volumes.make(VolumeSpec(name="data"))
        place = Path(volume.mount_point)
        (place / "deep").mkdir()
        (place / "deep" / "file").write_text("old")
        take(volumes, "old")
        (place / "deep" / "file").write_text("new")


def take(volumes: Volumes, label: str) -> None:
    """Take a snapshot."""
    volumes.history.take("data", label, consistency=Consistency.NONE, writers=())


def text(volumes: Volumes, name: str = "data") -> str:
    """What a volume says."""
    return Path(volumes.get(name).mount_point, "deep", "file").read_text()


def archive() -> io.BytesIO:
    """A tar whose file says `tar`."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo("deep/file")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"tar"))
    made.seek(0)
    return made


def roll_back(volumes: Volumes) -> None:
    """To `old`."""
    volumes.put_in_place(volumes.history.prepare_rollback("data", "old"))


def replace(volumes: Volumes) -> None:
    """By an archive."""
    history = volumes.history
    volumes.put_in_place(history.prepare_import("data", archive(), takes_devices=False))


def rename(volumes: Volumes) -> None:
    """As the engine does, which tells containers before it ends it."""
    volumes.rename("data", "other")
    volumes.end_rename("data")


def clone(volumes: Volumes) -> None:
    """From the snapshot."""
    volumes.history.clone("data", "old", VolumeSpec(name="other"))


def import_new(volumes: Volumes) -> None:
    """Of an archive."""
    volumes.history.make_of_archive(VolumeSpec(name="other"), archive(), takes_devices=False)


VERBS: dict[str, Verb] = {
    "snapshot": lambda volumes: take(volumes, "second"),
    "forget": lambda volumes: volumes.history.forget("data", "old"),
    "rollback": roll_back,
    "replace": replace,
    "rename": rename,
    "clone": clone,
    "import": import_new,
    "remove": lambda volumes: volumes.remove("data"),
    "create": lambda volumes: volumes.make(VolumeSpec(name="other")),
}


def nothing_strange(root: Path, volumes: Volumes, verb: str) -> None:
    """Every row has its files, every directory its row, and each volume says something whole."""
    names = {each.name for each in volumes.all()}
    on_disk = {each.name for each in (root / "volumes").iterdir()}
    assert names == on_disk
    for name in names:
        place = root / "volumes" / name
        if (place / "_data" / "deep").exists():
            assert text(volumes, name) in ("old", "new", "tar")
        else:
            assert (name, verb) == ("other", "create")
        labels = {each.name for each in volumes.history.snapshots(name)}
        kept = place / "snapshots"
        assert labels == ({each.name for each in kept.iterdir()} if kept.exists() else set())
        assert {each.name for each in place.iterdir()} <= {"_data", "snapshots"}
        for label in labels:
            assert (kept / label / "deep" / "file").read_text() in ("old", "new", "tar")


def what_it_says(volumes: Volumes) -> object:
    """All there is, to be compared."""
    return {
        each.name: sorted(taken.name for taken in volumes.history.snapshots(each.name))
        for each in volumes.all()
    }


@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_every_step(verb: str, tmp_path: Path) -> None:
    """After a kill before any step it is done or not, nothing else is left, and it can be done."""

    def work(root: Path) -> Callable[[], None]:
        def do() -> None:
            with opened(root) as volumes:
                VERBS[verb](volumes)

        return do

    prepared(tmp_path / "whole")
    steps = steps_of(work(tmp_path / "whole"))
    with opened(tmp_path / "whole") as volumes:
        wanted = what_it_says(volumes)
    assert steps > 5
    killed = 0
    for step in range(1, steps + 1):
        root = tmp_path / str(step)
        prepared(root)
        killed += cut_off(work(root), step)
        with opened(root) as volumes:
            nothing_strange(root, volumes, verb)
            # A second time: it was done already, or it is done now.
            with contextlib.suppress(VolumeExists, VolumeNotFound, WherryError):
                VERBS[verb](volumes)
            nothing_strange(root, volumes, verb)
            if verb not in ("rollback", "replace"):
                assert what_it_says(volumes) == wanted, step
            else:
                assert text(volumes) == {"rollback": "old", "replace": "tar"}[verb]
    print(f"{verb}: {killed} kills at {steps} steps")
    assert killed >= steps - 3
