"""That children have ended, told by the event loop as it tells of everything else."""

import os
import signal
from collections.abc import Callable

from wherry.kit.event_loop import READ, EventLoop

_SIGNALS_AT_ONCE = 512


def watch_children(loop: EventLoop, on_children: Callable[[], None]) -> None:
    """Call back when children may have ended (SIGCHLD). After the fork: it is per process.

    Python writes to the wake-up descriptor for signals that have a handler of Python's; the
    spawner has set one for SIGCHLD, and execve(2) resets it in a container's process.
    """
    woken, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)

    def on_wakeup(_events: int) -> None:
        os.read(woken, _SIGNALS_AT_ONCE)
        on_children()

    loop.watch(woken, READ, on_wakeup)
