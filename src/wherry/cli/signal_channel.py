"""Signals as something to select on, so that they are handled between two reads."""

import signal
import socket
from collections.abc import Iterable
from types import FrameType, TracebackType

PROXIED = tuple(
    getattr(signal, name)
    for name in (
        "SIGHUP", "SIGINT", "SIGQUIT", "SIGALRM", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCONT",
        "SIGTSTP", "SIGTTIN", "SIGTTOU",
    )
)  # fmt: skip
"""What is handed on to a container's process: all that a person or a supervisor would send."""


class SignalChannel:
    """While it is open, the signals named don't act on this process but can be read."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(numbers)
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> "SignalChannel":
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._old_wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            self._handlers[number] = signal.signal(number, _ignore)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._old_wakeup)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """What to select on."""
        return self._reader.fileno()

    def arrived(self) -> list[int]:
        """The signals since the last call, oldest first."""
        try:
            return [number for number in self._reader.recv(4096) if number in self._numbers]
        except BlockingIOError:
            return []


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor has the number already."""
