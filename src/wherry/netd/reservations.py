"""Host ports, held by sockets that are bound and never listen.

Theory of operation. The packet filter leads a published port away before any socket sees it, so
nothing stops another program from binding the same port and waiting for ever for connections.
A socket of ours that is bound keeps the port taken, and `bind` tells us when somebody else has
it. Binding without SO_REUSEADDR fails while closed connections of an earlier server linger in
TIME_WAIT; then we bind with the option and take it away afterwards, which leaves others refused
as before (inet_csk_bind_conflict looks at both sockets at the time of the later bind).

IPv6 is relayed: containers of the default network have none, so the socket that holds the port
listens, on `[::]` or on the one address that was asked for. It keeps SO_REUSEADDR: the
connections that it accepts inherit it, and without it their TIME_WAIT would keep the port from
the container's next start. Nobody can listen beside a socket that listens.
"""

import errno
import socket
from collections.abc import Iterable, Sequence
from itertools import chain

from wherry.kit.event_loop import EventLoop
from wherry.kit.values import dataclass, field, replace
from wherry.netd.protocol import Held, PortTaken, Wish
from wherry.netd.relays import Listener, listen

_TYPES = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
"""Type and number of each protocol (socket(2))."""
_UNRELAYED = ("sctp",)
"""Where the packet filter leads them, or nothing does."""
_BACKLOG = 4096
_EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"


@dataclass(slots=True)
class _Bound:
    """Sockets for one port, before it is certain that all can be had."""

    silent: list[socket.socket] = field(default_factory=list)
    relayed: list[tuple[str, int, socket.socket]] = field(default_factory=list)
    """Protocol, the container's port, and the socket to relay from."""
    held: list[Held] = field(default_factory=list)

    def has(self, taken: PortTaken) -> bool:
        """Whether these sockets are what keeps a port."""
        return any(
            (each.protocol, each.host_port) == (taken.protocol, taken.port) for each in self.held
        )

    def close(self) -> None:
        for each in self.silent:
            each.close()
        for _protocol, _port, each in self.relayed:
            each.close()


@dataclass(slots=True)
class _Place:
    """What holds one wish."""

    target: str
    silent: list[socket.socket]
    listeners: list[Listener]
    held: list[Held]

    def lead_to(self, target: str) -> None:
        """Another address of the container, of the same family."""
        if target != self.target:
            self.target = target
            self.held = [replace(each, target=target) for each in self.held]
            for listener in self.listeners:
                listener.lead_to(target)

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()
        for each in self.silent:
            each.close()


_Reservation = dict[Wish, _Place]
"""All that one owner has, by wishes for certain ports."""


class Reservations:
    """Which owner holds which host ports."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._reservations: dict[str, _Reservation] = {}
        self._last_random = 0

    def __len__(self) -> int:
        return len(self._reservations)

    def owners(self) -> dict[str, tuple[Held, ...]]:
        """What each owner holds."""
        return {
            owner: tuple(held for place in each.values() for held in place.held)
            for owner, each in self._reservations.items()
        }

    def reserve(
        self, owner: str, target: str, wishes: Sequence[Wish], *, relays_all: bool = False
    ) -> list[int]:
        """Hold a port for each wish, or no new one at all; returns the ports.

        What arrives by the other family than the target's is relayed there; with `relays_all`,
        everything.

        What the owner held before is let go first, so that asking twice is no error; but what
        is wished again just as it was is never let go, and its relayed connections stay. With
        another target of the same family, new ones go there.

        Raises: PortTaken; OSError for an address that is not ours, or a port that may not be.
        """
        kept = self._let_go_besides(owner, target, wishes)
        made: list[tuple[Wish, _Bound]] = []
        ports = []
        try:
            for wish in wishes:
                if wish in kept:
                    ports.append(wish.first)
                    continue
                port, sockets = self._bind_wish(wish, relays_v4=relays_all or ":" in target)
                made.append((wish.at(port), sockets))
                ports.append(port)
        except (PortTaken, OSError) as error:
            if isinstance(error, PortTaken) and any(each.has(error) for _wish, each in made):
                error.holder = owner
            for _wish, each in made:
                each.close()
            raise
        added = {wish: self._place(target, sockets) for wish, sockets in made}
        self._reservations[owner] = {**kept, **added}
        return ports

    def release(self, owner: str) -> None:
        """Let go of everything that an owner holds."""
        for place in self._reservations.pop(owner, {}).values():
            place.close()

    def _let_go_besides(self, owner: str, target: str, wishes: Sequence[Wish]) -> _Reservation:
        """Let go of all that is not wished again; what is left."""
        before = self._reservations.pop(owner, {})
        kept = {
            wish: place
            for wish, place in before.items()
            if wish in wishes and (":" in place.target) is (":" in target)
        }
        for wish, place in before.items():
            if wish in kept:
                place.lead_to(target)
            else:
                place.close()
        if kept:
            self._reservations[owner] = kept
        return kept

    def _place(self, target: str, bound: _Bound) -> _Place:
        listeners = [
            listen(self._loop, protocol, each, (target, port))
            for protocol, port, each in bound.relayed
        ]
        held = [replace(each, target=target) for each in bound.held]
        return _Place(target=target, silent=bound.silent, listeners=listeners, held=held)

    def _bind_wish(self, wish: Wish, *, relays_v4: bool) -> tuple[int, _Bound]:
        """Hold a port; with `relays_v4` what arrives by IPv4 is relayed, as by IPv6."""
        taken: PortTaken | None = None
        for port in self._candidates(wish):
            bound = _Bound()
            for address in wish.addresses:
                try:
                    _bind(bound, wish, address, port, relays_v4=relays_v4)
                except OSError as error:
                    bound.close()
                    if error.errno != errno.EADDRINUSE:
                        where = f"{address}:{port}/{wish.protocol}"
                        raise OSError(error.errno, error.strerror, where) from error
                    holder = self._holder(wish.protocol, port)
                    taken = taken or PortTaken(wish.protocol, address, port, holder)
                    break
            else:
                if not wish.first:
                    self._last_random = port
                return port, bound
        if taken is None or not wish.first:
            raise PortTaken(wish.protocol, wish.addresses[0], wish.first)
        raise taken

    def _candidates(self, wish: Wish) -> Iterable[int]:
        if wish.first:
            return range(wish.first, wish.last + 1)
        with open(_EPHEMERAL, encoding="ascii") as file:
            first, last = (int(word) for word in file.read().split())
        start = self._last_random + 1
        if not first <= start <= last:
            start = first
        return chain(range(start, last + 1), range(first, start))

    def _holder(self, protocol: str, port: int) -> str:
        for owner, reservation in self._reservations.items():
            for place in reservation.values():
                if any((each.protocol, each.host_port) == (protocol, port) for each in place.held):
                    return owner
        return ""


def _bind(bound: _Bound, wish: Wish, address: str, port: int, *, relays_v4: bool) -> None:
    """Hold one port on one address."""
    if wish.protocol not in _UNRELAYED and (":" in address or relays_v4):
        _bind_relayed(bound, wish, address, port)
    else:
        bound.silent.append(_bind_silent(wish.protocol, address, port))
    bound.held.append(
        Held(protocol=wish.protocol, address=address, host_port=port, port=wish.port)
    )


def _bind_silent(protocol: str, address: str, port: int) -> socket.socket:
    made = _socket(protocol, address)
    try:
        try:
            made.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or protocol != "tcp":
                raise
            _tolerate(made, others=True)
            made.bind((address, port))
            _tolerate(made, others=False)
    except OSError:
        made.close()
        raise
    return made


def _bind_relayed(bound: _Bound, wish: Wish, address: str, port: int) -> None:
    """Hold a port on every address of a family or on one, and relay from there."""
    made = _socket(wish.protocol, address)
    bound.relayed.append((wish.protocol, wish.port, made))
    if wish.protocol == "tcp":
        _tolerate(made, others=True)
    made.bind((address, port))
    if wish.protocol == "tcp":
        made.listen(_BACKLOG)


def _socket(protocol: str, address: str) -> socket.socket:
    """A socket for an address, and for its family alone."""
    kind, number = _TYPES[protocol]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, kind | socket.SOCK_CLOEXEC, number)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def _tolerate(made: socket.socket, *, others: bool) -> None:
    """Whether other sockets that say the same may have the address too."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, others)
