"""A program on a pseudo-terminal, driven as a person drives it: type, look, resize."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence

from support.waiting import wait_until


class Terminal:
    """One program with a terminal of its own."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        rows: int = 24,
        columns: int = 80,
    ) -> None:
        self._seen = b""
        self._status: int | None = None
        self._pid, self._master = pty.fork()
        if self._pid == 0:
            os.execvpe(command[0], list(command), dict(environment))
        self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size; the kernel tells the foreground program (SIGWINCH)."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Send keys."""
        os.write(self._master, text.encode())

    def wait_until_raw(self) -> None:
        """Wait until the program has taken the terminal over, so that keys are its own."""

        def is_raw() -> bool:
            local_modes = termios.tcgetattr(self._master)[3]
            return not local_modes & termios.ICANON

        wait_until("the terminal is raw", is_raw)

    def expect(self, pattern: str, *, within_s: float = 10) -> re.Match[str]:
        """Wait for a pattern in what has come since the last match. Raises: AssertionError."""
        deadline = time.monotonic() + within_s
        while True:
            text = self._seen.decode(errors="replace")
            found = re.search(pattern, text)
            if found:
                self._seen = text[found.end() :].encode()
                return found
            if not self._read_more(deadline):
                raise AssertionError(f"no {pattern!r} on the terminal, which shows: {text!r}")

    def _read_more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            part = os.read(self._master, 65536)
        except OSError:  # EIO: the other side has been closed by its last holder
            return False
        self._seen += part
        return bool(part)

    def wait(self, *, within_s: float = 10) -> int:
        """The exit code once the program has ended (128+n for a signal)."""
        deadline = time.monotonic() + within_s
        while self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._status = code if code >= 0 else 128 - code
                break
            if time.monotonic() > deadline:
                raise AssertionError(f"still running; the terminal shows {self._seen!r}")
            if not self._read_more(min(deadline, time.monotonic() + 0.05)):
                time.sleep(0.01)  # the program has closed its terminal and is about to end
        return self._status

    def close(self) -> None:
        """End the program if it still runs."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
        os.close(self._master)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
