"""The writing side of a process's standard input, with room for one block that waits."""

import os
from collections.abc import Callable

from wherry.kit.event_loop import WRITE, EventLoop


class Stdin:
    """The pipe to a process's stdin.

    What the pipe has no room for waits here, and `on_full` asks the clients to wait with it.
    """

    def __init__(self, loop: EventLoop, pipe: int, on_full: Callable[[bool], None]) -> None:
        """Takes the descriptor over."""
        os.set_blocking(pipe, False)
        self._loop = loop
        self._pipe = pipe
        self._on_full = on_full
        self._waiting = b""
        self._is_ending = False

    @property
    def descriptor(self) -> int:
        """The pipe."""
        return self._pipe

    @property
    def is_open(self) -> bool:
        """Whether more can be written."""
        return self._pipe >= 0 and not self._is_ending

    def write(self, data: bytes) -> None:
        """Pass bytes on; when the process has closed its stdin they are dropped."""
        if self._pipe < 0 or self._is_ending:
            return
        if self._waiting:
            self._waiting += data
            return
        self._waiting = self._write_some(data)
        if self._waiting:
            self._loop.watch(self._pipe, WRITE, self._on_ready)
            self._on_full(True)

    def end(self) -> None:
        """Close it once everything is written."""
        self._is_ending = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Close it now."""
        if self._pipe >= 0:
            self._loop.forget(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
            self._waiting = b""

    def _on_ready(self, _events: int) -> None:
        self._waiting = self._write_some(self._waiting)
        if self._waiting or self._pipe < 0:
            return
        self._loop.forget(self._pipe)
        if self._is_ending:
            self.close()
        else:
            self._on_full(False)

    def _write_some(self, data: bytes) -> bytes:
        """What is left to be written."""
        try:
            return data[os.write(self._pipe, data) :]
        except BlockingIOError:
            return data
        except OSError:
            self.close()
            self._on_full(False)
            return b""
