"""What networks and netd say to each other, over kit.messages.

networks                                     netd
reserve owner target wishes            ->
                                       <-    ports                 one per wish, all held
                                       <-    taken | failed        none held
release owner                          ->
                                       <-    (empty)
list                                   ->
                                       <-    owners
end                                    ->
                                       <-    (empty), then it exits
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wherry.kit.messages import Message

SOCKET_NAME = "netd.sock"

RESERVE, RELEASE, LIST, END = "reserve", "release", "list", "end"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A host port that is held, on one address."""

    protocol: str
    address: str
    host_port: int
    port: int


@dataclass(eq=False)
class PortTaken(Exception):
    """None of the ports of a wish is free; `holder` is an owner of ours, or empty."""

    protocol: str
    address: str
    port: int
    holder: str = ""


def reserve_message(owner: str, target: str, wishes: Sequence[Wish]) -> Message:
    """Ask for ports: all of them or none. `target` is where relays lead to."""
    return {
        "request": RESERVE,
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
    return {"failed": [error.errno, error.strerror]}


def ports_of(answer: Message) -> list[int]:
    """The ports of an answer to `reserve`, in the order of the wishes.

    Raises: PortTaken; OSError.
    """
    if "taken" in answer:
        protocol, address, port, holder = answer["taken"]
        raise PortTaken(str(protocol), str(address), int(port), str(holder))
    if "failed" in answer:
        errno, words = answer["failed"]
        raise OSError(errno, words)
    return [int(port) for port in answer["ports"]]


def owners_message(owners: Mapping[str, Sequence[Held]]) -> Message:
    """The answer to `list`."""
    return {
        "owners": {
            owner: [[h.protocol, h.address, h.host_port, h.port] for h in held]
            for owner, held in owners.items()
        }
    }


def owners_of(answer: Message) -> dict[str, tuple[Held, ...]]:
    """What each owner holds."""
    return {
        str(owner): tuple(
            Held(protocol=str(protocol), address=str(address), host_port=host, port=port)
            for protocol, address, host, port in held
        )
        for owner, held in answer["owners"].items()
    }
