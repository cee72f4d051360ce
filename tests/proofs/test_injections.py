"""Names that would say something else where they are written: refused, or just names (D05).

A hosts file has lines, a resolv.conf keywords, a packet filter a language, programs have options.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.daemon import Engine
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs

Making = Callable[[str], dict[str, Any]]
EVIL = "a\n127.0.0.1 evil"
TEXTS = (
    EVIL, "a\r127.0.0.1 evil", "a\x00b", "x; flush ruleset", "x } table ip evil {", '"',
    '" accept', "'", "${HOME}", "$(id)", "`id`", "a b", "a\tb", "a#b", "a" * 300, "-a", "--rm",
    "../x", "a/../b", "%s", "a\x1b[2Jb", "a\u202eb", "ä", ".", "..",
)  # fmt: skip
_ENDPOINT, _BRIDGE = "com.docker.network.endpoint", "com.docker.network.bridge"
REFUSED = (400, 403, 404, 409)
SHOW = "cat /etc/hosts /etc/resolv.conf"


def _on_user(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "HostConfig": {"NetworkMode": "user"},
        "NetworkingConfig": {"EndpointsConfig": {"user": settings}},
    }


def _made(options: dict[str, str]) -> dict[str, Any]:
    return {"Name": "made", "Options": options}


CONTAINERS: dict[str, Making] = {
    "Hostname": lambda text: {"Hostname": text},
    "Domainname": lambda text: {"Hostname": "h", "Domainname": text},
    "ExtraHosts": lambda text: {"HostConfig": {"ExtraHosts": [f"{text}:192.0.2.1"]}},
    "address": lambda text: {"HostConfig": {"ExtraHosts": [f"x:{text}"]}},
    "DnsSearch": lambda text: {"HostConfig": {"DnsSearch": [text]}},
    "DnsOptions": lambda text: {"HostConfig": {"DnsOptions": [text]}},
    "Dns": lambda text: {"HostConfig": {"Dns": [text]}},
    "Links": lambda text: {"HostConfig": {"Links": [f"other:{text}"]}},
    "MacAddress": lambda text: {"MacAddress": text},
    "Labels": lambda text: {"Labels": {text: text}},
    "Aliases": lambda text: _on_user({"Aliases": [text]}),
    "Links of an endpoint": lambda text: _on_user({"Links": [f"other:{text}"]}),
    "interface": lambda text: _on_user({"DriverOpts": {f"{_ENDPOINT}.ifname": text}}),
    "sysctl": lambda text: _on_user({"DriverOpts": {f"{_ENDPOINT}.sysctls": f"net.{text}"}}),
}
"""What a container is asked for with a text in one place."""
NETWORKS: dict[str, Making] = {
    "Name": lambda text: {"Name": text},
    "bridge": lambda text: _made({f"{_BRIDGE}.name": text}),
    "prefix": lambda text: _made({"com.docker.network.container_iface_prefix": text}),
    "trusted": lambda text: _made({f"{_BRIDGE}.trusted_host_interfaces": text}),
    "option": lambda text: _made({text: text}),
    "Labels": lambda text: {"Name": "made", "Labels": {text: text}},
    "Driver": lambda text: {"Name": "made", "Driver": text},
    "ipam": lambda text: {"Name": "made", "IPAM": {"Driver": text}},
}


@pytest.fixture
def networks(engine: Engine) -> Iterator[Engine]:
    """A network, and a container to be linked to on either."""
    _prepare(engine)
    yield engine
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")


def _prepare(engine: Engine) -> None:
    engine.docker_ok("network", "create", "user")
    engine.docker_ok("run", "-d", "--name", "other", "busybox", "sleep", "999")
    engine.docker_ok("network", "connect", "user", "other")


def names_of_containers(engine: Engine, size: Size) -> tuple[int, int]:
    """Refused with a sentence; or started, with no more lines in its files than for a plain name.

    How many were refused and taken. Raises: AssertionError.
    """
    refused = taken = 0
    for field, make in CONTAINERS.items():
        lines = 0
        for text in ("ab", *TEXTS[: size.of(len(TEXTS), 1)]):
            status, shown = _shown(engine, make(text))
            if status in REFUSED:
                refused += 1
                continue
            taken += 1
            lines = lines or shown.count("\n")
            assert status == 204, (field, text, shown)
            assert shown.count("\n") <= lines, (field, text, shown)
    return refused, taken


def test_names_of_containers(networks: Engine, size: Size, figure: list[str]) -> None:
    """Fields of containers, by the API, where no client looks at them before."""
    refused, taken = names_of_containers(networks, size)
    figure.append(f"{refused} names refused, {taken} taken as names, 0 as anything else")


def test_names_of_networks(networks: Engine, size: Size, figure: list[str]) -> None:
    """Refused with a sentence; or made and removed, and the host has nothing more than before."""
    before = _state(networks)
    statuses = []
    for field, make in NETWORKS.items():
        for text in TEXTS[: size.of(len(TEXTS), 5)]:
            answer = networks.api("POST", "/networks/create", make(text))
            if answer.status == 201:
                answer = networks.api("DELETE", f"/networks/{answer.json['Id']}")
            assert answer.status in (204, *REFUSED), (field, text, answer.body)
            statuses.append(answer.status)
    wait_until("the host is as before", lambda: _state(networks) == before)
    made = statuses.count(204)
    figure.append(f"{len(statuses) - made} names refused, {made} networks made and removed")


def test_mutant() -> None:
    """Where any text may stand in a hosts file, one of them is a line of its own."""
    mutant = Mutant(
        "names may have lines", "api/translate/networking.py",
        'r"[^\\s#\\x00-\\x1f\\x7f]{1,253}"', 'r"(?s:.){1,253}"',
    )  # fmt: skip
    with mutated_engine(mutant) as engine:
        _prepare(engine)
        with pytest.raises(AssertionError, match="evil"):
            names_of_containers(engine, Size())


def _shown(engine: Engine, wanted: dict[str, Any]) -> tuple[int, str]:
    """How a container's creation and start went, and what its files of names are."""
    made = engine.api(
        "POST", "/containers/create", {"Image": "busybox", "Cmd": ["sh", "-c", SHOW], **wanted}
    )
    if made.status != 201:
        return made.status, ""
    identity = made.json["Id"]
    try:
        started = engine.api("POST", f"/containers/{identity}/start")
        if started.status != 204:
            return started.status, started.message
        engine.docker_ok("wait", identity)
        return 204, engine.docker("logs", identity).stdout
    finally:
        engine.docker_ok("rm", "-f", identity)


def _state(engine: Engine) -> tuple[str, ...]:
    run = engine.machine.run
    return run("nft", "list", "tables").stdout, run("sh", "-c", "ls /sys/class/net").stdout
