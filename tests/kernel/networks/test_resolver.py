"""The resolver and servers elsewhere: bounds, transports, extensions, failures.

A resolver and its servers in one network namespace, on the real ports: 127.0.0.11 is asked, and
asks 127.0.1.1, 127.0.1.2 ... in turn. Each server is told what to answer.
"""

import contextlib
import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest

from kernel.networks.private_host import in_child
from support.waiting import wait_until
from wherry.kit.event_loop import EventLoop
from wherry.linux.process import CLONE_NEWNET, unshare
from wherry.netd import dns_messages as dns
from wherry.netd import resolver as resolvers
from wherry.netd.names import Holder, Names
from wherry.netd.resolver import Forwarding, Resolver, View

pytestmark = pytest.mark.kernel

HERE = "127.0.0.11"
TIMEOUT_S = 10
NETWORK = "n" * 64
CODE, TRUNCATED = 0x0F, 0x02

Says = Callable[[bytes], bytes | None]


def query(name: str, kind: int = dns.A, *, opt: bytes = b"", identifier: int = 7) -> bytes:
    """A question as a client writes it."""
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    header = struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, int(bool(opt)))
    return header + labels + b"\0" + struct.pack("!HH", kind, 1) + opt


def extended(size: int, version: int = 0) -> bytes:
    """An OPT record (RFC 6891) of a client that takes so much by UDP."""
    return b"\0" + struct.pack("!HHBBHH", 41, size, 0, version, 0, 0)


def saying(last: int, *, code: int = 0, flags: int = 0, pad: int = 0) -> Says:
    """A server that answers with an address that ends so, perhaps a failure, perhaps at length."""

    def said(packet: bytes) -> bytes:
        end = packet.index(b"\0", 12) + 5
        head = packet[:2] + bytes([0x81 | flags, 0x80 | code]) + b"\0\1\0\1\0\0\0\0"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([192, 0, 2, last])
        return head + packet[12:end] + record + bytes(pad)

    return said


@dataclass
class Server:
    """A name server; what it says by UDP and by TCP, and what it was asked."""

    says: Says
    by_tcp: Says
    asked: list[bytes] = field(default_factory=list)
    asked_by_tcp: list[bytes] = field(default_factory=list)


@dataclass
class Scene:
    """A resolver that serves, with servers elsewhere."""

    servers: list[Server]
    names: Names
    resolver: Resolver

    def ask(self, packet: bytes) -> bytes:
        """An answer by UDP."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(TIMEOUT_S)
            client.connect((HERE, 53))
            client.send(packet)
            return client.recv(65535)

    def ask_by_tcp(self, packet: bytes) -> bytes:
        """The same by TCP."""
        with socket.create_connection((HERE, 53), TIMEOUT_S) as client:
            client.sendall(len(packet).to_bytes(2, "big") + packet)
            with client.makefile("rb") as stream:
                return stream.read(int.from_bytes(stream.read(2), "big"))


@contextlib.contextmanager
def scene(
    *says: Says,
    by_tcp: Says | None = None,
    is_outside: bool = False,
    asks_from_inside: bool = False,
) -> Iterator[Scene]:
    """A resolver and a server for each `says`; all end with it.

    With `is_outside` who serves the resolver's sockets is in a network namespace of its own.
    """
    is_over = threading.Event()
    loop, names = EventLoop(), Names()
    servers = [Server(each, by_tcp or each) for each in says]
    with contextlib.ExitStack() as opened:
        threads = []
        for number, server in enumerate(servers, start=1):
            where = (f"127.0.1.{number}", 53)
            udp = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            udp.bind(where)
            tcp = opened.enter_context(socket.create_server(where))
            threads += [
                threading.Thread(target=_serve_udp, args=(udp, server, is_over)),
                threading.Thread(target=_serve_tcp, args=(tcp, server, is_over)),
            ]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((HERE, 53))
        addresses = tuple(f"127.0.1.{number}" for number in range(1, len(servers) + 1))
        view = View(networks=(NETWORK,), servers=addresses, asks_from_inside=asks_from_inside)
        made = Resolver(
            loop, names, Forwarding(), udp=udp, tcp=socket.create_server((HERE, 53)), view=view
        )

        def turn() -> None:
            if is_outside:
                unshare(CLONE_NEWNET)
            while not is_over.is_set():
                loop.wait(0.05)
            made.close()

        threads.append(threading.Thread(target=turn))
        for each in threads:
            each.start()
        try:
            yield Scene(servers, names, made)
        finally:
            is_over.set()
            for each in threads:
                each.join()


def _serve_udp(udp: socket.socket, server: Server, is_over: threading.Event) -> None:
    udp.settimeout(0.05)
    while not is_over.is_set():
        with contextlib.suppress(TimeoutError):
            packet, asker = udp.recvfrom(65535)
            server.asked.append(packet)
            answer = server.says(packet)
            if answer is not None:
                udp.sendto(answer, asker)


def _serve_tcp(tcp: socket.socket, server: Server, is_over: threading.Event) -> None:
    tcp.settimeout(0.05)
    while not is_over.is_set():
        with contextlib.suppress(TimeoutError):
            connection, _address = tcp.accept()
            with connection, connection.makefile("rwb") as stream:
                packet = stream.read(int.from_bytes(stream.read(2), "big"))
                server.asked_by_tcp.append(packet)
                answer = server.by_tcp(packet) or b""
                stream.write(len(answer).to_bytes(2, "big") + answer)


def private(test: Callable[[], None]) -> None:
    """Do it in a network namespace with its loopback up."""

    def there() -> None:
        unshare(CLONE_NEWNET)
        assert os.system("ip link set lo up") == 0
        test()

    in_child(there)


def silent(_packet: bytes) -> None:
    """Never an answer."""


def test_who_fails_or_refuses_is_passed_over() -> None:
    """The next server is asked at once; when all fail, that is what is said."""

    def test() -> None:
        for code in (dns.SERVER_FAILURE, dns.REFUSED):
            failing = saying(1, code=code)
            with scene(failing, saying(2)) as made:
                begun = time.monotonic()
                assert made.ask(query("a.example"))[-1] == 2
                assert time.monotonic() - begun < resolvers.SERVER_TIMEOUT_S
            with scene(failing, failing) as made:
                assert made.ask(query("a.example"))[3] & CODE == code
        with scene(saying(1, code=dns.NAME_ERROR), silent) as made:
            assert made.ask(query("a.example"))[3] & CODE == dns.NAME_ERROR

    private(test)


def test_who_is_silent_is_waited_for_four_seconds() -> None:
    """Then the next; a fourth server is never asked, and nobody is asked twice."""

    def test() -> None:
        with scene(silent, saying(2)) as made:
            begun = time.monotonic()
            assert made.ask(query("a.example"))[-1] == 2
            assert time.monotonic() - begun >= resolvers.SERVER_TIMEOUT_S - 0.1
            assert [len(each.asked) for each in made.servers] == [1, 1]

    private(test)


def test_at_most_three_servers() -> None:
    """As resolv.conf(5) has it."""

    def test() -> None:
        failing = saying(1, code=dns.SERVER_FAILURE)
        with scene(failing, failing, failing, saying(4)) as made:
            assert made.ask(query("a.example"))[3] & CODE == dns.SERVER_FAILURE
            assert [len(each.asked) for each in made.servers] == [1, 1, 1, 0]

    private(test)


def test_large_answers_are_asked_for_by_tcp() -> None:
    """What a server cuts off, and what it should have; by TCP the whole comes, from its TCP."""

    def test() -> None:
        whole = saying(9, pad=3000)
        for by_udp in (saying(1, flags=TRUNCATED), whole):
            with scene(by_udp, by_tcp=whole) as made:
                assert made.ask(query("a.example"))[2] & TRUNCATED
                assert len(made.ask(query("a.example"))) <= 512
                answer = made.ask_by_tcp(query("a.example", identifier=99))
                assert (answer[:2], len(answer) > 3000) == (b"\0\x63", True)
                assert len(made.servers[0].asked_by_tcp) == 1
        with scene(whole) as made:  # who takes so much gets it
            assert len(made.ask(query("a.example", opt=extended(4096)))) > 3000

    private(test)


def test_extensions_are_passed_on_and_answered() -> None:
    """A server hears what the client offers; own answers have the record too, and a later
    version of the extensions is refused as RFC 6891 says."""

    def test() -> None:
        with scene(saying(1)) as made:
            made.names.add(NETWORK, "blue", "e1", Holder(("db",), (ip_address("10.0.0.2"),)))
            made.ask(query("a.example", opt=extended(1232)))
            assert made.servers[0].asked[0].endswith(extended(1232))
            plain, answered = made.ask(query("db")), made.ask(query("db", opt=extended(1232)))
            assert (plain[10:12], answered[10:12]) == (b"\0\0", b"\0\1")
            assert answered == plain[:10] + b"\0\1" + plain[12:] + extended(4096)
            refused = made.ask(query("db", opt=extended(1232, version=1)))
            assert refused.endswith(b"\0" + struct.pack("!HHBBHH", 41, 4096, 1, 0, 0, 0))
            assert refused[6:8] == b"\0\0"

    private(test)


def test_many_holders_of_a_name() -> None:
    """All by TCP, and by UDP as far as the asker takes them; each comes first some time."""

    def test() -> None:
        with scene() as made:
            for number in range(1, 61):
                holder = Holder(("search",), (ip_address(f"10.0.0.{number}"),))
                made.names.add(NETWORK, "blue", f"e{number}", holder)
            cut = made.ask(query("search"))
            assert cut[2] & TRUNCATED
            assert made.ask(query("search", opt=extended(1232)))[6:8] == b"\0\x3c"
            whole = made.ask_by_tcp(query("search"))
            assert len(set(addresses(whole))) == 60
            for ask in (made.ask_by_tcp, made.ask):
                asked = query("search", opt=extended(1232))
                assert len({addresses(ask(asked))[0] for _ in range(40)}) > 5

    private(test)


def addresses(answer: bytes) -> list[str]:
    """The addresses in an answer, in order."""
    return [str(each) for each in dns.addresses_told(answer)]


def test_a_question_that_nobody_can_be_asked_is_forgotten() -> None:
    """Servers that can't even be sent to: a failure at once, and nothing is kept of it."""

    def test() -> None:
        with scene(silent) as made:
            nowhere = ("203.0.113.1", "2001:db8::1")
            made.resolver.change_view(View(networks=(), servers=nowhere))
            for identifier in itertools.islice(itertools.count(), 50):
                answer = made.ask(query("a.example", identifier=identifier))
                assert answer[3] & CODE == dns.SERVER_FAILURE
            wait_until("all are forgotten", lambda: not made.resolver._questions)

    private(test)


def test_servers_are_asked_from_where_they_were_named() -> None:
    """The user's from the container's namespace, by UDP and TCP; the host's from the host's."""

    def test() -> None:
        with scene(saying(1), is_outside=True, asks_from_inside=True) as made:
            question = query("elsewhere.example")
            assert made.ask(question)[-1] == 1
            assert made.ask_by_tcp(question)[-1] == 1
        with scene(saying(1), is_outside=True) as made:
            assert made.ask(query("elsewhere.example"))[3] & CODE == dns.SERVER_FAILURE
            assert made.servers[0].asked == []

    private(test)
