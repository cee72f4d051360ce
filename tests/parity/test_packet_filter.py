"""The engine's table of the packet filter stays whole, whoever takes a part of it away."""

import re
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.waiting import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.stock_differs]


@pytest.fixture(autouse=True)
def _no_networks_after(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")


def ruleset(engine: Engine) -> list[str]:
    """Every line of the filter in no certain order, which is the kernel's."""
    return sorted(engine.machine.run("nft", "list", "ruleset").stdout.splitlines())


def table_of(engine: Engine) -> str:
    """The name of the engine's table."""
    found = re.findall(r"table inet (wherry-\S+)", "\n".join(ruleset(engine)))
    return str(found[0])


@pytest.mark.parametrize(
    "loss",
    [
        "flush ruleset",
        "delete table inet {table}",
        "flush chain inet {table} forward",
        "flush chain inet {table} martians",
        "flush table inet {table}",
    ],
)
def test_what_is_taken_away_comes_back(engine: Engine, loss: str) -> None:
    """Rules, sets and published ports, without any container starting or ending."""
    engine.docker_ok("network", "create", "blue")
    engine.docker_ok(
        "run", "-d", "--name", "web", "--network", "blue", "-p", "18080:80", "busybox", "sleep",
        "1000",
    )  # fmt: skip
    whole, table = ruleset(engine), table_of(engine)
    engine.machine.run("nft", loss.format(table=table))
    wait_until("the filter is whole", lambda: ruleset(engine) == whole)


def test_rules_of_the_operator_are_left_alone(engine: Engine) -> None:
    """A rule in the chain `user` outlives repairs, and its removal is none."""
    table = table_of(engine)
    engine.machine.run("nft", "add", "rule", "inet", table, "user", "tcp", "dport", "9", "drop")
    engine.machine.run("nft", "flush", "chain", "inet", table, "forward")
    wait_until("the chain is back", lambda: "@within accept" in str(ruleset(engine)))
    assert "tcp dport 9 drop" in str(ruleset(engine))
    engine.machine.run("nft", "flush", "chain", "inet", table, "user")
    assert "tcp dport 9 drop" not in str(ruleset(engine))


def test_a_loss_while_no_daemon_runs(engine: Engine) -> None:
    """The next daemon finds it before it serves anybody."""
    engine.docker_ok("network", "create", "blue")
    engine.docker_ok("run", "-d", "--network", "blue", "-p", "18080:80", "busybox", "sleep", "99")
    whole = ruleset(engine)
    engine.kill9()
    engine.machine.run("nft", "flush", "ruleset")
    engine.start()
    assert ruleset(engine) == whole


def elements_of(engine: Engine, name: str) -> str:
    """What is in one set of the engine's table."""
    return engine.machine.run("nft", "list", "set", "inet", table_of(engine), name).stdout


@pytest.mark.parametrize(
    ("modes", "masqueraded", "open_"),
    [
        ({}, {4, 6}, set()),
        ({4: "routed"}, {6}, set()),
        ({6: "routed"}, {4}, set()),
        ({4: "nat-unprotected"}, {4, 6}, {4}),
        ({4: "nat", 6: "nat-unprotected"}, {4, 6}, {6}),
    ],
)
def test_gateway_modes_of_each_family(
    engine: Engine, modes: dict[int, str], masqueraded: set[int], open_: set[int]
) -> None:
    """One family's mode says nothing about the other's."""
    subnets = {4: "10.92.0.0/24", 6: "fd00:92::/64"}
    flags = [
        word
        for version, mode in modes.items()
        for word in ("-o", f"com.docker.network.bridge.gateway_mode_ipv{version}={mode}")
    ]
    engine.docker_ok(
        "network", "create", "--ipv6", "--subnet", subnets[4], "--subnet", subnets[6], *flags, "x"
    )
    for version, subnet in subnets.items():
        is_masqueraded = subnet in elements_of(engine, f"masqueraded{version}")
        assert is_masqueraded is (version in masqueraded)
        assert (subnet in elements_of(engine, f"open{version}")) is (version in open_)


def test_host_bindings_of_each_family(engine: Engine) -> None:
    """Ports without an address are published on the network's addresses alone."""
    prefix = "com.docker.network.bridge.host_binding_ipv"
    engine.docker_ok(
        "network", "create", "--ipv6", "-o", f"{prefix}4=127.0.0.2", "-o", f"{prefix}6=::1", "x"
    )
    engine.docker_ok(
        "run", "-d", "--name", "web", "--network", "x", "-p", "18081:80", "busybox", "sleep", "99"
    )
    shown = engine.docker_ok("port", "web").splitlines()
    assert shown == ["80/tcp -> 127.0.0.2:18081", "80/tcp -> [::1]:18081"]
    refused = engine.docker("network", "create", "-o", f"{prefix}4=::1", "y")
    assert "(not an IPv4 address)" in refused.stderr
