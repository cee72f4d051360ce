"""Chapter 8 of the course: networks, names and addresses, with a counter in a real redis."""

import json
import re
from collections import Counter

import pytest

from support.builds import build, classic_build
from support.daemon import Engine
from support.terminal import Terminal
from support.waiting import wait_until

NOBODY_ELSE = ("--dns", "127.0.0.1")
"""A name server that is not there says so at once; the machines of tests have no other."""


def make(engine: Engine, *names: str) -> None:
    """Networks."""
    for name in names:
        assert re.fullmatch("[0-9a-f]{64}", engine.docker_ok("network", "create", name))


def search(engine: Engine, name: str, network: str, *flags: str) -> str:
    """A document store that answers; its address there."""
    engine.docker_ok("run", "-d", "--name", name, "--net", network, *flags, "elasticsearch:2")
    wait_until(
        "it listens", lambda: "9200" in engine.docker("exec", name, "netstat", "-ltn").stdout
    )
    return address(engine, name, network)


def address(engine: Engine, name: str, network: str) -> str:
    """Where a container is."""
    return str(engine.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"])


def on(engine: Engine, network: str, *command: str) -> str:
    """What a command in a passing container on a network says, on either stream."""
    ran = engine.docker("run", "--rm", "--net", network, *NOBODY_ELSE, "alpine", *command)
    return ran.stdout + ran.stderr


def inside(engine: Engine, name: str, *command: str) -> str:
    """The same in a container that is there."""
    ran = engine.docker("exec", name, *command)
    return ran.stdout + ran.stderr


def looked_up(text: str) -> set[str]:
    """The addresses in what nslookup says of a name, without its server's."""
    answer = text.partition("Name:")[2]
    return set(re.findall(r"Address[ \d]*: (\d+\.\d+\.\d+\.\d+)", answer))


@pytest.mark.slide("8.3", "8.4", "8.12", "8.31")
def test_networks_are_listed(services: Engine) -> None:
    """The three that every engine has, and one's own; each with a subnet."""
    make(services, "dev")
    lines = services.docker_ok("network", "ls").splitlines()
    assert lines[0].split() == ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"]
    listed = {tuple(line.split()[1:]) for line in lines[1:]}
    assert listed >= {("bridge", "bridge", "local"), ("none", "null", "local"),
                      ("host", "host", "local"), ("dev", "bridge", "local")}  # fmt: skip
    (shown,) = json.loads(services.docker_ok("network", "inspect", "dev"))
    assert shown["IPAM"]["Config"][0]["Subnet"]


@pytest.mark.slide("8.5", "8.13", "8.14", "8.15")
def test_a_name_is_resolved_and_answers(services: Engine) -> None:
    """`ping es`, from a terminal as the slide has it; the name is the resolver's, not a file's."""
    make(services, "dev")
    place = search(services, "es", "dev")
    command = ("docker", "run", "-ti", "--rm", "--net", "dev", "alpine", "sh")
    with Terminal(command, services.environment) as shell:
        shell.expect("/ # ")
        shell.type("ping -c 3 es\n")
        shell.expect(rf"PING es \({place}\): 56 data bytes")
        shell.expect(f"64 bytes from {place}: seq=2 ttl=64")
        shell.expect("3 packets transmitted, 3 packets received, 0% packet loss")
        shell.type("grep -c es /etc/hosts; exit\n")
        shell.expect("/ # ")
    hosts = on(services, "dev", "cat", "/etc/hosts")
    assert place not in hosts
    assert "127.0.0.1\tlocalhost" in hosts


@pytest.mark.slide("8.16", "8.17", "8.18", "8.19", "8.20")
def test_the_counter_and_its_redis(services: Engine) -> None:
    """An error page first; with a redis under that alias, each visit is counted."""
    make(services, "dev")
    web = services.docker_ok(
        "run", "--net", "dev", "-d", "-P", *NOBODY_ELSE, "jpetazzo/trainingwheels"
    )
    last = services.docker_ok("ps", "-l", "--format", "{{.Ports}}")
    port = re.match(r"0\.0\.0\.0:(\d+)->5000/tcp", last)
    assert port, last

    def page() -> str:
        url = f"http://127.0.0.1:{port[1]}/cgi-bin/index.cgi"
        return services.machine.run("busybox", "wget", "-q", "-O-", url).stdout

    wait_until("it serves", lambda: "Error: nc: bad address 'redis'" in page())
    services.docker_ok("run", "--net", "dev", "--net-alias", "redis", "-d", "redis")
    wait_until("it counts", lambda: "visit" in page())
    first, second = (re.search(r"served by (\w+), visit (\d+)", page()) for _ in range(2))
    assert first
    assert second
    assert web.startswith(first[1])
    assert int(second[2]) == int(first[2]) + 1


@pytest.mark.slide("8.21", "8.23", "8.24", "8.25", "8.26", "8.27")
def test_aliases_are_of_one_network_and_of_many_containers(services: Engine) -> None:
    """`es` is one container on dev and two on prod; each of the two answers in turn."""
    make(services, "dev", "prod")
    one = search(services, "es", "dev")
    two = {search(services, f"prod-es-{each}", "prod", "--net-alias", "es") for each in (1, 2)}
    taken = services.docker("run", "-d", "--name", "es", "--net", "prod", "elasticsearch:2")
    assert "is already in use" in taken.stderr
    assert looked_up(on(services, "dev", "nslookup", "-type=a", "es")) == {one}
    assert looked_up(on(services, "prod", "nslookup", "-type=a", "es")) == two
    fetch = ("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do wget -qO- es:9200; done")
    names = {services.inspect(f"prod-es-{each}")["Config"]["Hostname"] for each in (1, 2)}
    said = Counter(re.findall(r'"name" : "(\w+)"', on(services, "prod", *fetch)))
    assert set(said) == names
    assert set(re.findall(r'"name" : "(\w+)"', on(services, "dev", *fetch))) == {
        services.inspect("es")["Config"]["Hostname"]
    }


@pytest.mark.slide("8.6", "8.22")
def test_networks_are_apart(services: Engine) -> None:
    """From elsewhere neither the name nor the address; a published port by way of the host."""
    make(services, "dev", "prod")
    place = search(services, "es", "dev", "-p", "19200:9200")
    for network in ("bridge", "prod"):
        assert "bad address 'es'" in on(services, network, "ping", "-c", "1", "es")
        assert "100% packet loss" in on(services, network, "ping", "-c", "1", "-W", "1", place)
    (shown,) = json.loads(services.docker_ok("network", "inspect", "prod"))
    host = shown["IPAM"]["Config"][0]["Gateway"]
    assert '"name"' in on(services, "prod", "wget", "-qO-", f"{host}:19200")


@pytest.mark.slide("8.6")
def test_a_container_on_both_is_a_router(services: Engine) -> None:
    """It forwards between two networks whose containers have a route to it."""
    make(services, "dev", "prod")
    place = search(services, "es", "dev", "--cap-add", "NET_ADMIN")
    services.docker_ok("run", "-d", "--name", "between", "--net", "dev", "--sysctl",
                       "net.ipv4.ip_forward=1", "alpine", "sleep", "99")  # fmt: skip
    services.docker_ok("network", "connect", "prod", "between")
    services.docker_ok("run", "-d", "--name", "far", "--net", "prod", "--cap-add", "NET_ADMIN",
                       "alpine", "sleep", "99")  # fmt: skip
    services.docker_ok("exec", "far", "ip", "route", "add", place, "via",
                       address(services, "between", "prod"))  # fmt: skip
    services.docker_ok("exec", "es", "ip", "route", "add", address(services, "far", "prod"), "via",
                       address(services, "between", "dev"))  # fmt: skip
    assert '"name"' in inside(services, "far", "wget", "-qO-", f"{place}:9200")


@pytest.mark.slide("8.29")
def test_options_of_a_network(services: Engine) -> None:
    """Subnet, range, gateway, reserved addresses; an internal one has no way out."""
    services.docker_ok(
        *("network", "create", "--subnet", "10.77.0.0/16", "--ip-range", "10.77.5.0/30"),
        *("--gateway", "10.77.5.1", "--aux-address", "printer=10.77.5.2", "plan"),
    )
    services.docker_ok("run", "-d", "--name", "first", "--net", "plan", "alpine", "sleep", "99")
    services.docker_ok("run", "-d", "--name", "second", "--net", "plan", "alpine", "sleep", "99")
    given = [address(services, name, "plan") for name in ("first", "second")]
    assert given == ["10.77.5.0", "10.77.5.3"]
    assert "default via 10.77.5.1" in inside(services, "first", "ip", "route")
    services.docker_ok("network", "create", "--internal", "closet")
    assert "default" not in on(services, "closet", "ip", "route")


@pytest.mark.slide("8.30")
def test_an_address_of_ones_own_choice(services: Engine) -> None:
    """Inside of the subnet, as the slide has it; outside it is refused."""
    services.docker_ok("network", "create", "--subnet", "10.66.0.0/16", "pubnet")
    services.docker_ok(
        "run", "--net", "pubnet", "--ip", "10.66.66.66", "-d", "--name", "web", "nginx"
    )
    assert address(services, "web", "pubnet") == "10.66.66.66"
    refused = services.docker("run", "--net", "pubnet", "--ip", "10.67.0.1", "-d", "nginx")
    assert refused.returncode == 125
    assert "10.67.0.1" in refused.stderr


@pytest.mark.slide("8.32", "8.34")
def test_drivers_that_are_not_here(services: Engine) -> None:
    """An overlay without a swarm, and a plugin that nobody runs: Docker's words."""
    overlay = services.docker("network", "create", "-d", "overlay", "far")
    assert "This node is not a swarm manager" in overlay.stderr
    plugin = services.docker("network", "create", "-d", "weave", "far")
    assert "could not find plugin weave in v1 plugin registry" in plugin.stderr


@pytest.mark.slide("8.36", "8.37", "8.38", "8.39", "8.40")
def test_connected_and_disconnected_while_it_runs(services: Engine) -> None:
    """Before: no such name. Then a second interface, and the name. Then neither."""
    make(services, "dev")
    place = search(services, "es", "dev")
    services.docker_ok("run", "-d", *NOBODY_ELSE, "alpine", "sleep", "99")
    found = services.docker_ok("ps", "-lq")
    assert services.docker_ok("exec", found, "cat", "/etc/hostname") == found
    assert "bad address 'es'" in inside(services, found, "ping", "-c", "1", "es")
    services.docker_ok("network", "connect", "dev", found)
    assert f"64 bytes from {place}: seq=0" in inside(services, found, "ping", "-c", "1", "es")
    told = inside(services, found, "ip", "a")
    for name, network in (("eth0", "bridge"), ("eth1", "dev")):
        assert re.search(
            rf"{name}@if\d+:.*?inet {address(services, found, network)}/16", told, re.S
        )
    services.docker_ok("network", "disconnect", "dev", found)
    assert "bad address 'es'" in inside(services, found, "ping", "-c", "1", "es")
    assert "100% packet loss" in inside(services, found, "ping", "-c", "1", "-W", "1", place)


@pytest.mark.slide("8.41", "8.42")
def test_names_and_their_networks(services: Engine) -> None:
    """On both networks: those of the first, or of the one that is named; and back."""
    make(services, "dev", "prod")
    dev, prod = (
        search(services, "es", "dev"),
        search(services, "other", "prod", "--net-alias", "es"),
    )
    services.docker_ok("run", "-d", "--name", "both", "--net", "prod", "--net-alias", "hello",
                       "alpine", "sleep", "99")  # fmt: skip
    services.docker_ok("network", "connect", "dev", "both")

    def asked(name: str) -> set[str]:
        return looked_up(inside(services, "both", "nslookup", "-type=a", name))

    assert asked("es") == {prod}
    assert (asked("es.dev"), asked("es.prod")) == ({dev}, {prod})
    own = address(services, "both", "prod")
    backwards = ".".join(reversed(own.split(".")))
    said = inside(services, "both", "nslookup", "-type=ptr", f"{backwards}.in-addr.arpa")
    assert "name = both.prod" in said


@pytest.mark.slide("8.43")
def test_a_build_on_a_network(services: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It reaches a repository of that network, or with `none` nobody."""
    make(services, "dev")
    search(services, "es", "dev")
    directory = tmp_path_factory.mktemp("built")
    (directory / "Dockerfile").write_text("FROM busybox\nRUN wget -O /package es:9200\n")
    build(services, directory, "fetched", "--network", "dev")
    assert '"name"' in services.docker_ok("run", "--rm", "fetched", "cat", "/package")
    alone = classic_build(services, directory, "--no-cache", "--network", "none", check=False)
    assert alone.returncode != 0
    assert "bad address" in alone.stdout + alone.stderr
    services.docker_ok("rmi", "fetched")
