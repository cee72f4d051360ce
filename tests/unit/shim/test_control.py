"""The control connections of a shim."""

import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.shim.control import Control
from wherry.shim.event_loop import EventLoop

MILLISECOND_NS = 1_000_000


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    """A shim's loop, in the place of a shim."""
    yield EventLoop(lambda: None)
    signal.set_wakeup_fd(-1)


def test_a_connection_without_a_descriptor_for_it(tmp_path: Path, loop: EventLoop) -> None:
    """It waits without keeping a processor busy, and is served when there is one again."""
    control = Control(loop, {}, on_answered=lambda _verb: None, on_alone=lambda: None)
    control.listen(str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(tmp_path / "shim.sock"))
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            loop.call_later(300 * MILLISECOND_NS, loop.stop)
            begun = time.process_time()
            loop.run()
            used_s = time.process_time() - begun
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert control.is_alone
        assert used_s < 0.02

        def look() -> None:
            loop.call_later(MILLISECOND_NS, look if control.is_alone else loop.stop)

        look()
        loop.run()
        assert not control.is_alone
