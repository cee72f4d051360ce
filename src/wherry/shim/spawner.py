"""The spawner: one thread that has everything imported, and forks.

It ends when the daemon closes the channel. Shims don't notice: they have their own connections.
"""

import gc
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping
from typing import NoReturn

from wherry.kit import messages
from wherry.kit.messages import Message
from wherry.linux.process_title import argument_area, set_title
from wherry.shim import protocol
from wherry.shim.faces import Runtime
from wherry.shim.main import run_shim
from wherry.shim.protocol import Refused

Job = Callable[[Message], tuple[Message, int]]
"""Done in a forked child; returns the members of the answer and a descriptor to pass."""


class Spawner:
    """Forks shims and jobs on request, and reaps them."""

    def __init__(self, channel: socket.socket, runtime: Runtime, jobs: Mapping[str, Job]) -> None:
        self._channel = channel
        self._runtime = runtime
        self._jobs = jobs
        self._poll = select.epoll()
        self._children: dict[int, tuple[int, int | None]] = {}
        """By pidfd: the pid, and for a job the serial of the request that it answers."""
        self._arguments = argument_area()

    def run(self) -> None:
        """Until the channel is closed."""
        self._runtime.preload()
        set_title("wherry-spawner", "", self._arguments)
        # Inherited by the shims. Not SIG_IGN: that would outlive execve(2), in containers.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda _number, _frame: None)
        # What exists now is never garbage: not looking at it keeps its pages shared.
        gc.collect()
        gc.freeze()
        messages.send(self._channel, {"notice": protocol.READY_NOTICE})
        self._poll.register(self._channel.fileno(), select.EPOLLIN)
        while True:
            for descriptor, _events in self._poll.poll(None, 32):
                if descriptor != self._channel.fileno():
                    self._reap(descriptor)
                elif not self._serve_one():
                    return

    def _serve_one(self) -> bool:
        """Do one request; False when there are no more."""
        try:
            received = messages.receive(self._channel)
        except (OSError, ValueError, messages.UnknownVersion):
            return False
        if received is None:
            return False
        message, descriptors = received
        serial, verb = message.get("serial", 0), message.get("verb", "")
        try:
            if verb == "spawn":
                self._spawn(message, descriptors)
            elif verb in self._jobs:
                self._start_job(self._jobs[verb], serial, message)
            else:
                self._refuse(serial, f"unknown verb {verb!r}")
        except (OSError, KeyError, ValueError, TypeError) as error:
            self._refuse(serial, f"{verb}: {error}")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _spawn(self, message: Message, descriptors: list[int]) -> None:
        channel = descriptors[0]
        pid = os.fork()
        if pid == 0:
            self._leave_behind()
            run_shim(self._runtime, message, channel, self._arguments)
        self._adopt(pid, None)

    def _start_job(self, job: Job, serial: int, message: Message) -> None:
        pid = os.fork()
        if pid == 0:
            _run_job(job, self._channel, serial, message)
        self._adopt(pid, serial)

    def _adopt(self, pid: int, serial: int | None) -> None:
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (pid, serial)
        self._poll.register(pidfd, select.EPOLLIN)

    def _reap(self, pidfd: int) -> None:
        pid, serial = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _pid, status = os.waitpid(pid, 0)
        if serial is not None and status:
            self._refuse(serial, f"the job ended with status {status}")

    def _refuse(self, serial: int, problem: str) -> None:
        messages.send(self._channel, protocol.refusal(serial, Refused("step", problem)))

    def _leave_behind(self) -> None:
        """In a shim: let go of what belongs to the spawner."""
        self._channel.close()
        self._poll.close()
        for pidfd in self._children:
            os.close(pidfd)


def _run_job(job: Job, channel: socket.socket, serial: int, message: Message) -> NoReturn:
    """In the child: do it and answer."""
    status = 1
    try:
        try:
            results, descriptor = job(message)
        except (OSError, KeyError, ValueError) as error:
            messages.send(channel, protocol.refusal(serial, Refused("step", str(error))))
        else:
            messages.send(channel, protocol.answer(serial, **results), (descriptor,))
        status = 0
    finally:
        os._exit(status)
