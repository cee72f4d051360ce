"""Networks of other drivers than bridge, by the stock command line."""

import json
from collections.abc import Iterator

import pytest

from support.daemon import Engine

pytestmark = [pytest.mark.timeout(120), pytest.mark.stock_differs]


@pytest.fixture(autouse=True)
def _spare(engine: Engine) -> Iterator[str]:
    """A link of the host that leads to a neighbour at 192.0.2.1, which answers pings."""
    run = engine.machine.run
    made = run(
        "sh", "-ec",
        "ip netns add far; ip link add spare type veth peer name wire netns far;"
        "ip link set spare up; ip -n far address add 192.0.2.1/24 dev wire;"
        "ip -n far link set wire up; ip -n far link set lo up",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    yield "spare"
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")
    run("ip", "netns", "delete", "far")
    run("ip", "link", "delete", "spare")


def test_macvlan(engine: Engine) -> None:
    """An address of the LAN, the gateway that was named, names, a kill and a restart."""
    engine.docker_ok(
        "network", "create", "-d", "macvlan", "--subnet", "192.0.2.0/24", "--gateway",
        "192.0.2.1", "-o", "parent=spare", "lan",
    )  # fmt: skip
    for name, flags in (("one", ("--ip", "192.0.2.77")), ("two", ("-p", "8080:80"))):
        engine.docker_ok(
            "run", "-d", "--name", name, "--network", "lan", *flags, "busybox", "sleep", "1000"
        )
    (shown,) = json.loads(engine.docker_ok("network", "inspect", "lan"))
    assert (shown["Driver"], shown["Options"]) == ("macvlan", {"parent": "spare"})
    assert engine.inspect("two")["NetworkSettings"]["Networks"]["lan"]["Gateway"] == "192.0.2.1"
    engine.kill9()
    engine.start()
    for target in ("192.0.2.1", "192.0.2.77", "one"):
        engine.docker_ok("exec", "two", "ping", "-c", "1", "-W", "2", target)
    engine.docker_ok("restart", "-t", "0", "one")
    assert engine.inspect("one")["NetworkSettings"]["Networks"]["lan"]["IPAddress"] == "192.0.2.77"
    engine.docker_ok("exec", "one", "ping", "-c", "1", "-W", "2", "two")
    taken = engine.docker("run", "--network", "lan", "--ip", "192.0.2.77", "busybox", "true")
    assert "Address already in use" in taken.stderr


def test_an_internal_macvlan_has_no_way_out(engine: Engine) -> None:
    """Its gateway is not used."""
    engine.docker_ok(
        "network", "create", "-d", "macvlan", "--internal", "--subnet", "192.0.2.0/24",
        "--gateway", "192.0.2.1", "-o", "parent=spare", "lan",
    )  # fmt: skip
    route = engine.docker_ok("run", "--rm", "--network", "lan", "busybox", "ip", "route")
    assert "default" not in route
