"""The streams of a process, as its shim has them."""

import os
import time

from wherry.kit.event_loop import EventLoop
from wherry.shim.session import Session


class _Written:
    """A log that is kept in memory."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, _stream: int, data: bytes, _at_ns: int) -> None:
        """Take it."""
        self.data += data


def test_a_terminal_that_nobody_has_open() -> None:
    """It keeps no processor busy, and what is written once it is opened again comes through."""
    loop, log = EventLoop(), _Written()
    session = Session(
        loop, name="", sink=log, closes_stdin_after_first=False, on_idle=lambda: None
    )
    master, slave = os.openpty()
    terminal = os.ttyname(slave)
    os.close(slave)
    session.take_console(master, opens_stdin=False)
    session.begin()
    loop.call_later(0.3, loop.stop)
    begun = time.process_time()
    loop.run()
    assert time.process_time() - begun < 0.05
    again = os.open(terminal, os.O_WRONLY | os.O_NOCTTY)
    os.write(again, b"back")
    loop.wait(10)
    assert log.data == b"back"
    session.abandon()
    os.close(again)
