"""The event stream: order, filters, and what a slow reader gets."""

import asyncio

from wherry.engine.events import MOST_QUEUED, EventLog, matches
from wherry.kit.clock import FakeClock
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


def test_unknown_key_matches_nothing() -> None:
    """A key that no event has lets none pass."""
    assert not matches(event(), {"planet": ("earth",)})


async def test_past_events_only_with_since() -> None:
    """A subscriber sees what comes; with `since` also what was."""
    clock = FakeClock(now_ns=10)
    log = EventLog(clock)
    log.publish("container", "create", "1", {})
    clock.advance(10)
    past = log.subscribe(since_ns=0, until_ns=15, filters={})
    assert [each.action async for each in past] == ["create"]
    new = log.subscribe(since_ns=None, until_ns=None, filters={})
    waiting = asyncio.ensure_future(anext(new))
    await asyncio.sleep(0)
    log.publish("container", "start", "1", {})
    assert (await waiting).action == "start"


async def test_stalled_subscriber_gets_an_end_not_a_gap() -> None:
    """Who doesn't read is cut off after what was queued, with nothing left out before."""
    log = EventLog(FakeClock())
    stream = log.subscribe(since_ns=None, until_ns=None, filters={})
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for number in range(MOST_QUEUED + 10):
        log.publish("container", "start", str(number), {})
    seen = [(await first).actor_id]
    seen += [each.actor_id async for each in stream]
    assert seen == [str(number) for number in range(len(seen))]
    assert log.listeners == 0
