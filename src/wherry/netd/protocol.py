"""What networks and netd say to each other, over kit.messages.

networks                                     netd
reserve owner target wishes            ->
                                       <-    ports                 one per wish, all held
                                       <-    taken | failed        no new one held
release owner                          ->
                                       <-    (empty)
list                                   ->
                                       <-    owners, resolvers
resolve owner view holdings [+ sockets] ->                         what a container may know,
                                       <-    (empty)                and how others know it
forget owner                           ->
                                       <-    (empty)
end                                    ->
                                       <-    (empty), then it exits
"""

from collections.abc import Mapping, Sequence

from wherry.kit.messages import Message
from wherry.kit.values import dataclass

SOCKET_NAME = "netd.sock"

RESERVE, RELEASE, LIST, END = "reserve", "release", "list", "end"
RESOLVE, FORGET = "resolve", "forget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A host port to hold on several addresses at once."""

    protocol: str
    """`tcp` or `udp`."""
    addresses: tuple[str, ...]
    """`0.0.0.0` and `::` mean every address of their family."""
    first: int
    """Zero: any port of the ephemeral range."""
    last: int
    """Same as `first` for one certain port."""
    port: int
    """The container's port, where relays lead to."""

    def at(self, host_port: int) -> "Wish":
        """The same wish for one certain port."""
        return Wish(
            protocol=self.protocol,
            addresses=self.addresses,
            first=host_port,
            last=host_port,
            port=self.port,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A host port that is held, on one address."""

    protocol: str
    address: str
    host_port: int
    port: int
    target: str = ""
    """Where what is relayed leads, the same for all of an owner; empty: unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How a container is known on one network."""

    network_id: str
    network: str
    endpoint: str
    names: tuple[str, ...]
    """The first is the one that a reverse look-up gives."""
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """What one container alone calls another on a network (`--link`)."""

    network_id: str
    alias: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NameService:
    """What a container may ask, and how it is known to others."""

    networks: tuple[str, ...]
    """Ids of the networks whose names it sees, in its order."""
    servers: tuple[str, ...]
    """Addresses of the name servers for everything else; none: nothing else."""
    asks_from_inside: bool = False
    """Whether these are asked from the container's namespace, or from the host's."""
    holdings: tuple[Holding, ...]
    links: tuple[Alias, ...] = ()


@dataclass(eq=False, slots=True)
class PortTaken(Exception):
    """None of the ports of a wish is free; `holder` is an owner of ours, or empty.

    Of a range it is the first; of the ephemeral ones none, and 0.
    """

    protocol: str
    address: str
    port: int
    holder: str = ""


def reserve_message(
    owner: str, target: str, wishes: Sequence[Wish], *, relays_all: bool = False
) -> Message:
    """Ask for ports: all of them or none. `target` is where relays lead to.

    With `relays_all` each port is relayed, since no packet filter leads it.
    """
    return {
        "request": RESERVE,
        "relays": relays_all,
        "owner": owner,
        "target": target,
        "wishes": [[w.protocol, list(w.addresses), w.first, w.last, w.port] for w in wishes],
    }


def wishes_of(message: Message) -> list[Wish]:
    """The wishes in a request. Raises: ValueError, TypeError, KeyError."""
    return [
        Wish(
            protocol=str(protocol),
            addresses=tuple(str(each) for each in addresses),
            first=int(first),
            last=int(last),
            port=int(port),
        )
        for protocol, addresses, first, last, port in message["wishes"]
    ]


def taken_message(taken: PortTaken) -> Message:
    """The answer to a wish that can't be had."""
    return {"taken": [taken.protocol, taken.address, taken.port, taken.holder]}


def failed_message(error: OSError) -> Message:
    """The answer when the kernel refuses for another reason than that a port is in use."""
    return {"failed": [error.errno, error.strerror, error.filename or ""]}


def ports_of(answer: Message) -> list[int]:
    """The ports of an answer to `reserve`, in the order of the wishes.

    Raises: PortTaken; OSError, whose file name is the address and port that can't be had.
    """
    if "taken" in answer:
        protocol, address, port, holder = answer["taken"]
        raise PortTaken(str(protocol), str(address), int(port), str(holder))
    if "failed" in answer:
        raise OSError(*answer["failed"])
    return [int(port) for port in answer["ports"]]


def resolve_message(owner: str, service: NameService) -> Message:
    """Say what a container may know and how it is known; all of it, each time."""
    return {
        "request": RESOLVE,
        "owner": owner,
        "networks": list(service.networks),
        "servers": list(service.servers),
        "from_inside": service.asks_from_inside,
        "links": [[each.network_id, each.alias, each.name] for each in service.links],
        "holdings": [
            [each.network_id, each.network, each.endpoint, list(each.names), list(each.addresses)]
            for each in service.holdings
        ],
    }


def name_service_of(message: Message) -> NameService:
    """What a request says. Raises: ValueError, TypeError, KeyError."""
    return NameService(
        networks=tuple(str(each) for each in message["networks"]),
        servers=tuple(str(each) for each in message["servers"]),
        asks_from_inside=bool(message.get("from_inside")),
        holdings=tuple(
            Holding(
                network_id=str(network_id),
                network=str(network),
                endpoint=str(endpoint),
                names=tuple(str(each) for each in names),
                addresses=tuple(str(each) for each in addresses),
            )
            for network_id, network, endpoint, names, addresses in message["holdings"]
        ),
        links=tuple(
            Alias(network_id=str(network_id), alias=str(alias), name=str(name))
            for network_id, alias, name in message.get("links", ())
        ),
    )


def owners_message(owners: Mapping[str, Sequence[Held]], resolvers: Sequence[str] = ()) -> Message:
    """The answer to `list`."""
    return {
        "resolvers": list(resolvers),
        "owners": {
            owner: [[h.protocol, h.address, h.host_port, h.port] for h in held]
            for owner, held in owners.items()
        },
        "targets": {owner: held[0].target for owner, held in owners.items() if held},
    }


def resolvers_of(answer: Message) -> frozenset[str]:
    """Who has a resolver."""
    return frozenset(str(each) for each in answer.get("resolvers", ()))


def owners_of(answer: Message) -> dict[str, tuple[Held, ...]]:
    """What each owner holds."""
    targets = answer.get("targets", {})  # a netd of an earlier version tells none
    return {
        str(owner): tuple(
            Held(
                protocol=str(protocol),
                address=str(address),
                host_port=host,
                port=port,
                target=str(targets.get(owner, "")),
            )
            for protocol, address, host, port in held
        )
        for owner, held in answer["owners"].items()
    }
