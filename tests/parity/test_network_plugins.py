"""Networks and addresses of a plugin: another process that speaks Docker's plugin protocol."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.plugged_networks import FAR, calls, links, plugged

pytestmark = [pytest.mark.timeout(120), pytest.mark.stock_differs]


@pytest.fixture
def plug(engine: Engine) -> Iterator[Path]:
    """The directory of a plugin."""
    with plugged(engine) as directory:
        yield directory


def test_a_network_of_a_plugin(engine: Engine, plug: Path) -> None:
    """The plugin's link is in the container, with its name, routes and addresses; then gone."""
    before = links(engine)
    engine.docker_ok(*FAR)
    assert calls(plug) == [
        "GetCapabilities",
        "GetCapabilities",
        "GetDefaultAddressSpaces",
        "RequestPool",
        "RequestAddress",
        "CreateNetwork",
    ]
    run = ("run", "-d", "--network", "far")
    for name in ("one", "two"):
        engine.docker_ok(*run, "--name", name, "busybox", "sleep", "1000")
    assert calls(plug)[:3] == ["RequestAddress", "CreateEndpoint", "Join"]
    shown = engine.inspect("two")["NetworkSettings"]["Networks"]["far"]
    assert (shown["IPAddress"], shown["Gateway"]) == ("10.88.0.21", "10.88.0.1")
    assert shown["MacAddress"] == "02:99:00:00:00:01"
    inside = engine.docker_ok("exec", "one", "sh", "-c", "ip -o addr show; ip route")
    for words in ("plug0    inet 10.88.0.20/24", "default via 10.88.0.1 dev plug0",
                  "192.0.2.0/24 via 10.88.0.1", "198.18.0.0/16 dev plug0"):  # fmt: skip
        assert words in inside
    engine.docker_ok("exec", "one", "ping", "-c", "1", "-W", "2", "10.88.0.1")
    engine.docker_ok("exec", "one", "nslookup", "two")
    taken = engine.docker(*run, "--ip", "10.88.0.20", "busybox", "true")
    assert taken.returncode == 125
    engine.kill9()
    engine.start()
    calls(plug)
    engine.docker_ok("rm", "-f", "one", "two")
    told = calls(plug)
    assert told.count("Leave") == told.count("DeleteEndpoint") == 2
    assert "ReleaseAddress 10.88.0.20" in told
    engine.docker_ok("network", "rm", "far")
    assert calls(plug) == ["DeleteNetwork", "ReleaseAddress 10.88.0.1", "ReleasePool"]
    assert links(engine) == before


def test_an_end_while_no_daemon_ran(engine: Engine, plug: Path) -> None:
    """The plugin is told at the next start, and the address is free."""
    engine.docker_ok(*FAR)
    before = links(engine)
    engine.docker_ok("run", "-d", "--network", "far", "--name", "one", "busybox", "sleep", "1000")
    pid = str(engine.inspect("one")["State"]["Pid"])
    engine.kill9()
    engine.machine.run("kill", "-9", pid)
    calls(plug)
    engine.start()
    told = calls(plug)
    assert told == ["Leave", "DeleteEndpoint", "ReleaseAddress 10.88.0.20"]
    assert links(engine) == before


def test_connecting_to_it_and_leaving_it(engine: Engine, plug: Path) -> None:
    """A link of the plugin's comes and goes while the container runs."""
    engine.docker_ok("network", "create", "-d", "plug", "--subnet", "10.89.0.0/24", "far")
    engine.docker_ok("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    before = links(engine)
    engine.docker_ok("network", "connect", "far", "one")
    assert "plug0" in engine.docker_ok("exec", "one", "ip", "-o", "link")
    engine.docker_ok("network", "disconnect", "far", "one")
    assert "plug0" not in engine.docker_ok("exec", "one", "ip", "-o", "link")
    assert links(engine) == before


def test_addresses_of_a_plugin_on_a_bridge_of_ours(engine: Engine, plug: Path) -> None:
    """The two kinds of plugin are apart."""
    engine.docker_ok(
        "network", "create", "--ipam-driver", "plug", "--subnet", "10.90.0.0/24", "--gateway",
        "10.90.0.9", "mixed",
    )  # fmt: skip
    assert "RequestPool 10.90.0.0/24" in calls(plug)
    run = ("run", "--rm", "--network", "mixed", "--ip", "10.90.0.77", "busybox")
    assert "default via 10.90.0.9" in engine.docker_ok(*run, "ip", "route")
    assert "ReleaseAddress 10.90.0.77" in calls(plug)
    with_taken = engine.docker(*run[:4], "--ip", "10.90.0.9", "busybox", "true")
    assert "10.90.0.9 is somebody's" in with_taken.stderr


def test_a_plugin_that_brings_the_addresses(engine: Engine, plug: Path) -> None:
    """With the IPAM driver null: nobody gives them out, and the plugin says what it has chosen."""
    made = ("network", "create", "-d", "plug", "--ipam-driver", "null")
    with_subnet = engine.docker(*made, "--subnet", "10.9.0.0/24", "far")
    assert "null ipam driver does not handle specific address pool requests" in with_subnet.stderr
    engine.docker_ok(*made, "far")
    shown = engine.docker_ok("network", "inspect", "-f", "{{.Scope}} {{.IPAM.Driver}}", "far")
    assert shown.strip() == "global null"
    run = ("run", "--rm", "--network", "far", "busybox")
    assert "inet 10.88.0.200/24" in engine.docker_ok(*run, "ip", "address", "show", "dev", "plug0")
    engine.docker_ok(*run, "ping", "-c1", "10.88.0.1")
    engine.docker_ok("network", "rm", "far")
    told = calls(plug)
    assert not [each for each in told if each.startswith(("Request", "Release"))]
    assert told[-3:] == ["Leave", "DeleteEndpoint", "DeleteNetwork"]


def test_ports_are_the_plugins_affair(engine: Engine, plug: Path) -> None:
    """It is told what a container publishes, and when that ends; what it refuses is no start."""
    engine.docker_ok(*FAR)
    calls(plug)
    run = ("run", "--rm", "--network", "far")
    engine.docker_ok(*run, "-p", "8085:80", "busybox", "true")
    told = [each for each in calls(plug) if "Connectivity" in each]
    assert told == ["ProgramExternalConnectivity", "RevokeExternalConnectivity"]
    refused = engine.docker(*run, "-p", "8086:80", "busybox", "true")
    assert "not what was asked for" in refused.stderr
    assert calls(plug)[-3:] == ["Leave", "DeleteEndpoint", "ReleaseAddress 10.88.0.20"]
    engine.docker_ok(*run, "busybox", "true")
    assert not [each for each in calls(plug) if "Connectivity" in each]


def test_what_a_plugin_refuses(engine: Engine, plug: Path) -> None:
    """Its words reach the user, and nothing is left: no link, no address, no network."""
    engine.docker_ok(
        "network", "create", "-d", "plug", "--ipam-driver", "plug", "-o", "refuse=1", "far"
    )
    before = links(engine)
    calls(plug)
    ran = engine.docker("run", "--network", "far", "busybox", "true")
    assert ran.returncode == 125
    assert "nobody joins this one" in ran.stderr
    told = calls(plug)
    assert told[-2:] == ["DeleteEndpoint", "ReleaseAddress 10.88.0.20"]
    assert links(engine) == before


@pytest.mark.parametrize("flag", ["-d", "--ipam-driver"])
def test_a_plugin_that_is_not_there(engine: Engine, flag: str) -> None:
    """Docker's words; no network."""
    ran = engine.docker("network", "create", flag, "nobody", "far")
    assert "could not find plugin nobody in v1 plugin registry: plugin not found" in ran.stderr
    assert "far" not in engine.docker_ok("network", "ls")
