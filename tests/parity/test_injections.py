"""Names that would say something else where they are written: refused, or just names (D05).

A hosts file has lines, a resolv.conf keywords, a packet filter a language, programs have options.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from support.daemon import Engine

pytestmark = [pytest.mark.timeout(180), pytest.mark.stock_differs]

TEXTS = (
    "a\n127.0.0.1 evil", "a\r127.0.0.1 evil", "a\x00b", "x; flush ruleset", "x } table ip evil {",
    '"', '" accept', "'", "${HOME}", "$(id)", "`id`", "a b", "a\tb", "a#b", "a" * 300, "-a",
    "--rm", "../x", "a/../b", "%s", "a\x1b[2Jb", "a\u202eb", "ä", ".", "..",
)  # fmt: skip
LINES = {
    "Hostname": lambda text: {"Hostname": text},
    "Domainname": lambda text: {"Hostname": "h", "Domainname": text},
    "ExtraHosts": lambda text: {"HostConfig": {"ExtraHosts": [f"{text}:192.0.2.1"]}},
    "ExtraHosts address": lambda text: {"HostConfig": {"ExtraHosts": [f"x:{text}"]}},
    "DnsSearch": lambda text: {"HostConfig": {"DnsSearch": [text]}},
    "DnsOptions": lambda text: {"HostConfig": {"DnsOptions": [text]}},
    "Dns": lambda text: {"HostConfig": {"Dns": [text]}},
    "Links": lambda text: {"HostConfig": {"Links": [f"other:{text}"]}},
    "MacAddress": lambda text: {"MacAddress": text},
    "Labels": lambda text: {"Labels": {text: text}},
    "Aliases": lambda text: _on_user({"Aliases": [text]}),
    "Links of an endpoint": lambda text: _on_user({"Links": [f"other:{text}"]}),
    "interface": lambda text: _on_user({"DriverOpts": {f"{_ENDPOINT}.ifname": text}}),
    "sysctl": lambda text: _on_user(
        {"DriverOpts": {f"{_ENDPOINT}.sysctls": f"net.ipv4.conf.IFNAME.log_martians={text}"}}
    ),
}
"""What a container is asked for with a text in one place."""
NETWORKS = {
    "Name": lambda text: {"Name": text},
    "bridge": lambda text: _made({f"{_BRIDGE}.name": text}),
    "prefix": lambda text: _made({"com.docker.network.container_iface_prefix": text}),
    "trusted": lambda text: _made({f"{_BRIDGE}.trusted_host_interfaces": text}),
    "any option": lambda text: _made({text: text}),
    "Labels": lambda text: {"Name": "made", "Labels": {text: text}},
    "Driver": lambda text: {"Name": "made", "Driver": text},
    "ipam": lambda text: {"Name": "made", "IPAM": {"Driver": text}},
}
_ENDPOINT, _BRIDGE = "com.docker.network.endpoint", "com.docker.network.bridge"
REFUSED = (400, 403, 404, 409)


def _on_user(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "HostConfig": {"NetworkMode": "user"},
        "NetworkingConfig": {"EndpointsConfig": {"user": settings}},
    }


def _made(options: dict[str, str]) -> dict[str, Any]:
    return {"Name": "made", "Options": options}


@pytest.fixture
def networks(engine: Engine) -> Iterator[Engine]:
    """A network, and a container to be linked to on either."""
    engine.docker_ok("network", "create", "user")
    engine.docker_ok("run", "-d", "--name", "other", "busybox", "sleep", "999")
    engine.docker_ok("network", "connect", "user", "other")
    yield engine
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")


def test_names_of_containers(networks: Engine) -> None:
    """Refused with a sentence; or started, and every file says what it would with a plain name."""
    engine = networks
    show = "wc -l < /etc/hosts; grep -c . /etc/resolv.conf; cat /etc/hosts /etc/resolv.conf"
    wrong = []
    plain = {field: _shown(engine, make("b"), show)[1] for field, make in LINES.items()
             if field not in ("ExtraHosts address", "Dns", "MacAddress", "sysctl")}  # fmt: skip
    for field, make in LINES.items():
        for text in TEXTS:
            status, shown = _shown(engine, make(text), show)
            if status in REFUSED:
                continue
            counts = plain.get(field, "").split("\n")[:2]
            if status != 204 or shown.split("\n")[:2] != counts or "\n127.0.0.1 evil" in shown:
                wrong.append((field, text, status, shown))
    assert not wrong


def test_names_of_networks(networks: Engine) -> None:
    """Refused with a sentence; or made and removed, and the host has nothing more than before."""
    engine = networks
    before = _state(engine)
    wrong = []
    for field, make in NETWORKS.items():
        for text in TEXTS:
            answer = engine.api("POST", "/networks/create", make(text))
            if answer.status == 201:
                answer = engine.api("DELETE", f"/networks/{answer.json['Id']}")
            if answer.status not in (204, *REFUSED) or _state(engine) != before:
                wrong.append((field, text, answer.status, answer.body))
    assert not wrong


def _shown(engine: Engine, wanted: dict[str, Any], script: str) -> tuple[int, str]:
    """How a container's creation and start went, and what its script showed."""
    body = {"Image": "busybox", "Cmd": ["sh", "-c", script], **wanted}
    made = engine.api("POST", "/containers/create", body)
    if made.status != 201:
        return made.status, ""
    identity = made.json["Id"]
    try:
        started = engine.api("POST", f"/containers/{identity}/start")
        if started.status != 204:
            return started.status, started.message
        engine.docker_ok("wait", identity)
        return 204, engine.docker_ok("logs", identity)
    finally:
        engine.docker_ok("rm", "-f", identity)


def _state(engine: Engine) -> tuple[str, ...]:
    run = engine.machine.run
    return run("nft", "list", "tables").stdout, run("sh", "-c", "ls /sys/class/net").stdout
