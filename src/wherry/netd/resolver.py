"""The name server that a container sees at 127.0.0.11: names of its networks, the rest elsewhere.

Theory of operation. Its sockets live in the container's network namespace, on ports that the
kernel chose, and a rule there leads 127.0.0.11:53 to them; so the container may have a name
server of its own on port 53. They are served from here, outside, and go on when wherryd dies.

    container ── question ──▶ known name?  yes ─▶ answer (or: no such addresses)
                                           no ──▶ may it ask outside?  no ─▶ SERVFAIL
                                                  yes ─▶ its name servers in turn,
                                                         from a socket of its own for each
                                                         question, 4 s each, at most three;
                                                         who fails or refuses is passed over

The host's name servers are asked from the host, so those on its loopback too; those that a user
named (`--dns`) as the container would: from its own namespace, by its own routes.

By TCP it is passed on by TCP, as it came (with what it says of extensions, RFC 6891); what comes
back and is larger than the container takes by UDP tells it to ask by TCP.

A question that is passed on has a random identifier and a random port, and only an answer from
the server that was asked, about the name that was asked, is taken. At most `MOST_FORWARDED`
questions are under way at once for everybody; those beyond get SERVFAIL at once, so a flood does
not keep names of containers from being answered.
"""

import contextlib
import random
import socket
from collections.abc import Callable, Mapping, Sequence

from wherry.kit.event_loop import READ, WRITE, EventLoop, Timer
from wherry.kit.values import dataclass, field
from wherry.netd import dns_messages as dns
from wherry.netd.elsewhere import opened_beside
from wherry.netd.kept_answers import KeptAnswers
from wherry.netd.names import Names

MOST_FORWARDED = 1024
MOST_SERVERS = 3
SERVER_TIMEOUT_S = 4.0
TCP_TIMEOUT_S = 10.0
_MOST_TCP_CLIENTS = 64
_LARGEST_PACKET = 65535
_LARGEST_QUESTION = 4096
"""By UDP; one name takes 255 bytes at most, and what extensions add is short (RFC 6891, 6.2.5)."""
_PORT = 53

Reply = Callable[[bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one container may know."""

    networks: tuple[str, ...]
    """Ids, in the order in which it is connected to them."""
    servers: tuple[str, ...]
    """Addresses that are asked for everything else; none for a container that may not ask."""
    asks_from_inside: bool = False
    """Whether they are asked from the container's namespace."""
    links: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Names that it alone may use, in lower case: the network, and the name there."""


class Forwarding:
    """How many questions are under way to the outside; shared by all resolvers."""

    def __init__(self) -> None:
        self.count = 0
        self.dice = random.SystemRandom()


class Resolver:
    """The name server of one container."""

    def __init__(
        self,
        loop: EventLoop,
        names: Names,
        forwarding: Forwarding,
        *,
        udp: socket.socket,
        tcp: socket.socket,
        view: View,
    ) -> None:
        """`udp` is bound, `tcp` listens; both are closed with the resolver."""
        self._loop, self._names, self._forwarding = loop, names, forwarding
        self._udp, self._tcp = udp, tcp
        self._clients: set[_TcpClient] = set()
        self._questions: set[_Forwarded] = set()
        self._view, self._kept = view, KeptAnswers(names)
        for each in (udp, tcp):
            each.setblocking(False)
        loop.watch(udp, READ, self._serve_udp)
        loop.watch(tcp, READ, lambda _events: self._accept())

    def change_view(self, view: View) -> None:
        """From now on the container may know this."""
        self._view = view
        self._kept.forget()

    def close(self) -> None:
        """Answer no more."""
        for question in tuple(self._questions):
            question.end()
        for client in tuple(self._clients):
            client.close()
        for each in (self._udp, self._tcp):
            self._loop.forget(each)
            each.close()

    def _serve_udp(self, _events: int) -> None:
        """One datagram; while there are more, the loop comes back, and others have their turn."""
        try:
            packet, sender = self._udp.recvfrom(_LARGEST_QUESTION)
            answer = self._kept.find(packet)
            if answer is not None:
                self._udp.sendto(answer, sender)
                return
        except OSError:
            return
        self._consider(packet, self._reply_to(sender), by_tcp=False)

    def _reply_to(self, sender: tuple[str, int]) -> Reply:
        def reply(answer: bytes) -> None:
            with contextlib.suppress(OSError):
                self._udp.sendto(answer, sender)

        return reply

    def _accept(self) -> None:
        try:
            client, _address = self._tcp.accept()
        except OSError:
            return
        if len(self._clients) >= _MOST_TCP_CLIENTS:
            client.close()
            return
        self._clients.add(_TcpClient(self._loop, client, self._consider, self._clients.discard))

    def _consider(self, packet: bytes, reply: Reply, *, by_tcp: bool) -> None:
        """Answer a question, or pass it on."""
        try:
            question = dns.read_question(packet)
        except dns.MalformedMessage:
            return
        limit = _LARGEST_PACKET if by_tcp else question.udp_bytes
        if not dns.is_query(question):
            reply(dns.failure(question, dns.NOT_IMPLEMENTED))
            return
        if question.edns_version:
            reply(dns.unknown_version(question))
            return
        answer = self._own_answer(question, limit)
        if answer is not None:
            if not by_tcp:
                self._kept.keep(packet, answer)
            reply(answer)
        elif not self._view.servers or self._forwarding.count >= MOST_FORWARDED:
            reply(dns.failure(question, dns.SERVER_FAILURE))
        else:
            forwarded = _Forwarded(
                self._loop,
                self._forwarding,
                question,
                packet,
                servers=self._view.servers[:MOST_SERVERS],
                open_socket=self._open_socket,
                reply=reply,
                by_tcp=by_tcp,
                on_end=self._questions.discard,
            )
            self._questions.add(forwarded)
            forwarded.begin()

    def _open_socket(self, family: int, kind: int) -> socket.socket:
        if self._view.asks_from_inside:
            return opened_beside(self._udp, family, kind)
        return socket.socket(family, kind)

    def _own_answer(self, question: dns.Question, limit_bytes: int) -> bytes | None:
        if question.kind == dns.PTR:
            address = dns.reverse_address(question.name)
            name = self._names.name_of(self._view.networks, address) if address else None
            return dns.name_answer(question, name, limit_bytes=limit_bytes) if name else None
        networks, name = self._view.networks, question.name
        if name in self._view.links:
            network, name = self._view.links[name]
            networks = (network,)
        found = self._names.addresses(networks, name)
        if found is None:
            return None
        versions = {dns.A: (4,), dns.AAAA: (6,), dns.ANY: (4, 6)}.get(question.kind, ())
        fitting = [each for each in found if each.version in versions]
        return dns.addresses_answer(question, fitting, limit_bytes=limit_bytes)


class _Forwarded:
    """One question on its way to the host's name servers."""

    def __init__(
        self,
        loop: EventLoop,
        forwarding: Forwarding,
        question: dns.Question,
        packet: bytes,
        *,
        servers: Sequence[str],
        open_socket: Callable[[int, int], socket.socket],
        reply: Reply,
        by_tcp: bool,
        on_end: Callable[["_Forwarded"], None],
    ) -> None:
        self._loop, self._forwarding = loop, forwarding
        self._question, self._packet = question, packet
        self._servers, self._open_socket = list(servers), open_socket
        self._reply, self._by_tcp, self._on_end = reply, by_tcp, on_end
        self._identifier = 0
        self._socket: socket.socket | None = None
        self._timer: Timer | None = None
        self._received = bytearray()
        self._has_ended = False

    def begin(self) -> None:
        """Ask the first server."""
        self._forwarding.count += 1
        self._ask_next()

    def end(self) -> None:
        """Give the question up, or be done with it. Doing so twice is no error."""
        self._let_go()
        if not self._has_ended:
            self._has_ended = True
            self._forwarding.count -= 1
            self._on_end(self)

    def _ask_next(self) -> None:
        """Ask the next server; with none left, say so."""
        self._let_go()
        while self._servers:
            server = self._servers.pop(0)
            try:
                self._ask(server)
            except OSError:
                self._let_go()
                continue
            self._timer = self._loop.call_later(SERVER_TIMEOUT_S, self._ask_next)
            return
        self._reply(dns.failure(self._question, dns.SERVER_FAILURE))
        self.end()

    def _ask(self, server: str) -> None:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        kind = socket.SOCK_STREAM if self._by_tcp else socket.SOCK_DGRAM
        self._socket = self._open_socket(family, kind | socket.SOCK_NONBLOCK)
        self._identifier = self._forwarding.dice.getrandbits(16)
        packet = dns.with_identifier(self._packet, self._identifier)
        if self._by_tcp:
            with contextlib.suppress(BlockingIOError):
                self._socket.connect((server, _PORT))
            framed = len(packet).to_bytes(2, "big") + packet
            self._loop.watch(self._socket, WRITE, lambda _events: self._say(framed))
            return
        self._socket.connect((server, _PORT))
        self._socket.send(packet)
        self._loop.watch(self._socket, READ, lambda _events: self._hear())

    def _say(self, framed: bytes) -> None:
        """The connection stands (or does not): send the question in one piece."""
        assert self._socket is not None
        try:
            if self._socket.send(framed) != len(framed):
                raise OSError("a question that does not fit into an empty buffer")
        except OSError:
            self._ask_next()
            return
        self._received.clear()
        self._loop.watch(self._socket, READ, lambda _events: self._hear())

    def _hear(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(_LARGEST_PACKET)
        except BlockingIOError:
            return
        except OSError:
            self._ask_next()
            return
        if self._by_tcp:
            self._received += data
            if not data:
                self._ask_next()
                return
            length = int.from_bytes(self._received[:2], "big")
            if len(self._received) < 2 or len(self._received) < 2 + length:
                return
            data = bytes(self._received[2 : 2 + length])
        if int.from_bytes(data[:2], "big") != self._identifier or not dns.is_answer_to(
            data, self._question
        ):
            return  # a guess, or an answer that came too late: wait on
        if self._servers and dns.code_of(data) in (dns.SERVER_FAILURE, dns.REFUSED):
            self._ask_next()
            return
        if not self._by_tcp and len(data) > self._question.udp_bytes:
            data = dns.truncated(self._question)
        self._reply(dns.with_identifier(data, self._question.identifier))
        self.end()

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self._loop.forget(self._socket)
            self._socket.close()
            self._socket = None


class _TcpClient:
    """A connection of a container, with questions one after the other."""

    def __init__(
        self,
        loop: EventLoop,
        connection: socket.socket,
        consider: Callable[..., None],
        on_end: Callable[["_TcpClient"], None],
    ) -> None:
        self._loop, self._connection = loop, connection
        self._consider, self._on_end = consider, on_end
        self._received, self._unsent = bytearray(), bytearray()
        self._is_closed = False
        connection.setblocking(False)
        self._timer = loop.call_later(TCP_TIMEOUT_S, self.close)
        loop.watch(connection, READ, self._serve)

    def close(self) -> None:
        """End the connection. Doing so twice is no error."""
        if not self._is_closed:
            self._is_closed = True
            self._timer.cancel()
            self._loop.forget(self._connection)
            self._connection.close()
            self._on_end(self)

    def _serve(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if not self._is_closed and events & READ:
            self._read()

    def _read(self) -> None:
        try:
            data = self._connection.recv(_LARGEST_PACKET)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._received += data
        if not data or len(self._received) > _LARGEST_PACKET + 2:
            self.close()
            return
        length = int.from_bytes(self._received[:2], "big")
        while len(self._received) >= 2 + length and len(self._received) >= 2:
            packet = bytes(self._received[2 : 2 + length])
            del self._received[: 2 + length]
            self._consider(packet, self._answer, by_tcp=True)
            length = int.from_bytes(self._received[:2], "big")

    def _answer(self, answer: bytes) -> None:
        if not self._is_closed:
            self._unsent += len(answer).to_bytes(2, "big") + answer
            self._flush()

    def _flush(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._unsent[:sent]
        self._loop.watch(self._connection, READ | WRITE if self._unsent else READ, self._serve)
