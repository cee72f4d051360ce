"""The loop of a shim: events that came for a descriptor that is another's by now."""

import os
import signal
from collections.abc import Iterator

import pytest

from wherry.shim.event_loop import READABLE, EventLoop


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    """A shim's loop, in the place of a shim."""
    yield EventLoop(lambda: None)
    signal.set_wakeup_fd(-1)


def test_an_event_is_not_given_to_who_has_the_number_next(loop: EventLoop) -> None:
    """Two are ready; whoever comes first replaces the other by one that is not."""
    pipes = [os.pipe(), os.pipe()]
    called: list[int] = []

    def replaces(other: int) -> None:
        loop.forget(other)
        os.close(other)
        fresh, writer = os.pipe()
        assert fresh == other
        loop.watch(fresh, READABLE, lambda _events: called.append(fresh))
        pipes.append((fresh, writer))
        loop.call_later(0, loop.stop)

    (first, _), (second, _) = pipes
    for mine, other in ((first, second), (second, first)):
        loop.watch(mine, READABLE, lambda _events, other=other: replaces(other))  # type: ignore[misc]
    for _reader, writer in pipes:
        os.write(writer, b"x")
    loop.run()
    assert called == []
