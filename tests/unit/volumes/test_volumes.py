"""The room of volumes: names, options, and what `hold` and `release` leave."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fake_clock import FakeClock
from wherry.kit.values import replace
from wherry.model.errors import InvalidValue, WherryError
from wherry.model.errors.volumes import VolumeDriverNotFound, VolumeNameTaken, VolumeNotFound
from wherry.model.volumes import VolumeSpec
from wherry.store import Database
from wherry.volumes import MIGRATIONS, Volumes
from wherry.volumes.volume_table import VolumeTable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    opened = Database(f"{tmp_path}/engine.db", MIGRATIONS)
    yield opened
    opened.close()


@pytest.fixture
def volumes(tmp_path: Path, database: Database) -> Volumes:
    """No volumes yet."""
    return Volumes(str(tmp_path), database, FakeClock())


def test_a_life(volumes: Volumes, tmp_path: Path, database: Database) -> None:
    """Made once, found again by a later engine, removed with what is in it."""
    made, is_new = volumes.make(VolumeSpec(name="data", labels={"a": "b"}))
    assert is_new
    assert made.mount_point == f"{tmp_path}/volumes/data/_data"
    assert Path(made.mount_point).stat().st_mode & 0o7777 == 0o755
    assert volumes.make(VolumeSpec(name="data")) == (made, False)
    Path(made.mount_point, "file").write_text("content")
    assert volumes.size_of(made) == len("content")
    assert Volumes(str(tmp_path), database, FakeClock()).get("data") == made
    volumes.remove("data")
    assert not Path(tmp_path, "volumes", "data").exists()
    with pytest.raises(VolumeNotFound):
        volumes.get("data")


def test_nameless_volumes_are_anonymous(volumes: Volumes) -> None:
    """A volume that nobody named gets 64 digits and Docker's label."""
    made, _is_new = volumes.make(VolumeSpec())
    assert len(made.name) == 64
    assert made.is_anonymous


@pytest.mark.parametrize(
    ("spec", "kind", "words"),
    [
        (VolumeSpec(name=".."), InvalidValue, 'create ..: ".." includes invalid characters for a '
         'local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to '
         "pass a host directory, use absolute path"),
        (VolumeSpec(name="a/b"), InvalidValue, '"a/b" includes invalid characters'),
        (VolumeSpec(name="a"), InvalidValue, "volume name is too short"),
        (VolumeSpec(name="a" * 256), InvalidValue, "longer than 255"),
        (VolumeSpec(name="ab", options={"colour": "red"}), InvalidValue,
         'invalid option: "colour"'),
        (VolumeSpec(name="ab", options={"device": "/x"}), InvalidValue,
         'missing required option: "type"'),
        (VolumeSpec(name="ab", options={"type": "none"}), InvalidValue,
         'missing required option: "device"'),
        (VolumeSpec(name="ab", options={"o": "bind"}), InvalidValue,
         'missing required option: "device"'),
        (VolumeSpec(name="ab", options={"size": "lots"}), InvalidValue, "invalid size: 'lots'"),
        (VolumeSpec(name="ab", options={"size": "1g"}), InvalidValue,
         "create ab: quota size requested but no quota support"),
        (VolumeSpec(name="ab", options={"size": "1g", "type": "tmpfs", "device": "x"}),
         InvalidValue, "a tmpfs takes it in o: o=size=1g"),
        (VolumeSpec(name="ab", driver="nope"), VolumeDriverNotFound, "nope"),
    ],
)  # fmt: skip
def test_refusals(
    volumes: Volumes, tmp_path: Path, spec: VolumeSpec, kind: type[WherryError], words: str
) -> None:
    """A name or option that can't be is refused in Docker's words, and nothing is left."""
    with pytest.raises(kind) as caught:
        volumes.make(spec)
    assert words in str(caught.value)
    assert not list(Path(tmp_path, "volumes").iterdir())
    assert not volumes.all()


def test_a_name_has_one_driver(volumes: Volumes, tmp_path: Path, database: Database) -> None:
    """A name that one driver has is not given to another; one that isn't there is told first."""
    made, _is_new = volumes.make(VolumeSpec(name="data"))
    with pytest.raises(VolumeDriverNotFound):
        volumes.make(VolumeSpec(name="data", driver="other"))
    VolumeTable(database).add(replace(made, name="far", driver="keeper"))
    with pytest.raises(VolumeNameTaken) as caught:
        Volumes(str(tmp_path), database, FakeClock()).make(VolumeSpec(name="far", driver="local"))
    assert caught.value.driver == "keeper"
