"""Encrypted overlays: every pair of hosts has keys of its own, made of what all hosts share.

Theory of operation. Encrypted networks' datagrams have a UDP port of their own, so what must be
sealed is told by the port alone, and a frame in the clear finds no tunnel of theirs at any other.
Two guards stand at the port, and each is enough: policies of the kernel (`wherry.linux.xfrm`),
and chains of our table (`packet_table.guard_commands`), which come back by themselves when
somebody flushes either.

Whoever knows the other hosts tells the secret of all of them (`Networks.set_keys`), and the hosts
make of it, alike and without a word, the number and the key of each direction of each pair:

    HMAC-SHA256(secret, label, tag, sender, receiver)  ->  20 bytes of key, 4 of number

With several secrets what arrives is opened by any, and what leaves is sealed by the first. So
they change without a loss in three steps, each done on every host before the next:
(old), (old, new), (new, old), (new). Every restart of a host is a reason to change them, and
2^32 packets between two hosts are another, after which nothing leaves.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence, Set
from ipaddress import ip_address

from wherry.kit.values import dataclass
from wherry.linux.xfrm import KEY_BYTES
from wherry.model.errors import InvalidValue
from wherry.model.networks import OverlayKey
from wherry.networks.connections import as_done, as_step_failed
from wherry.networks.drivers.overlay import SEALED_PORT
from wherry.operations.network.tunnel_seals import SealTunnels, hold_keys
from wherry.operations.plan import Hands, OperationFailed, execute, undo

_LABEL = b"wherry encrypted overlay"
_LEAST_SECRET_BYTES = 16
_RESERVED_NUMBERS = 256
"""RFC 4303, 2.1."""


@dataclass(frozen=True, slots=True)
class Way:
    """What is sealed of one network: from an address of this host to another host."""

    local: str
    host: str


def check_keys(keys: Sequence[OverlayKey]) -> None:
    """Raises: InvalidValue."""
    if not keys:
        raise InvalidValue("no key for encrypted networks was given")
    if len({each.tag for each in keys}) != len(keys):
        raise InvalidValue("two keys for encrypted networks have one tag")
    for each in keys:
        if len(each.secret) < _LEAST_SECRET_BYTES:
            raise InvalidValue(f"the key {each.tag} for encrypted networks is too short")


def seal(ways: Iterable[Way], keys: Sequence[OverlayKey], *, versions: Set[int]) -> None:
    """Have these ways sealed, and no other pass. Blocks. Raises: StepFailed.

    `versions` are those of IP in which there are tunnels.
    """
    associations, leaving, secrets = [], [], {}
    for way in sorted(set(ways), key=lambda each: (each.local, each.host)):
        for sender, receiver in ((way.local, way.host), (way.host, way.local)):
            for key in keys:
                number, made = _derived(key, sender, receiver)
                associations.append((sender, receiver, number))
                secrets[number] = made
        leaving.append((way.local, way.host, _derived(keys[0], way.local, way.host)[0]))
    sealed = SealTunnels(
        why="--opt encrypted",
        port=SEALED_PORT,
        versions=tuple(sorted(versions)),
        associations=tuple(associations),
        leaving=tuple(leaving),
    )
    hands = Hands()
    try:
        hold_keys(hands, secrets)
        execute((sealed,), hands, [])
    except OperationFailed as failed:
        raise as_step_failed(failed) from failed
    finally:
        hands.close()


def unseal() -> list[str]:
    """Take all of it away: no network is encrypted any more; what went wrong. Blocks."""
    nobody = SealTunnels(why="", port=SEALED_PORT, versions=(), associations=(), leaving=())
    return undo(as_done((nobody,)), Hands())


def _derived(key: OverlayKey, sender: str, receiver: str) -> tuple[int, bytes]:
    """The number and the key of one direction between two hosts."""
    ends = ip_address(sender).packed + ip_address(receiver).packed
    told = _LABEL + key.tag.to_bytes(8, "big") + ends
    made = hmac.new(key.secret, told, hashlib.sha256).digest()
    number = int.from_bytes(made[KEY_BYTES : KEY_BYTES + 4], "big")
    return max(number, _RESERVED_NUMBERS), made[:KEY_BYTES]
