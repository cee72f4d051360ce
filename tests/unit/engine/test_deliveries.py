"""Archives of plugins that have come are not collected before their row is written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.engine.plugins.deliveries import Deliveries
from wherry.engine.plugins.installed import InstalledPlugins
from wherry.engine.plugins.plugin_table import MIGRATIONS
from wherry.kit.aio import OffloadPool
from wherry.store import Database


@pytest.fixture
def offload() -> Iterator[OffloadPool]:
    """Threads for one test."""
    pool = OffloadPool(2)
    yield pool
    pool.close()


async def test_nothing_is_collected_while_something_comes(
    tmp_path: Path, offload: OffloadPool
) -> None:
    """Another plugin's removal in between takes nothing; whoever ends last collects."""
    database = Database(str(tmp_path / "db"), MIGRATIONS)
    plugins = InstalledPlugins(str(tmp_path / "plugins"), database)
    deliveries = Deliveries(plugins, offload)
    async with deliveries.under_way():
        async with deliveries.under_way():
            came = plugins.keep_document(b"{}")
        await deliveries.collect()
        assert plugins.content.has(came)
    assert not plugins.content.has(came)
