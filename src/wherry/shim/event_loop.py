"""The one loop of a shim: descriptors that are ready, children that ended, timers.

asyncio would cost a shim 4 MiB and its first 30 ms; this is the tenth of it that a shim needs.
"""

import os
import select
import signal
import time
from collections.abc import Callable

READABLE, WRITABLE, HANGUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP
PRIORITY, EDGE = select.EPOLLPRI, select.EPOLLET

OnReady = Callable[[int], None]
"""Called with the events that came, as epoll(7) names them."""

_EVENTS_AT_ONCE = 32


class Timer:
    """Something to be done later; `cancel` to not do it."""

    def __init__(self, due_ns: int, action: Callable[[], None]) -> None:
        self.due_ns = due_ns
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Not after all."""
        self.action = None


class EventLoop:
    """Calls back until it is stopped. Made after the fork: the signal handling is per process."""

    def __init__(self, on_children: Callable[[], None]) -> None:
        """`on_children` is called when children may have ended (SIGCHLD)."""
        self._epoll = select.epoll()
        self._ready: dict[int, OnReady] = {}
        self._timers: list[Timer] = []
        self._is_running = False
        self._on_children = on_children
        self._wakeup, wakeup_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # Python writes to the wake-up descriptor for signals that have a handler of Python's;
        # the spawner has set one for SIGCHLD, and execve(2) resets it in a container's process.
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        self.watch(self._wakeup, READABLE, self._on_wakeup)

    def watch(self, descriptor: int, events: int, ready: OnReady) -> None:
        """Call back when one of the events is there. Raises: OSError (EPERM: a plain file)."""
        self._epoll.register(descriptor, events)
        self._ready[descriptor] = ready

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events of a watched descriptor; HANGUP always comes."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Stop watching; before the descriptor is closed. Doing so twice is no error."""
        if self._ready.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def call_later(self, delay_ns: int, action: Callable[[], None]) -> Timer:
        """Do something once, after a delay."""
        timer = Timer(time.monotonic_ns() + delay_ns, action)
        self._timers.append(timer)
        return timer

    def run(self) -> None:
        """Until `stop`."""
        self._is_running = True
        while self._is_running:
            came = self._epoll.poll(self._wait_s(), _EVENTS_AT_ONCE)
            for ready, (descriptor, events) in [(self._ready.get(each[0]), each) for each in came]:
                # A callback before this one may have forgotten it, and its number may be
                # another's by now: what came is not about that one.
                if ready is not None and self._ready.get(descriptor) is ready:
                    ready(events)
            if self._timers:
                self._run_timers()

    def stop(self) -> None:
        """Leave `run` after the callbacks of this round."""
        self._is_running = False

    def _wait_s(self) -> float | None:
        """Until the next timer; None: for ever."""
        if not self._timers:
            return None
        first = min(timer.due_ns for timer in self._timers)
        return max(0, first - time.monotonic_ns()) / 1e9

    def _run_timers(self) -> None:
        now = time.monotonic_ns()
        due = [timer for timer in self._timers if timer.due_ns <= now]
        self._timers = [timer for timer in self._timers if timer.due_ns > now and timer.action]
        for timer in due:
            if timer.action is not None:
                timer.action()

    def _on_wakeup(self, _events: int) -> None:
        os.read(self._wakeup, 512)
        self._on_children()
