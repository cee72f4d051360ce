"""Host ports are held: by real sockets, on loopback."""

import contextlib
import errno
import gc
import os
import socket
from collections.abc import Iterator

import pytest

from wherry.kit.event_loop import EventLoop
from wherry.netd.protocol import Held, PortTaken, Wish
from wherry.netd.reservations import Reservations

ONE = "127.0.0.1"


@pytest.fixture
def reservations() -> Iterator[Reservations]:
    """Holds nothing before and after."""
    made = Reservations(EventLoop())
    yield made
    for owner in made.owners():
        made.release(owner)


def wish(
    first: int = 0,
    last: int | None = None,
    *,
    protocol: str = "tcp",
    addresses: tuple[str, ...] = (ONE,),
) -> Wish:
    """A wish for a port on loopback."""
    last = first if last is None else last
    return Wish(protocol=protocol, addresses=addresses, first=first, last=last, port=80)


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.create_server((ONE, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def can_listen(port: int, *, address: str = ONE, reuse: bool = True) -> bool:
    """Whether a server could have the port, with the option that most servers set."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            server.bind((address, port))
            server.listen()
        except OSError:
            return False
    return True


@pytest.mark.parametrize("reuse", [True, False])
def test_a_held_port_is_refused_to_others(reservations: Reservations, reuse: bool) -> None:
    """Also to those who set SO_REUSEADDR; nobody listens on it meanwhile."""
    (port,) = reservations.reserve("a", ONE, [wish()])
    assert not can_listen(port, reuse=reuse)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ONE, port), timeout=2)
    reservations.release("a")
    assert can_listen(port, reuse=reuse)


def test_a_port_that_somebody_has_is_not_ours(reservations: Reservations) -> None:
    """The error says which one; nothing of the same request is held."""
    port, other = free_port(), free_port()
    with socket.create_server((ONE, port)):
        with pytest.raises(PortTaken) as caught:
            reservations.reserve("a", ONE, [wish(other), wish(port)])
        assert (caught.value.port, caught.value.address, caught.value.holder) == (port, ONE, "")
        assert can_listen(other)
    assert reservations.owners() == {}
    assert reservations.reserve("a", ONE, [wish(other), wish(port)]) == [other, port]


def test_a_port_of_another_owner_names_it(reservations: Reservations) -> None:
    """And asking for one's own again is no conflict."""
    (port,) = reservations.reserve("a", ONE, [wish()])
    with pytest.raises(PortTaken) as caught:
        reservations.reserve("b", ONE, [wish(port)])
    assert caught.value.holder == "a"
    assert reservations.reserve("a", ONE, [wish(port)]) == [port]


def test_random_ports_differ_and_come_from_the_ephemeral_range(
    reservations: Reservations,
) -> None:
    """One after the other, as the range of the kernel says."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first, last = map(int, file.read().split())
    ports = reservations.reserve("a", ONE, [wish(), wish(), wish(protocol="udp")])
    assert len(set(ports[:2])) == 2
    assert all(first <= port <= last for port in ports)


def test_a_range_gives_its_first_free_port(reservations: Reservations) -> None:
    """Taken ones are passed over; when none is left that is an error."""
    # Below the ephemeral range, where no client's port can come in between.
    port = next(
        each for each in range(20000, 30000, 2) if can_listen(each) and can_listen(each + 1)
    )
    assert reservations.reserve("a", ONE, [wish(port, port + 1)]) == [port]
    assert reservations.reserve("b", ONE, [wish(port, port + 1)]) == [port + 1]
    with pytest.raises(PortTaken) as caught:
        reservations.reserve("c", ONE, [wish(port, port + 1)])
    assert caught.value.port == port


def test_both_families_and_the_relay(reservations: Reservations) -> None:
    """`[::]` listens for the relay; nobody else can have it or a part of it."""
    (port,) = reservations.reserve("a", ONE, [wish(addresses=("0.0.0.0", "::"))])
    for address in ("0.0.0.0", ONE, "::", "::1"):
        assert not can_listen(port, address=address)
    with socket.create_connection(("::1", port), timeout=2):
        pass
    assert reservations.owners() == {
        "a": (
            Held(protocol="tcp", address="0.0.0.0", host_port=port, port=80, target=ONE),
            Held(protocol="tcp", address="::", host_port=port, port=80, target=ONE),
        )
    }


def test_old_connections_do_not_keep_the_port(reservations: Reservations) -> None:
    """TIME_WAIT of an earlier server is no obstacle; the port is as held as any."""
    with socket.create_server((ONE, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((ONE, port), timeout=2) as client:
            accepted, _address = server.accept()
            accepted.close()  # the side that closes first waits
            assert client.recv(1) == b""
    with pytest.raises(OSError, match="Address already in use"), strict_socket(port):
        pass
    assert reservations.reserve("a", ONE, [wish(port)]) == [port]
    assert not can_listen(port)


def test_relayed_connections_do_not_keep_the_port(reservations: Reservations) -> None:
    """A container that is started again gets its `[::1]` back at once."""
    loop = EventLoop()
    again = Reservations(loop)
    (port,) = again.reserve("a", ONE, [wish(addresses=("::",))])
    with socket.create_connection(("::1", port), timeout=2) as client:
        client.settimeout(2)
        while len(loop_ended(loop, client)) == 0:
            continue
    again.release("a")
    assert again.reserve("a", ONE, [wish(port, addresses=("::",))]) == [port]
    again.release("a")


def loop_ended(loop: EventLoop, client: socket.socket) -> bytes:
    """Run netd's loop once; a byte when the client has seen the end of the connection."""
    loop.wait(0.05)
    client.setblocking(False)
    try:
        return client.recv(1) or b"."
    except BlockingIOError:
        return b""
    except OSError:  # the container's port is closed, so the relay resets
        return b"."


@contextlib.contextmanager
def strict_socket(port: int) -> Iterator[socket.socket]:
    """A socket bound without SO_REUSEADDR."""
    with socket.socket() as made:
        made.bind((ONE, port))
        yield made


def test_an_address_of_somebody_else(reservations: Reservations) -> None:
    """The kernel's own error, nothing held."""
    with pytest.raises(OSError) as caught:
        reservations.reserve("a", ONE, [wish(), wish(addresses=("192.0.2.1",))])
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert reservations.owners() == {}


def test_nothing_stays_open() -> None:
    """Reserve, fail, release: as many descriptors as before."""
    made = Reservations(EventLoop())
    gc.collect()  # what other tests have dropped is closed now, not in between
    before = len(os.listdir("/proc/self/fd"))
    (port,) = made.reserve("a", ONE, [wish(addresses=("0.0.0.0", "::")), wish(protocol="udp")])[:1]
    with pytest.raises(PortTaken):
        made.reserve("b", ONE, [wish(), wish(port)])
    made.release("a")
    made.release("a")
    assert len(os.listdir("/proc/self/fd")) == before
