"""RELIABILITY N06 and N09: what an endpoint has not, and what is left of one."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.machine import call_in_namespace
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size

OF_IPV4 = "cat /proc/net/if_inet6; ip -6 route"
ALIVE_WITHIN_S = 1.0


@pytest.fixture(autouse=True)
def _nothing_after(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")


def test_no_ipv6_where_there_is_none(engine: Engine, figure: list[str]) -> None:
    """N06, CVE-2024-32473: not even a link-local address, however a container got its network."""
    seen, found = ipv6_found(engine)
    figure.append(f"{seen} looks, {len(found)} addresses and routes besides ::1")
    assert seen == 12
    assert not found


def ipv6_found(engine: Engine) -> tuple[int, list[str]]:
    """Looks, and addresses and routes of IPv6 in containers on networks of IPv4."""
    for name, *flags in (("plain",), ("inner", "--internal"), ("apart", "-o", f"{ICC}=false")):
        engine.docker_ok("network", "create", *flags, name)
    found, seen = [], 0

    def look(name: str) -> None:
        nonlocal seen
        seen += 1
        said = engine.docker_ok("exec", name, "sh", "-c", OF_IPV4).splitlines()
        found.extend(f"{name}: {line}" for line in said if not line.endswith(" lo"))

    for network in ("bridge", "plain", "inner", "apart"):
        name = f"on-{network}"
        engine.docker_ok("run", "-d", "--name", name, "--network", network, "--cap-add",
                         "NET_ADMIN", "busybox", "sleep", "1000")  # fmt: skip
        look(name)
        engine.docker_ok("restart", "-t", "0", name)
        look(name)
        other = "plain" if network != "plain" else "inner"
        engine.docker_ok("network", "connect", other, name)
        look(name)
    return seen, found


ICC = "com.docker.network.bridge.enable_icc"


def test_no_ipv6_mutant(figure: list[str]) -> None:
    """Without the switch in new namespaces, the kernel gives each link an address."""
    mutant = Mutant(
        "namespaces are as the kernel makes them",
        "shim/jobs.py",
        '        name="net/ipv6/conf/default/disable_ipv6",\n        value="1",',
        '        name="net/ipv6/conf/default/disable_ipv6",\n        value="0",',
    )
    with mutated_engine(mutant) as engine:
        seen, found = ipv6_found(engine)
    figure.append(f"killed: {mutant.name} ({len(found)} found in {seen} looks)")
    assert found


def test_udp_clients_find_the_new_container(engine: Engine, size: Size, figure: list[str]) -> None:
    """N09: one that keeps sending from its port is answered by the next container in time."""
    waits = replaced(engine, size.of(20, 4))
    figure.append(f"{len(waits)} replacements, longest silence {1000 * max(waits):.0f} ms")
    assert max(waits) < ALIVE_WITHIN_S


def replaced(engine: Engine, times: int) -> list[float]:
    """Seconds from the start of each new container to its first answer to an old client.

    Each has another address than the one before: that one's flow leads nowhere.
    """
    client = engine.machine.in_network(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with client:
        client.settimeout(0.02)
        client.connect(("127.0.0.1", 5353))
        waits = []
        for number in range(times):
            name = f"dns{number}"
            flags = ("-p", "5353:53/udp", "busybox", "sleep", "999")
            engine.docker_ok("run", "-d", "--name", name, *flags)
            with answering(engine, name):
                waits.append(silence(client, name))
            engine.docker_ok("rm", "-f", name)
            silence(client, "", within_s=0.2)  # a flow to nobody is tracked
            engine.docker_ok("run", "-d", "--name", f"filler{number}", "busybox", "sleep", "999")
    return waits


@contextlib.contextmanager
def answering(engine: Engine, name: str) -> Iterator[None]:
    """Tell a container's name to whoever asks its port 53."""
    namespace = os.open(f"/proc/{engine.container_pid(name)}/ns/net", os.O_RDONLY)
    is_over = threading.Event()
    try:
        server = call_in_namespace(
            namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        )
    finally:
        os.close(namespace)
    server.bind(("0.0.0.0", 53))
    server.settimeout(0.05)

    def serve() -> None:
        while not is_over.is_set():
            with contextlib.suppress(TimeoutError):
                server.sendto(name.encode(), server.recvfrom(100)[1])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        server.close()


def silence(client: socket.socket, name: str, *, within_s: float = 5) -> float:
    """Seconds until somebody of that name answers; all of them if nobody does."""
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < within_s:
        try:
            client.send(b"who\n")
            if client.recv(100).decode().strip() == name:
                return waited
        except OSError:
            continue
    return within_s


def test_udp_mutant(figure: list[str]) -> None:
    """With flows left as they are, the client goes on talking to an address that nobody has."""
    mutant = Mutant(
        "flows are kept",
        "operations/network/port_entries.py",
        "        conntrack.forget_udp_flows(descriptor, ports)",
        "        pass",
    )
    with mutated_engine(mutant) as engine:
        waits = replaced(engine, 3)
    figure.append(f"killed: {mutant.name} (longest silence over {max(waits):.0f} s)")
    assert max(waits) >= ALIVE_WITHIN_S
