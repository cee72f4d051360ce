"""Chapter 6 of the course: services in containers, and how they are reached."""

import re

import pytest

from support.daemon import Engine
from support.waiting import wait_until

HELLO = "Welcome to nginx!"


def page(engine: Engine, address: str, port: int | str) -> str:
    """What the host gets from an address and port."""
    url = f"http://{address}:{port}/"
    return engine.machine.run("busybox", "wget", "-q", "-O-", url).stdout


def serves(engine: Engine, address: str, port: int | str) -> None:
    """Wait for the page."""
    wait_until("it serves", lambda: HELLO in page(engine, address, port))


@pytest.mark.slide("6.4", "6.5", "6.6", "6.7", "6.8", "6.12")
def test_a_published_port_is_found_and_answers(services: Engine) -> None:
    """`-P`, then `ps` or `port`; on localhost and on any other address of the host."""
    container = services.docker_ok("run", "-d", "-P", "nginx")
    shown = services.docker_ok("ps", "--format", "{{.Ports}}")
    found = re.match(r"0\.0\.0\.0:(\d+)->80/tcp", shown)
    assert found, shown
    port = found[1]
    assert f"0.0.0.0:{port}" in services.docker_ok("port", container, "80").splitlines()
    serves(services, "localhost", port)
    host = services.docker_ok("network", "inspect", "bridge", "-f",
                              "{{(index .IPAM.Config 0).Gateway}}")  # fmt: skip
    serves(services, host, port)


@pytest.mark.slide("6.9")
def test_the_image_says_which_port(services: Engine) -> None:
    """`EXPOSE` in inspect and in history."""
    exposed = services.docker_ok("inspect", "--format", "{{.Config.ExposedPorts}}", "nginx")
    assert exposed == "map[80/tcp:{}]"
    lines = services.docker_ok("history", "nginx").splitlines()
    steps = [line for line in lines if "EXPOSE" in line or "STOPSIGNAL" in line or "CMD" in line]
    words = [re.search(r"(CMD|STOPSIGNAL|EXPOSE) .*?(80|SIGTERM|httpd)", step) for step in steps]
    assert [each and each[1] for each in words] == ["CMD", "STOPSIGNAL", "EXPOSE"], lines


@pytest.mark.slide("6.10", "6.13")
def test_ports_of_ones_own_choice(services: Engine) -> None:
    """Three servers, four ports; a port of the host is one container's at a time."""
    services.docker_ok("run", "-d", "-p", "80:80", "nginx")
    services.docker_ok("run", "-d", "-p", "8000:80", "nginx")
    services.docker_ok("run", "-d", "-p", "8080:80", "-p", "8888:80", "nginx")
    for port in (80, 8000, 8080, 8888):
        serves(services, "127.0.0.1", port)
    refused = services.docker("run", "-d", "-p", "80:80", "nginx")
    assert refused.returncode == 125
    assert "port is already allocated" in refused.stderr


@pytest.mark.slide("6.11")
def test_addresses_of_the_host(services: Engine) -> None:
    """One container on 127.0.0.2:80 and another on 127.0.0.3:80; and on IPv6."""
    for address in ("127.0.0.2", "127.0.0.3", "[::1]"):
        services.docker_ok("run", "-d", "-p", f"{address}:80:80", "nginx")
    for address in ("127.0.0.2", "127.0.0.3", "[::1]"):
        serves(services, address, 80)
    assert page(services, "127.0.0.1", 80) == ""


@pytest.mark.slide("6.15", "6.16")
def test_the_address_of_a_container(services: Engine) -> None:
    """It is told, answers a ping from another container and from the host, and serves."""
    container = services.docker_ok("run", "-d", "nginx")
    form = "{{ .NetworkSettings.IPAddress }}"
    address = services.docker_ok("inspect", "--format", form, container)
    assert address.startswith("172.17.")
    said = services.docker_ok("run", "--rm", "alpine", "ping", "-c", "3", address)
    assert re.search(rf"64 bytes from {re.escape(address)}: seq=2 ttl=64 time=[\d.]+ ms", said)
    serves(services, address, 80)
