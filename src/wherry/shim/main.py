"""The life of a shim: from the spawner's fork to its own end.

A shim is two processes for its first moments. Making a container touches four megabytes of an
interpreter that are otherwise shared with the spawner; watching one touches less than half of
that. So the *keeper*, which stays, forks a *maker* at once and sleeps. The maker makes the
container, starts it and serves the daemon, until the container has run for a while and nothing
is under way. Then it hands its descriptors to the keeper and ends, and the pages with it. Init
becomes the keeper's child, because the keeper is a subreaper. A container that ends before that
never needs the keeper.

    spawner            keeper              maker                          daemon
    fork ------------> own session,
                       subreaper
                       fork -------------> listen on shim.sock
                       |                   runtime.create: init is parked
                       |                   serial 0: pid ---------------> spawn is done
                       |                   execve <---------------------- start
                       |                   ... the loop ...
                       take over <-------- hand over: quiet for a moment
                       ... the loop ...    (ends)
                       exit.json, then the exit notice -----------------> wait is done
                       the end <----------------------------------------- delete

A shim ends when its container has ended, that is on disk, and a daemon has taken note or none is
connected. A container that was never started ends with the connection that asked for it. When
one of the two processes is killed the other goes as well, and the daemon clears up.
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

from wherry.kit import messages
from wherry.kit.messages import Message
from wherry.linux.process import set_child_subreaper, set_parent_death_signal
from wherry.linux.process_title import set_title
from wherry.shim import protocol
from wherry.shim.container import SupervisedContainer
from wherry.shim.control import Control
from wherry.shim.event_loop import EventLoop, Timer
from wherry.shim.faces import Runtime
from wherry.shim.protocol import ExecOrder, Refused, SpawnOrder

_LINGER_NS = 10_000_000_000
"""How long clients may still read what a deleted container wrote."""
_HAND_OVER_AFTER_NS = 300_000_000
"""How long a container runs, or has been quiet, before the maker leaves it to the keeper."""
_CRASH_NAME = "shim-crash.txt"

Area = tuple[int, int]
"""Where a process's arguments are in memory: start and length."""


def run_shim(runtime: Runtime, message: Message, channel: int, arguments: Area) -> NoReturn:
    """Be the shim of one container; in a process that was just forked.

    `message` is a `SpawnOrder` that has not been read yet: what the keeper doesn't touch stays
    shared.
    """
    status = 1
    try:
        become_shim(message["container_id"], arguments)
        if not _make(runtime, message, channel):
            status = 0
    except BaseException:
        _leave_traceback(message["bundle"])
    finally:
        os._exit(status)


def become_shim(container_id: str, arguments: Area) -> None:
    """Stand on our own: no terminal, no parent's streams, no import from here on."""
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    os.chdir("/")
    set_child_subreaper()
    set_title("wherry-shim", container_id[:12], arguments)
    forbid_imports()


def _make(runtime: Runtime, message: Message, channel: int) -> bool:
    """Fork the maker and keep what it hands over."""
    keeper_end, maker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    keeper = os.getpid()
    maker = os.fork()
    if maker == 0:
        keeper_end.close()
        set_parent_death_signal(signal.SIGKILL)
        if os.getppid() == keeper:
            order = SpawnOrder.from_message(message)
            Shim(runtime, order, keeper_end=maker_end).make(socket.socket(fileno=channel))
        return False
    os.close(channel)
    maker_end.close()
    received = messages.receive(keeper_end)
    keeper_end.close()
    # Only when the maker has gone is init ours to reap.
    os.waitpid(maker, 0)
    if received is not None:
        state, descriptors = received
        Shim(runtime, SpawnOrder.from_message(message)).keep(state, descriptors)
    return False


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

    def __init__(
        self, runtime: Runtime, order: SpawnOrder, *, keeper_end: socket.socket | None = None
    ) -> None:
        """With the keeper's end this is the maker's half."""
        self._order = order
        self._keeper_end = keeper_end
        self._is_leaving = False
        self._shim_pid = os.getpid() if keeper_end is None else os.getppid()
        self._hand_over_timer: Timer | None = None
        self._loop = EventLoop(self._reap)
        self._control = Control(self._loop, self._verbs(), self._on_answered, self._on_change)
        self._container = SupervisedContainer(
            self._loop,
            runtime,
            order,
            notify=self._control.broadcast,
            on_change=self._on_change,
        )

    def make(self, channel: socket.socket) -> None:
        """Make the container and serve until it can be handed over, or has ended."""
        self._control.add(channel)
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
        self._control.broadcast(protocol.answer(protocol.BORN, pid=pid, shim_pid=self._shim_pid))
        self._loop.run()

    def keep(self, state: Message, descriptors: list[int]) -> None:
        """Serve a container that the maker handed over, until it is no longer needed."""
        self._control.take_over(state["connections"], descriptors)
        self._container.take_over(state["container"], descriptors)
        self._reap()
        self._loop.run()

    def _plan_hand_over(self) -> None:
        if self._hand_over_timer is None:
            self._hand_over_timer = self._loop.call_later(
                _HAND_OVER_AFTER_NS, self._hand_over_if_quiet
            )

    def _hand_over_if_quiet(self) -> None:
        """The maker's last act; while something is under way it is put off."""
        self._hand_over_timer = None
        if self._keeper_end is None or not self._container.can_be_handed_over:
            return
        descriptors: list[int] = []
        state = {
            "connections": self._control.hand_over(descriptors),
            "container": self._container.hand_over(descriptors),
        }
        if len(descriptors) <= messages.MOST_DESCRIPTORS:
            messages.send(self._keeper_end, state, tuple(descriptors))
            self._loop.stop()

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
        elif container.can_be_handed_over and self._keeper_end is not None:
            self._plan_hand_over()
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
            "shim_pid": self._shim_pid,
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
