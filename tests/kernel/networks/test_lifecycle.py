"""Attach, detach, restart, repair: what is there afterwards, and what is not."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.networks.private_host import LAN, PrivateHost, netd_pid, run, shell
from support.waiting import wait_until
from wherry.linux import netlink, network_links
from wherry.model.containers import NetworkSpec
from wherry.model.errors import InvalidField
from wherry.model.errors.networks import PortInUse
from wherry.model.ids import ContainerId
from wherry.model.networks import NetworkMode, NetworkModeKind, Port, PortBinding
from wherry.netd.protocol import Wish
from wherry.operations.plan import Verdict

pytestmark = pytest.mark.kernel

WEB = NetworkSpec(bindings=(PortBinding(port=Port(80), host_port=8080),))
NONE = NetworkSpec(mode=NetworkMode(NetworkModeKind.NONE))
HOST = NetworkSpec(mode=NetworkMode(NetworkModeKind.HOST))


def census() -> dict[str, str]:
    """Links, packet filter, mounts and listening or bound sockets of the host."""
    links = [name for _index, name in socket.if_nameindex()]
    mounts = [
        line.split()[4]
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if " nsfs " in line
    ]
    return {
        "links": " ".join(sorted(links)),
        "rules": shell("nft list ruleset"),
        "mounts": " ".join(mounts),
        "ports": shell("ss -Htuan | awk '{print $1, $2, $5}' | sort"),
    }


async def settled(expected: dict[str, str]) -> None:
    """The host looks as expected within a second: namespaces end in the background."""
    with contextlib.suppress(AssertionError):
        await until("the host is as it was", lambda: census() == expected, within_s=1)
    assert census() == expected


async def until(what: str, condition: Callable[[], bool], *, within_s: float = 3) -> None:
    """Wait while the event loop goes on."""
    await asyncio.to_thread(wait_until, what, condition, within_s=within_s, every_s=0.002)


def has_no_veth() -> bool:
    """Whether the last container's link is gone."""
    return not any(name.startswith("veth") for _index, name in socket.if_nameindex())


def test_thousands_of_ports_are_held() -> None:
    """Asked for, listed and found again by the next daemon, in messages of some 100 KiB."""

    async def scenario(host: PrivateHost) -> None:
        keeper = host.keeper()
        owners = ("one", "two")
        for number, owner in enumerate(owners):
            first = 20000 + 6000 * number
            wishes = tuple(
                Wish(protocol="tcp", addresses=("127.0.0.1",), first=port, last=port, port=80)
                for port in range(first, first + 6000)
            )
            assert len(keeper.reserve(owner, "10.0.0.2", wishes)) == len(wishes)
        keeper.close()
        held = host.keeper().owners()
        assert [len(held[each]) for each in owners] == [6000, 6000]

    run(scenario)


def test_a_repair_brings_nobody_back_who_leaves() -> None:
    """Ports of a container that ends while the packet filter is completed lead nowhere after."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        ports = range(20000, 20300)
        spec = NetworkSpec(
            bindings=tuple(PortBinding(port=Port(each), host_port=each) for each in ports)
        )
        request = host.request("c", spec)
        table = "inet wherry-docker0"
        for wait_s in (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06):
            await networks.attach(request)
            shell(f"nft flush map {table} tcp-anywhere")
            repair = asyncio.create_task(networks._attachments.repair())
            await asyncio.sleep(wait_s)
            await networks.detach(request.container_id)
            await repair
            assert "elements" not in shell(f"nft list map {table} tcp-anywhere")
        await networks.remove_everything()

    run(scenario)


def test_nothing_is_left_behind() -> None:
    """After detach the host is as before attach; after everything, as before the engine."""

    async def scenario(host: PrivateHost) -> None:
        untouched = census()
        networks = host.networks()
        await networks.open()
        idle = census()
        for spec in (WEB, NetworkSpec(), NONE, HOST):
            request = host.request("c", spec)
            await networks.attach(request)
            await networks.detach(request.container_id)
            await networks.detach(request.container_id)
            await settled(idle)
        await networks.attach(host.request("c", WEB))
        await networks.remove_everything()
        await networks.close()
        await settled(untouched)
        assert os.listdir(host.exec_root) == []

    run(scenario)


def test_links_are_gone_soon() -> None:
    """The veth pair goes with its namespace, well within the tenth of a second."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        times = []
        for _ in range(9):
            await networks.attach(host.request("c"))
            await networks.detach(ContainerId("c"))
            begun = time.monotonic()
            await until("the link is gone", has_no_veth)
            times.append(time.monotonic() - begun)
        assert sorted(times)[4] < 0.1, times
        await networks.remove_everything()

    run(scenario)


def test_a_namespace_that_others_share_loses_its_link() -> None:
    """When the container ends while another one lives in its namespace, the link still goes."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        sandbox = await networks.attach(host.request("c"))
        joined = await networks.attach(host.request("joiner", joined=sandbox))
        assert joined.namespace_path == sandbox.namespace_path
        assert joined.hosts_path == sandbox.hosts_path
        host.serve(joined.namespace_path, 80, "joiner")
        before = census()
        await networks.detach(ContainerId("joiner"))
        assert census() == before, "the namespace is the other's"
        await networks.detach(ContainerId("c"))
        await until("the link is gone", has_no_veth)
        await networks.remove_everything()

    run(scenario)


def test_modes_without_a_bridge() -> None:
    """none has a working loopback and nothing else; host has the host's namespace and files."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks(bridge="none")
        await networks.open()
        assert [each.name for each in networks.list()] == ["host", "none"]
        nothing = await networks.attach(host.request("n", NONE))
        assert host.inside(nothing.namespace_path, "ip -o link").count("\n") == 1
        host.inside(
            nothing.namespace_path, "ping -c1 -W1 127.0.0.1 || ip link show lo | grep -q UP"
        )
        whole = await networks.attach(host.request("h", HOST))
        assert whole.namespace_path == ""
        assert Path(whole.hosts_path).read_text() == Path("/etc/hosts").read_text()
        assert [each.network_name for each in whole.endpoints] == ["host"]
        assert Path(whole.hostname_path).read_text() == "host-h\n"
        await networks.remove_everything()
        await networks.close()

    run(scenario)


def test_a_port_in_use_names_its_owner_and_leaves_nothing() -> None:
    """Another container or a process; free again, the same container starts."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        await networks.attach(host.request("first", WEB))
        idle = census()
        with pytest.raises(PortInUse) as caught:
            await networks.attach(host.request("second", WEB))
        assert caught.value.owner == "container name-of-first"
        assert (caught.value.address, caught.value.port) == ("0.0.0.0", 8080)
        await settled(idle)
        await networks.detach(ContainerId("first"))
        with socket.create_server((LAN, 8080)), pytest.raises(PortInUse) as caught:
            await networks.attach(host.request("second", WEB))
        assert caught.value.owner.endswith(f"(pid {os.getpid()})")
        sandbox = await networks.attach(host.request("second", WEB))
        assert sandbox.endpoints[0].address == "172.17.0.5", "failed starts give theirs back"
        await networks.remove_everything()

    run(scenario)


def test_a_failing_step_undoes_the_others() -> None:
    """Whichever step fails, namespace, ports and address are free again."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        idle = census()
        with pytest.raises(InvalidField):
            await networks.attach(host.request("c", NetworkSpec(mac_address="zz")))
        request = host.request("c", WEB)
        os.rmdir(request.files_directory)
        with pytest.raises(FileNotFoundError):
            await networks.attach(request)
        await settled(idle)
        os.mkdir(request.files_directory)
        stolen = Path(host.exec_root, "netns", "c")
        stolen.mkdir()
        with pytest.raises(Exception, match="is a directory"):
            await networks.attach(request)
        stolen.rmdir()
        await settled(idle)
        await networks.attach(request)
        await networks.remove_everything()

    run(scenario)


def test_mac_address_and_files() -> None:
    """--mac-address is what the container has; hosts names it."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        spec = NetworkSpec(mac_address="02-11-22-33-44-55", extra_hosts=("gw:host-gateway",))
        sandbox = await networks.attach(host.request("c", spec))
        assert sandbox.endpoints[0].mac_address == "02:11:22:33:44:55"
        assert "02:11:22:33:44:55" in host.inside(sandbox.namespace_path, "ip link show eth0")
        hosts = Path(sandbox.hosts_path).read_text().splitlines()
        assert hosts[-2:] == ["172.17.0.1\tgw", "172.17.0.2\thost-c"]
        assert os.stat(sandbox.hosts_path).st_mode & 0o777 == 0o644
        await networks.remove_everything()

    run(scenario)


def test_another_daemon_takes_over() -> None:
    """Traffic goes on while no daemon runs; the next one knows addresses and ports."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        web = await networks.attach(host.request("web", WEB))
        await networks.attach(host.request("dead", NetworkSpec(bindings=_bound(8081))))
        host.serve(web.namespace_path, 80, "web")
        await networks.close()
        assert host.ask("127.0.0.1", 8080) == ("web", "172.17.0.1")
        assert host.ask("::1", 8080) == ("web", "172.17.0.1")

        again = host.networks()
        await again.open()
        restored = await again.restore(host.request("web", WEB), web.endpoints)
        assert restored.namespace_path == web.namespace_path
        assert restored.hosts_path == web.hosts_path
        await again.sweep(frozenset({ContainerId("web")}))
        assert os.listdir(os.path.join(host.exec_root, "netns")) == ["web"]
        assert host.ask("127.0.0.1", 8080) == ("web", "172.17.0.1")
        with pytest.raises(PortInUse):
            await again.attach(host.request("other", WEB))
        other = await again.attach(host.request("other", NetworkSpec(bindings=_bound(8081))))
        assert other.endpoints[0].address != web.endpoints[0].address
        await again.remove_everything()

    run(scenario)


def _bound(host_port: int) -> tuple[PortBinding, ...]:
    return (PortBinding(port=Port(80), host_port=host_port),)


def test_lost_state_is_repaired_at_the_next_start() -> None:
    """Table flushed, netd killed, bridge address gone: all back after open and restore."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        web = await networks.attach(host.request("web", WEB))
        host.serve(web.namespace_path, 80, "web")
        await networks.close()
        shell("nft flush ruleset; ip link set docker0 down; ip address flush dev docker0")
        _kill_netd(host)

        again = host.networks()
        await again.open()
        await again.restore(host.request("web", WEB), web.endpoints)
        await again.sweep(frozenset({ContainerId("web")}))
        assert host.ask("127.0.0.1", 8080) == ("web", "172.17.0.1")
        assert host.ask("::1", 8080) == ("web", "172.17.0.1")
        await again.remove_everything()

    run(scenario)


def test_a_table_that_was_flushed_comes_back_with_the_next_port() -> None:
    """Also for the containers that were there before."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        web = await networks.attach(host.request("web", WEB))
        host.serve(web.namespace_path, 80, "web")
        shell("nft flush ruleset")
        await networks.attach(host.request("next", NetworkSpec(bindings=_bound(8081))))
        assert host.ask("127.0.0.1", 8080) == ("web", "172.17.0.1")
        await networks.remove_everything()

    run(scenario)


def test_a_killed_netd_is_replaced_with_all_it_held() -> None:
    """Nobody else gets the ports after the next call; the packet filter never noticed."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        web = await networks.attach(host.request("web", WEB))
        host.serve(web.namespace_path, 80, "web")
        _kill_netd(host)
        assert host.ask("127.0.0.1", 8080) == ("web", "172.17.0.1")
        await networks.attach(host.request("next", NetworkSpec(bindings=_bound(8081))))
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", 8080))
        assert host.ask("::1", 8080) == ("web", "172.17.0.1")
        await networks.remove_everything()

    run(scenario)


def _kill_netd(host: PrivateHost) -> None:
    """SIGKILL to the netd of this host's engine."""
    os.kill(netd_pid(host.exec_root), signal.SIGKILL)


def test_the_bridge_gets_a_name_and_subnet_that_are_free() -> None:
    """Somebody else's docker0 and its subnet are left alone; each engine has its own."""

    async def scenario(host: PrivateHost) -> None:
        shell("ip link add docker0 type bridge; ip address add 172.17.0.1/16 dev docker0")
        shell("ip link set docker0 up; ip route add 172.18.4.0/24 dev lan")
        networks = host.networks()
        await networks.open()
        (bridge, *_rest) = networks.list()
        assert bridge.options["com.docker.network.bridge.name"] == "wherry0"
        assert bridge.subnet == "172.19.0.0/16"
        await networks.close()
        again = host.networks()
        await again.open()
        assert again.list()[0].subnet == "172.19.0.0/16", "its own is taken up again"
        await again.remove_everything()
        names = {name for _index, name in socket.if_nameindex()}
        assert "docker0" in names
        assert "wherry0" not in names

    run(scenario)


def test_a_bridge_by_name_and_address() -> None:
    """--bridge and --bip: made when absent, used as it is when there, refused when no bridge."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks(bridge="br-lab", bip="10.55.0.1/24")
        await networks.open()
        sandbox = await networks.attach(host.request("c"))
        assert sandbox.endpoints[0].address == "10.55.0.2"
        await networks.remove_everything()
        await networks.close()
        shell("ip link add mine type bridge; ip address add 10.66.0.7/24 dev mine")
        used = host.networks(bridge="mine")
        await used.open()
        assert used.list()[0].gateway == "10.66.0.7"
        await used.remove_everything()
        await used.close()
        assert "mine" in {name for _index, name in socket.if_nameindex()}
        with pytest.raises(InvalidField):
            await host.networks(bridge="lan").open()

    run(scenario)


def test_another_bip_replaces_the_first() -> None:
    """A bridge of ours moves to the new subnet."""

    async def scenario(host: PrivateHost) -> None:
        for bip in ("10.55.0.1/24", "10.56.0.1/24"):
            networks = host.networks(bip=bip)
            await networks.open()
            await networks.close()
        assert shell("ip -4 -o address show docker0").count("inet ") == 1
        assert "10.56.0.1/24" in shell("ip -4 -o address show docker0")
        last = host.networks(bip="10.56.0.1/24")
        await last.open()
        await last.remove_everything()

    run(scenario)


def test_a_cancelled_attach_leaves_nothing() -> None:
    """At whichever moment the cancellation comes, the step under way ends before its reverse."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        idle = census()
        for delay_ms in range(0, 24, 2):
            attaching = asyncio.create_task(networks.attach(host.request("c", WEB)))
            done, _pending = await asyncio.wait({attaching}, timeout=delay_ms / 1000)
            attaching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await attaching
            if done:
                await networks.detach(ContainerId("c"))
        await settled(idle)
        await networks.remove_everything()

    run(scenario)


def test_many_at_once() -> None:
    """Twenty containers attach together: distinct addresses and ports, all of them gone after."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        idle = census()
        spec = NetworkSpec(exposed=(Port(80),), publishes_all=True)
        names = [f"c{number}" for number in range(20)]
        sandboxes = await asyncio.gather(
            *(networks.attach(host.request(name, spec)) for name in names)
        )
        endpoints = [sandbox.endpoints[0] for sandbox in sandboxes]
        assert len({each.address for each in endpoints}) == 20
        assert len({each.published[0].host_port for each in endpoints}) == 20
        await asyncio.gather(*(networks.detach(ContainerId(name)) for name in names))
        await settled(idle)
        await networks.remove_everything()

    run(scenario)


def test_every_step_can_be_checked() -> None:
    """What a journal says is found in the kernel, and its loss too."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        sandbox = await networks.attach(host.request("c", WEB))

        def verdicts() -> dict[str, Verdict]:
            return {
                entry.operation.kind: entry.operation.check(entry.evidence).verdict
                for entry in sandbox.journal
            }

        found = verdicts()
        for kind in (
            "pin-network-namespace",
            "create-veth-pair",
            "pin-neighbour",
            "publish-ports",
        ):
            assert found[kind] is Verdict.STILL_TRUE, kind
        shell("nft flush map inet wherry-docker0 tcp-anywhere")
        assert verdicts()["publish-ports"] is Verdict.GONE
        descriptor = netlink.open_socket()
        network_links.delete_link(netlink.NetlinkSocket(descriptor), _veth())
        os.close(descriptor)
        assert verdicts()["create-veth-pair"] is Verdict.GONE
        await networks.remove_everything()
        assert verdicts()["pin-network-namespace"] is Verdict.GONE

    run(scenario)


def _veth() -> str:
    return next(name for _index, name in socket.if_nameindex() if name.startswith("veth"))
