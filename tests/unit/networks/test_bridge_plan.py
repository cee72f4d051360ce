"""The plans of the bridge driver, as golden files, with no kernel."""

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from support.golden import assert_golden_json
from wherry.model.ids import EndpointId, NetworkId
from wherry.model.networks import AddressRange, EndpointStatus
from wherry.networks.drivers.bridge import (
    BridgeSettings,
    bridge_plan,
    is_valid_name,
    link_plan,
    publish,
)
from wherry.networks.drivers.inside import EndpointPlan, address_plan, loopback_up, way_out_plan
from wherry.networks.packets.packet_table import USER_CHAIN, admission, elements, table_commands
from wherry.operations.catalogue import CATALOGUE
from wherry.operations.network.packet_filter import REACHABLE
from wherry.operations.plan import Plan

V4 = AddressRange(subnet="172.17.0.0/16", gateway="172.17.0.1")
V6 = AddressRange(subnet="fd00:1::/64", gateway="fd00:1::1")
SETTINGS = BridgeSettings(
    name="docker0", ranges=(V4,), alias="wherry ENGINE", table="wherry-docker0"
)
DUAL = replace(SETTINGS, name="br-0123456789ab", ranges=(V4, V6), mtu=1400, may_meet=False)
ENDPOINT = EndpointPlan(
    namespace_path="/run/wherry/netns/ID",
    host_interface="veth0123456",
    addresses=(ip_interface("172.17.0.2/16"),),
    mac_address="02:42:ac:11:00:02",
)
PORTS = (("tcp", "", 8080, 80), ("udp", "127.0.0.1", 5353, 53))


def shown(plan: Plan) -> list[dict[str, str]]:
    """A plan as a reader sees it; every kind can be read back from a journal."""
    assert all(CATALOGUE[each.kind] is type(each) for each in plan)
    return [{"does": each.describe(), "why": each.why, "shell": each.shell()} for each in plan]


def status_of(settings: BridgeSettings) -> EndpointStatus:
    """An endpoint with the gateways that its network leads to."""
    gateways = {each.version: str(each) for each in settings.ways_out}
    return EndpointStatus(
        endpoint_id=EndpointId("e"),
        network_id=NetworkId("n"),
        network_name="net",
        gateway=gateways.get(4, ""),
        ipv6_gateway=gateways.get(6, ""),
        is_way_out=4 in gateways,
        is_ipv6_way_out=6 in gateways,
    )


def whole_endpoint(settings: BridgeSettings, endpoint: EndpointPlan) -> Plan:
    """From a namespace to a container that is reached from outside."""
    inside = endpoint.namespace_path
    target6 = "fd00:1::2" if settings.has_ipv6 else ""
    ports = (*PORTS, ("tcp", "::", 8080, 80)) if settings.has_ipv6 else PORTS
    return (
        loopback_up(inside),
        *link_plan(settings, endpoint),
        *address_plan(endpoint),
        *way_out_plan(status_of(settings), inside),
        publish(settings.table, target="172.17.0.2", target6=target6, ports=ports),
    )


@pytest.mark.parametrize(("name", "settings"), [("bridge", SETTINGS), ("bridge-dual", DUAL)])
def test_bridge_from_nothing(name: str, settings: BridgeSettings) -> None:
    """The bridge, its addresses, the sysctls, and what the packet filter is told."""
    plan = bridge_plan(settings, exists=False, missing=settings.gateways, has_ipv6=True)
    assert_golden_json(f"networks/{name}", shown((admission(settings), *plan)))


def test_a_bridge_that_is_there_is_repaired_only() -> None:
    """Nothing is made twice; what can be done again is."""
    whole = bridge_plan(SETTINGS, exists=False, missing=SETTINGS.gateways, has_ipv6=False)
    repair = bridge_plan(SETTINGS, exists=True, missing=(), has_ipv6=False)
    assert [each.kind for each in whole[:2]] == ["create-bridge", "assign-address"]
    assert repair == whole[2:]


@pytest.mark.parametrize(("name", "settings"), [("endpoint", SETTINGS), ("endpoint-dual", DUAL)])
def test_endpoint_with_ports(name: str, settings: BridgeSettings) -> None:
    """Links, addresses of each family, routes, and ports of each family."""
    both = (ip_interface("172.17.0.2/16"), ip_interface("fd00:1::2/64"))
    endpoint = replace(ENDPOINT, addresses=both) if settings.has_ipv6 else ENDPOINT
    assert_golden_json(f"networks/{name}", shown(whole_endpoint(settings, endpoint)))


def test_an_internal_network_is_no_way_out() -> None:
    """No default route, no masquerading, and both directions are closed."""
    internal = replace(SETTINGS, is_internal=True)
    assert internal.ways_out == ()
    assert way_out_plan(status_of(internal), "/ns") == ()
    assert ("internal", '"docker0"') in set(elements(internal))
    assert not [name for name, _ in elements(internal) if name.startswith("masqueraded")]


def test_the_table_replaces_chains_and_sets_and_keeps_ports() -> None:
    """Chains and sets are flushed in the same transaction; no map is, nor the user's chain.

    The chain that marks goes: there is no other engine's filter to get past. So do those that
    guard tunnels: no network is encrypted.
    """
    commands = table_commands("t", (SETTINGS, DUAL)).splitlines()
    for kind in ("chain", "set"):
        made = {line.split()[4] for line in commands if line.startswith(f"add {kind} ")}
        flushed = {line.split()[4] for line in commands if line.startswith(f"flush {kind} ")}
        assert made - flushed == ({USER_CHAIN} if kind == "chain" else set(REACHABLE))
    flushed = [line for line in commands if line.startswith(("flush map", "delete"))]
    assert {line.split()[-1] for line in flushed} == {
        "sources4",
        "sources6",
        "passing",
        "sealed-in",
        "sealed-out",
    }
    assert 'add element inet t own6 { "br-0123456789ab" . fd00:1::/64 }' in commands


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [
        ("docker0", True),
        ("br-lan.5", True),
        ("a" * 15, True),
        ("a" * 16, False),
        ("", False),
        (".", False),
        ("..", False),
        ("a b", False),
        ('x"; drop', False),
        ("br0\n", False),
        ("bré", False),
    ],
)
def test_bridge_names(name: str, is_valid: bool) -> None:
    """What the kernel takes, without anything that means something to nft."""
    assert is_valid_name(name) is is_valid
