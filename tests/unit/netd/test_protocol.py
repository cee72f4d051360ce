"""What networks and netd say to each other survives the way."""

import errno

import pytest

from wherry.kit import messages
from wherry.netd import protocol
from wherry.netd.protocol import Held, PortTaken, Wish

WISHES = [
    Wish(protocol="tcp", addresses=("0.0.0.0", "::"), first=0, last=0, port=80),
    Wish(protocol="udp", addresses=("127.0.0.1",), first=53, last=63, port=53),
]


def carried(message: messages.Message) -> messages.Message:
    """A message as the other side sees it."""
    return messages.decode(messages.encode(message))


def test_wishes() -> None:
    """Every field, in order."""
    assert protocol.wishes_of(carried(protocol.reserve_message("a", "t", WISHES))) == WISHES


def test_refusals() -> None:
    """Become the errors that they were."""
    taken = PortTaken("tcp", "::", 80, "holder")
    with pytest.raises(PortTaken) as caught:
        protocol.ports_of(carried(protocol.taken_message(taken)))
    assert vars(caught.value) == vars(taken)
    failed = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    with pytest.raises(OSError, match="Cannot assign") as refused:
        protocol.ports_of(carried(protocol.failed_message(failed)))
    assert refused.value.errno == errno.EADDRNOTAVAIL


def test_owners() -> None:
    """Who holds what."""
    owners = {"a": (Held(protocol="tcp", address="::", host_port=8080, port=80),), "b": ()}
    assert protocol.owners_of(carried(protocol.owners_message(owners))) == owners
