"""The event stream: order, filters, and what a slow reader gets."""

import asyncio
import json
from pathlib import Path

import pytest

from support.engine_bench import NoThreads
from support.fake_clock import FakeClock
from wherry.engine.event_journal import EventJournal
from wherry.engine.events import MOST_QUEUED, EventLog, matches
from wherry.model.callers import CALLER, Caller
from wherry.model.events import Event


def event(**attributes: str) -> Event:
    """A container event."""
    return Event(
        sequence=1,
        at_ns=5,
        kind="container",
        action="exec_start: ls",
        actor_id="abcdef",
        attributes={"name": "web", **attributes},
    )


def test_filters_are_anded_and_values_ored() -> None:
    """Every key must match; one of a key's values is enough."""
    assert matches(event(), {"type": ("container",), "container": ("nope", "web")})
    assert not matches(event(), {"type": ("container",), "container": ("nope",)})


def test_filter_by_action_before_the_colon() -> None:
    """`event=exec_start` finds `exec_start: ls`."""
    assert matches(event(), {"event": ("exec_start",)})
    assert not matches(event(), {"event": ("exec",)})


def test_filter_by_id_prefix_and_label() -> None:
    """Containers are found by id prefix, labels by name or name and value."""
    assert matches(event(tier="web"), {"container": ("abc",), "label": ("tier",)})
    assert matches(event(tier="web"), {"label": ("tier=web",)})
    assert not matches(event(tier="web"), {"label": ("tier=db",)})


def test_all_labels_must_be_there() -> None:
    """Labels are the one key whose values are all wanted."""
    assert matches(event(a="1", b="2"), {"label": ("a=1", "b")})
    assert not matches(event(a="1"), {"label": ("a=1", "b")})


@pytest.mark.parametrize(
    ("image", "is_found"),
    [("busybox", True), ("busybox:latest", True), ("busy", False), ("other", False)],
)
def test_containers_of_an_image(image: str, is_found: bool) -> None:
    """`image=` finds the image's events and those of its containers, with or without the tag."""
    assert matches(event(image="busybox:latest"), {"image": (image,)}) is is_found


@pytest.mark.parametrize("key", ["config", "daemon", "network", "node", "plugin", "volume"])
def test_kinds_of_actors(key: str) -> None:
    """A key that names another kind lets no container's event pass."""
    assert not matches(event(), {key: ("web",)})


def test_keys_that_mean_nothing() -> None:
    """As in Docker they are passed over; the one scope there is is local."""
    assert matches(event(), {"planet": ("earth",), "scope": ("local",)})
    assert not matches(event(), {"scope": ("swarm",)})


@pytest.fixture
def journal(tmp_path: Path) -> EventJournal:
    """A journal of small files."""
    return EventJournal(str(tmp_path / "events.log"), file_bytes=2000, files=4)


def logged(clock: FakeClock, journal: EventJournal) -> EventLog:
    """A log that does its blocking work on the spot."""
    return EventLog(clock, journal, NoThreads(1))


async def test_past_events_only_with_since(journal: EventJournal) -> None:
    """A subscriber sees what comes; with `since` also what was."""
    clock = FakeClock(now_ns=10)
    log = logged(clock, journal)
    log.publish("container", "create", "1", {})
    clock.advance(10)
    past = log.subscribe(since_ns=0, until_ns=15, filters={})
    assert [each.action async for each in past] == ["create"]
    new = log.subscribe(since_ns=None, until_ns=None, filters={})
    waiting = asyncio.ensure_future(anext(new))
    await asyncio.sleep(0)
    log.publish("container", "start", "1", {})
    assert (await waiting).action == "start"


async def test_the_past_and_what_comes_have_no_seam(journal: EventJournal) -> None:
    """Events that happen while the past is read come once, in their order."""
    log = logged(FakeClock(now_ns=10), journal)
    for number in range(5):
        log.publish("container", "start", str(number), {})
    stream = log.subscribe(since_ns=0, until_ns=None, filters={})
    seen = [(await anext(stream)).actor_id]
    for number in range(5, 8):
        log.publish("container", "start", str(number), {})
    seen += [(await anext(stream)).actor_id for _ in range(7)]
    assert seen == [str(number) for number in range(8)]


async def test_events_outlive_the_engine(journal: EventJournal, tmp_path: Path) -> None:
    """The next engine tells of them, goes on counting, and knows who asked."""
    log = logged(FakeClock(now_ns=10), journal)
    token = CALLER.set(Caller(uid=1000, pid=7, program="/usr/bin/docker"))
    log.publish("container", "create", "1", {"name": "web"})
    CALLER.reset(token)
    log.publish("container", "exec_start: probe", "1", {}, is_kept=False)
    journal.close()
    with (tmp_path / "events.log").open("ab") as file:
        file.write(b'{"event": {"torn')
    after = EventJournal(str(tmp_path / "events.log"), file_bytes=2000, files=4)
    log = logged(FakeClock(now_ns=20), after)
    log.publish("container", "start", "1", {})
    past = [each async for each in log.subscribe(since_ns=0, until_ns=20, filters={})]
    assert [(each.sequence, each.action) for each in past] == [(1, "create"), (2, "start")]
    first = json.loads((tmp_path / "events.log").read_text().splitlines()[0])
    assert first["by"]["uid"] == 1000
    assert first["by"]["program"] == "/usr/bin/docker"


async def test_old_events_make_room(journal: EventJournal, tmp_path: Path) -> None:
    """The files are bounded; what is kept is the newest, without a gap."""
    log = logged(FakeClock(now_ns=10), journal)
    for number in range(200):
        log.publish("container", "start", str(number), {})
    files = list(tmp_path.iterdir())
    assert len(files) == 4
    assert sum(each.stat().st_size for each in files) <= 4 * 2000
    past = [each.sequence async for each in log.subscribe(since_ns=0, until_ns=10, filters={})]
    assert past == list(range(past[0], 201))
    assert journal.last_sequence() == 200


async def test_stalled_subscriber_gets_an_end_not_a_gap(tmp_path: Path) -> None:
    """Who doesn't read is told so after what was queued, with nothing left out before."""
    log = logged(FakeClock(), EventJournal(str(tmp_path / "events.log")))
    stream = log.subscribe(since_ns=None, until_ns=None, filters={"type": ("container",)})
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for number in range(MOST_QUEUED + 10):
        log.publish("container", "start", str(number), {})
    seen = [await first]
    seen += [each async for each in stream]
    *events, last = seen
    assert [each.actor_id for each in events] == [str(number) for number in range(len(events))]
    assert (last.kind, last.action) == ("daemon", "stream-cut")
    assert last.attributes["since"].startswith("20")
    assert log.listeners == 0
