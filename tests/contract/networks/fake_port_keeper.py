"""A port keeper without sockets, for tests of what needs one."""

from collections.abc import Sequence

from wherry.netd.protocol import Held, PortTaken, Wish

_FIRST_RANDOM = 32768


class FakePortKeeper:
    """Keeps ports in a dictionary; `foreign` are the ports of other programs."""

    def __init__(self, foreign: Sequence[tuple[str, int]] = ()) -> None:
        self.foreign = set(foreign)
        self._held: dict[str, tuple[Held, ...]] = {}
        self._next = _FIRST_RANDOM

    def open(self) -> None:
        """Nothing to start."""

    def reserve(self, owner: str, target: str, wishes: Sequence[Wish]) -> list[int]:
        """All of them or none."""
        self._held.pop(owner, None)
        held: list[Held] = []
        ports = []
        for wish in wishes:
            port = self._choose(wish, held)
            ports.append(port)
            held += [
                Held(
                    protocol=wish.protocol,
                    address=each,
                    host_port=port,
                    port=wish.port,
                    target=target,
                )
                for each in wish.addresses
            ]
        self._held[owner] = tuple(held)
        return ports

    def release(self, owner: str) -> None:
        """Twice is no error."""
        self._held.pop(owner, None)

    def owners(self) -> dict[str, tuple[Held, ...]]:
        """Who holds what."""
        return dict(self._held)

    def end(self) -> None:
        """Nothing stays."""
        self._held.clear()

    def close(self) -> None:
        """Nothing to disconnect."""

    def _choose(self, wish: Wish, own: Sequence[Held]) -> int:
        if not wish.first:
            self._next += 1
            return self._next - 1
        for port in range(wish.first, wish.last + 1):
            if (wish.protocol, port) in self.foreign:
                continue
            if self._holder(wish.protocol, port) is None and not any(
                (each.protocol, each.host_port) == (wish.protocol, port) for each in own
            ):
                return port
        holder = self._holder(wish.protocol, wish.first) or ""
        raise PortTaken(wish.protocol, wish.addresses[0], wish.first, holder)

    def _holder(self, protocol: str, port: int) -> str | None:
        for owner, held in self._held.items():
            if any((each.protocol, each.host_port) == (protocol, port) for each in held):
                return owner
        return None
