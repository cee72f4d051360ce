"""A container's terminal: handed to who asked for it, or joined to the caller's own."""

import os
import select
import signal
import socket
import termios
import tty
from contextlib import suppress
from types import FrameType, TracebackType

from wherry.linux import terminals
from wherry.linux.mounts import closing
from wherry.oci.runtime_spec import Process
from wherry.runtime.command.records import CommandFailed

_CHUNK = 65536
_NAME = b"/dev/ptmx"
"""What runc tells with the descriptor: the name of the terminal's master."""


def check_console_use(process: Process, *, socket_path: str, is_detached: bool) -> None:
    """Refuse a terminal that nobody would hold, and a socket that nothing comes through.

    Raises: CommandFailed in runc's words.
    """
    if process.terminal and is_detached and not socket_path:
        raise CommandFailed(
            "cannot allocate tty if runc will detach without setting console socket"
        )
    if socket_path and not (process.terminal and is_detached):
        raise CommandFailed("cannot use console socket if runc will not detach or allocate tty")


def standard_streams() -> tuple[int, int, int]:
    """0, 1 and 2; those that the caller left closed lead nowhere."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    return 0, 1, 2


def hand_over(path: str, master: int) -> None:
    """Give a terminal's master to who listens at a socket, and close it. Raises: OSError."""
    with (
        closing(master),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection,
    ):
        connection.connect(path)
        socket.send_fds(connection, [_NAME], [master])


class Relay:
    """The caller's terminal in front of the container's, for the foreground."""

    def __init__(self, console: int) -> None:
        self._console = console
        self._saved: list[object] | None = None

    def __enter__(self) -> "Relay":
        if os.isatty(0):
            self._saved = termios.tcgetattr(0)
            tty.setraw(0)
            self._resize(signal.SIGWINCH, None)
            signal.signal(signal.SIGWINCH, self._resize)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]

    def run(self, pidfd: int) -> None:
        """Carry bytes both ways until the container's side has closed."""
        poller = select.poll()
        poller.register(self._console, select.POLLIN)
        poller.register(0, select.POLLIN)
        poller.register(pidfd, select.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._console in ready:
                if not self._carry(self._console, 1):
                    return
            elif pidfd in ready:
                return  # Ended, and nothing left to be read.
            if 0 in ready and not self._carry(0, self._console):
                poller.unregister(0)

    def _carry(self, source: int, sink: int) -> bool:
        try:
            chunk = os.read(source, _CHUNK)
        except OSError:
            return False
        view = memoryview(chunk)
        while view:
            view = view[os.write(sink, view) :]
        return bool(chunk)

    def _resize(self, _number: int, _frame: FrameType | None) -> None:
        with suppress(OSError):
            rows, columns = terminals.window_size(0)
            terminals.set_window_size(self._console, rows=rows, columns=columns)
