"""`system dial-stdio`: this process's streams become a connection to the engine.

`docker -H ssh://` and `wherry -H ssh://` run it on the other machine.
"""

import os
import select
import socket

from wherry.cli.command import NONE, Command
from wherry.cli.flags import Parsed
from wherry.cli.session import Session
from wherry.client.connection import connect

_READ_BYTES = 64 * 1024


def run(session: Session, parsed: Parsed) -> int:
    """Carry bytes both ways until the engine's side ends."""
    with connect(session.endpoint) as channel:
        sources = [0, channel.fileno()]
        while channel.fileno() in sources:
            ready, _, _ = select.select(sources, [], [])
            if 0 in ready:
                data = os.read(0, _READ_BYTES)
                if data:
                    channel.sendall(data)
                else:
                    sources.remove(0)
                    channel.shutdown(socket.SHUT_WR)
            if channel.fileno() in ready:
                data = channel.recv(_READ_BYTES)
                if not data:
                    return 0
                _write_all(data)
    return 0


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


DIAL = Command(
    "", "Carry the engine's connection over STDIN and STDOUT; other programs run it", NONE, run
)
