"""Networks that are removed: who looks after the answer finds nothing, whatever comes next."""

import os
import signal
import socket

import pytest

from kernel.networks.private_host import PrivateHost, run, shell
from wherry.linux import netlink, network_links
from wherry.model.errors import StepFailed
from wherry.model.networks import AddressRange, NetworkRequest
from wherry.networks.segments.departures import Departures

pytestmark = pytest.mark.kernel

LOOKING = "cut -d: -f1 /proc/net/dev; ip link; ip address; ip route; nft list ruleset"
BRIDGE = "com.docker.network.bridge.name"


def links() -> list[str]:
    """Names that lead to a link, looked up without a lock."""
    return [name for _index, name in socket.if_nameindex()]


def kill_once_it_is_not_found(link: str) -> None:
    """Have a process delete a link, and kill it where `Departures` answers."""
    pid = os.fork()
    if pid == 0:
        network_links.delete_link(netlink.NetlinkSocket(netlink.open_socket()), link)
        os._exit(0)
    while link in links():
        pass
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_nobody_finds_a_network_that_was_removed() -> None:
    """Neither by name nor in a list; another with its name and subnet can be made at once."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        before = shell(LOOKING)
        wanted = NetworkRequest(
            name="again",
            options={BRIDGE: "again"},
            ranges=(AddressRange(subnet="10.9.0.0/16", gateway="10.9.0.1"),),
        )
        for _time in range(3):
            network = await networks.create(wanted)
            assert "again" in links()
            assert "10.9.0.0/16" in shell(LOOKING)
            await networks.remove(network)
            assert "again" not in links()
            assert shell(LOOKING) == before
        await networks.close()

    run(scenario)


def test_the_answer_comes_when_the_name_leads_nowhere() -> None:
    """Not before: whoever makes the next one would meet it."""

    async def scenario(host: PrivateHost) -> None:
        departures = Departures(host.offload)

        def delete() -> None:
            network_links.delete_link(netlink.NetlinkSocket(netlink.open_socket()), "gone")

        for _time in range(5):
            shell("ip link add gone type bridge")
            await departures.leave("gone", delete)
            assert "gone" not in links()
        await departures.settled()

    run(scenario)


def test_what_was_begun_is_done_whoever_is_killed() -> None:
    """A daemon that is killed right after the answer leaves no bridge behind."""

    async def scenario(host: PrivateHost) -> None:
        del host
        route = netlink.NetlinkSocket(netlink.open_socket())
        for _time in range(5):
            network_links.create_bridge(route, "gone", mac_address="02:42:00:00:00:01", alias="x")
            kill_once_it_is_not_found("gone")
            assert network_links.find_link(route, "gone") is None

    run(scenario)


def test_a_link_that_stays_is_told_of() -> None:
    """What the work raises is raised, whether or not there is a link of that name."""

    async def scenario(host: PrivateHost) -> None:
        def refuse() -> None:
            raise StepFailed(step="remove the bridge", cause="no")

        departures = Departures(host.offload)
        for link in ("lan", "missing"):
            with pytest.raises(StepFailed):
                await departures.leave(link, refuse)
        await departures.settled()

    run(scenario)
