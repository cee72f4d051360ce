"""What a container's network looks like from outside: by /proc/PID/net of one of its processes.

These files show the network namespace of the process that they belong to, whoever reads them
(proc(5)), so nobody has to enter it to look.
"""

import os
from ipaddress import IPv4Address, IPv6Address

from wherry.operations.looking import CONTAINER_PID
from wherry.operations.plan import Evidence, Finding, Verdict

_DESTINATION, _GATEWAY = 1, 2
"""Columns of /proc/net/route."""


def link_finding(evidence: Evidence, namespace: str, interface: str) -> Finding:
    """Whether an interface is on: one that is off has no routes."""
    seen = _not_seen(evidence, namespace)
    if seen is not None:
        return seen
    if interface == "lo":
        is_up = IPv4Address("127.0.0.1") in _local_addresses(evidence)
    else:
        is_up = any(row[0] == interface for row in _routes(evidence))
    if is_up:
        return Finding(Verdict.STILL_TRUE, f"{interface} is up")
    return Finding(Verdict.CHANGED, f"{interface} is down, or has lost its addresses")


def address_finding(
    evidence: Evidence, namespace: str, address: IPv4Address | IPv6Address
) -> Finding:
    """Whether the namespace still has an address."""
    seen = _not_seen(evidence, namespace)
    if seen is not None:
        return seen
    local: list[IPv4Address | IPv6Address] = [*_local_addresses(evidence)]
    if address.version == 6:
        local = [*_local_ipv6_addresses(evidence)]
    found = [each for each in local if not each.is_loopback and not each.is_link_local]
    shown = " ".join(map(str, found)) or "no address"
    return Finding(Verdict.STILL_TRUE if address in found else Verdict.GONE, shown)


def gateway_finding(
    evidence: Evidence, namespace: str, gateway: IPv4Address | IPv6Address
) -> Finding:
    """Whether everything else still goes to a gateway."""
    seen = _not_seen(evidence, namespace)
    if seen is not None:
        return seen
    found: list[IPv4Address | IPv6Address] = [
        _address(row[_GATEWAY]) for row in _routes(evidence) if not int(row[_DESTINATION], 16)
    ]
    if gateway.version == 6:
        found = [*_ipv6_gateways(evidence)]
    if not found:
        return Finding(Verdict.GONE, "no default route")
    verdict = Verdict.STILL_TRUE if gateway in found else Verdict.CHANGED
    return Finding(verdict, f"default via {' '.join(map(str, found))}")


def _not_seen(evidence: Evidence, namespace: str) -> Finding | None:
    """Why nothing can be seen; None when it can."""
    if not os.path.exists(namespace):
        return Finding(Verdict.GONE, f"no {namespace}")
    pid = evidence.get(CONTAINER_PID)
    try:
        there = os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return Finding(Verdict.UNKNOWN, "only visible from inside")
    if there != os.stat(namespace).st_ino:
        return Finding(Verdict.CHANGED, f"process {pid} is in another network namespace")
    return None


def _routes(evidence: Evidence) -> list[list[str]]:
    with open(f"/proc/{evidence[CONTAINER_PID]}/net/route", encoding="ascii") as file:
        return [line.split() for line in file][1:]


def _local_addresses(evidence: Evidence) -> list[IPv4Address]:
    """The namespace's own addresses: `/32 host LOCAL` below its number in the routing tree."""
    found: dict[IPv4Address, None] = {}
    with open(f"/proc/{evidence[CONTAINER_PID]}/net/fib_trie", encoding="ascii") as file:
        last = ""
        for line in file:
            words = line.split()
            if words[:1] == ["|--"]:
                last = words[1]
            elif words == ["/32", "host", "LOCAL"]:
                found[IPv4Address(last)] = None
    return list(found)


def _local_ipv6_addresses(evidence: Evidence) -> list[IPv6Address]:
    with open(f"/proc/{evidence[CONTAINER_PID]}/net/if_inet6", encoding="ascii") as file:
        return [IPv6Address(bytes.fromhex(line.split()[0])) for line in file]


def _ipv6_gateways(evidence: Evidence) -> list[IPv6Address]:
    """The next hops of default routes: destination, its length, source, its length, next hop."""
    with open(f"/proc/{evidence[CONTAINER_PID]}/net/ipv6_route", encoding="ascii") as file:
        rows = [line.split() for line in file]
    hops = [IPv6Address(bytes.fromhex(row[4])) for row in rows if row[1] == "00"]
    return [each for each in hops if not each.is_unspecified]


def _address(text: str) -> IPv4Address:
    """An address as /proc/net/route has it: the machine's byte order, in hexadecimal."""
    return IPv4Address(int(text, 16).to_bytes(4, "little"))
