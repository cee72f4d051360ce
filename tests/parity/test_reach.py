"""`wherry reach`: the answer is what a packet would find, and the fix makes it arrive."""

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from support.daemon import Engine
from support.waiting import wait_until
from wherry.linux.socket_tables import listening_sockets

pytestmark = [pytest.mark.timeout(240), pytest.mark.stock_differs]

PORT = 80


@pytest.fixture(autouse=True)
def _nothing_after(engine: Engine) -> Iterator[None]:
    yield
    for family in ("inet", "bridge"):
        engine.machine.run("nft", f"add table {family} fw; delete table {family} fw")
    engine.remove_all_containers()
    assert engine.api("POST", "/networks/prune").status == 200


def box(
    engine: Engine,
    name: str,
    *command: str,
    on: str = "bridge",
    alias: str = "",
    **host: object,
) -> None:
    """A container that runs; `host` is more of its HostConfig."""
    engine.create(
        *(command or ("sleep", "1000")),
        name=name,
        HostConfig={"NetworkMode": on, **host},
        NetworkingConfig={"EndpointsConfig": {on: {"Aliases": [alias]}}} if alias else {},
    )
    assert engine.api("POST", f"/containers/{name}/start").status == 204


def server(engine: Engine, name: str, *, at: str = f"{PORT}", **wishes: object) -> None:
    """A container whose program listens by the time that this returns."""
    box(engine, name, "httpd", "-f", "-p", at, **wishes)  # type: ignore[arg-type]
    sockets = f"/proc/{engine.container_pid(name)}/net"
    wait_until("it listens", lambda: PORT in [x.port for x in listening_sockets("tcp", sockets)])


def reach(engine: Engine, *words: str) -> Any:
    """The answer for programs."""
    ran = engine.wherry("reach", "--format", "json", *words)
    assert ran.stdout, ran.stderr
    answer = json.loads(ran.stdout)
    expected = {"reachable": 0, "by-address-only": 0, "blocked": 1, "unknown": 2}
    assert ran.returncode == expected[answer["Verdict"]]
    return answer


def arrives(engine: Engine, source: str, address: str, port: str, *, within_s: int) -> bool:
    """Whether a real connection from a container is made."""
    asking = f"echo | timeout {within_s + 1} nc -w {within_s} {address} {port}"
    words = ("exec", source, "sh", "-c", asking)
    return engine.docker(*words).returncode == 0


class Case(NamedTuple):
    """A scene, what is asked, and what the answer must say."""

    scene: Callable[[Engine], object]
    question: tuple[str, ...]
    verdict: str
    place: str
    """Of the last hop."""
    sentence: str
    """In it."""
    fix: str = ""


def network(engine: Engine, name: str, **wishes: object) -> None:
    """A network of a user's."""
    assert engine.api("POST", "/networks/create", {"Name": name, **wishes}).status == 201


def two_on(engine: Engine, name: str, **wishes: object) -> None:
    """Both on one network."""
    network(engine, name, **wishes)
    box(engine, "asker", on=name)
    server(engine, "store1", on=name, alias="store")


def apart(engine: Engine, **wishes: object) -> None:
    """Each on a network of its own."""
    network(engine, "red")
    network(engine, "blue", **wishes)
    box(engine, "asker", on="red")
    server(engine, "store1", on="blue")


def across(
    engine: Engine, mode: str, *, is_published: bool = False, is_internal: bool = False
) -> None:
    """Each on a network of its own; other machines reach the target's in some way."""
    network(engine, "red", Internal=is_internal)
    network(engine, "blue", Options={"com.docker.network.bridge.gateway_mode_ipv4": mode})
    box(engine, "asker", on="red")
    ports = {"PortBindings": {f"{PORT}/tcp": [{}]}} if is_published else {}
    server(engine, "store1", on="blue", **ports)


def in_machine(engine: Engine, *words: str) -> None:
    """A command of the host's root."""
    ran = engine.machine.run(*words)
    assert ran.returncode == 0, ran.stderr


def behind_foreign_rule(engine: Engine, *rules: str) -> None:
    """Both on a network, and somebody else's table in the way of what is bridged or routed."""
    two_on(engine, "red")
    for rule in rules:
        in_machine(engine, "nft", rule)


def on_the_host_behind_a_firewall(engine: Engine) -> None:
    """A service of the host, and a firewall that lets nobody in."""
    on_the_host(engine)
    in_machine(
        engine,
        "nft",
        "add table inet fw; add chain inet fw inwards { type filter hook input"
        " priority 0; policy accept; }; add rule inet fw inwards ip protocol tcp drop",
    )


def on_the_host(engine: Engine) -> None:
    """A service of the host."""
    network(engine, "red")
    box(engine, "asker", on="red")
    server(engine, "store1", on="host")


def sharing(engine: Engine) -> None:
    """Two containers in one network namespace."""
    network(engine, "red")
    server(engine, "store1", on="red", at="127.0.0.1:80")
    box(engine, "asker", on="container:store1")


def lonely(engine: Engine) -> None:
    """A container that has loopback alone."""
    network(engine, "red")
    box(engine, "asker", on="none")
    server(engine, "store1", on="red")


def silent_inside(engine: Engine) -> None:
    """The target's own administrator drops what comes."""
    network(engine, "red")
    box(engine, "asker", on="red")
    server(engine, "store1", on="red", CapAdd=["NET_ADMIN"])
    pid = engine.container_pid("store1")
    in_machine_of(
        pid,
        "nft",
        "add table ip x; add chain ip x i { type filter hook input priority 0; };"
        " add rule ip x i tcp dport 80 drop",
    )


def in_machine_of(pid: int, *words: str) -> None:
    """A command in a container's network namespace, with the host's programs."""
    subprocess.run(["nsenter", "-t", str(pid), "-n", *words], check=True, capture_output=True)


def without_route(engine: Engine) -> None:
    """The source's administrator took its routes away."""
    two_on(engine, "red")
    in_machine_of(engine.container_pid("asker"), "ip", "route", "flush", "table", "main")


def unplugged(engine: Engine) -> None:
    """Somebody pulled the cable out of the bridge."""
    two_on(engine, "red")
    endpoint = engine.inspect("store1")["NetworkSettings"]["Networks"]["red"]["EndpointID"]
    in_machine(engine, "ip", "link", "set", f"veth{endpoint[:7]}", "nomaster")


def stopped(engine: Engine) -> None:
    """The target has ended."""
    two_on(engine, "red")
    engine.docker_ok("stop", "-t", "0", "store1")


def paused(engine: Engine) -> None:
    """The target is frozen."""
    two_on(engine, "red")
    engine.docker_ok("pause", "store1")


def published(engine: Engine, *addresses: str) -> None:
    """A server whose port is 18080 of the host, at these addresses."""
    bindings = [{"HostIp": each, "HostPort": "18080"} for each in addresses]
    server(engine, "store1", PortBindings={f"{PORT}/tcp": bindings} if bindings else {})


def emptied_map(engine: Engine) -> None:
    """A published port whose entry somebody takes away, an element at a time: no loss to mend."""
    published(engine, "")
    table = engine.machine.run("nft", "list", "tables").stdout
    ours = next(line.split()[2] for line in table.splitlines() if "wherry-" in line)
    in_machine(engine, "nft", "delete", "element", "inet", ours, "tcp-anywhere", "{ 18080 }")


def default_bridge(engine: Engine) -> None:
    """Both on the default bridge."""
    box(engine, "asker")
    server(engine, "store1")


CASES = {
    "one network": Case(
        lambda e: two_on(e, "red"),
        ("asker", "store1:80"),
        "reachable",
        "packet",
        "a connection was made",
    ),
    "an alias": Case(
        lambda e: two_on(e, "red"),
        ("asker", "store:80"),
        "reachable",
        "packet",
        "a connection was made",
    ),
    "an internal network of both": Case(
        lambda e: two_on(e, "red", Internal=True),
        ("asker", "store1:80"),
        "reachable",
        "packet",
        "a connection was made",
    ),
    "no common network": Case(
        apart,
        ("asker", "store1:80"),
        "blocked",
        "network",
        "asker is on red, store1 is on blue",
        "wherry network connect blue asker",
    ),
    "an internal one of the target": Case(
        lambda e: apart(e, Internal=True),
        ("asker", "store1:80"),
        "blocked",
        "network",
        "asker is on red, store1 is on blue",
        "wherry network connect blue asker",
    ),
    "icc is off": Case(
        lambda e: two_on(e, "red", Options={"com.docker.network.bridge.enable_icc": "false"}),
        ("asker", "store1:80"),
        "blocked",
        "network",
        "enable_icc=false",
        "wherry network create app",
    ),
    "nothing listens": Case(
        lambda e: two_on(e, "red"),
        ("asker", "store1:5432"),
        "blocked",
        "store1",
        "nothing listens on 5432/tcp; it has 80",
        "wherry logs store1",
    ),
    "udp where tcp listens": Case(
        lambda e: two_on(e, "red"),
        ("asker", "store1:80/udp"),
        "blocked",
        "store1",
        "nothing listens on 80/udp",
    ),
    "the default bridge": Case(
        default_bridge,
        ("asker", "store1:80"),
        "by-address-only",
        "packet",
        "a connection was made",
        "wherry network create app",
    ),
    "stopped": Case(
        stopped,
        ("asker", "store1:80"),
        "blocked",
        "store1",
        "does not run: it is exited",
        "wherry start store1",
    ),
    "paused": Case(
        paused, ("asker", "store1:80"), "blocked", "store1", "is paused", "wherry unpause store1"
    ),
    "a rule inside the target": Case(
        silent_inside, ("asker", "store1:80"), "blocked", "packet", "no answer came"
    ),
    "a firewall between bridge ports": Case(
        lambda e: behind_foreign_rule(
            e,
            "add table bridge fw",
            "add chain bridge fw across { type filter hook forward priority 0 ; }",
            "add rule bridge fw across ip protocol tcp tcp dport 80 drop",
        ),
        ("asker", "store1:80"),
        "blocked",
        "packet filter",
        "tcp dport 80 drop` of the chain bridge fw across drops it",
        "allow it there",
    ),
    "a policy between bridge ports": Case(
        lambda e: behind_foreign_rule(
            e,
            "add table bridge fw",
            "add chain bridge fw across { type filter hook forward priority 0 ; policy drop ; }",
            "add rule bridge fw across ether type arp accept",
        ),
        ("asker", "store1:80"),
        "blocked",
        "packet filter",
        "the policy of the chain bridge fw across drops it",
    ),
    "the host's firewall": Case(
        on_the_host_behind_a_firewall,
        ("asker", "store1:80"),
        "blocked",
        "packet filter",
        "of the chain inet fw inwards drops it",
    ),
    "the host's service": Case(
        on_the_host, ("asker", "store1:80"), "reachable", "packet", "a connection was made"
    ),
    "one namespace": Case(
        sharing, ("asker", "store1:80"), "reachable", "packet", "a connection was made"
    ),
    "no network at all": Case(
        lonely,
        ("asker", "store1:80"),
        "blocked",
        "network",
        "asker has no network",
        "wherry network disconnect none asker",
    ),
    "listens on loopback only": Case(
        lambda e: (
            network(e, "red"),
            box(e, "asker", on="red"),
            server(e, "store1", on="red", at="127.0.0.1:80"),
        ),
        ("asker", "store1:80"),
        "blocked",
        "store1",
        "listens on 127.0.0.1 only",
        "listen on 0.0.0.0",
    ),
    "the address was taken away": Case(
        lambda e: (
            two_on(e, "red"),
            in_machine_of(e.container_pid("store1"), "ip", "address", "flush", "dev", "eth0"),
        ),
        ("asker", "store1:80"),
        "blocked",
        "store1",
        "has lost its address",
    ),
    "two networks, one in common": Case(
        lambda e: (apart(e), e.docker_ok("network", "connect", "blue", "asker")),
        ("asker", "store1:80"),
        "reachable",
        "packet",
        "a connection was made",
    ),
    "no route": Case(
        without_route,
        ("asker", "store1:80"),
        "blocked",
        "route",
        "network is unreachable",
        "wherry restart asker",
    ),
    "unplugged": Case(
        unplugged,
        ("asker", "store1:80"),
        "blocked",
        "bridge",
        "is not plugged into",
        "wherry restart store1",
    ),
    "looked at only": Case(
        lambda e: two_on(e, "red"),
        ("--static", "asker", "store1:80"),
        "unknown",
        "packet",
        "no packet was sent",
    ),
    "a published port of a routed network, from another": Case(
        lambda e: across(e, "routed", is_published=True),
        ("asker", "store1:80"),
        "reachable",
        "packet",
        "a connection was made",
    ),
    "a hidden port of a routed network, from another": Case(
        lambda e: across(e, "routed"),
        ("asker", "store1:80"),
        "blocked",
        "network",
        "packets from one network to another are dropped",
        "wherry network connect blue asker",
    ),
    "an open network, from another": Case(
        lambda e: across(e, "nat-unprotected"),
        ("asker", "store1:80"),
        "reachable",
        "packet",
        "a connection was made",
    ),
    "a routed network, from one that leads nowhere": Case(
        lambda e: across(e, "routed", is_published=True, is_internal=True),
        ("asker", "store1:80"),
        "blocked",
        "route",
        "has no route to",
    ),
    "a published port of a routed network, from outside": Case(
        lambda e: across(e, "routed", is_published=True),
        ("--from-lan", "store1:80"),
        "reachable",
        "store1",
        "listens on",
    ),
    "from the host": Case(
        lambda e: published(e, ""),
        ("--from-host", "store1:80"),
        "reachable",
        "packet",
        "a connection was made",
    ),
    "from outside": Case(
        lambda e: published(e, ""),
        ("--from-lan", "store1:80"),
        "reachable",
        "store1",
        "listens on",
    ),
    "from outside, not published": Case(
        lambda e: published(e),
        ("--from-lan", "store1:80"),
        "blocked",
        "host",
        "is not published",
        "wherry update --publish-add 80:80 store1",
    ),
    "published on loopback only": Case(
        lambda e: published(e, "127.0.0.1"),
        ("--from-lan", "store1:80"),
        "blocked",
        "host",
        "for this host alone",
        "wherry update --publish-rm 127.0.0.1:18080:80 --publish-add 18080:80 store1",
    ),
    "the packet filter has lost it": Case(
        emptied_map,
        ("--from-lan", "store1:80"),
        "blocked",
        "packet filter",
        "leads to store1 any more",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_true_in_every_case(engine: Engine, name: str) -> None:
    """Verdict, the hop where it ends, and what helps."""
    case = CASES[name]
    case.scene(engine)
    answer = reach(engine, *case.question)
    last = answer["Hops"][-1]
    assert answer["Verdict"] == case.verdict, answer
    assert last["Place"] == case.place, answer
    assert case.sentence in last["Sentence"], answer
    assert case.fix in "\n".join(answer["Fixes"]), answer
    if case.question[0] == "asker" and answer["Address"] and answer["Protocol"] == "tcp":
        is_expected = case.verdict != "blocked"
        is_made = arrives(
            engine,
            "asker",
            answer["Address"],
            str(answer["Port"]),
            within_s=10 if is_expected else 1,
        )
        assert is_made is is_expected, answer


def test_the_fix_makes_it_arrive(engine: Engine) -> None:
    """What is said to help is a command line, and does."""
    apart(engine)
    (fix,) = reach(engine, "asker", "store1:80")["Fixes"]
    program, *words = fix.split()
    assert program == "wherry"
    assert engine.wherry(*words).returncode == 0
    assert reach(engine, "asker", "store1:80")["Verdict"] == "reachable"


def test_everybody_at_once(engine: Engine) -> None:
    """`--all`: every two that run by each port that is listened on, and other machines."""
    network(engine, "red")
    network(engine, "blue")
    bindings = {f"{PORT}/tcp": [{"HostPort": "18080"}]}
    server(engine, "shop", on="red", PortBindings=bindings)
    server(engine, "store", on="blue")
    box(engine, "asker", on="blue")
    engine.docker_ok("create", "--name", "later", "--network", "red", "busybox")
    shown = [line.split() for line in engine.wherry("reach", "--all").stdout.splitlines()]
    assert shown == [
        ["shop:80", "store:80"],
        ["asker", "no", "yes"],
        ["shop", "-", "no"],
        ["store", "no", "-"],
        ["another", "machine", "yes", "no"],
    ]
    told = json.loads(engine.wherry("reach", "--all", "--format", "json", "--static").stdout)
    verdicts = {(each["Source"], each["Target"]): each["Verdict"] for each in told}
    assert len(told) == 6
    assert (verdicts["asker", "store"], verdicts["asker", "shop"]) == ("unknown", "blocked")
    refused = engine.wherry("reach", "--all", "asker", "shop:80")
    assert "reach --all is about every two that run" in refused.stderr


def test_for_people(engine: Engine) -> None:
    """A line for each hop, the verdict, and what helps."""
    apart(engine)
    ran = engine.wherry("reach", "asker", "store1:80")
    first, *hops = ran.stdout.splitlines()
    assert first == "asker -> store1:80/tcp"
    assert hops[0].split() == ["ok", "asker", "is", "running"]
    assert "It does not arrive." in hops
    assert hops[-1] == "  wherry network connect blue asker"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("asker", "store1"), "invalid target: store1: must be CONTAINER:PORT"),
        (("asker", "store1:0"), "invalid port 0"),
        (("asker", "store1:99999"), "invalid port 99999"),
        (("asker", "nobody:80"), "No such container: nobody"),
        (("nobody", "asker:80"), "No such container: nobody"),
        (("asker", "asker:80/sctp"), "invalid protocol 'sctp': must be tcp or udp"),
        (("asker:80",), "reach needs a source and a target"),
        (("--from-host", "asker", "asker:80"), "reach needs a source and a target"),
    ],
)
def test_bad_questions(engine: Engine, words: tuple[str, ...], complaint: str) -> None:
    """One sentence that names what is wrong."""
    box(engine, "asker")
    ran = engine.wherry("reach", *words)
    assert ran.returncode != 0
    assert complaint in ran.stderr
    assert not ran.stdout


def test_a_probe_leaves_nothing(engine: Engine) -> None:
    """No table, and no socket in either namespace; the engine's own table is not mended for it."""
    two_on(engine, "red")
    before = engine.machine.run("nft", "list", "ruleset").stdout
    reach(engine, "asker", "store1:80")
    assert engine.machine.run("nft", "list", "ruleset").stdout == before
    sockets = engine.docker_ok("exec", "asker", "netstat", "-tan")
    assert not [line for line in sockets.splitlines() if ":80 " in line]
