"""The loop of shims and of netd: events that are somebody else's by now, and timers."""

import os
import socket
import time

import pytest

from wherry.kit.event_loop import READ, WRITE, EventLoop


def test_an_event_is_not_given_to_who_has_the_number_next() -> None:
    """Two are ready; whoever comes first replaces the other by one that is not."""
    loop = EventLoop()
    pipes = [os.pipe(), os.pipe()]
    called: list[int] = []

    def replaces(other: int) -> None:
        loop.forget(other)
        os.close(other)
        fresh, writer = os.pipe()
        assert fresh == other
        loop.watch(fresh, READ, lambda _events: called.append(fresh))
        pipes.append((fresh, writer))
        loop.call_later(0, loop.stop)

    (first, _), (second, _) = pipes
    for mine, other in ((first, second), (second, first)):
        loop.watch(mine, READ, lambda _events, other=other: replaces(other))  # type: ignore[misc]
    for _reader, writer in pipes:
        os.write(writer, b"x")
    loop.run()
    assert called == []


def test_another_callback_for_the_same_events() -> None:
    """What is called is what was said last, also when the events stay the same."""
    loop, called = EventLoop(), []
    one, other = socket.socketpair()
    with one, other:
        loop.watch(one, WRITE, lambda _events: called.append("first"))
        loop.watch(one, WRITE, lambda _events: called.append("second"))
        loop.wait()
        loop.forget(one)
        loop.forget(one)
    assert called == ["second"]


def test_timers_go_off_in_their_order_unless_they_are_cancelled() -> None:
    """What is due first is done first, whenever it was asked for."""
    loop, done = EventLoop(), []
    loop.call_later(0.02, lambda: done.append("last"))
    loop.call_later(0.03, loop.stop)
    loop.call_later(0.0, lambda: done.append("cancelled")).cancel()
    loop.call_later(0.01, lambda: done.append("first"))
    loop.run()
    assert done == ["first", "last"]


def test_a_wait_ends_with_the_first_timer() -> None:
    """However long it may be, and it is no longer than it may be where no timer is due."""
    loop, done = EventLoop(), []
    loop.call_later(60, lambda: done.append("late"))
    loop.call_later(0.01, lambda: done.append("soon"))
    begun = time.monotonic()
    loop.wait(60)
    loop.wait(0.01)
    assert done == ["soon"]
    assert time.monotonic() - begun < 30


def test_a_plain_file_is_never_waited_for() -> None:
    """The kernel refuses it, and nothing of it is remembered."""
    loop = EventLoop()
    with open(__file__, "rb") as file:
        with pytest.raises(PermissionError):
            loop.watch(file, READ, lambda _events: None)
        loop.forget(file)
