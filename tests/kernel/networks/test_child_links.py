"""macvlan and ipvlan: containers on the host's own network, and what is left of them."""

import os
import re
from dataclasses import replace

import pytest

from kernel.networks.private_host import (
    LAN,
    NEIGHBOUR,
    Killed,
    MortalPool,
    PrivateHost,
    enter,
    run,
    shell,
)
from wherry.linux import netlink, virtual_links
from wherry.model.containers import NetworkSpec
from wherry.model.errors import HostLacks, InvalidValue, StepFailed
from wherry.model.errors.networks import ConnectionRefused
from wherry.model.ids import ContainerId
from wherry.model.networks import (
    AddressRange,
    EndpointStatus,
    EndpointWish,
    Network,
    NetworkMode,
    NetworkModeKind,
    NetworkRequest,
)
from wherry.networks import Networks, Sandbox

pytestmark = pytest.mark.kernel

RANGE = AddressRange(
    subnet="203.0.113.0/24", gateway=NEIGHBOUR, allocated_from="203.0.113.128/25",
    reserved={"host": LAN},
)  # fmt: skip


def has(kind: str) -> bool:
    """Whether this kernel has links of a kind."""
    descriptor = netlink.open_socket()
    try:
        return virtual_links.knows_kind(netlink.NetlinkSocket(descriptor), kind)
    finally:
        os.close(descriptor)


async def made(networks: Networks, name: str = "net", **more: object) -> Network:
    """A macvlan network on the LAN, unless told otherwise."""
    wanted: dict[str, object] = {
        "driver": "macvlan", "ranges": (RANGE,), "options": {"parent": "lan"}, **more
    }  # fmt: skip
    return await networks.create(NetworkRequest(name=name, **wanted))  # type: ignore[arg-type]


async def joined(
    host: PrivateHost, networks: Networks, name: str, network: str = "net", **wish: str
) -> tuple[Sandbox, EndpointStatus]:
    """A container on a network, which serves its name."""
    spec = NetworkSpec(
        mode=NetworkMode(NetworkModeKind.NETWORK, network),
        endpoints=(EndpointWish(network=network, **wish),),  # type: ignore[arg-type]
    )
    sandbox = await networks.attach(host.request(name, spec))
    host.serve(sandbox.namespace_path, 80, name)
    return sandbox, sandbox.endpoints[0]


def links() -> str:
    """The host's links and packet filter."""
    return shell("ip -o link | cut -d: -f2; nft list ruleset")


def test_a_container_is_on_the_lan() -> None:
    """Neighbours reach it and it reaches them by its gateway; the host and it don't meet."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        before = links()
        network = await made(networks)
        sandbox, one = await joined(host, networks, "one")
        other, two = await joined(host, networks, "two", ipv4_address="203.0.113.77")
        assert (one.address, one.gateway) == ("203.0.113.128", NEIGHBOUR)
        assert (two.address, two.interface) == ("203.0.113.77", "eth0")
        assert host.ask(one.address, 80, namespace=host.neighbour) == ("one", NEIGHBOUR)
        assert host.ask(two.address, 80, namespace=sandbox.namespace_path) == ("two", one.address)
        assert host.ask(one.address, 80) is None, "the host reaches its own ports' containers"
        routes = host.inside(sandbox.namespace_path, "ip route; ip -o link show eth0")
        assert f"default via {NEIGHBOUR} dev eth0" in routes
        assert one.mac_address in routes
        assert links() == before, "a port has no end on the host"
        for name in ("one", "two"):
            await networks.detach(ContainerId(name))
        assert host.ask(two.address, 80, namespace=host.neighbour) is None
        assert not os.path.exists(other.namespace_path)
        await networks.remove(network)
        assert links() == before
        await networks.remove_everything()

    run(scenario)


@pytest.mark.parametrize(("mode", "meet"), [("bridge", True), ("private", False), ("vepa", False)])
def test_modes_in_which_neighbours_meet(mode: str, meet: bool) -> None:
    """Ports of one parent talk to each other in mode bridge alone."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        await made(networks, options={"parent": "lan", "macvlan_mode": mode})
        sandbox, one = await joined(host, networks, "one")
        _other, two = await joined(host, networks, "two")
        found = host.ask(two.address, 80, namespace=sandbox.namespace_path)
        assert (found is not None) is meet
        assert host.ask(one.address, 80, namespace=host.neighbour) is not None
        await networks.remove_everything()

    run(scenario)


def test_a_vlan_is_made_and_removed_with_the_last_network() -> None:
    """It is tagged on the wire, comes back after a loss, and stays while one stands on it.

    Or the kernel has none.
    """

    async def scenario(host: PrivateHost) -> None:
        if not has("vlan"):
            networks = host.networks()
            await networks.open()
            with pytest.raises(HostLacks):
                await made(networks, options={"parent": "lan.10"})
            await networks.remove_everything()
            return
        shell(
            f"nsenter --net={host.neighbour} sh -ec '"
            "ip link add link lan name lan.10 type vlan id 10;"
            "ip address add 192.0.2.1/24 dev lan.10; ip link set lan.10 up'"
        )
        networks = host.networks()
        await networks.open()
        before = links()
        here = AddressRange(subnet="192.0.2.0/25", allocated_from="192.0.2.8/29")
        there = AddressRange(subnet="192.0.2.128/25")
        first = await made(networks, ranges=(here,), options={"parent": "lan.10"})
        second = await made(networks, "more", ranges=(there,), options={"parent": "lan.10"})
        _sandbox, one = await joined(host, networks, "one")
        assert one.gateway == ""
        assert host.ask(one.address, 80, namespace=host.neighbour) == ("one", "192.0.2.1")
        await networks.detach(ContainerId("one"))
        await networks.remove(first)
        assert "vlan" in shell("ip -d link show lan.10")
        shell("ip link delete lan.10")
        await networks.close()
        again = host.networks()
        await again.open()
        assert "vlan" in shell("ip -d link show lan.10")
        await again.remove(second)
        assert links() == before
        await again.remove_everything()

    run(scenario)


def test_a_parent_that_goes_does_not_stop_the_engine() -> None:
    """The engine starts; a container says what is missing, and leaves nothing."""

    async def scenario(host: PrivateHost) -> None:
        shell("ip link add spare type veth peer name erapse; ip link set spare up")
        networks = host.networks()
        await networks.open()
        await made(networks, options={"parent": "spare"})
        await networks.close()
        shell("ip link delete spare")
        again = host.networks()
        await again.open()
        with pytest.raises(StepFailed) as refused:
            await joined(host, again, "one")
        assert "the requested parent interface spare was not found" in refused.value.cause
        assert os.listdir(f"{host.exec_root}/netns") == []
        shell("ip link add spare type veth peer name erapse; ip link set spare up")
        _sandbox, one = await joined(host, again, "one")
        assert one.address == "203.0.113.129", "the one before was given back"
        await again.remove_everything()

    run(scenario)


def test_a_namespace_that_others_share_loses_its_port() -> None:
    """When its container ends, the address may be somebody else's: it is nobody's by then."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        await made(networks)
        sandbox, one = await joined(host, networks, "one")
        holder = host.fork(lambda: enter(sandbox.namespace_path))
        await networks.detach(ContainerId("one"))
        assert "eth0" not in shell(f"nsenter -t {holder} -n ip -o link")
        assert host.ask(one.address, 80, namespace=host.neighbour) is None
        await networks.remove_everything()

    run(scenario)


def test_connect_and_disconnect_beside_a_bridge() -> None:
    """A port comes and goes while the container runs; the priority decides the way out."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        network = await made(networks)
        request = host.request("c", NetworkSpec())
        sandbox = await networks.attach(request)
        wish = EndpointWish(network="net", gateway_priority=9)
        request = replace(request, network=NetworkSpec(endpoints=(wish,)))
        endpoints = await networks.connect(request, wish)
        assert [each.interface for each in endpoints] == ["eth0", "eth1"]
        route = host.inside(sandbox.namespace_path, "ip route")
        assert f"default via {NEIGHBOUR} dev eth1" in route
        host.serve(sandbox.namespace_path, 80, "c")
        assert host.ask(endpoints[1].address, 80, namespace=host.neighbour) is not None
        (left,) = await networks.disconnect(request, network)
        shown = host.inside(sandbox.namespace_path, "ip -o link; ip route")
        assert "eth1" not in shown
        assert f"default via {left.gateway}" in shown
        await networks.remove_everything()

    run(scenario)


@pytest.mark.parametrize("is_joined", [False, True], ids=("more", "less"))
def test_a_daemon_dies_while_a_port_comes_or_goes(is_joined: bool) -> None:
    """After a death at any step the next daemon brings back what is on record, and no more."""

    async def scenario(host: PrivateHost) -> None:
        pool = host.offload = MortalPool(4)
        networks = host.networks()
        await networks.open()
        network = await made(networks)
        wishes = tuple(EndpointWish(network=each) for each in ("bridge", "net"))
        steps, has_ended = 1, False
        while not has_ended:
            spec = NetworkSpec(endpoints=wishes if is_joined else wishes[:1])
            request = host.request("c", spec)
            sandbox = await networks.attach(request)
            host.inside(sandbox.namespace_path, "ip link add own link eth0 type macvlan")
            before = shown(host, sandbox)
            pool.steps = steps
            try:
                if is_joined:
                    await networks.disconnect(request, network)
                else:
                    await networks.connect(request, wishes[1])
                has_ended = True
            except Killed:
                pass
            pool.steps = None
            await networks.close()
            networks = host.networks()
            await networks.open()
            await networks.restore(request, sandbox.endpoints)
            await networks.sweep({request.container_id})
            assert shown(host, sandbox) == before, f"killed after {steps} steps"
            await networks.detach(request.container_id)
            steps += 1
        await networks.remove_everything()

    run(scenario)


def shown(host: PrivateHost, sandbox: Sandbox) -> list[str]:
    """Links, addresses and routes of a container, without the numbers of links elsewhere.

    Of a link that is up the kernel says UNKNOWN until it has looked at it.
    """
    said = host.inside(sandbox.namespace_path, "ip -br address; ip route")
    plain = re.sub(r"@if\d+", "", re.sub(" +", " ", said)).replace(" UNKNOWN ", " UP ")
    return sorted(plain.splitlines())


REFUSALS = (
    ({"parent": "lo"}, "loopback interface is not a valid macvlan parent link"),
    ({"parent": "wan"}, "invalid subinterface vlan name wan, example formatting is"),
    ({"parent": "wan.7"}, "-o parent interface was not found on the host: wan"),
    ({"parent": "lan.x"}, "unable to parse a valid vlan id from: x"),
    ({"parent": "lan.4095"}, "vlan id must be between 1-4094, received: 4095"),
    ({"parent": "lan.1.2"}, "required interface name format is: name.vlan_id"),
    ({"parent": "lan", "macvlan_mode": "loud"}, "requested macvlan mode 'loud' is not"),
    ({"parent": "used"}, "network taken is already using parent interface used"),
    ({"parent": "x;y"}, "invalid subinterface vlan name x;y"),
)


def test_refusals() -> None:
    """Docker's words; no link and no network is left."""

    async def scenario(host: PrivateHost) -> None:
        shell("ip link add used type veth peer name desu; ip link set used up")
        networks = host.networks()
        await networks.open()
        other = AddressRange(subnet="192.0.2.0/24")
        alone = {"parent": "used", "macvlan_mode": "passthru"}
        await made(networks, "taken", ranges=(other,), options=alone)
        before = links(), networks.list()
        for options, told in REFUSALS:
            with pytest.raises((InvalidValue, ConnectionRefused)) as refused:
                await made(networks, options=options)
            error = refused.value
            sentence = getattr(error, "sentence", "") or getattr(error, "reason", "")
            assert told in sentence
            assert (links(), networks.list()) == before
        await networks.remove_everything()

    run(scenario)


def test_without_a_parent() -> None:
    """On a dummy: containers have each other alone. Without dummies in the kernel: refused."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        before = links()
        if not has("dummy"):
            with pytest.raises(HostLacks):
                await made(networks, options={})
            assert links() == before
            return
        network = await made(networks, options={})
        sandbox, one = await joined(host, networks, "one")
        _other, two = await joined(host, networks, "two")
        assert one.gateway == ""
        assert host.ask(two.address, 80, namespace=sandbox.namespace_path) is not None
        assert host.ask(one.address, 80, namespace=host.neighbour) is None
        assert f"dm-{network.id[:12]}" in links()
        for name in ("one", "two"):
            await networks.detach(ContainerId(name))
        await networks.remove(network)
        assert links() == before
        await networks.remove_everything()

    run(scenario)


@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_ipvlan(mode: str) -> None:
    """Ports share their parent's MAC address; in l3 the parent routes. Or the kernel has none."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        before = links()
        wanted = {"driver": "ipvlan", "options": {"parent": "lan", "ipvlan_mode": mode}}
        if not has("ipvlan"):
            with pytest.raises(HostLacks) as refused:
                await made(networks, **wanted)
            assert "ipvlan port: operation not supported" in refused.value.feature
            assert (links(), len(networks.list())) == (before, 3)
            return
        network = await made(networks, **wanted)
        with pytest.raises(InvalidValue):
            await joined(host, networks, "mac", mac_address="02:42:00:00:00:01")
        sandbox, one = await joined(host, networks, "one")
        _other, two = await joined(host, networks, "two")
        assert one.mac_address == ""
        if mode != "l2":  # there is no ARP: others need a route by the parent
            way = f"ip route add {RANGE.allocated_from} via {LAN}"
            shell(f"nsenter --net={host.neighbour} {way}")
        assert host.ask(one.address, 80, namespace=host.neighbour) == ("one", NEIGHBOUR)
        assert host.ask(two.address, 80, namespace=sandbox.namespace_path) is not None
        route = host.inside(sandbox.namespace_path, "ip route")
        expected = f"default via {NEIGHBOUR} dev eth0" if mode == "l2" else "default dev eth0"
        assert expected in route
        for name in ("one", "two"):
            await networks.detach(ContainerId(name))
        await networks.remove(network)
        assert links() == before
        await networks.remove_everything()

    run(scenario)
