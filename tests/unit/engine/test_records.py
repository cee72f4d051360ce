"""Container records: look-up as Docker does it, and commits before memory."""

from dataclasses import replace
from pathlib import Path

import pytest

from wherry.engine.records import MIGRATIONS, ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.model.containers import (
    BindMount,
    Container,
    ContainerSpec,
    ContainerStatus,
    TmpfsMount,
)
from wherry.model.errors import StepFailed
from wherry.model.errors.containers import (
    AmbiguousReference,
    ContainerNameTaken,
    ContainerNotFound,
)
from wherry.model.ids import ContainerId, ImageId
from wherry.model.lifecycle import ContainerState
from wherry.store import Database


def container(identifier: str, name: str) -> Container:
    """A record with little in it."""
    return Container(
        id=ContainerId(identifier.ljust(64, "0")),
        name=name,
        created_at_ns=1,
        image_id=ImageId("sha256:" + "1" * 64),
        spec=ContainerSpec(
            image="busybox",
            mounts=(BindMount(source="/a", target="/b"), TmpfsMount(target="/t")),
        ),
        status=ContainerStatus(state=ContainerState.CREATED),
    )


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A fresh database with the engine's tables."""
    return Database(str(tmp_path / "engine.db"), MIGRATIONS)


@pytest.fixture
def records(database: Database) -> ContainerRecords:
    """Records over the database."""
    return ContainerRecords(database, OffloadPool(1))


async def test_found_by_id_name_and_prefix(records: ContainerRecords) -> None:
    """A container answers to its id, its name with and without slash, and a prefix."""
    one = container("abc1", "one")
    await records.add(one)
    for reference in (one.id, "one", "/one", "abc1"):
        assert records.find(reference) == one


async def test_prefix_of_two_is_ambiguous(records: ContainerRecords) -> None:
    """A prefix that fits two ids is an error that names it."""
    await records.add(container("abc1", "one"))
    await records.add(container("abc2", "two"))
    with pytest.raises(AmbiguousReference) as caught:
        records.find("abc")
    assert caught.value.reference == "abc"


async def test_name_wins_over_prefix(records: ContainerRecords) -> None:
    """A name that looks like a prefix of another id means the name."""
    await records.add(container("abc1", "one"))
    named = container("fff1", "abc")
    await records.add(named)
    assert records.find("abc") == named


@pytest.mark.parametrize("reference", ["", "nope", "../x", "abc\n", "%", "ABC1"])
async def test_strange_references_find_nothing(records: ContainerRecords, reference: str) -> None:
    """What is no id and no name is not found, whatever it looks like."""
    await records.add(container("abc1", "one"))
    with pytest.raises(ContainerNotFound):
        records.find(reference)


async def test_taken_name_names_its_holder(records: ContainerRecords) -> None:
    """A second container can't have the name, and the first keeps it."""
    one = container("abc1", "one")
    await records.add(one)
    with pytest.raises(ContainerNameTaken) as caught:
        await records.add(container("abc2", "one"))
    assert caught.value.holder == one.id
    assert records.find("one") == one


async def test_rename_frees_the_old_name(records: ContainerRecords) -> None:
    """After a rename the old name can be given again."""
    one = container("abc1", "one")
    await records.add(one)
    await records.replace(replace(one, name="uno"))
    assert records.name_is_free("one")
    assert records.find("uno").id == one.id


async def test_survives_reopening(database: Database, records: ContainerRecords) -> None:
    """What was stored is read back equal, mount kinds included."""
    one = container("abc1", "one")
    await records.add(one)
    again = ContainerRecords(database, OffloadPool(1))
    again.load()
    assert list(again.all()) == [one]


async def test_removed_is_gone(database: Database, records: ContainerRecords) -> None:
    """A removed container is neither in memory nor in the file."""
    one = container("abc1", "one")
    await records.add(one)
    await records.remove(one)
    again = ContainerRecords(database, OffloadPool(1))
    again.load()
    assert not list(again.all())
    assert records.name_is_free("one")


async def test_each_change_is_one_commit(database: Database, records: ContainerRecords) -> None:
    """Adding, replacing and removing cost one commit each."""
    one = container("abc1", "one")
    await records.add(one)
    await records.replace(replace(one, name="uno"))
    await records.remove(replace(one, name="uno"))
    assert database.commits == 3


async def test_what_has_happened_is_shown_and_kept_later(
    records: ContainerRecords, database: Database
) -> None:
    """A full disk takes no row: an end is shown all the same, and stored with a later change."""
    one, two = container("abc1", "one"), container("abc2", "two")
    await records.add(one)
    await records.add(two)
    ended = replace(one, status=ContainerStatus(state=ContainerState.EXITED, exit_code=3))
    large = replace(ended, status=replace(ended.status, error="x" * 100_000))
    with database.transaction() as rows:
        rows.execute("PRAGMA max_page_count = 1")  # as many as there are, and no more
    await records.note(large)
    assert records.find("one").status.exit_code == 3
    with pytest.raises(StepFailed, match="no space left on device"):
        await records.replace(replace(two, status=large.status))
    with database.transaction() as rows:
        rows.execute("PRAGMA max_page_count = 1000000")
    await records.replace(replace(two, name="renamed"))
    again = ContainerRecords(database, OffloadPool(1))
    again.load()
    assert again.find("one").status.exit_code == 3
