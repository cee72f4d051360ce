"""What can't be asked of networks: Docker's sentences, whole, and nothing left behind.

Compared with Debian's dockerd where that has the same words, and with the sources of 28 where it
has not (daemon/container_operations.go, api/types/network, libnetwork/network.go).
"""

import re
from collections.abc import Iterator

import pytest

from support.daemon import Engine

pytestmark = [pytest.mark.timeout(120), pytest.mark.stock_differs]

CONFIG = "invalid network config:\n"
SETTINGS = "invalid endpoint settings:\n"
CREATED = f"invalid config for network user: {SETTINGS}"
CHOSEN = (
    "user specified IP address is supported only when connecting to networks with user "
    "configured subnets"
)
IN_USE = "Address already in use"
MULTIPLE = (
    "container cannot be connected to multiple networks with one of the networks in private "
    "(none) mode"
)
SHARED = (
    "container sharing network namespace with another container or host cannot be connected to "
    "any other network"
)

MAKING = (
    ("--subnet 10.1.0.1/24", f"{CONFIG}invalid subnet 10.1.0.1/24: it should be 10.1.0.0/24"),
    ("--subnet 10.1.0.0/255.255.255.0",
     f"{CONFIG}invalid subnet 10.1.0.0/255.255.255.0: invalid CIDR block notation"),
    ("--subnet 10.1.0.0/24 --ip-range 10.1.0.5/25",
     f"{CONFIG}invalid ip-range 10.1.0.5/25: it should be 10.1.0.0/25"),
    ("--subnet 10.1.0.0/24 --gateway 10.1.0.0",
     f"failed to allocate gateway (10.1.0.0): {IN_USE}"),
    ("--subnet 10.1.0.0/24 --gateway 10.1.0.255",
     f"failed to allocate gateway (10.1.0.255): {IN_USE}"),
    ("--subnet 10.1.0.0/24 --aux-address a=10.1.0.255",
     f"failed to allocate secondary ip address (a:10.1.0.255): {IN_USE}"),
    ("--subnet 10.1.0.0/24 --gateway 10.1.0.9 --aux-address a=10.1.0.9",
     f"failed to allocate secondary ip address (a:10.1.0.9): {IN_USE}"),
    ("-o com.docker.network.driver.mtu=70000", "invalid MTU number: 70000"),
    ("--config-from nope", 'configuration network "nope" does not exist'),
    ("--config-only --config-from nope",
     "a configuration network cannot depend on another configuration network"),
)  # fmt: skip

JOINING = (
    ("connect --ip x user free",
     f"{SETTINGS}* invalid IPv4 address: x\n"
     "* no configured subnet or ip-range contain the IP address x"),
    ("connect --ip 10.9.9.9 user free",
     f"{SETTINGS}no configured subnet or ip-range contain the IP address 10.9.9.9"),
    ("connect --ip 10.81.0.0 user free", f"{IN_USE}: 10.81.0.0"),
    ("connect --ip 10.81.0.255 user free", f"{IN_USE}: 10.81.0.255"),
    ("connect --ip 172.30.0.5 auto free", f"{SETTINGS}{CHOSEN}"),
    ("connect --ip6 x user free", f"{SETTINGS}* invalid IPv6 address: x\n* {CHOSEN}"),
    ("connect --ip6 10.81.0.9 user free",
     f"{SETTINGS}* invalid IPv6 address: 10.81.0.9\n* {CHOSEN}"),
    ("connect --alias x bridge on",
     f"{SETTINGS}network-scoped aliases are only supported for user-defined networks"),
    ("connect --driver-opt com.docker.network.endpoint.sysctls=net.core.IFNAME.x=1 user free",
     f"{SETTINGS}unrecognised network interface sysctl 'net.core.IFNAME.x=1'; represent "
     "'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"),
    ("connect host on", "container cannot be connected to host network"),
    ("connect none on", MULTIPLE),
    ("connect user hosted", SHARED),
    ("connect user shared", SHARED),
    ("connect user lone", MULTIPLE),
    ("connect user sleeping", MULTIPLE),
    ("disconnect auto on", "container ID is not connected to network auto"),
    ("disconnect auto sleeping", "container ID is not connected to the network auto"),
    ("disconnect -f user nope", "endpoint nope not found"),
)  # fmt: skip

UNPUBLISHED = (
    "failed to set up container networking: driver failed programming external connectivity on "
    "endpoint new (ID)"
)
STARTING = (
    ("--network user --ip x",
     f"{CREATED}* invalid IPv4 address: x\n"
     "* no configured subnet or ip-range contain the IP address x"),
    ("--network user --ip 10.9.9.9",
     f"{CREATED}no configured subnet or ip-range contain the IP address 10.9.9.9"),
    ("--network container:on --link free",
     "conflicting options: container type network can't be used with links. This would result in "
     "undefined behavior"),
    ("--name new -p 192.0.2.9:80:80",
     f"{UNPUBLISHED}: failed to bind host port for 192.0.2.9:80:OWN:80/tcp: "
     "cannot assign requested address"),
)  # fmt: skip


@pytest.fixture
def networks(engine: Engine) -> Iterator[Engine]:
    """Networks and containers of every kind."""
    engine.docker_ok("network", "create", "--subnet", "10.81.0.0/24", "user")
    engine.docker_ok("network", "create", "auto")
    for name, network in (
        ("on", "user"),
        ("free", "bridge"),
        ("hosted", "host"),
        ("lone", "none"),
        ("shared", "container:on"),
    ):
        engine.docker_ok(
            "run", "-d", "--name", name, "--network", network, "busybox", "sleep", "999"
        )
    engine.docker_ok("create", "--name", "sleeping", "--network", "none", "busybox")
    yield engine
    engine.remove_all_containers()
    engine.docker_ok("network", "rm", "user", "auto")


def sentence(engine: Engine, *words: str) -> str:
    """What the daemon says to a request that it refuses."""
    ran = engine.docker(*words)
    assert ran.returncode, words
    said = ran.stderr.partition("Error response from daemon: ")[2]
    said = said.partition("\n\nRun 'docker")[0].strip().removesuffix("\nexit status 1")
    return re.sub(r"\b172\.17\.0\.\d+", "OWN", re.sub(r"\b[0-9a-f]{64}\b", "ID", said))


def test_refusals(networks: Engine) -> None:
    """Each sentence; then everything is as it was."""
    before = networks.docker_ok("network", "ls", "-q"), networks.docker_ok("ps", "-aq")
    wrong = {}
    for prefix, suffix, cases in (
        ("network create ", " x", MAKING),
        ("network ", "", JOINING),
        ("run --rm ", " busybox true", STARTING),
    ):
        for words, told in cases:
            said = sentence(networks, *f"{prefix}{words}{suffix}".split(" "))
            if said != told:
                wrong[words] = said
    assert not wrong
    assert (networks.docker_ok("network", "ls", "-q"), networks.docker_ok("ps", "-aq")) == before


def test_what_docker_takes(engine: Engine) -> None:
    """A subnet of two addresses; one of a version that the network has not; leaving none."""
    engine.docker_ok("network", "create", "--subnet", "10.82.0.0/31", "--subnet",
                     "2001:db8:82::/64", "small")  # fmt: skip
    engine.docker_ok("run", "--rm", "--network", "small", "busybox", "ping", "-c1", "10.82.0.0")
    engine.docker_ok("run", "-d", "--name", "lone", "--network", "none", "busybox", "sleep", "99")
    engine.docker_ok("network", "disconnect", "none", "lone")
    engine.docker_ok("network", "connect", "small", "lone")
    engine.docker_ok("restart", "-t", "0", "lone")
    on = engine.inspect("lone")["NetworkSettings"]["Networks"]
    assert list(on) == ["small"]
    assert on["small"]["IPAddress"] == "10.82.0.1"
    engine.remove_all_containers()
    engine.docker_ok("network", "rm", "small")


BOTH = "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
WISHES: tuple[tuple[str, dict[str, dict[str, object]], str], ...] = (
    ("user", {"user": {}, "host": {}}, BOTH),
    ("user", {"none": {}, "user": {}}, BOTH),
    ("host", {"user": {}}, BOTH),
    ("host", {"host": {"Aliases": ["x"]}},
     f"invalid config for network host: {SETTINGS}"
     "network-scoped aliases are only supported for user-defined networks"),
    ("none", {"none": {"IPAMConfig": {"IPv4Address": "10.81.0.7"}}},
     f"invalid config for network none: {SETTINGS}"
     "* user specified IP address is supported on user defined networks only\n* {CHOSEN}"),
)  # fmt: skip


def test_modes_that_go_alone(networks: Engine) -> None:
    """What the stock CLI would refuse itself: no wish beside the mode is passed over."""
    before = networks.docker_ok("ps", "-aq")
    for mode, wishes, told in WISHES:
        wanted = {
            "Image": "busybox",
            "HostConfig": {"NetworkMode": mode},
            "NetworkingConfig": {"EndpointsConfig": wishes},
        }
        answer = networks.api("POST", "/containers/create", wanted)
        assert (answer.status, answer.json.get("message")) == (400, told.format(CHOSEN=CHOSEN))
    assert networks.docker_ok("ps", "-aq") == before
