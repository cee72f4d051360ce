"""Which sockets are bound in a network namespace, as proc_net(5) tells. Reads only.

A process's own `net` directory shows the namespace that this process is in, so nobody has to
enter one to look.
"""

import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from wherry.kit.values import dataclass

OWN = "/proc/net"

_TABLES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6")}
_LOCAL, _STATE, _INODE = 1, 3, 9
TIME_WAIT, LISTEN = "06", "0A"
_WORD_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundSocket:
    """A socket with a local port."""

    address: IPv4Address | IPv6Address
    port: int
    state: str
    """Two hexadecimal digits (include/net/tcp_states.h)."""
    inode: str


def bound_sockets(protocol: str, directory: str = OWN) -> Iterator[BoundSocket]:
    """Every socket of `tcp` or `udp`, of both families; of other protocols there is no table.

    `directory` is some process's `/proc/PID/net`. A table that is not there is empty.
    """
    for table in _TABLES.get(protocol, ()):
        try:
            with open(f"{directory}/{table}", encoding="ascii") as file:
                rows = file.read().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            words = row.split()
            address, _, port = words[_LOCAL].rpartition(":")
            yield BoundSocket(
                address=_address(address),
                port=int(port, 16),
                state=words[_STATE],
                inode=words[_INODE],
            )


def listening_sockets(protocol: str, directory: str = OWN) -> list[BoundSocket]:
    """Those that take connections; of `udp`, all of them."""
    found = bound_sockets(protocol, directory)
    return [each for each in found if protocol == "udp" or each.state == LISTEN]


def _address(digits: str) -> IPv4Address | IPv6Address:
    """Words of 32 bits, each in the machine's byte order."""
    words = (digits[at : at + _WORD_DIGITS] for at in range(0, len(digits), _WORD_DIGITS))
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)
