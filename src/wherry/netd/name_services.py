"""Every container's resolver, and the names that all of them share."""

import contextlib
import os
import socket
from collections.abc import Sequence

from wherry.kit.event_loop import EventLoop
from wherry.netd.names import Names, holder_of
from wherry.netd.protocol import NameService
from wherry.netd.resolver import Forwarding, Resolver, View


class NameServices:
    """Who may know what, by owner."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._names = Names()
        self._forwarding = Forwarding()
        self._resolvers: dict[str, Resolver] = {}
        self._holdings: dict[str, list[tuple[str, str]]] = {}

    def __len__(self) -> int:
        return len(self._resolvers)

    def owners(self) -> list[str]:
        """Who has a resolver."""
        return list(self._resolvers)

    def set(self, owner: str, service: NameService, descriptors: Sequence[int]) -> None:
        """Serve an owner, or change what it may know and how it is known.

        `descriptors` are a UDP socket and a listening TCP socket in its namespace, or none for
        an owner that is served already; they are ours now. Raises: ValueError.
        """
        view = View(
            networks=service.networks,
            servers=service.servers,
            asks_from_inside=service.asks_from_inside,
            links={
                each.alias.lower(): (each.network_id, each.name.lower()) for each in service.links
            },
        )
        try:
            holders = [holder_of(each.names, each.addresses) for each in service.holdings]
            if len(descriptors) not in (0, 2) or (
                not descriptors and owner not in self._resolvers
            ):
                raise ValueError("a resolver needs two sockets")
        except ValueError:
            for each in descriptors:
                os.close(each)
            raise
        if descriptors:
            self._open(owner, view, descriptors)
        self._resolvers[owner].change_view(view)
        self._withdraw(owner)
        for holding, holder in zip(service.holdings, holders, strict=True):
            self._names.add(holding.network_id, holding.network, holding.endpoint, holder)
        self._holdings[owner] = [(each.network_id, each.endpoint) for each in service.holdings]

    def forget(self, owner: str) -> None:
        """Serve an owner no more, and let nobody find it. Doing so twice is no error."""
        self._withdraw(owner)
        resolver = self._resolvers.pop(owner, None)
        if resolver is not None:
            resolver.close()

    def _open(self, owner: str, view: View, descriptors: Sequence[int]) -> None:
        before = self._resolvers.pop(owner, None)
        if before is not None:
            before.close()
        with contextlib.ExitStack() as opened:
            udp, tcp = (opened.enter_context(socket.socket(fileno=each)) for each in descriptors)
            self._resolvers[owner] = Resolver(
                self._loop, self._names, self._forwarding, udp=udp, tcp=tcp, view=view
            )
            opened.pop_all()

    def _withdraw(self, owner: str) -> None:
        for network_id, endpoint in self._holdings.pop(owner, ()):
            self._names.remove(network_id, endpoint)
