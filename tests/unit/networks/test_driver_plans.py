"""The plans of the drivers that have no bridge of ours between container and wire, as goldens."""

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from support.golden import assert_golden_json
from wherry.model.errors import InvalidValue
from wherry.model.ids import EndpointId, NetworkId
from wherry.model.networks import AddressRange, EndpointStatus, Network, Peer
from wherry.networks.drivers import child, inside, overlay
from wherry.networks.drivers.inside import EndpointPlan
from wherry.networks.option_values import LOCAL, VNI
from wherry.operations.catalogue import CATALOGUE
from wherry.operations.network.moved_links import MoveLink
from wherry.operations.network.routes import AddRoute
from wherry.operations.plan import Plan

RANGE = AddressRange(subnet="192.0.2.0/24", gateway="192.0.2.1")
NETWORK = Network(
    id=NetworkId("0123456789ab" * 5), name="net", driver="macvlan", created_at_ns=0,
    ranges=(RANGE,),
)  # fmt: skip
ENDPOINT = EndpointPlan(
    namespace_path="/run/wherry/netns/ID",
    host_interface="veth0123456",
    addresses=(ip_interface("192.0.2.2/24"),),
    mac_address="02:42:c0:00:02:02",
    why="--network net",
)
STATUS = EndpointStatus(
    endpoint_id=EndpointId("e"), network_id=NETWORK.id, network_name="net", address="192.0.2.2",
    prefix_length=24, interface="eth0", is_way_out=True,
)  # fmt: skip


def shown(plan: Plan) -> list[dict[str, str]]:
    """A plan as a reader sees it; every kind can be read back from a journal."""
    assert all(CATALOGUE[each.kind] is type(each) for each in plan)
    return [{"does": each.describe(), "why": each.why, "shell": each.shell()} for each in plan]


@pytest.mark.parametrize(
    ("name", "driver", "options"),
    [
        ("macvlan", "macvlan", {"parent": "eth1.10", "macvlan_mode": "private"}),
        ("macvlan-alone", "macvlan", {}),
        ("ipvlan-l3", "ipvlan", {"parent": "eth1", "ipvlan_mode": "l3", "ipvlan_flag": "vepa"}),
    ],
)
def test_ports_of_a_link(name: str, driver: str, options: dict[str, str]) -> None:
    """The parent where it has to be made, the port, its address, and the way out."""
    settings = child.settings_of(
        replace(NETWORK, driver=driver, options=options), alias="wherry ENGINE"
    )
    gateway = str(settings.ways_out[0]) if settings.ways_out else ""
    status = replace(STATUS, gateway=gateway, is_routed_by_link=settings.routes_by_link)
    plan = (
        *child.parent_plan(settings),
        *child.link_plan(settings, ENDPOINT),
        *inside.address_plan(ENDPOINT),
        *inside.way_out_plan(status, ENDPOINT.namespace_path),
    )
    assert_golden_json(f"networks/{name}", shown(plan))


def test_a_tunnel_and_its_peers() -> None:
    """The tunnel is a port of the bridge; each peer is in both tables."""
    options = {VNI: "4097", LOCAL: "203.0.113.1"}
    settings = overlay.settings_of(
        replace(NETWORK, driver="overlay", options=options), table="t", alias="wherry ENGINE"
    )
    peers = (
        Peer(addresses=("192.0.2.9",), mac_address="02:42:c0:00:02:09", host="203.0.113.2"),
        Peer(addresses=("192.0.2.8",), mac_address="02:42:c0:00:02:08", host="203.0.113.3"),
    )
    plan = (
        *overlay.tunnel_plan(settings, has_ipv6=True),
        overlay.peer_table(settings, peers),
        overlay.peer_table(settings, ()),
    )
    assert_golden_json("networks/overlay", shown(plan))


def test_a_link_of_a_plugin() -> None:
    """Moved inside under another name; routes by a gateway and by the link."""
    inside_it = ENDPOINT.namespace_path
    plan: Plan = (
        MoveLink(why="--network net", link="plug7", name="plug0", namespace=inside_it),
        AddRoute(
            why="the plugin named it", destination="198.18.0.0/16", gateway="192.0.2.1",
            interface="plug0", namespace=inside_it,
        ),
        AddRoute(
            why="the plugin named it", destination="fd00::/8", interface="plug0",
            namespace=inside_it,
        ),
    )  # fmt: skip
    assert_golden_json("networks/plugin", shown(plan))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ipvlan_mode": "l4"}, "requested ipvlan mode 'l4' is not valid, 'l2' mode is the"),
        ({"ipvlan_flag": "loud"}, "requested ipvlan flag 'loud' is not valid"),
        ({"parent": "lo"}, "loopback interface is not a valid ipvlan parent link"),
    ],
)
def test_options_of_ipvlan_that_are_none(options: dict[str, str], told: str) -> None:
    """They are refused whether or not the kernel has such links."""
    with pytest.raises(InvalidValue) as refused:
        child.settings_of(replace(NETWORK, driver="ipvlan", options=options), alias="")
    assert told in refused.value.sentence


def test_an_encrypted_overlay() -> None:
    """Its tunnel has a port of its own, and frames leave room for what seals them."""
    places = {VNI: "1", LOCAL: "203.0.113.1"}
    clear, sealed = (
        overlay.settings_of(replace(NETWORK, options=places | more), table="t", alias="")
        for more in ({"encrypted": "false"}, {"encrypted": ""})
    )
    assert (clear.tunnel.port, clear.tunnel.mtu, clear.bridge.sealed_port) == (4789, 1450, 0)
    assert (sealed.tunnel.port, sealed.tunnel.mtu, sealed.bridge.sealed_port) == (
        14789,
        1410,
        14789,
    )
