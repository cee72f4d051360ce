"""A running container's way out moves to another network, and its port answers all the while.

The daemon dies before each step and after it: a pool that does nothing any more stands for that.
Then the port is asked, a next daemon finds what is there, and the port is asked again.
"""

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from kernel.networks.private_host import LAN, Killed, MortalPool, PrivateHost, run
from wherry.model.containers import NetworkSpec
from wherry.model.errors import StepFailed
from wherry.model.networks import (
    AddressRange,
    EndpointWish,
    NetworkMode,
    NetworkModeKind,
    NetworkRequest,
    Port,
    PortBinding,
)
from wherry.networks import AttachRequest, Networks, Sandbox

pytestmark = pytest.mark.kernel

P = ParamSpec("P")
T = TypeVar("T")

GATEWAYS = {"a": "10.70.1.1", "b": "10.70.2.1"}
WEB = (PortBinding(port=Port(80), host_port=8080),)


def spec(*networks: str, first: str = "") -> NetworkSpec:
    """A container on some networks; `first` has a priority."""
    return NetworkSpec(
        mode=NetworkMode(NetworkModeKind.NETWORK, networks[0]),
        bindings=WEB,
        endpoints=tuple(
            EndpointWish(network=each, gateway_priority=int(each == first)) for each in networks
        ),
    )


async def made(host: PrivateHost) -> Networks:
    """A daemon with two networks."""
    networks = host.networks()
    await networks.open()
    for name, gateway in GATEWAYS.items():
        subnet = AddressRange(subnet=gateway.removesuffix("1") + "0/24")
        await networks.create(NetworkRequest(name=name, ranges=(subnet,)))
    return networks


def answers(host: PrivateHost) -> list[str]:
    """Who answers at the published port: on loopback, by IPv6, on the LAN, to a neighbour."""
    asked = host.asks(
        ("127.0.0.1", 8080, ""),
        ("::1", 8080, ""),
        (LAN, 8080, ""),
        (LAN, 8080, host.neighbour),
    )
    return [each[0] if each else "nobody" for each in asked]


def default_route(host: PrivateHost, sandbox: Sandbox) -> str:
    """The container's."""
    return host.inside(sandbox.namespace_path, "ip route show default").strip()


async def connects(networks: Networks, request: AttachRequest) -> None:
    """The second network leads out from now on."""
    await networks.connect(request, EndpointWish(network="a", gateway_priority=1))


async def disconnects(networks: Networks, request: AttachRequest) -> None:
    """The network that led out is left."""
    await networks.disconnect(request, networks.get("a"))


@pytest.mark.parametrize(
    ("change", "before"), [(connects, ("b",)), (disconnects, ("b", "a"))], ids=("more", "less")
)
def test_a_daemon_dies_while_the_way_out_moves(
    change: Callable[[Networks, AttachRequest], Awaitable[None]], before: tuple[str, ...]
) -> None:
    """Its port answers after a death at any step, and the next daemon brings back the record."""

    async def scenario(host: PrivateHost) -> None:
        pool = host.offload = MortalPool(4)
        networks = await made(host)
        container = spec(*before, first="a")
        steps, has_ended = 1, False
        while not has_ended:
            request = host.request("c", container)
            sandbox = await networks.attach(request)
            server = host.serve(sandbox.namespace_path, 80, "it")
            route = default_route(host, sandbox)
            files = [Path(sandbox.hosts_path), Path(sandbox.resolv_conf_path)]
            written = [each.read_text() for each in files]
            pool.steps = steps
            try:
                await change(networks, request)
                has_ended = True
            except Killed:
                pass
            pool.steps = None
            await networks.close()
            assert answers(host) == ["it"] * 4, f"killed after {steps} steps"
            networks = host.networks()
            await networks.open()
            await networks.restore(request, sandbox.endpoints)
            await networks.sweep({request.container_id})
            assert answers(host) == ["it"] * 4, f"killed after {steps} steps, and found again"
            assert default_route(host, sandbox) == route
            links = host.inside(sandbox.namespace_path, "ip -br link").splitlines()
            assert len(links) == 1 + len(before)
            assert [sorted(each.read_text().splitlines()) for each in files] == [
                sorted(each.splitlines()) for each in written
            ]
            host.end(server)
            await networks.detach(request.container_id)
            steps += 1
        assert steps > 7
        await networks.remove_everything()

    run(scenario)


def test_a_connection_that_fails_is_taken_back() -> None:
    """Whichever step fails: ports, route, links, addresses and names are as before."""

    async def scenario(host: PrivateHost) -> None:
        pool = host.offload = MortalPool(4)
        pool.fails_once = True
        networks = await made(host)
        request = host.request("c", spec("b"))
        sandbox = await networks.attach(request)
        host.serve(sandbox.namespace_path, 80, "it")
        route, steps = default_route(host, sandbox), 0
        for steps in range(7):
            pool.steps = steps
            with contextlib.suppress(OSError, StepFailed):
                await connects(networks, request)
                break
            assert pool.steps is None
            assert answers(host) == ["it"] * 4, f"failed after {steps} steps"
            assert default_route(host, sandbox) == route
            assert len(host.inside(sandbox.namespace_path, "ip -br link").splitlines()) == 2
        pool.steps = None
        assert steps > 4
        await networks.remove_everything()

    run(scenario)


def test_ports_come_with_the_next_way_out() -> None:
    """A container that leaves its only network lets its ports go, and has them again on another.

    What its user wrote into its files is there afterwards.
    """

    async def scenario(host: PrivateHost) -> None:
        networks = await made(host)
        request = host.request("c", spec("b"))
        sandbox = await networks.attach(request)
        host.serve(sandbox.namespace_path, 80, "it")
        hosts, resolv_conf = Path(sandbox.hosts_path), Path(sandbox.resolv_conf_path)
        with hosts.open("a") as file:
            file.write("10.1.2.3\tmine\n")
        assert await networks.disconnect(request, networks.get("b")) == ()
        assert "10.70.2." not in hosts.read_text()
        assert "127.0.0.11" not in resolv_conf.read_text()
        assert host.keeper().owners() == {}
        resolv_conf.write_text("nameserver 10.9.9.9\n")
        (endpoint,) = await networks.connect(request, EndpointWish(network="a"))
        assert answers(host) == ["it"] * 4
        assert f"{endpoint.address}\thost-c\n" in hosts.read_text()
        assert "10.1.2.3\tmine\n" in hosts.read_text()
        assert resolv_conf.read_text() == "nameserver 10.9.9.9\n"
        await networks.remove_everything()

    run(scenario)


def test_a_containers_own_default_route_stays() -> None:
    """It is not ours to turn, whatever network comes or goes."""

    async def scenario(host: PrivateHost) -> None:
        networks = await made(host)
        request = host.request("c", spec("b"))
        sandbox = await networks.attach(request)
        host.inside(sandbox.namespace_path, "ip route replace default via 10.70.2.99")
        own = default_route(host, sandbox)
        await connects(networks, request)
        assert default_route(host, sandbox) == own
        await disconnects(networks, request)
        assert default_route(host, sandbox) == own
        await networks.remove_everything()

    run(scenario)
