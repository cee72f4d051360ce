"""The spawner: one thread that has everything imported, and forks.

Theory of operation. A page that the spawner writes to after a fork is a page that its child no
longer shares, so the spawner does almost nothing: it doesn't even read its requests. It keeps
one pair of processes waiting (`shim.pair`), of which the maker reads the next request straight
from the daemon's channel: a container to be made, or a job. Before it does it, it asks the
spawner for the next pair. So no request waits for a fork either.

It ends when the daemon closes the channel. Shims don't notice: they have connections of their
own. When it is killed, the waiting pair goes with it.
"""

import os
import select
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress

from wherry.kit import messages
from wherry.linux import heap
from wherry.linux.process_title import argument_area, set_title
from wherry.operations.files.held_roots import reap_servers
from wherry.shim import protocol
from wherry.shim.faces import Runtime
from wherry.shim.imports import forbid_imports
from wherry.shim.pair import Job, Post, wait_as_pair

__all__ = ["Job", "Spawner"]

_FORK_AGAIN_MS = 50


class Spawner:
    """Keeps a pair waiting for the next request."""

    def __init__(self, channel: socket.socket, runtime: Runtime, jobs: Mapping[str, Job]) -> None:
        """`jobs` are done by a maker instead of a container, by the verb that asks for them."""
        self._channel = channel
        self._wanted, wanted_writer = os.pipe2(os.O_CLOEXEC)
        self._post = Post(
            channel=channel,
            wanted=wanted_writer,
            runtime=runtime,
            jobs=jobs,
            arguments=argument_area(),
        )

    def run(self) -> None:
        """Until the channel is closed."""
        self._post.runtime.preload()
        set_title("wherry-spawner", "", self._post.arguments)
        # Inherited by the shims. Not SIG_IGN: that would outlive execve(2), in containers.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: None)
        spawner = os.getpid()
        signal.signal(signal.SIGCHLD, lambda _number, _frame: _reap_children_of(spawner))
        forbid_imports()
        poll = select.poll()
        poll.register(self._wanted, select.POLLIN)
        poll.register(self._channel.fileno(), 0)
        messages.send(self._channel, {"notice": protocol.READY_NOTICE})
        heap.settle()
        while self._keep_a_pair_waiting(poll):
            os.read(self._wanted, 1)

    def _keep_a_pair_waiting(self, poll: select.poll) -> bool:
        """Fork a pair; True once it has something to do, False when this is the end."""
        while True:
            try:
                pid = os.fork()
                break
            except OSError:
                # The machine has no process or memory to spare: it may have soon.
                if self._channel.fileno() in dict(poll.poll(_FORK_AGAIN_MS)):
                    return False
        if pid == 0:
            os.close(self._wanted)
            wait_as_pair(self._post)
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        poll.register(pidfd, select.POLLIN)
        ready = dict(poll.poll())
        poll.unregister(pidfd)
        os.close(pidfd)
        # The pair has ended by itself: either the daemon has gone, or the pair was killed, and
        # then the daemon sees us go and starts another spawner.
        return self._wanted in ready


def _reap_children_of(spawner: int) -> None:
    """Take note of shims that ended; in the shims, which inherit this handler, of programs that
    serve roots: whoever waits for another child of theirs finds it."""
    if os.getpid() != spawner:
        reap_servers()
    else:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
