"""The life of a shim: from the spawner's fork to its own end.

    spawner                       shim
    fork ------------------------> leave the session, /dev/null, subreaper, title
                                   listen on shim.sock
                                   runtime.create: init is parked
    daemon <-- serial 0: pid ----- (or why not)
    daemon --- start ------------> execve
                                   ... the loop ...
    daemon <-- exit notice ------- exit.json is on disk, cgroups are gone
    daemon --- delete -----------> the end

A shim ends when its container has ended, that is on disk, and a daemon has taken note or none is
connected. A container that was never started ends with the connection that asked for it.
"""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import NoReturn

from wherry.kit.messages import Message
from wherry.linux.process import set_child_subreaper
from wherry.shim import protocol
from wherry.shim.container import SupervisedContainer, show_in_ps
from wherry.shim.control import Control
from wherry.shim.event_loop import EventLoop
from wherry.shim.faces import Runtime
from wherry.shim.protocol import ExecOrder, Refused, SpawnOrder

_LINGER_NS = 10_000_000_000
"""How long clients may still read what a deleted container wrote."""
_CRASH_NAME = "shim-crash.txt"


def run_shim(runtime: Runtime, order: SpawnOrder, channel: socket.socket) -> NoReturn:
    """Be the shim of one container; in a process that was just forked."""
    status = 1
    try:
        become_shim(order)
        Shim(runtime, order, channel).run()
        status = 0
    except BaseException:
        _leave_traceback(order.bundle)
    finally:
        os._exit(status)


def become_shim(order: SpawnOrder) -> None:
    """Stand on our own: no terminal, no parent's streams, no import from here on."""
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    os.chdir("/")
    # Not SIG_IGN: that would be inherited by the container's processes across execve(2).
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    set_child_subreaper()
    show_in_ps(order.container_id)
    forbid_imports()


class _NoImports:
    """An importer that refuses: a file found now might be the container's, not ours."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises: ImportError, always."""
        raise ImportError(f"{name} was not preloaded by the spawner", name=name)


def forbid_imports() -> None:
    """Make each import of a module that is not loaded yet fail."""
    sys.meta_path[:] = [_NoImports()]


class Shim:
    """The control verbs of one container, and the decision to end."""

    def __init__(self, runtime: Runtime, order: SpawnOrder, channel: socket.socket) -> None:
        self._order = order
        self._channel = channel
        self._is_leaving = False
        self._loop = EventLoop(self._reap)
        self._control = Control(self._loop, self._verbs(), self._on_answered, self._on_change)
        self._container = SupervisedContainer(
            self._loop,
            runtime,
            order,
            notify=self._control.broadcast,
            on_change=self._on_change,
        )

    def run(self) -> None:
        """Make the container and serve until it is no longer needed."""
        self._control.add(self._channel)
        try:
            self._control.listen(self._order.bundle)
            pid = self._container.create()
        except Refused as refused:
            self._control.broadcast(protocol.refusal(protocol.BORN, refused))
            return
        except OSError as error:
            failure = Refused("step", f"{protocol.SOCKET_NAME}: {error}")
            self._control.broadcast(protocol.refusal(protocol.BORN, failure))
            return
        self._control.broadcast(protocol.answer(protocol.BORN, pid=pid, shim_pid=os.getpid()))
        self._loop.run()

    def _reap(self) -> None:
        self._container.reap()

    def _on_answered(self, verb: str) -> None:
        if verb == "start":
            self._container.settle()
        self._on_change()

    def _on_change(self) -> None:
        """Leave when there is nothing left to do."""
        container = self._container
        if self._is_leaving:
            if not container.has_clients:
                self._loop.stop()
            return
        if not container.has_started and not container.is_collected and self._control.is_alone:
            if container.pid:
                container.discard()
            self._loop.stop()
        elif container.is_durable and (container.is_collected or self._control.is_alone):
            self._is_leaving = True
            self._loop.call_later(_LINGER_NS, self._loop.stop)
            self._on_change()

    # -- verbs -------------------------------------------------------------------------------

    def _verbs(self) -> dict[str, Callable[[Message, list[int]], Message]]:
        return {
            "start": self._start,
            "discard": self._discard,
            "signal": self._signal,
            "pause": self._pause,
            "resume": self._resume,
            "resize": self._resize,
            "attach": self._attach,
            "exec": self._exec,
            "state": self._state,
            "collect": self._collect,
            "delete": self._delete,
        }

    def _start(self, _message: Message, _descriptors: list[int]) -> Message:
        self._container.start()
        return {}

    def _discard(self, _message: Message, _descriptors: list[int]) -> Message:
        self._container.discard()
        return {}

    def _signal(self, message: Message, _descriptors: list[int]) -> Message:
        self._container.signal(message["number"])
        return {}

    def _pause(self, _message: Message, _descriptors: list[int]) -> Message:
        self._container.pause()
        return {}

    def _resume(self, _message: Message, _descriptors: list[int]) -> Message:
        self._container.resume()
        return {}

    def _resize(self, message: Message, _descriptors: list[int]) -> Message:
        self._container.resize(message["session"], message["rows"], message["columns"])
        return {}

    def _attach(self, message: Message, descriptors: list[int]) -> Message:
        if not descriptors:
            raise Refused("refused", "attach without a stream")
        self._container.attach(
            message["session"],
            os.dup(descriptors[0]),
            stdin=message["stdin"],
            stdout=message["stdout"],
            stderr=message["stderr"],
        )
        return {}

    def _exec(self, message: Message, _descriptors: list[int]) -> Message:
        return {"pid": self._container.exec(ExecOrder.from_message(message))}

    def _state(self, _message: Message, _descriptors: list[int]) -> Message:
        ending = self._container.ending
        return {
            "pid": self._container.pid,
            "shim_pid": os.getpid(),
            "has_started": self._container.has_started,
            "ending": None if ending is None else ending.to_message(),
            "endings": {
                name: each.to_message() for name, each in self._container.session_endings().items()
            },
            "running": self._container.running_sessions(),
        }

    def _collect(self, message: Message, _descriptors: list[int]) -> Message:
        self._container.collect(message["session"])
        return {}

    def _delete(self, _message: Message, _descriptors: list[int]) -> Message:
        self._container.delete()
        return {}


def _leave_traceback(bundle: str) -> None:
    """Say in the bundle what went wrong; there is nobody else to tell."""
    try:
        with open(f"{bundle}/{_CRASH_NAME}", "a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
    except OSError:
        return
