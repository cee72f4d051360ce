"""Networks as rows, and how they are found."""

from pathlib import Path

import pytest

from wherry.model.errors.networks import AmbiguousNetwork, NetworkNameTaken, NetworkNotFound
from wherry.model.ids import NetworkId
from wherry.model.networks import AddressRange, Network
from wherry.networks.network_table import MIGRATIONS, NetworkTable
from wherry.store import Database


def network(digits: str, name: str) -> Network:
    """A network whose id begins so."""
    return Network(
        id=NetworkId(digits.ljust(64, "0")),
        name=name,
        driver="bridge",
        created_at_ns=5,
        ranges=(
            AddressRange(subnet="10.1.0.0/24", gateway="10.1.0.1", reserved={"a": "10.1.0.9"}),
        ),
        labels={"x": "y"},
    )


@pytest.fixture
def table(tmp_path: Path) -> NetworkTable:
    """A table with the bridge that every engine has."""
    made = NetworkTable(Database(str(tmp_path / "db"), MIGRATIONS))
    made.load([network("aaaa", "bridge")])
    return made


def test_found_by_id_name_and_prefix(table: NetworkTable) -> None:
    """`default` is another name of the bridge; a name wins over the beginning of an id."""
    blue, other = network("b1", "blue"), network("b2", "aaaa")
    table.add(blue)
    table.add(other)
    for reference in ("blue", blue.id, "b1", blue.id[:12]):
        assert table.find(reference) == blue
    assert table.find("default").name == "bridge"
    assert table.find("aaaa") == other


@pytest.mark.parametrize("reference", ["", "brid", "nothing", "f" * 64])
def test_not_found(table: NetworkTable, reference: str) -> None:
    """An empty prefix fits everything and so nothing."""
    with pytest.raises(NetworkNotFound):
        table.find(reference)


def test_a_prefix_of_several(table: NetworkTable) -> None:
    """Is no answer."""
    table.add(network("b1", "blue"))
    table.add(network("b2", "red"))
    with pytest.raises(AmbiguousNetwork):
        table.find("b")


def test_rows_outlive_the_engine(tmp_path: Path) -> None:
    """What was added is there after a restart, to the last field; what was removed is not."""
    database = Database(str(tmp_path / "db"), MIGRATIONS)
    table = NetworkTable(database)
    table.load([])
    kept, gone = network("b1", "blue"), network("b2", "red")
    table.add(kept)
    table.add(gone)
    with pytest.raises(NetworkNameTaken):
        table.add(network("b3", "blue"))
    table.remove(gone.id)
    again = NetworkTable(database)
    again.load([])
    assert again.all() == (kept,)
