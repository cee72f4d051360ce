"""The logs of removed containers: moved, found, and gone in time."""

from dataclasses import replace
from pathlib import Path

import pytest

from support.fake_clock import FakeClock
from wherry.engine.containers.removed_logs import RemovedLogs
from wherry.model.containers import Container, ContainerSpec, ContainerStatus, LogSpec
from wherry.model.errors.containers import ContainerNotFound
from wherry.model.ids import ContainerId, ImageId
from wherry.model.lifecycle import ContainerState

DAY_NS = 86_400 * 10**9


def container(identifier: str, name: str) -> Container:
    """A container that has ended."""
    return Container(
        id=ContainerId(identifier),
        name=name,
        created_at_ns=0,
        image_id=ImageId("i"),
        spec=ContainerSpec(image="busybox", log=LogSpec(driver="json-file")),
        status=ContainerStatus(state=ContainerState.EXITED),
    )


def written(directory: Path, text: str = "line\n") -> str:
    """The path of a log with an older file."""
    directory.mkdir(exist_ok=True)
    (directory / "x.log").write_text(text)
    (directory / "x.log.1").write_text(text)
    (directory / "other").write_text("no log")
    return str(directory / "x.log")


@pytest.fixture
def clock() -> FakeClock:
    """A clock of our own."""
    return FakeClock()


@pytest.fixture
def logs(tmp_path: Path, clock: FakeClock) -> RemovedLogs:
    """Logs that are kept for seven days."""
    return RemovedLogs(str(tmp_path / "removed"), retention_days=7, clock=clock)


def test_files_are_moved_and_found(logs: RemovedLogs, tmp_path: Path) -> None:
    """All files of the log and nothing else; by name, id and prefix."""
    logs.keep(container("abc1", "web"), written(tmp_path / "c"))
    assert sorted(each.name for each in (tmp_path / "c").iterdir()) == ["other"]
    for reference in ("web", "/web", "abc1", "ab"):
        assert logs.find(reference).id == "abc1"
    assert Path(logs.find("web").path(logs.root)).read_text() == "line\n"
    with pytest.raises(ContainerNotFound):
        logs.find("nope")


def test_an_ambiguous_prefix_finds_nothing(logs: RemovedLogs, tmp_path: Path) -> None:
    """It might be either."""
    logs.keep(container("abc1", "web"), written(tmp_path / "c"))
    logs.keep(container("abc2", "db"), written(tmp_path / "c"))
    with pytest.raises(ContainerNotFound):
        logs.find("abc")


def test_they_go_after_their_days(logs: RemovedLogs, tmp_path: Path, clock: FakeClock) -> None:
    """Seven days are kept, the eighth is not."""
    logs.keep(container("abc1", "web"), written(tmp_path / "c"))
    clock.advance(6 * DAY_NS)
    logs.sweep()
    assert logs.find("web")
    clock.advance(2 * DAY_NS)
    logs.sweep()
    with pytest.raises(ContainerNotFound):
        logs.find("web")


def test_what_is_not_worth_it(logs: RemovedLogs, tmp_path: Path, clock: FakeClock) -> None:
    """An empty log, one that nobody could read, and any when nothing is to be kept."""
    logs.keep(container("abc1", "web"), written(tmp_path / "c", ""))
    silent = container("abc2", "db")
    silent = replace(silent, spec=replace(silent.spec, log=LogSpec(driver="none")))
    logs.keep(silent, written(tmp_path / "c"))
    off = RemovedLogs(str(tmp_path / "removed"), retention_days=0, clock=clock)
    off.keep(container("abc3", "x"), written(tmp_path / "c"))
    assert not (tmp_path / "removed").exists()
