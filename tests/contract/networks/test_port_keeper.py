"""What every port keeper does: the fake, and netd behind its socket."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.networks.fake_port_keeper import FakePortKeeper
from kernel.networks.private_host import netd_pid
from support.waiting import wait_until
from wherry.netd.protocol import Held, PortTaken, Wish
from wherry.networks import NetdKeeper, PortKeeper
from wherry.programs import netd as netd_program

COMMAND = (sys.executable, "-I", "-S", netd_program.__file__)
TARGET = "127.0.0.1"


@pytest.fixture(params=["fake", "netd"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PortKeeper]:
    """A keeper that holds nothing yet."""
    if request.param == "fake":
        yield FakePortKeeper()
        return
    made = NetdKeeper(exec_root=str(tmp_path), command=COMMAND)
    made.open()
    yield made
    made.end()


def wish(first: int = 0, *, last: int = 0, protocol: str = "tcp", port: int = 80) -> Wish:
    """A wish for a port of loopback."""
    return Wish(protocol=protocol, addresses=(TARGET,), first=first, last=last or first, port=port)


def free_ports(count: int) -> list[int]:
    """Ports below the ephemeral range that nobody has, next to each other."""

    def is_free(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((TARGET, port)) != 0

    return next(
        list(range(first, first + count))
        for first in range(20000, 30000, count)
        if all(is_free(first + offset) for offset in range(count))
    )


def test_ports_in_the_order_of_the_wishes(keeper: PortKeeper) -> None:
    """Certain ones as wished, random ones different from each other."""
    (certain,) = free_ports(1)
    ports = keeper.reserve("a", TARGET, [wish(), wish(certain), wish()])
    assert ports[1] == certain
    assert len(set(ports)) == 3
    assert {each.host_port for each in keeper.owners()["a"]} == set(ports)


def test_protocols_are_apart(keeper: PortKeeper) -> None:
    """The same number for tcp and udp is two ports."""
    (port,) = free_ports(1)
    assert keeper.reserve("a", TARGET, [wish(port), wish(port, protocol="udp")]) == [port, port]
    assert keeper.owners() == {
        "a": (
            Held(protocol="tcp", address=TARGET, host_port=port, port=80, target=TARGET),
            Held(protocol="udp", address=TARGET, host_port=port, port=80, target=TARGET),
        )
    }


def test_taken_names_the_holder_and_gives_nothing(keeper: PortKeeper) -> None:
    """All or none: the free port of the failed request stays free."""
    taken, free = free_ports(2)
    keeper.reserve("a", TARGET, [wish(taken)])
    with pytest.raises(PortTaken) as caught:
        keeper.reserve("b", TARGET, [wish(free), wish(taken)])
    assert (caught.value.port, caught.value.holder) == (taken, "a")
    assert set(keeper.owners()) == {"a"}
    assert keeper.reserve("c", TARGET, [wish(free)]) == [free]


def test_a_range(keeper: PortKeeper) -> None:
    """The first free one, until there is none."""
    first, last = free_ports(2)
    assert keeper.reserve("a", TARGET, [wish(first, last=last)]) == [first]
    assert keeper.reserve("b", TARGET, [wish(first, last=last)]) == [last]
    with pytest.raises(PortTaken):
        keeper.reserve("c", TARGET, [wish(first, last=last)])


def test_release(keeper: PortKeeper) -> None:
    """Others can have the port then; releasing twice, or nothing, is no error."""
    (port,) = free_ports(1)
    keeper.reserve("a", TARGET, [wish(port)])
    keeper.release("a")
    keeper.release("a")
    keeper.release("nobody")
    assert keeper.reserve("b", TARGET, [wish(port)]) == [port]


def test_asking_again_replaces(keeper: PortKeeper) -> None:
    """An owner has what it asked for last."""
    one, two = free_ports(2)
    keeper.reserve("a", TARGET, [wish(one)])
    keeper.reserve("a", TARGET, [wish(two)])
    assert [each.host_port for each in keeper.owners()["a"]] == [two]


def test_netd_outlives_its_client(tmp_path: Path) -> None:
    """Another client finds the ports held."""
    first = NetdKeeper(exec_root=str(tmp_path), command=COMMAND)
    ports = first.reserve("a", TARGET, [wish()])
    first.close()
    second = NetdKeeper(exec_root=str(tmp_path), command=("false",))
    try:
        assert [each.host_port for each in second.owners()["a"]] == ports
    finally:
        second.end()
    assert os.listdir(tmp_path) == []


def test_netd_ends_when_its_directory_is_gone(tmp_path: Path) -> None:
    """Nobody could reach it any more: it must not stay."""
    keeper = NetdKeeper(exec_root=str(tmp_path), command=COMMAND)
    keeper.reserve("a", TARGET, [wish()])
    pid = netd_pid(str(tmp_path))
    os.unlink(tmp_path / "netd.sock")
    wait_until("netd has ended", lambda: not os.path.exists(f"/proc/{pid}"), within_s=5)
    keeper.close()


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    """The last line of what it said."""
    command = (sys.executable, "-c", "raise SystemExit('no luck')")
    keeper = NetdKeeper(exec_root=str(tmp_path), command=command)
    with pytest.raises(OSError, match="netd did not start: no luck"):
        keeper.reserve("a", TARGET, [wish()])


def test_nothing_is_started_to_hold_nothing(tmp_path: Path) -> None:
    """Opening, listing and releasing need no netd: the command would fail."""
    keeper = NetdKeeper(exec_root=str(tmp_path), command=("false",))
    keeper.open()
    keeper.release("a")
    assert keeper.owners() == {}
    keeper.end()
