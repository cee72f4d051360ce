"""The way to a container's name server: 127.0.0.11:53 leads to the ports where it really is."""

import errno
import os
import socket
from ipaddress import IPv4Address
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import nft_rules, nftables
from wherry.operations.plan import Aspect, Evidence, Hands, Operation

NAME_SERVER = "127.0.0.11"
TABLE = "wherry-names"
"""In each container's own namespace, beside whatever rules the container has."""
_PORT = 53


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectNameServer(Operation):
    """In this network namespace, lead questions for names to a resolver's sockets."""

    kind: ClassVar[str] = "redirect-name-server"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    udp_port: int
    tcp_port: int

    def do(self, hands: Hands) -> Evidence:
        descriptor = nftables.open_filter_socket()
        try:
            nft_rules.redirect_output(
                descriptor,
                TABLE,
                address=IPv4Address(NAME_SERVER),
                port=_PORT,
                to=((socket.IPPROTO_UDP, self.udp_port), (socket.IPPROTO_TCP, self.tcp_port)),
            )
        finally:
            os.close(descriptor)
        return {}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        descriptor = nftables.open_filter_socket()
        try:
            nft_rules.delete_table(descriptor, TABLE)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        finally:
            os.close(descriptor)

    def describe(self) -> str:
        return (
            f"lead {NAME_SERVER}:{_PORT} to {NAME_SERVER}:{self.udp_port}/udp and "
            f":{self.tcp_port}/tcp inside"
        )

    def shell(self) -> str:
        rules = "; ".join(
            f"add rule ip {TABLE} output ip daddr {NAME_SERVER} {protocol} dport {_PORT} dnat to "
            f"{NAME_SERVER}:{port}"
            for protocol, port in (("udp", self.udp_port), ("tcp", self.tcp_port))
        )
        return (
            f"nft 'add table ip {TABLE}; add chain ip {TABLE} output "
            f"{{ type nat hook output priority -100 ; }}; {rules}'"
        )
