"""An image store of one's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fake_clock import FakeClock
from wherry.images import ImageStore
from wherry.snapshots import Snapshots
from wherry.store import Database


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """Where everything is kept."""
    root = tmp_path / "data"
    root.mkdir()
    return root


@pytest.fixture
def database(data_root: Path) -> Iterator[Database]:
    """A database with the tables of layers and images."""
    opened = Database(
        str(data_root / "engine.db"), (*Snapshots.MIGRATIONS, *ImageStore.MIGRATIONS)
    )
    yield opened
    opened.close()


@pytest.fixture
def snapshots(data_root: Path, database: Database) -> Snapshots:
    """An empty snapshot store."""
    return Snapshots(str(data_root), database)


@pytest.fixture
def images(data_root: Path, database: Database, snapshots: Snapshots) -> ImageStore:
    """An empty image store."""
    return ImageStore(str(data_root), database, snapshots, clock=FakeClock())
