"""RELIABILITY N07: what an encrypted overlay sends is sealed; what comes in the clear is dropped.

In the virtual machine, since the kernel must have ESP; a kernel without it is told so.
"""

import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from kernel.networks.overlay_hosts import SUBNET, machines, tell
from kernel.networks.private_host import PrivateHost, enter, in_child, run, shell
from wherry.linux import xfrm
from wherry.model.errors import HostLacks, InvalidValue
from wherry.model.networks import NetworkRequest, OverlayKey, OverlayPlace, Peer
from wherry.networks.drivers.overlay import PORT, SEALED_PORT
from wherry.networks.segments import sealing
from wherry.networks.segments.overlay import OverlaySegment

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]

OLD, NEW = OverlayKey(1, b"o" * 32), OverlayKey(2, b"n" * 32)
VNI = 4097
ESP, UDP = 50, 17
FORGED = 20


def has_esp() -> bool:
    """Whether the kernel here can seal."""

    def tried() -> bool:
        descriptor = xfrm.open_xfrm_socket()
        try:
            return xfrm.can_seal(descriptor, 4)
        finally:
            os.close(descriptor)

    return in_child(tried)


needs_esp = pytest.mark.skipif(not has_esp(), reason="this kernel has no ESP")


class Pair:
    """Two hosts with their parts of one encrypted network, and a container on each."""

    def __init__(self, host: PrivateHost, **options: str) -> None:
        self.host = host
        self.hosts = machines(host, 3)
        self.parts = [each.part_of(VNI, **options) for each in self.hosts[:2]]
        for each, part in zip(self.hosts, self.parts, strict=False):
            each.make(part)
        self.one, self.two = (
            each.container(part, f"c{each.number}")
            for each, part in zip(self.hosts, self.parts, strict=False)
        )
        tell(self.hosts[0], self.parts[0], (self.two,))
        tell(self.hosts[1], self.parts[1], (self.one,))

    def seal(self, number: int, *keys: OverlayKey) -> None:
        """Tell one of the hosts the keys."""
        part = self.parts[number].segment
        assert isinstance(part, OverlaySegment)
        self.hosts[number].inside(
            lambda: sealing.seal(part.ways(), keys, versions={part.overlay.version})
        )

    def meet(self) -> bool:
        """Whether the containers reach each other, both ways and by both families."""
        host, one, two = self.host, self.one, self.two
        pairs = ((one, two), (two, one))
        return all(
            host.ask(target.endpoint.address, 80, namespace=source.namespace) is not None
            for source, target in pairs
        )

    def shout(self) -> None:
        """Datagrams from one container to the other, answered or not."""

        def shouting() -> None:
            enter(self.one.namespace)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as loud:
                for _ in range(FORGED):
                    loud.sendto(b"clear", (self.two.endpoint.address, 9))

        in_child(shouting)


@contextmanager
def seen_on_the_wire() -> Iterator[Counter[tuple[int, int]]]:
    """Protocols and UDP ports of the IPv4 packets between hosts."""
    counts: Counter[tuple[int, int]] = Counter()
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    wire.bind(("port1", 0))
    wire.settimeout(0.2)
    is_over = threading.Event()

    def listen() -> None:
        while True:
            try:
                frame = wire.recv(1 << 16)
            except TimeoutError:
                if is_over.is_set():
                    return
                continue
            if frame[12:14] == b"\x08\x00":
                port = int.from_bytes(frame[36:38], "big") if frame[23] == UDP else 0
                counts[frame[23], port] += 1

    listening = threading.Thread(target=listen)
    listening.start()
    try:
        yield counts
    finally:
        is_over.set()
        listening.join()
        wire.close()


def forged(pair: Pair, port: int) -> int:
    """How many datagrams in the clear with the network's number reach a container."""
    source, target = pair.two.endpoint, pair.one.endpoint
    payload = struct.pack("!HHHH", 9, 9, 13, 0) + b"clear"
    packet = ipv4(source.address, target.address, UDP, payload)
    frame = mac(target.mac_address) + mac(source.mac_address) + b"\x08\x00" + packet
    vxlan = struct.pack("!II", 0x08000000, VNI << 8) + frame
    outer = struct.pack("!HHHH", 40000, port, 8 + len(vxlan), 0) + vxlan
    whole = ipv4(pair.hosts[1].address, pair.hosts[0].address, UDP, outer)
    inside = pair.one.namespace
    pair.host.inside(
        inside,
        'nft add table inet t; nft add chain inet t c "{ type filter hook input priority 0 ; }";'
        "nft add rule inet t c udp dport 9 counter",
    )

    def sending() -> None:
        enter(pair.hosts[2].namespace)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for _ in range(FORGED):
                raw.sendto(whole, (pair.hosts[0].address, 0))

    in_child(sending)
    counted = pair.host.inside(inside, "nft -j list chain inet t c; nft delete table inet t")
    return int(counted.split('"packets": ')[1].split(",")[0])


def ipv4(source: str, target: str, protocol: int, payload: bytes) -> bytes:
    """A packet; raw sockets fill its check sum in, and inside a tunnel it is written here."""
    ends = ip_address(source).packed + ip_address(target).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + ends
    total = sum(struct.unpack("!10H", head))
    folded = (total & 0xFFFF) + (total >> 16)
    checked = ~((folded & 0xFFFF) + (folded >> 16)) & 0xFFFF
    return head[:10] + struct.pack("!H", checked) + head[12:] + payload


def mac(text: str) -> bytes:
    """A MAC address as it travels."""
    return bytes.fromhex(text.replace(":", ""))


@needs_esp
def test_only_sealed_packets_travel() -> None:
    """Nothing without keys; with them ESP alone; what is forged in the clear is dropped."""

    async def scenario(host: PrivateHost) -> None:
        before = shell("nft list ruleset")
        pair = Pair(host, encrypted="")
        with seen_on_the_wire() as silent:
            pair.shout()
            assert not pair.meet()
        assert not silent
        for number in (0, 1):
            pair.seal(number, OLD)
        with seen_on_the_wire() as seen:
            assert pair.meet()
            pair.shout()
        assert {protocol for protocol, _port in seen} == {ESP}
        assert seen[ESP, 0] > FORGED
        assert (forged(pair, SEALED_PORT), forged(pair, PORT)) == (0, 0)
        assert "mtu 1410" in host.inside(pair.one.namespace, "ip link show eth0")
        host.inside(pair.one.namespace, f"busybox ping -c 1 -s 4000 {pair.two.endpoint.address}")
        for each, part in zip(pair.hosts, pair.parts, strict=False):
            each.take_down(part)
            each.inside(sealing.unseal)
            assert "sealed" not in each.shell("nft list ruleset")
            assert each.shell("ip xfrm state; ip xfrm policy") == ""
        assert shell("nft list ruleset") == before

    run(scenario)


FLUSHED = {
    "the packet filter": "nft flush ruleset",
    "the policies": "ip xfrm policy flush; ip xfrm state flush",
}


@needs_esp
@pytest.mark.parametrize("loss", FLUSHED)
def test_each_guard_is_enough(loss: str) -> None:
    """When somebody flushes one of the two, nothing leaves in the clear and nothing comes in."""

    async def scenario(host: PrivateHost) -> None:
        pair = sealed_pair(host)
        for each in pair.hosts[:2]:
            each.shell(FLUSHED[loss])
        with seen_on_the_wire() as seen:
            pair.shout()
        assert {protocol for protocol, _port in seen} <= {ESP}
        assert forged(pair, SEALED_PORT) == 0

    run(scenario)


@needs_esp
def test_without_guards_it_would_be_seen() -> None:
    """The mutants: with neither guard everything passes in the clear, out and in."""

    async def scenario(host: PrivateHost) -> None:
        pair = sealed_pair(host)
        for each in pair.hosts[:2]:
            each.shell("; ".join(FLUSHED.values()))
        with seen_on_the_wire() as seen:
            pair.shout()
        assert seen[UDP, SEALED_PORT] >= FORGED
        assert forged(pair, SEALED_PORT) == FORGED

    run(scenario)


@needs_esp
def test_keys_change_without_a_loss() -> None:
    """In three steps, whichever host takes each first; a host that has missed it is not heard."""

    async def scenario(host: PrivateHost) -> None:
        pair = sealed_pair(host)
        for keys in ((OLD, NEW), (NEW, OLD), (NEW,)):
            for number in (0, 1):
                pair.seal(number, *keys)
                assert pair.meet(), (keys, number)
        assert pair.hosts[0].shell("ip xfrm state | grep -c ^src").strip() == "2"
        pair.seal(0, OLD)
        assert not pair.meet()

    run(scenario)


def sealed_pair(host: PrivateHost) -> Pair:
    """Two hosts that have the old key."""
    pair = Pair(host, encrypted="true")
    for number in (0, 1):
        pair.seal(number, OLD)
    assert pair.meet()
    return pair


def test_an_engine_seals_or_says_why_not() -> None:
    """Peers and keys come from whoever knows them; nothing is left; a kernel without is named."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        looking = "ip -o link | cut -d: -f2; nft list ruleset; ip xfrm policy"
        before = shell(looking)
        request = NetworkRequest(name="over", ranges=(SUBNET,), options={"encrypted": ""})
        place = OverlayPlace(vni=300, local="203.0.113.1")
        if not has_esp():
            with pytest.raises(HostLacks) as refused:
                await networks.create_overlay(request, place)
            assert "ESP" in refused.value.missing
            assert shell(looking) == before
            await networks.remove_everything()
            return
        network = await networks.create_overlay(request, place)
        for bad in ((), (OLD, OLD), (OverlayKey(3, b"short"),)):
            with pytest.raises(InvalidValue):
                await networks.set_keys(bad)
        await networks.set_keys((OLD,))
        peer = Peer(addresses=("10.77.0.9",), mac_address="02:42:0a:4d:00:09", host="203.0.113.9")
        await networks.set_peers(network, (peer,))
        assert shell("ip xfrm state").count("src 203.0.113.") == 2
        assert shell("ip xfrm policy").count("action block") == 2
        shell("nft flush ruleset")
        await networks.close()
        again = host.networks()
        await again.open()
        assert "sealed-out" in shell("nft list ruleset")
        await again.remove(network)
        assert shell(looking) == before
        await again.remove_everything()

    run(scenario)
