"""Debian's dockerd in the same machine: its packet filter drops what is forwarded, not ours."""

import re
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.stock_engine import StockEngine
from support.waiting import wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.stock_differs]

OUTSIDE, HOST = "192.0.2.2", "192.0.2.1"


@pytest.fixture
def both(fresh_engine: Engine) -> Iterator[tuple[Engine, StockEngine]]:
    """Wherry, a neighbour on the host's network, and then dockerd."""
    for command in (
        "ip link add stock0 type bridge",
        "ip address add 172.29.0.1/16 dev stock0",
        "ip link set stock0 up",
        "ip netns add outside",
        "ip link add out0 type veth peer name out1 netns outside",
        f"ip address add {HOST}/24 dev out0",
        "ip link set out0 up",
        f"ip -n outside address add {OUTSIDE}/24 dev out1",
        "ip -n outside link set out1 up",
        "ip -n outside link set lo up",
    ):
        done = fresh_engine.machine.run(*command.split())
        assert done.returncode == 0, done.stderr
    stock = StockEngine("--bridge=stock0", machine=fresh_engine.machine)
    stock.start()
    stock.bootstrap()
    # As dockerd does where it is the first to have the host forward.
    fresh_engine.machine.run("iptables", "-P", "FORWARD", "DROP")
    yield fresh_engine, stock
    stock.remove_all_containers()
    stock.leave_machine()


def doors(engine: Engine) -> list[str]:
    """Our rules where dockerd lets others put theirs."""
    listed = engine.machine.run("iptables", "-S", "DOCKER-USER").stdout
    return [line for line in listed.splitlines() if "wherry-" in line]


def served(engine: Engine, name: str, *flags: str, does: str = "httpd -f -p 80") -> None:
    """A container that listens on port 80."""
    engine.docker_ok("run", "-d", "--name", name, *flags, "busybox", *does.split())
    wait_until(
        "it listens", lambda: ":80 " in engine.docker("exec", name, "netstat", "-ltn").stdout
    )


def connects(engine: Engine, *before: str, to: str, port: int = 80) -> bool:
    """Whether a connection is made, by a command of the machine's or in a container."""
    words = ("timeout", "2", "busybox", "nc", to, str(port), "-e", "true")
    return engine.machine.run(*before, *words).returncode == 0


def inside(engine: Engine, name: str, to: str) -> bool:
    """Whether a container makes a connection."""
    words = ("timeout", "2", "nc", to, "80", "-e", "true")
    return engine.docker("exec", name, *words).returncode == 0


def test_packets_get_past_its_policy(both: tuple[Engine, StockEngine]) -> None:
    """Out to a neighbour, in to a published port; what either engine protects stays protected."""
    ours, stock = both
    wait_until("there is one rule of ours", lambda: len(doors(ours)) == 1, within_s=5)
    served(ours, "web", "-p", "18080:80")
    served(stock, "theirs")
    neighbour = ("ip", "netns", "exec", "outside")
    assert connects(ours, *neighbour, to=HOST, port=18080)
    ours.machine.run(*neighbour, "busybox", "httpd", "-p", "80")
    wait_until("our container reaches the neighbour", lambda: inside(ours, "web", OUTSIDE))
    told = ours.wherry("explain", "--live", "web").stdout
    assert re.search(r"let ip packets that wherry-\S+ has marked pass DOCKER-USER", told)
    assert "gone" not in told
    theirs = stock.inspect("theirs")["NetworkSettings"]["IPAddress"]
    web = ours.inspect("web")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert not inside(ours, "web", theirs)
    assert not inside(stock, "theirs", web)


def test_the_rule_comes_back_and_goes(both: tuple[Engine, StockEngine]) -> None:
    """Repaired within five seconds after somebody takes it away, never there twice."""
    ours, _stock = both
    wait_until("there is one rule of ours", lambda: len(doors(ours)) == 1, within_s=5)
    ours.machine.run("iptables", "-F", "DOCKER-USER")
    wait_until("it is back", lambda: len(doors(ours)) == 1, within_s=5)
    ours.restart()
    assert len(doors(ours)) == 1
    ours.machine.run("iptables", "-P", "FORWARD", "ACCEPT")
    marks = ("nft", "list", "ruleset")
    wait_until(
        "nothing is marked where nothing drops",
        lambda: not re.search("chain passing", ours.machine.run(*marks).stdout),
        within_s=5,
    )


def test_nothing_is_left_of_an_engine_that_is_removed(both: tuple[Engine, StockEngine]) -> None:
    """`wherryd --take-down`: not while containers run; then no rule, table, bridge or process."""
    ours, _stock = both
    wait_until("there is one rule of ours", lambda: len(doors(ours)) == 1, within_s=5)
    ours.docker_ok("network", "create", "blue")
    ours.docker_ok("run", "-d", "--name", "web", "--network", "blue", "busybox", "sleep", "999")
    ours.stop()
    roots = ("--data-root", ours.data_root, "--exec-root", ours.exec_root, "--pidfile",
             ours.pid_file)  # fmt: skip
    words = (*ours.program, *map(str, roots), "--take-down")
    refused = ours.machine.run(*words)
    assert refused.returncode == 1
    assert "containers run that would lose their networks" in refused.stderr
    assert len(doors(ours)) == 1
    ours.start()
    ours.remove_all_containers()
    ours.stop()
    done = ours.machine.run(*words)
    assert done.returncode == 0, done.stderr
    assert not doors(ours)
    assert "wherry-" not in ours.machine.run("nft", "list", "ruleset").stdout
    links = ours.machine.run("ip", "-o", "link").stdout
    assert "wherry " not in links
    assert not (ours.exec_root / "netd.sock").exists()
    ours.start()
    assert "blue" in ours.docker_ok("network", "ls")


def test_reach_names_what_drops(both: tuple[Engine, StockEngine]) -> None:
    """Where a foreign chain drops and has no door, it is said which."""
    ours, _stock = both
    wait_until("dockerd's chain has its door", lambda: len(doors(ours)) == 1, within_s=5)
    served(ours, "web", "-p", "18080:80")
    for command in (
        "add table inet wall",
        "add chain inet wall across { type filter hook forward priority 0 ; policy drop ; }",
    ):
        ours.machine.run("nft", command)
    said = ours.wherry("reach", "--from-lan", "web:80")
    assert said.returncode == 2
    assert "inet wall across drops what its own rules do not allow" in said.stdout
    assert "ip filter FORWARD" not in said.stdout
