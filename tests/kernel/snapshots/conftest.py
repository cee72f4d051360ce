"""A snapshot store of one's own, and a tree outside of it that nothing may touch."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.trees import Facts, tree
from wherry.snapshots import Snapshots
from wherry.store import Database


@dataclass(frozen=True)
class Canary:
    """Files on the host that hostile layers point at."""

    root: Path
    before: dict[str, Facts]

    def is_untouched(self) -> bool:
        """Whether every name, byte, mode, owner, time and attribute is as it was."""
        return tree(self.root) == self.before


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    """A small tree beside the data root."""
    root = tmp_path / "canary"
    (root / "directory").mkdir(parents=True)
    (root / "secret").write_text("host secret\n")
    (root / "directory" / "file").write_text("host file\n")
    (root / "secret").chmod(0o600)
    return Canary(root, tree(root))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with the tables of layers."""
    (tmp_path / "data").mkdir()
    opened = Database(str(tmp_path / "data" / "engine.db"), Snapshots.MIGRATIONS)
    yield opened
    opened.close()


@pytest.fixture
def snapshots(tmp_path: Path, database: Database) -> Iterator[Snapshots]:
    """An empty store."""
    opened = Snapshots(str(tmp_path / "data"), database)
    yield opened
    # Some trees are too deep for shutil.rmtree, which pytest would use.
    opened.sweep(())
    opened.remove_unneeded_layers(())


def layer_directory(snapshots: Snapshots, number: int) -> Path:
    """Where a layer's files are."""
    return Path(snapshots.directory, str(number), "diff")


def names_on_disk(snapshots: Snapshots) -> list[str]:
    """What there is in the driver's directory."""
    return sorted(os.listdir(snapshots.directory))
