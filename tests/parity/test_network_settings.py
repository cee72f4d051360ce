"""What the daemon is told about networks: the default bridge, and options of new networks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Engine
from support.machine import HOST_ADDRESS
from support.waiting import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.stock_differs]

_OPTION = "com.docker.network"
SETTINGS = {
    "bip": "10.55.0.1/16",
    "fixed-cidr": "10.55.7.0/24",
    "default-gateway": "10.55.0.9",
    "ipv6": True,
    "fixed-cidr-v6": "fd55::/64",
    "default-gateway-v6": "fd55::9",
    "icc": False,
    "ip": "127.0.0.2",
    "ip-masq": False,
    "mtu": 1333,
    "default-network-opts": {
        "bridge": {f"{_OPTION}.driver.mtu": "1444", f"{_OPTION}.enable_ipv6": "true"}
    },
}


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine whose default bridge is as a file says."""
    file = tmp_path_factory.mktemp("networks") / "daemon.json"
    file.write_text(json.dumps(SETTINGS))
    engine = Engine("--config-file", str(file))
    try:
        engine.start()
        engine.bootstrap()
        yield engine
    finally:
        engine.close()


def network(engine: Engine, name: str) -> dict[str, Any]:
    """What inspection shows of a network."""
    (shown,) = json.loads(engine.docker_ok("network", "inspect", name))
    return dict(shown)


def test_the_default_bridge_is_as_it_was_told(configured: Engine) -> None:
    """Addresses, routes, size of packets, where ports are published."""
    shown = network(configured, "bridge")
    assert shown["EnableIPv6"] is True
    assert shown["IPAM"]["Config"] == [
        {"Subnet": "10.55.0.0/16", "IPRange": "10.55.7.0/24", "Gateway": "10.55.0.1",
         "AuxiliaryAddresses": {"DefaultGatewayIPv4": "10.55.0.9"}},
        {"Subnet": "fd55::/64", "Gateway": "fd55::1",
         "AuxiliaryAddresses": {"DefaultGatewayIPv6": "fd55::9"}},
    ]  # fmt: skip
    assert shown["Options"][f"{_OPTION}.bridge.enable_icc"] == "false"
    assert shown["Options"][f"{_OPTION}.bridge.host_binding_ipv4"] == "127.0.0.2"
    assert shown["Options"][f"{_OPTION}.driver.mtu"] == "1333"
    name = shown["Options"][f"{_OPTION}.bridge.name"]
    bridge = configured.machine.run("ip", "-o", "address", "show", name).stdout
    assert "10.55.0.1/16" in bridge
    assert "fd55::1/64" in bridge


def test_containers_on_the_bridge_get_it(configured: Engine) -> None:
    """From the part of the subnet, with the gateways, apart from each other."""
    for each in ("one", "two"):
        publish = ("-p", "8080:80") if each == "one" else ()
        configured.docker_ok("run", "-d", "--name", each, *publish, "busybox", "sleep", "1000")
    try:
        shown = configured.inspect("one")["NetworkSettings"]
        assert shown["IPAddress"].startswith("10.55.7.")
        assert (shown["Gateway"], shown["IPv6Gateway"]) == ("10.55.0.9", "fd55::9")
        assert shown["GlobalIPv6Address"].startswith("fd55::")
        assert shown["Ports"]["80/tcp"] == [{"HostIp": "127.0.0.2", "HostPort": "8080"}]
        routes = configured.docker_ok("exec", "one", "ip", "route")
        assert "default via 10.55.0.9" in routes
        assert "default via fd55::9" in configured.docker_ok("exec", "one", "ip", "-6", "route")
        assert "mtu 1333" in configured.docker_ok("exec", "one", "ip", "link", "show", "eth0")
        other = configured.inspect("two")["NetworkSettings"]["IPAddress"]
        pinged = configured.docker("exec", "one", "ping", "-c", "1", "-W", "1", other)
        assert pinged.returncode != 0
        table = configured.machine.run("nft", "list", "ruleset").stdout
        assert "10.55.0.0/16" not in table.partition("set masqueraded4")[2].partition("}")[0]
    finally:
        configured.remove_all_containers()


def test_new_networks_have_the_daemons_options(configured: Engine) -> None:
    """Unless they say otherwise themselves."""
    try:
        configured.docker_ok("network", "create", "plain")
        configured.docker_ok(
            "network", "create", "--ipv6=false", "-o", f"{_OPTION}.driver.mtu=1222", "own"
        )
        plain, own = network(configured, "plain"), network(configured, "own")
        assert plain["EnableIPv6"] is True
        assert plain["Options"][f"{_OPTION}.driver.mtu"] == "1444"
        assert own["EnableIPv6"] is False
        assert own["Options"] == {
            f"{_OPTION}.driver.mtu": "1222", f"{_OPTION}.enable_ipv6": "true"
        }  # fmt: skip
        link = configured.machine.run("ip", "link", "show", f"br-{own['Id'][:12]}").stdout
        assert "mtu 1222" in link
    finally:
        configured.docker("network", "prune", "-f")


def test_without_a_packet_filter(tmp_path: Path) -> None:
    """`--iptables=false`: no rule of ours; what is published is relayed, on 127.0.0.1 too."""
    engine = Engine("--iptables=false", "--ip6tables=false")
    try:
        engine.start()
        engine.bootstrap()
        page = "mkdir /w; echo page >/w/index.html; exec httpd -f -p 80 -h /w"
        engine.docker_ok("network", "create", "net")
        for name, publish in (("web", "8080:80"), ("near", "127.0.0.1:8081:80")):
            flags = ("--name", name, "--network", "net", "-p", publish)
            engine.docker_ok("run", "-d", *flags, "busybox", "sh", "-c", page)

        def fetched(place: str) -> bool:
            return engine.machine.run("curl", "-sf", "-m", "5", f"http://{place}/").returncode == 0

        for place in (f"{HOST_ADDRESS}:8080", "127.0.0.1:8080", "[::1]:8080", "127.0.0.1:8081"):
            wait_until(f"the page is served at {place}", lambda place=place: fetched(place))  # type: ignore[misc]
        assert not fetched(f"{HOST_ADDRESS}:8081")
        engine.kill9()
        engine.start()
        assert fetched(f"{HOST_ADDRESS}:8080")
        assert engine.machine.run("nft", "list", "tables").stdout == ""
        engine.docker_ok("rm", "-f", "web")
        assert not fetched(f"{HOST_ADDRESS}:8080")
        engine.docker_ok("network", "create", "-d", "bridge", "more")
        engine.docker_ok("network", "rm", "more")
    finally:
        engine.close()
