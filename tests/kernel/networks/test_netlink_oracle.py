"""Our netlink codec against two others: pyroute2 for links and routes, nft for maps."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface

import pytest

from kernel.networks.private_host import PrivateHost, enter, in_child, run, shell
from wherry.linux import addressing, netlink, network_links, nft_texts, nftables
from wherry.linux.syscall import KernelError
from wherry.operations.network.packet_filter import AdmitNetwork
from wherry.operations.plan import Hands

pytestmark = pytest.mark.kernel


@contextmanager
def route_socket() -> Iterator[netlink.NetlinkSocket]:
    """A socket of this namespace."""
    descriptor = netlink.open_socket()
    try:
        yield netlink.NetlinkSocket(descriptor)
    finally:
        os.close(descriptor)


def as_pyroute2_sees() -> dict[str, dict[str, object]]:
    """Links by name, in a child: importing it brings half of the standard library."""
    from pyroute2 import IPRoute

    with IPRoute() as oracle:
        addresses: dict[int, list[str]] = {}
        for each in oracle.get_addr(family=2):
            text = f"{each.get_attr('IFA_ADDRESS')}/{each['prefixlen']}"
            addresses.setdefault(each["index"], []).append(text)
        return {
            link.get_attr("IFLA_IFNAME"): {
                "index": link["index"],
                "mac": link.get_attr("IFLA_ADDRESS"),
                "is_up": bool(link["flags"] & 1),
                "master": link.get_attr("IFLA_MASTER") or 0,
                "alias": link.get_attr("IFLA_IFALIAS") or "",
                "kind": (link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") or ""),
                "addresses": addresses.get(link["index"], []),
                "gateways": [
                    route.get_attr("RTA_GATEWAY")
                    for route in oracle.get_routes(family=2, table=254)
                    if route.get_attr("RTA_GATEWAY") and not route["dst_len"]
                ],
            }
            for link in oracle.get_links()
        }


def test_links_addresses_and_routes() -> None:
    """What we make is what pyroute2 finds, on both sides of a pair; what it finds we do too."""

    async def scenario(host: PrivateHost) -> None:
        inside = host.namespace()
        namespace = os.open(inside, os.O_RDONLY)
        with route_socket() as route:
            network_links.create_bridge(
                route, "br0", mac_address="02:42:0a:00:00:01", alias="ours"
            )
            bridge = network_links.link_index(route, "br0")
            addressing.add_address(route, bridge, IPv4Interface("10.0.0.1/24"))
            network_links.create_veth(
                route,
                "port0",
                peer_name="eth0",
                peer_mac_address="02:42:0a:00:00:02",
                peer_namespace=namespace,
                master=bridge,
            )
            network_links.set_hairpin(route, "port0")
            for name in ("port0", "br0"):
                network_links.set_up(route, name)
            seen = in_child(as_pyroute2_sees)
            assert seen["br0"]["mac"] == "02:42:0a:00:00:01"
            assert seen["br0"]["addresses"] == ["10.0.0.1/24"]
            assert seen["br0"]["alias"] == "ours"
            assert seen["port0"]["master"] == bridge
            assert "hairpin on" in shell("bridge -d link show dev port0")
            for link in network_links.links(route):
                oracle = seen[link.name]
                for field in ("index", "kind", "is_up", "master", "alias"):
                    assert getattr(link, field) == oracle[field], (link.name, field)
                assert link.mac_address == oracle["mac"]
                assert network_links.find_link(route, link.name) == link
            found = {str(each.destination): each.link_index for each in addressing.routes(route)}
            assert found["10.0.0.0/24"] == bridge
            assert network_links.find_link(route, "eth0") is None, "the peer was born inside"

        def configure() -> dict[str, dict[str, object]]:
            enter(inside)
            with route_socket() as route:
                index = network_links.link_index(route, "eth0")
                addressing.add_address(route, index, IPv4Interface("10.0.0.2/24"))
                network_links.set_up(route, "eth0")
                addressing.add_default_route(route, IPv4Address("10.0.0.1"))
                assert addressing.addresses(route, index) == [IPv4Interface("10.0.0.2/24")]
            return as_pyroute2_sees()

        peer = in_child(configure)["eth0"]
        assert peer["mac"] == "02:42:0a:00:00:02"
        assert peer["addresses"] == ["10.0.0.2/24"]
        assert peer["gateways"] == ["10.0.0.1"]
        assert peer["is_up"]
        os.close(namespace)

    run(scenario)


def test_refusals_name_the_request() -> None:
    """errno and operands, and the socket is as good as new afterwards."""

    async def scenario(host: PrivateHost) -> None:
        del host
        with route_socket() as route:
            for attempt in (
                lambda: network_links.set_up(route, "missing"),
                lambda: network_links.delete_link(route, "missing"),
                lambda: network_links.link_index(route, "missing"),
            ):
                with pytest.raises(KernelError, match=r"RTM_.*missing.*No such device"):
                    attempt()
            assert network_links.find_link(route, "lo") is not None

    run(scenario)


def test_elements_of_maps() -> None:
    """What we add is what nft lists, and the other way round; a batch is all or nothing."""

    async def scenario(host: PrivateHost) -> None:
        del host
        shell(
            "nft 'add table inet t; add map inet t m "
            "{ type ipv4_addr . inet_service : ipv4_addr . inet_service; }'"
        )
        descriptor = nftables.open_filter_socket()

        def element(port: int) -> nftables.Element:
            key = nftables.pack_address_port(IPv4Address("192.0.2.1"), port)
            value = nftables.pack_address_port(IPv4Address("10.0.0.2"), 80)
            return nftables.Element(map_name="m", key=key, value=value)

        nftables.add_elements(descriptor, "t", [element(1), element(2)])
        listed = " ".join(shell("nft list map inet t m").split())
        assert "192.0.2.1 . 1 : 10.0.0.2 . 80, 192.0.2.1 . 2 : 10.0.0.2 . 80" in listed
        shell("nft 'add element inet t m { 192.0.2.1 . 3 : 10.0.0.2 . 80 }'")
        found = nftables.list_elements(descriptor, "t", "m")
        assert sorted(found, key=lambda each: each.key) == [element(1), element(2), element(3)]
        with pytest.raises(KernelError, match="File exists"):
            nftables.add_elements(descriptor, "t", [element(4), element(1)])
        with pytest.raises(KernelError, match="No such file"):
            nftables.delete_elements(descriptor, "t", [element(2), element(9)])
        assert len(nftables.list_elements(descriptor, "t", "m")) == 3
        nftables.delete_elements(descriptor, "t", [element(1), element(2), element(3)])
        assert nftables.list_elements(descriptor, "t", "m") == []
        with pytest.raises(KernelError, match="No such file"):
            nftables.list_elements(descriptor, "missing", "m")
        os.close(descriptor)

    run(scenario)


def test_thousands_of_elements_are_one_transaction() -> None:
    """All are there or none; answers fit into the socket's buffer."""

    async def scenario(host: PrivateHost) -> None:
        del host
        shell("nft 'add table inet t; add set inet t s { type inet_service; }'")
        descriptor = nftables.open_filter_socket()
        wanted = [
            nftables.Element(map_name="s", key=nftables.pack_port(port), value=b"")
            for port in range(1, 5001)
        ]
        nftables.add_elements(descriptor, "t", wanted[-1:])
        with pytest.raises(KernelError, match="File exists"):
            nftables.add_elements(descriptor, "t", wanted)
        assert nftables.list_elements(descriptor, "t", "s") == wanted[-1:]
        nftables.add_elements(descriptor, "t", wanted[:-1])
        assert len(nftables.list_elements(descriptor, "t", "s")) == len(wanted)
        nftables.delete_elements(descriptor, "t", wanted)
        assert nftables.list_elements(descriptor, "t", "s") == []

    run(scenario)


NETWORKS = (
    '"br0" . 10.1.0.0/16',
    '"a-name-15-chars" . 10.1.2.0/24',
    "10.1.0.0/16",
    "10.2.0.0/16",  # begins where the other has ended
    "0.0.0.0/1",
    "255.255.255.0/24",  # nothing comes after it
    "198.51.100.7/32",
    "fd00:1::/64",
    "fd00:1::/64 : fd99::1",
    "10.1.0.0/16 : 192.0.2.1",
    '"br0"',
    '"eth1" . "br0"',
)


@pytest.mark.parametrize("text", NETWORKS)
def test_elements_are_what_nft_writes(text: str) -> None:
    """Names, subnets and both, with values or without: added once or twice, and deleted."""
    key, _, value = text.partition(" : ")
    types = ["ifname" if '"' in x else f"ipv{6 if ':' in x else 4}_addr" for x in key.split(" . ")]
    declared = f"type {' . '.join(types)}"
    kind = "set"
    if value:
        kind, declared = "map", f"{declared} : {types[0]}"
    if "/" in text:
        declared += " ; flags interval"

    async def scenario(host: PrivateHost) -> None:
        del host
        place = f"{kind} inet t s"
        shell(f"nft 'add table inet t; add {place} {{ {declared} ; }}'")
        empty = shell(f"nft list {place}")
        shell(f"nft 'add element inet t s {{ {text} }}'")
        theirs = shell(f"nft list {place}")
        shell(f"nft 'delete element inet t s {{ {text} }}'")
        assert shell(f"nft list {place}") == empty != theirs
        descriptor = nftables.open_filter_socket()
        for _again in range(2):
            nftables.have_elements(descriptor, "t", nft_texts.packed("s", text))
            assert shell(f"nft list {place}") == theirs
        nftables.delete_elements(descriptor, "t", nft_texts.packed("s", text))
        assert shell(f"nft list {place}") == empty

    run(scenario)


def test_a_network_is_forgotten_whatever_is_left_of_it() -> None:
    """Somebody took an element away, then all of them, then the table."""

    async def scenario(host: PrivateHost) -> None:
        del host
        shell(
            "nft 'add table inet t; add set inet t names { type ifname ; };"
            "add set inet t subnets { type ipv4_addr ; flags interval ; }'"
        )
        empty = shell("nft list table inet t")
        admitted = AdmitNetwork(
            why="a test",
            table="t",
            elements=(("names", '"br0"'), ("subnets", "10.1.0.0/16"), ("subnets", "10.2.0.0/16")),
        )
        hands = Hands()
        for loss in ("names { br0 }", "subnets { 10.1.0.0/16 }", "subnets { 10.2.0.0/16 }"):
            admitted.do(hands)
            shell(f"nft 'delete element inet t {loss}'")
            for _again in range(2):
                admitted.undo(hands, {})
                assert shell("nft list table inet t") == empty
        shell("nft delete table inet t")
        admitted.undo(hands, {})

    run(scenario)


def test_neighbouring_subnets_come_and_go_alone() -> None:
    """Where one interval ends and the next begins there are two elements with one key."""

    async def scenario(host: PrivateHost) -> None:
        del host
        shell("nft 'add table inet t; add set inet t s { type ipv4_addr ; flags interval ; }'")
        descriptor = nftables.open_filter_socket()
        first, second = (nft_texts.packed("s", f"10.{each}.0.0/16") for each in (1, 2))
        nftables.have_elements(descriptor, "t", second)
        nftables.have_elements(descriptor, "t", first)
        assert "10.1.0.0/16, 10.2.0.0/16" in shell("nft list set inet t s")
        nftables.delete_elements(descriptor, "t", first)
        assert "{ 10.2.0.0/16 }" in shell("nft list set inet t s")

    run(scenario)


def test_a_refused_ruleset_says_why() -> None:
    """libnftables' words come back, and nothing of the transaction is done."""

    async def scenario(host: PrivateHost) -> None:
        del host
        with pytest.raises(nftables.RulesetRefused, match="No such file or directory"):
            nftables.run_ruleset("add table inet halfway\nadd rule inet nowhere inward accept\n")
        assert "halfway" not in shell("nft list tables")

    run(scenario)
