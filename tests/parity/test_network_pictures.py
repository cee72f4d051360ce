"""`wherry map` and `wherry capture`: networks drawn, and the packets on them."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from support.daemon import Engine

pytestmark = [pytest.mark.timeout(120), pytest.mark.stock_differs]


@pytest.fixture(autouse=True)
def _nothing_after(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")


@pytest.fixture
def drawn(engine: Engine) -> Engine:
    """A web server between two networks, with a published port, and its neighbours."""
    for name in ("front", "back"):
        engine.docker_ok("network", "create", name)
    for words in (
        ("--name", "web", "--network", "front", "-p", "127.0.0.1:18080:80"),
        ("--name", "store", "--network", "back"),
        ("--name", "side", "--network", "container:web"),
    ):
        engine.docker_ok("run", "-d", *words, "busybox", "sleep", "1000")
    engine.docker_ok("network", "connect", "back", "web")
    engine.docker_ok("create", "--name", "later", "--network", "back", "busybox")
    return engine


def picture(engine: Engine, form: str, *words: str) -> str:
    """The map in one of its forms."""
    ran = engine.wherry("map", "--format", form, *words)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_map_for_programs(drawn: Engine) -> None:
    """Who is where, as inspect says it."""
    told = json.loads(picture(drawn, "json"))
    places = {
        each["Name"]: {one["Network"]: one["Addresses"] for one in each["Endpoints"]}
        for each in told["Containers"]
    }
    assert set(places) == {"web", "store", "side"}
    networks = drawn.inspect("web")["NetworkSettings"]["Networks"]
    assert places["web"] == {name: [each["IPAddress"]] for name, each in networks.items()}
    (web,) = (each for each in told["Containers"] if each["Name"] == "web")
    assert web["Published"] == ["80/tcp -> 127.0.0.1:18080"]
    (side,) = (each for each in told["Containers"] if each["Name"] == "side")
    assert side["SharesNetworkOf"] == drawn.inspect("web")["Id"]
    everybody = json.loads(picture(drawn, "json", "--all"))["Containers"]
    assert "later" in {each["Name"] for each in everybody}


def test_map_for_people(drawn: Engine) -> None:
    """Each network with its containers and their addresses."""
    shown = picture(drawn, "text")
    address = drawn.inspect("store")["NetworkSettings"]["Networks"]["back"]["IPAddress"]
    back = shown.partition("├─ back")[2].partition("─ front")[0]
    assert f"├─ store  {address} eth0" in back
    assert "└─ web" in back
    assert "80/tcp -> 127.0.0.1:18080" in shown
    assert "side  in the network of web" in shown


def test_map_as_a_picture(drawn: Engine) -> None:
    """Well-formed, all names in it, and nothing that runs or comes from elsewhere."""
    shown = picture(drawn, "svg")
    tree = ElementTree.fromstring(shown)
    words = {each.text for each in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert {"web", "store", "side", "front", "back"} <= words
    allowed = {"svg", "rect", "line", "circle", "text"}
    assert {each.tag.rpartition("}")[2] for each in tree.iter()} <= allowed
    assert "href" not in shown


def test_map_as_a_graph(drawn: Engine) -> None:
    """Every container is joined to its networks."""
    shown = picture(drawn, "dot")
    assert shown.startswith("graph wherry {")
    assert shown.rstrip().endswith("}")
    for edge in ('"c web" -- "n front"', '"c web" -- "n back"', '"c side" -- "c web"'):
        assert edge in shown


def test_map_of_a_project(drawn: Engine) -> None:
    """What Compose says is a project's, and the networks that it is on; else nothing."""
    mine = "com.docker.compose.project=shop"
    drawn.docker_ok("network", "create", "--label", mine, "own")
    drawn.docker_ok("network", "create", "--label", "com.docker.compose.project=shop2", "other")
    drawn.docker_ok("run", "-d", "--name", "till", "--label", mine, "--network", "own", "busybox",
                    "sleep", "1000")  # fmt: skip
    drawn.docker_ok("network", "connect", "front", "till")
    told = json.loads(picture(drawn, "json", "--project", "shop"))
    assert {each["Name"] for each in told["Networks"]} == {"own", "front"}
    assert {each["Name"] for each in told["Containers"]} == {"till"}
    ran = drawn.wherry("map", "--project", "nobody")
    assert ran.returncode == 1
    assert "no network and no container belongs to the project nobody" in ran.stderr


def test_an_unknown_form(engine: Engine) -> None:
    """The four that there are, are named."""
    ran = engine.wherry("map", "--format", "png")
    assert ran.returncode == 1
    assert "invalid value for --format: png: must be text, json, dot, svg" in ran.stderr


def blocks(stream: bytes) -> list[tuple[int, bytes]]:
    """The blocks of a pcapng stream: kind and body."""
    found = []
    while stream:
        kind, length = struct.unpack_from("=II", stream)
        assert struct.unpack_from("=I", stream, length - 4)[0] == length
        found.append((kind, stream[8 : length - 4]))
        stream = stream[length:]
    return found


def test_capture_has_the_packets(engine: Engine, tmp_path: Path) -> None:
    """A ping's requests and answers of both interfaces, with the container's name."""
    engine.docker_ok("network", "create", "front")
    engine.docker_ok("run", "-d", "--name", "peer", "--network", "front", "busybox", "sleep", "99")
    ping = "while :; do ping -c 1 peer; ping -c 1 127.0.0.1; sleep 0.2; done"
    engine.docker_ok(
        "run", "-d", "--name", "asks", "--network", "front", "busybox", "sh", "-c", ping
    )
    path = tmp_path / "packets.pcapng"
    ran = engine.wherry("capture", "-c", "40", "-w", str(path), "asks")
    assert ran.returncode == 0, ran.stderr
    found = blocks(path.read_bytes())
    kinds = [kind for kind, _body in found]
    assert kinds[0] == 0x0A0D0D0A
    assert b"wherry capture of asks" in found[0][1]
    assert kinds.count(6) == 40
    interfaces = {body[12 : 12 + body[10]] for kind, body in found if kind == 1}
    assert interfaces == {b"eth0", b"lo"}
    ethernet = b"".join(body for kind, body in found if kind == 6)
    assert b"\x08\x00\x45\x00" in ethernet  # IPv4 in Ethernet


def test_capture_of_some(engine: Engine, tmp_path: Path) -> None:
    """`--filter`: nothing else comes; what is no expression is refused with its place."""
    ping = "while :; do ping -c 1 127.0.0.1; echo | nc -w 1 127.0.0.1 9; sleep 0.1; done"
    engine.docker_ok("run", "-d", "--name", "asks", "busybox", "sh", "-c", ping)
    path = tmp_path / "packets.pcapng"
    words = ("capture", "-c", "12", "-w", str(path))
    ran = engine.wherry(*words, "--filter", "tcp dst port 9", "asks")
    assert ran.returncode == 0, ran.stderr
    frames = [body[20:] for kind, body in blocks(path.read_bytes()) if kind == 6]
    assert len(frames) == 12
    assert {(each[23], each[36:38]) for each in frames} == {(6, b"\0\x09")}
    refused = engine.wherry(*words, "--filter", "tcp prot 9", "asks")
    assert refused.returncode == 1
    assert "syntax error, at letter 5" in refused.stderr
    assert "tcp prot 9" in refused.stderr


def test_capture_ends_with_its_container(engine: Engine) -> None:
    """Nobody waits for packets of the dead; who does not run has none."""
    engine.docker_ok("run", "-d", "--name", "brief", "busybox", "sleep", "2")
    ran = engine.wherry("capture", "brief", "-w", "/dev/null")
    assert ran.returncode == 0, ran.stderr
    refused = engine.wherry("capture", "brief", "-w", "/dev/null")
    assert refused.returncode == 1
    assert "is not running" in refused.stderr
