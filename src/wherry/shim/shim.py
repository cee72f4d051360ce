"""One half of a pair as the daemon sees it: a container behind a socket, and when to go away.

The maker's half leaves when it can hand its container to the keeper, or the container has ended;
the keeper's half when the container has ended, that is on disk, and a daemon has taken note or
none is connected.
"""

import os
import socket

from wherry.kit import messages
from wherry.kit.event_loop import EventLoop, Timer
from wherry.kit.messages import Message
from wherry.kit.values import replace
from wherry.shim import protocol
from wherry.shim.child_signals import watch_children
from wherry.shim.container import Container
from wherry.shim.control import Control
from wherry.shim.faces import Runtime
from wherry.shim.foreign_runtime import ForeignRuntime
from wherry.shim.protocol import Refused, SpawnOrder
from wherry.shim.verbs import verbs_of

_LINGER_S = 10.0
"""How long clients may still read what a deleted container wrote."""
_HAND_OVER_AFTER_S = 0.3
"""How long a container runs, or has been quiet, before the maker leaves it to the keeper."""


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
        self._loop = EventLoop()
        watch_children(self._loop, self._reap)
        if order.runtime is not None:
            runtime = ForeignRuntime(order.runtime, order.container_id, order.bundle)
        self._container = Container(
            self._loop, runtime, order, notify=self._notify, on_change=self._on_change
        )
        verbs = verbs_of(self._container, self._shim_pid)
        self._control = Control(self._loop, verbs, self._on_answered, self._on_change)

    def make(self, channel: socket.socket) -> None:
        """Make the container and serve until it can be handed over, or has ended."""
        self._control.add(channel)
        try:
            self._control.listen(self._order.bundle)
            pid = self._container.create()
        except Refused as refused:
            self._notify(protocol.refusal(protocol.BORN, refused))
            return
        self._notify(protocol.answer(protocol.BORN, pid=pid, shim_pid=self._shim_pid))
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
                _HAND_OVER_AFTER_S, self._hand_over_if_quiet
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
            # The root is made: the keeper does without it.
            "order": protocol.SPAWN_ORDER.to_json(replace(self._order, rootfs=None)),
        }
        if len(descriptors) > messages.MOST_DESCRIPTORS:
            return
        try:
            messages.send(self._keeper_end, state, tuple(descriptors))
        except OSError:
            # More than fits in a message: the maker stays, with all its pages.
            self._keeper_end = None
        else:
            self._loop.stop()

    def _notify(self, notice: Message) -> None:
        self._control.broadcast(notice)

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
            if not container.sessions.have_clients:
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
            self._loop.call_later(_LINGER_S, self._loop.stop)
            self._on_change()
