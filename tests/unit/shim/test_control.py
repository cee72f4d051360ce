"""The control connections of a shim."""

import os
import resource
import socket
import time
from pathlib import Path

from wherry.kit.event_loop import EventLoop
from wherry.shim.control import Control


def test_a_connection_without_a_descriptor_for_it(tmp_path: Path) -> None:
    """It waits without keeping a processor busy, and is served when there is one again."""
    loop = EventLoop()
    control = Control(loop, {}, on_answered=lambda _verb: None, on_alone=lambda: None)
    control.listen(str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(tmp_path / "shim.sock"))
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            loop.call_later(0.3, loop.stop)
            begun = time.process_time()
            loop.run()
            used_s = time.process_time() - begun
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert control.is_alone
        assert used_s < 0.02

        def look() -> None:
            loop.call_later(0.001, look if control.is_alone else loop.stop)

        look()
        loop.run()
        assert not control.is_alone
