"""Networks that users make: apart from each other, joined and left, of both families."""

import json
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _no_networks_after(engine: Engine) -> Iterator[None]:
    """Only the engine's own networks are left."""
    yield
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")
    engine.docker("network", "rm", "-f", "pattern")


def address(engine: Engine, container: str, network: str, family: str = "IPAddress") -> str:
    """Where a container is on a network."""
    return str(engine.inspect(container)["NetworkSettings"]["Networks"][network][family])


def reaches(engine: Engine, container: str, target: str) -> bool:
    """Whether a ping from a container is answered."""
    six = ("-6",) if ":" in target else ()
    words = ("exec", container, "ping", *six, "-c", "1", "-W", "1", target)
    return engine.docker(*words).returncode == 0


def sleeper(engine: Engine, name: str, *flags: str) -> str:
    """A container that is there."""
    return engine.docker_ok("run", "-d", "--name", name, *flags, "busybox", "sleep", "1000")


def test_made_listed_inspected_removed(engine: Engine) -> None:
    """With what was asked for, and with Docker's defaults for the rest."""
    identity = engine.docker_ok("network", "create", "--label", "a=b", "blue")
    assert len(identity) == 64
    assert "blue" in engine.docker_ok("network", "ls", "--filter", "label=a=b")
    (shown,) = json.loads(engine.docker_ok("network", "inspect", "blue"))
    assert (shown["Driver"], shown["Scope"], shown["Internal"]) == ("bridge", "local", False)
    (pool,) = shown["IPAM"]["Config"]
    assert pool["Gateway"].endswith(".1")
    assert engine.docker_ok("network", "rm", "blue") == "blue"
    gone = engine.docker("network", "inspect", "blue")
    assert "network blue not found" in gone.stderr


def test_containers_meet_on_a_network_and_nowhere_else(engine: Engine) -> None:
    """Two networks are apart in both directions, and from the default one."""
    for name in ("blue", "red"):
        engine.docker_ok("network", "create", name)
    for name, network in (("b1", "blue"), ("b2", "blue"), ("r1", "red")):
        sleeper(engine, name, "--network", network)
    sleeper(engine, "d1")
    places = {name: address(engine, name, network)
              for name, network in (("b1", "blue"), ("b2", "blue"), ("r1", "red"),
                                    ("d1", "bridge"))}  # fmt: skip
    assert reaches(engine, "b1", places["b2"])
    for source, target in (("b1", "r1"), ("r1", "b1"), ("b1", "d1"), ("d1", "r1")):
        assert not reaches(engine, source, places[target]), f"{source} reaches {target}"


def test_connect_and_disconnect_while_running(engine: Engine) -> None:
    """A second interface comes and goes; the default route follows."""
    engine.docker_ok("network", "create", "blue")
    engine.docker_ok("network", "create", "amber")
    sleeper(engine, "peer", "--network", "blue")
    sleeper(engine, "both", "--network", "amber")
    target = address(engine, "peer", "blue")
    assert not reaches(engine, "both", target)
    engine.docker_ok("network", "connect", "--alias", "me", "blue", "both")
    assert reaches(engine, "both", target)
    assert "eth1" in engine.docker_ok("exec", "both", "ip", "-o", "addr")
    networks = engine.inspect("both")["NetworkSettings"]["Networks"]
    assert networks["blue"]["Aliases"] == ["me"]
    assert "me" in networks["blue"]["DNSNames"]
    again = engine.docker("network", "connect", "blue", "both")
    assert "endpoint with name both already exists in network blue" in again.stderr
    engine.docker_ok("network", "disconnect", "amber", "both")
    gateway = networks["blue"]["Gateway"]
    assert f"default via {gateway}" in engine.docker_ok("exec", "both", "ip", "route")
    engine.docker_ok("network", "disconnect", "blue", "both")
    assert engine.inspect("both")["NetworkSettings"]["Networks"] == {}
    assert "eth" not in engine.docker_ok("exec", "both", "ip", "-o", "addr")


def test_published_ports_follow_the_way_out(engine: Engine) -> None:
    """A port is reached over the network that leads to the world, whichever that is now."""
    for name in ("blue", "amber"):
        engine.docker_ok("network", "create", name)
    page = "mkdir /w; echo page >/w/index.html; exec httpd -f -p 80 -h /w"
    engine.docker_ok("run", "-d", "--name", "web", "-p", "8081:80", "--network", "blue",
                     "busybox", "sh", "-c", page)  # fmt: skip

    def fetched() -> bool:
        return (
            engine.machine.run("curl", "-sf", "-m", "5", "http://127.0.0.1:8081/").returncode == 0
        )

    wait_until("the page is served", fetched)
    engine.docker_ok("network", "connect", "amber", "web")
    engine.docker_ok("network", "disconnect", "blue", "web")
    assert fetched()


def test_static_addresses_stay(engine: Engine) -> None:
    """Of a subnet that the user named; over stop and start; nobody else gets one."""
    engine.docker_ok("network", "create", "--subnet", "10.77.0.0/24", "--ip-range",
                     "10.77.0.128/25", "--gateway", "10.77.0.254", "own")  # fmt: skip
    sleeper(engine, "fixed", "--network", "own", "--ip", "10.77.0.9")
    assert address(engine, "fixed", "own") == "10.77.0.9"
    sleeper(engine, "free", "--network", "own")
    assert address(engine, "free", "own") == "10.77.0.128"
    taken = engine.docker("run", "--network", "own", "--ip", "10.77.0.9", "busybox", "true")
    assert taken.returncode == 125
    assert "Address already in use" in taken.stderr
    engine.docker_ok("stop", "-t", "0", "fixed")
    engine.docker_ok("start", "fixed")
    assert address(engine, "fixed", "own") == "10.77.0.9"
    assert "default via 10.77.0.254" in engine.docker_ok("exec", "fixed", "ip", "route")


def test_an_internal_network_leads_nowhere(engine: Engine) -> None:
    """Its containers meet; there is no default route."""
    engine.docker_ok("network", "create", "--internal", "inner")
    sleeper(engine, "one", "--network", "inner")
    sleeper(engine, "two", "--network", "inner")
    assert reaches(engine, "one", address(engine, "two", "inner"))
    assert "default" not in engine.docker_ok("exec", "one", "ip", "route")


def test_neighbours_that_must_not_meet(engine: Engine) -> None:
    """`enable_icc=false`: the gateway is reached, the neighbour is not."""
    engine.docker_ok("network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "x")
    sleeper(engine, "one", "--network", "x")
    sleeper(engine, "two", "--network", "x")
    gateway = engine.inspect("one")["NetworkSettings"]["Networks"]["x"]["Gateway"]
    assert reaches(engine, "one", gateway)
    assert not reaches(engine, "one", address(engine, "two", "x"))


def test_both_families(engine: Engine) -> None:
    """An IPv6 subnet of the engine's own, and one that the user named."""
    engine.docker_ok("network", "create", "--ipv6", "six")
    engine.docker_ok("network", "create", "--ipv6", "--subnet", "fd00:77::/64", "named")
    for network in ("six", "named"):
        for name in ("a", "b"):
            sleeper(engine, f"{name}-{network}", "--network", network)
        target = address(engine, f"b-{network}", network, "GlobalIPv6Address")
        assert reaches(engine, f"a-{network}", target)
        assert reaches(engine, f"a-{network}", address(engine, f"b-{network}", network))
    assert address(engine, "a-named", "named", "GlobalIPv6Address").startswith("fd00:77::")
    sleeper(engine, "mine", "--network", "named", "--ip6", "fd00:77::77")
    assert address(engine, "mine", "named", "GlobalIPv6Address") == "fd00:77::77"
    assert reaches(engine, "a-named", "fd00:77::77")
    sleeper(engine, "plain", "--network", "bridge")
    assert "inet6" not in engine.docker_ok("exec", "plain", "ip", "-o", "addr", "show", "eth0")


def test_link_local_addresses(engine: Engine) -> None:
    """Besides the others, at a start, a restart and a connection; told by inspect."""
    engine.docker_ok("network", "create", "blue")
    engine.docker_ok("network", "create", "red")
    wanted = ("169.254.8.8", "fe80::8:8")
    flags = [word for each in wanted for word in ("--link-local-ip", each)]
    sleeper(engine, "far", "--network", "blue", *flags)
    sleeper(engine, "near", "--network", "blue", "--link-local-ip", "169.254.8.9")
    assert reaches(engine, "near", "169.254.8.8")

    def at(interface: str) -> set[str]:
        shown = engine.docker_ok("exec", "far", "ip", "-o", "addr", "show", "dev", interface)
        return {line.split()[3] for line in shown.splitlines()}

    both = {"169.254.8.8/16", "fe80::8:8/64"}
    assert both < at("eth0")
    engine.docker_ok("restart", "-t", "0", "far")
    assert both < at("eth0")
    config = engine.inspect("far")["NetworkSettings"]["Networks"]["blue"]["IPAMConfig"]
    assert config["LinkLocalIPs"] == list(wanted)
    engine.docker_ok("network", "connect", "--link-local-ip", "169.254.9.9", "red", "far")
    assert "169.254.9.9/16" in at("eth1")
    for bad in ("10.0.0.1", "somewhere"):
        ran = engine.docker("run", "--network", "blue", "--link-local-ip", bad, "busybox", "true")
        assert ran.returncode == 125
        assert f"invalid link-local IP address: {bad}" in ran.stderr


def test_ipv6_alone(engine: Engine) -> None:
    """No IPv4 at all inside; names, and ports of both of the host's families."""
    engine.docker_ok("network", "create", "--ipv4=false", "--ipv6", "six")
    page = "mkdir /w; echo page >/w/index.html; exec httpd -f -p [::]:80 -h /w"
    engine.docker_ok("run", "-d", "--name", "web", "-p", "8086:80", "--network", "six",
                     "busybox", "sh", "-c", page)  # fmt: skip
    shown = engine.inspect("web")["NetworkSettings"]["Networks"]["six"]
    assert (shown["IPAddress"], shown["Gateway"]) == ("", "")
    assert shown["GlobalIPv6Address"].startswith("fd")
    inside = engine.docker_ok("exec", "web", "ip", "-o", "addr", "show", "eth0")
    assert "inet " not in inside
    sleeper(engine, "peer", "--network", "six")
    assert reaches(engine, "peer", shown["GlobalIPv6Address"])
    engine.docker_ok("exec", "peer", "wget", "-qO-", "http://web/")

    def fetched(host: str) -> bool:
        url = f"http://{host}:8086/"
        return engine.machine.run("curl", "-sf", "-m", "5", url).stdout == "page\n"

    for host in ("[::1]", "127.0.0.1", "198.51.100.2"):
        wait_until(f"the page is served at {host}", lambda host=host: fetched(host))  # type: ignore[misc]


def test_several_networks_at_once(engine: Engine) -> None:
    """`--network` twice, with a priority that decides the default route."""
    for name in ("alpha", "beta"):
        engine.docker_ok("network", "create", name)
    sleeper(engine, "cee", "--network", "name=beta", "--network", "name=alpha,gw-priority=1")
    networks = engine.inspect("cee")["NetworkSettings"]["Networks"]
    assert set(networks) == {"alpha", "beta"}
    route = engine.docker_ok("exec", "cee", "ip", "route")
    assert f"default via {networks['alpha']['Gateway']}" in route
    assert f"dev eth0 scope link  src {networks['beta']['IPAddress']}" in route


def test_each_family_has_its_own_way_out(engine: Engine) -> None:
    """IPv4 by one network and IPv6 by another; a priority moves both."""
    engine.docker_ok("network", "create", "four")
    engine.docker_ok("network", "create", "--ipv4=false", "--ipv6", "six")
    sleeper(engine, "cee", "--network", "four", "--network", "six")
    networks = engine.inspect("cee")["NetworkSettings"]["Networks"]
    ways = ("ip route; ip -6 route",)
    routes = engine.docker_ok("exec", "cee", "sh", "-c", *ways)
    assert f"default via {networks['four']['Gateway']} dev eth0" in routes
    assert f"default via {networks['six']['IPv6Gateway']} dev eth1" in routes
    engine.docker_ok("network", "create", "--ipv6", "both")
    engine.docker_ok("network", "connect", "--gw-priority", "1", "both", "cee")
    routes = engine.docker_ok("exec", "cee", "sh", "-c", *ways)
    assert routes.count("default via") == routes.count("dev eth2  metric 1024") + 1 == 2
    engine.docker_ok("network", "disconnect", "both", "cee")
    routes = engine.docker_ok("exec", "cee", "sh", "-c", *ways)
    assert f"default via {networks['four']['Gateway']} dev eth0" in routes
    assert f"default via {networks['six']['IPv6Gateway']} dev eth1" in routes


def test_networks_outlive_the_daemon(engine: Engine) -> None:
    """Records, bridges and containers are as they were; addresses are not given twice."""
    engine.docker_ok("network", "create", "blue")
    sleeper(engine, "one", "--network", "blue")
    first = address(engine, "one", "blue")
    engine.kill9()
    engine.start()
    sleeper(engine, "two", "--network", "blue")
    assert address(engine, "two", "blue") != first == address(engine, "one", "blue")
    assert reaches(engine, "two", first)


def kept(engine: Engine) -> str:
    """The machine's links, addresses, namespaces and packet filter, and the engine's networks."""
    looking = "ls /sys/class/net; ip -o -4 address; nft list ruleset; grep -c nsfs /proc/mounts"
    return engine.machine.run("sh", "-c", looking).stdout + engine.docker_ok("network", "ls")


REFUSALS = (
    (("network", "create", "bridge"),
     "operation is not permitted on predefined bridge network"),
    (("network", "rm", "host"), "host is a pre-defined network and cannot be removed"),
    (("network", "create", "taken"), "network with name taken already exists"),
    (("network", "create", "--subnet", "10.66.0.0/24", "x"),
     "Pool overlaps with other one on this address space"),
    (("network", "create", "--subnet", "10.67.0.0/33", "x"), "invalid subnet 10.67.0.0/33"),
    (("network", "create", "--subnet", "10.67.0.0/24", "--gateway", "10.68.0.1", "x"),
     "10.68.0.1"),
    (("network", "create", "-d", "overlay", "x"), "This node is not a swarm manager"),
    (("network", "create", "-d", "nope", "x"), "plugin"),
    (("network", "create", "a b"), "only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed"),
    (("network", "connect", "nope", "holder"), "network nope not found"),
    (("network", "connect", "taken", "nope"), "No such container: nope"),
    (("network", "connect", "host", "holder"),
     "container cannot be connected to host network"),
    (("network", "disconnect", "bridge", "holder"), "is not connected to network bridge"),
    (("network", "rm", "taken"), "network taken has active endpoints (name:\"holder\""),
    (("run", "--ip", "172.17.0.9", "busybox", "true"),
     "user specified IP address is supported on user defined networks only"),
    (("run", "--network-alias", "x", "busybox", "true"),
     "network-scoped aliases are only supported for user-defined networks"),
    (("run", "--network", "nope", "busybox", "true"), "network nope not found"),
    (("run", "--network", "taken", "--ip", "10.67.0.9", "busybox", "true"),
     "no configured subnet or ip-range contain the IP address 10.67.0.9"),
    (("run", "--network", "taken", "--ip", "10.66.0", "busybox", "true"),
     "invalid IPv4 address: 10.66.0"),
    (("run", "--network", "taken", "--ip", "10.66.0.7", "busybox", "true"),
     "Address already in use"),
    (("run", "--network", "taken", "--ip", "10.66.0.1", "busybox", "true"),
     "Address already in use"),
    (("run", "--network", "taken", "--ip6", "fd00::1", "busybox", "true"),
     "only when connecting to networks with user configured subnets"),
    (("run", "--network", "taken", "--network-alias", "a\n10.0.0.1 evil", "busybox", "true"),
     "invalid network alias"),
    (("run", "--network", "pattern", "busybox", "true"),
     "cannot create endpoint on configuration-only network"),
    (("network", "create", "--config-from", "taken", "x"),
     'configuration network "taken" does not exist'),
    (("network", "create", "--config-only", "--internal", "x"),
     "configuration network can only contain network specific fields"),
    (("network", "rm", "pattern"), 'configuration network "pattern" is in use'),
    (("network", "create", "--ingress", "x"), "can only be global scope network"),
    (("network", "create", "--scope", "swarm", "x"), "This node is not a swarm manager"),
    (("network", "create", "--scope", "far", "x"), "invalid network scope: far"),
    (("network", "create", "--ipam-driver", "null", "x"), "ipv4 pool is empty"),
    (("network", "create", "--ipv4=false", "x"), "IPv4 or IPv6 must be enabled"),
    (("network", "create", "-d", "null", "x"),
     'only one instance of "null" network is allowed'),
)  # fmt: skip


def test_refusals(engine: Engine) -> None:
    """Docker's words, and nothing left behind."""
    engine.docker_ok("network", "create", "--subnet", "10.66.0.0/16", "taken")
    engine.docker_ok("network", "create", "--config-only", "--subnet", "10.65.0.0/16", "pattern")
    engine.docker_ok("network", "create", "--config-from", "pattern", "drawn")
    sleeper(engine, "holder", "--network", "taken", "--ip", "10.66.0.7")
    before = kept(engine)
    for words, told in REFUSALS:
        ran = engine.docker(*words)
        assert ran.returncode in (1, 125), f"{words}: {ran.stdout}"
        assert told in ran.stderr, words
        assert kept(engine) == before, words


def test_prune_takes_what_nobody_is_on(engine: Engine) -> None:
    """By label, and not what a running container uses."""
    for name in ("used", "unused", "kept"):
        engine.docker_ok("network", "create", "--label", f"is={name}", name)
    sleeper(engine, "cee", "--network", "used")
    pruned = engine.docker_ok("network", "prune", "-f", "--filter", "label!=is=kept")
    assert pruned.splitlines()[1:] == ["unused"]
    names = engine.docker_ok("network", "ls", "--format", "{{.Name}}").split()
    assert {"used", "kept"} < set(names)
    assert "unused" not in names


def test_options_of_an_endpoint(engine: Engine) -> None:
    """An interface of a chosen name, with sysctls of its own, at a start and by connecting."""
    prefix = "driver-opt=com.docker.network.endpoint"
    for name in ("blue", "red"):
        engine.docker_ok("network", "create", name)
    sleeper(
        engine, "cee", "--network",
        f"name=blue,{prefix}.ifname=sea0,{prefix}.sysctls=net.ipv4.conf.ifname.log_martians=1",
    )  # fmt: skip
    engine.docker_ok(
        "network", "connect", "--driver-opt", "com.docker.network.endpoint.ifname=fire0",
        "--driver-opt", "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1",
        "red", "cee",
    )  # fmt: skip
    for interface in ("sea0", "fire0"):
        name = f"/proc/sys/net/ipv4/conf/{interface}/log_martians"
        assert engine.docker_ok("exec", "cee", "cat", name) == "1"
    for option, told in (
        ("ifname=a/b", "invalid interface name"),
        ("sysctls=net.ipv4.ip_forward=1", "unrecognised network interface sysctl"),
    ):
        refused = engine.docker(
            "run", "--network", f"name=blue,{prefix}.{option}", "busybox", "true"
        )
        assert refused.returncode == 125
        assert told in refused.stderr
