"""How other hosts reach containers, and how containers reach them, by a network's options."""

import asyncio
from collections.abc import Mapping

import pytest

from kernel.networks.private_host import LAN, NEIGHBOUR, PrivateHost, run, shell
from support.waiting import wait_until
from wherry.model.containers import NetworkSpec
from wherry.model.errors import InvalidValue
from wherry.model.networks import (
    EndpointStatus,
    NetworkMode,
    NetworkModeKind,
    NetworkRequest,
    Port,
    PortBinding,
)
from wherry.networks import Networks

pytestmark = pytest.mark.kernel

SUBNET = "10.41.0.0/24"
_BRIDGE = "com.docker.network.bridge"
_MODE = f"{_BRIDGE}.gateway_mode_ipv4"
PUBLISHED, HIDDEN, HOST_PORT = 80, 81, 8080


async def web(
    host: PrivateHost, networks: Networks, options: Mapping[str, str], **settings: bool
) -> EndpointStatus:
    """A container that serves two ports and publishes one, on a network with these options."""
    await networks.create(
        NetworkRequest(
            name="net",
            options=options,
            has_ipv4=True,
            has_ipv6=False,
            is_internal=settings.get("is_internal", False),
            ranges=(),
        )
    )
    spec = NetworkSpec(
        mode=NetworkMode(NetworkModeKind.NETWORK, "net"),
        bindings=(PortBinding(port=Port(PUBLISHED), host_port=HOST_PORT),),
    )
    sandbox = await networks.attach(host.request("web", spec))
    for port in (PUBLISHED, HIDDEN):
        host.serve(sandbox.namespace_path, port, f"port-{port}")
    (endpoint,) = sandbox.endpoints
    shell(f"nsenter --net={host.neighbour} ip route replace {endpoint.address}/32 via {LAN}")
    return endpoint


def reached(host: PrivateHost, address: str, port: int) -> bool:
    """Whether the neighbour reaches a port."""
    return host.ask(address, port, namespace=host.neighbour) is not None


@pytest.mark.parametrize(
    ("options", "settings", "direct", "hidden", "by_host"),
    [
        ({}, {}, False, False, True),
        ({_MODE: "routed"}, {}, True, False, False),
        ({_MODE: "nat-unprotected"}, {}, True, True, True),
        ({f"{_BRIDGE}.trusted_host_interfaces": "wan:lan"}, {}, True, False, True),
        ({f"{_BRIDGE}.trusted_host_interfaces": "wan"}, {}, False, False, True),
        ({}, {"allows_direct_routing": True}, True, False, True),
    ],
)
def test_the_way_in(
    options: Mapping[str, str],
    settings: Mapping[str, bool],
    direct: bool,
    hidden: bool,
    by_host: bool,
) -> None:
    """What the neighbour reaches: a published port, one that is not, and the host's port."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks(**settings)
        await networks.open()
        endpoint = await web(host, networks, options)
        found = host.asks(
            (endpoint.address, PUBLISHED, host.neighbour),
            (endpoint.address, HIDDEN, host.neighbour),
            (LAN, HOST_PORT, host.neighbour),
        )
        assert [each is not None for each in found] == [direct, hidden, by_host]
        await networks.remove_everything()

    run(scenario)


def test_marked_packets_get_in() -> None:
    """`--bridge-accept-fwmark`: what an operator's rule has marked, into any but internal ones."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks(accepted_mark="0x1/0xf")
        await networks.open()
        endpoint = await web(host, networks, {})
        shell("nft 'add table inet own; add chain inet own marks { type filter hook prerouting "
              "priority -150 ; }'")  # fmt: skip
        for mark, gets_in in ((0x12, False), (0x11, True)):
            shell(f"nft 'flush chain inet own marks; "
                  f"add rule inet own marks iifname lan meta mark set {mark}'")  # fmt: skip
            assert reached(host, endpoint.address, HIDDEN) is gets_in
        await networks.remove_everything()

    run(scenario)


def test_a_routed_port_comes_back_and_goes() -> None:
    """After a flush it is open again; when its container ends it is not."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        endpoint = await web(host, networks, {_MODE: "routed"})
        assert [(each.host_address, each.host_port) for each in endpoint.published] == [
            ("0.0.0.0", 0)
        ]
        await networks.sweep({host.request("web").container_id})
        shell("nft flush ruleset")
        await asyncio.to_thread(
            wait_until,
            "the port is open again",
            lambda: endpoint.address in shell("nft list ruleset | grep -A5 reachable4 || true"),
        )
        assert reached(host, endpoint.address, PUBLISHED)
        assert not reached(host, endpoint.address, HIDDEN)
        await networks.detach(host.request("web").container_id)
        shown = shell("nft list set inet wherry-docker0 reachable4")
        assert "elements" not in shown
        await networks.remove_everything()

    run(scenario)


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ({}, LAN),
        ({"com.docker.network.host_ipv4": "203.0.113.9"}, "203.0.113.9"),
        ({_MODE: "routed"}, "its own"),
        ({f"{_BRIDGE}.enable_ip_masquerade": "false"}, "its own"),
    ],
)
def test_the_way_out(options: Mapping[str, str], source: str) -> None:
    """Which address the neighbour sees."""

    async def scenario(host: PrivateHost) -> None:
        shell("ip address add 203.0.113.9/24 dev lan")
        networks = host.networks()
        await networks.open()
        endpoint = await web(host, networks, options)
        host.serve(host.neighbour, 9, "neighbour")
        path = f"{host.exec_root}/netns/web"
        expected = endpoint.address if source == "its own" else source
        assert host.ask(NEIGHBOUR, 9, namespace=path) == ("neighbour", expected)
        await networks.remove_everything()

    run(scenario)


def test_an_isolated_network_has_no_host_on_it() -> None:
    """The bridge has no address, and the first one is a container's."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        endpoint = await web(host, networks, {_MODE: "isolated"}, is_internal=True)
        assert (endpoint.address[-2:], endpoint.gateway) == (".1", "")
        (network,) = [each for each in networks.list() if each.name == "net"]
        assert network.gateway == ""
        assert "inet " not in shell(f"ip -o -4 address show br-{network.id[:12]}")
        await networks.remove_everything()

    run(scenario)


NO_OPTIONS: tuple[tuple[Mapping[str, str], str], ...] = (
    ({_MODE: "bridged"}, "unknown gateway mode bridged"),
    ({_MODE: "isolated"}, "gateway mode 'isolated' can only be used for an internal network"),
    (
        {f"{_BRIDGE}.enable_icc": "no"},
        f"failed to parse {_BRIDGE}.enable_icc value: no "
        '(strconv.ParseBool: parsing "no": invalid syntax)',
    ),
    (
        {f"{_BRIDGE}.host_binding_ipv4": "nowhere"},
        f"failed to parse {_BRIDGE}.host_binding_ipv4 value: nowhere (nil ip)",
    ),
    ({"com.docker.network.driver.mtu": "-1"}, "invalid MTU number: -1"),
    ({f"{_BRIDGE}.trusted_host_interfaces": 'x"; drop'}, "not the name of an interface"),
    ({f"{_BRIDGE}.name": 'x"; drop'}, "invalid bridge name"),
    ({"com.docker.network.container_iface_prefix": "a/b"}, "invalid interface prefix"),
    ({f"{_BRIDGE}.default_bridge": "true"}, "default bridge network already exists"),
)


def test_options_that_are_none() -> None:
    """Named with option and value; no bridge and no network is left."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        before = shell("ip -o link; nft list ruleset"), networks.list()
        for options, told in NO_OPTIONS:
            with pytest.raises(InvalidValue) as refused:
                await networks.create(NetworkRequest(name="net", options=options))
            assert told in refused.value.sentence
            assert (shell("ip -o link; nft list ruleset"), networks.list()) == before
        await networks.remove_everything()

    run(scenario)
