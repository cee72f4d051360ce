"""Children that end, told by the loop."""

import os
import signal

from wherry.kit.event_loop import EventLoop
from wherry.shim.child_signals import watch_children


def test_a_child_that_ends_wakes_the_loop() -> None:
    """Whoever watches is called, and can wait for the child without blocking."""
    loop, ended = EventLoop(), []
    before = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    try:
        watch_children(loop, lambda: ended.append(os.waitpid(-1, os.WNOHANG)[0]))
        child = os.fork()
        if child == 0:
            os._exit(0)
        loop.wait(10)
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, before)
    assert ended == [child]
