"""RELIABILITY N05 and N08: names under attack, under a flood, and without the daemon.

Questions are asked from inside a container's network namespace, at 127.0.0.11:53, as any program
there would. A server outside answers what is passed on to it, or lies, or says nothing.
"""

import contextlib
import os
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from support.daemon import Engine
from support.machine import call_in_namespace
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size

OUTSIDE = "198.51.100.53"
SERVER_FAILURE = 2
MOST_FORWARDED = 1024
LONGEST_LOCAL_S = 0.05
LONGEST_REFUSAL_S = 1.0


def question(name: str, *, identifier: int = 7, kind: int = 1) -> bytes:
    """A query as a client writes it."""
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    header = struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack("!HH", kind, 1)


def answer_to(packet: bytes, address: str, *, identifier: bytes = b"", name: str = "") -> bytes:
    """What a server says: an address, perhaps under another identifier, or of another name."""
    end = packet.index(b"\0", 12) + 5
    asked = question(name)[12:] if name else packet[12:end]
    header = (identifier or packet[:2]) + b"\x81\x80\0\1\0\1\0\0\0\0"
    return header + asked + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(address)


@dataclass
class Outside:
    """A name server elsewhere; `says` decides what it answers."""

    server: socket.socket
    says: Callable[[bytes], list[bytes]]
    asked: list[bytes] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def serve(self) -> None:
        """Until it is over."""
        while not self.is_over.is_set():
            with contextlib.suppress(TimeoutError):
                packet, asker = self.server.recvfrom(4096)
                self.asked.append(packet)
                for each in self.says(packet):
                    self.server.sendto(each, asker)


@contextlib.contextmanager
def outside(engine: Engine, says: Callable[[bytes], list[bytes]]) -> Iterator[Outside]:
    """Serve at OUTSIDE, in the engine's machine."""

    def opened() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        made.bind((OUTSIDE, 53))
        made.settimeout(0.1)
        return made

    engine.machine.run("ip", "address", "add", f"{OUTSIDE}/32", "dev", "lo")
    server = Outside(engine.machine.in_network(opened), says)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.is_over.set()
        thread.join()
        server.server.close()
        engine.machine.run("ip", "address", "del", f"{OUTSIDE}/32", "dev", "lo")


@contextlib.contextmanager
def host_asks(engine: Engine, server: str) -> Iterator[None]:
    """The engine's machine has this name server; it is asked from there, not from containers."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"nameserver {server}\n")
        file.flush()
        engine.machine.run("mount", "--bind", file.name, "/etc/resolv.conf")
        try:
            yield
        finally:
            engine.machine.run("umount", "/etc/resolv.conf")


def asker(engine: Engine, container: str, *, tcp: bool = False) -> socket.socket:
    """A socket to the name server, opened inside a container's network namespace."""

    def connected() -> socket.socket:
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        made = socket.socket(socket.AF_INET, kind)
        made.settimeout(10)
        made.connect(("127.0.0.11", 53))
        return made

    namespace = os.open(f"/proc/{engine.container_pid(container)}/ns/net", os.O_RDONLY)
    try:
        return call_in_namespace(namespace, connected)
    finally:
        os.close(namespace)


def timed(client: socket.socket, packet: bytes) -> tuple[bytes, float]:
    """An answer, and how long it took in seconds."""
    before = time.monotonic()
    client.send(packet)
    return client.recv(4096), time.monotonic() - before


@pytest.fixture
def pair(engine: Engine) -> Iterator[Engine]:
    """Two containers on a network, one of which may ask the server outside."""
    make_pair(engine)
    yield engine
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")


def make_pair(engine: Engine) -> None:
    """`db` and `web` on the network blue."""
    engine.docker_ok("network", "create", "blue")
    for name in ("db", "web"):
        engine.docker_ok("run", "-d", "--name", name, "--network", "blue", "--dns", OUTSIDE,
                         "busybox", "sleep", "1000")  # fmt: skip


def test_a_flood_keeps_nobody_waiting(pair: Engine, size: Size, figure: list[str]) -> None:
    """Thousands of questions to a server that never answers; local names go on at once."""
    count = size.of(5000, 2000)
    with outside(pair, lambda _packet: []), contextlib.closing(asker(pair, "web")) as flood:
        flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        local = asker(pair, "web")
        waits = []
        for number in range(count):
            flood.send(question(f"n{number}.example", identifier=number & 0xFFFF))
            if number % 20 == 0:
                told, seconds = timed(local, question("db"))
                assert told[3] & 0x0F == 0
                waits.append(seconds)
        refused = 0
        flood.settimeout(LONGEST_REFUSAL_S)
        with contextlib.suppress(TimeoutError):
            while refused < count - MOST_FORWARDED:
                assert flood.recv(4096)[3] & 0x0F == SERVER_FAILURE
                refused += 1
        local.close()
    slowest = sorted(waits)[int(len(waits) * 0.99) - 1]
    figure.append(
        f"{count} questions at once, {refused} refused at once; local names meanwhile: p99 "
        f"{1000 * slowest:.1f} ms of {len(waits)}"
    )
    assert refused >= count - MOST_FORWARDED
    assert slowest <= LONGEST_LOCAL_S


def liar(packet: bytes) -> list[bytes]:
    """Lies first, the truth last: a wrong identifier, a wrong name, no answer at all."""
    wrong = bytes([packet[0] ^ 0x5A, packet[1]])
    return [
        answer_to(packet, "203.0.113.66", identifier=wrong),
        answer_to(packet, "203.0.113.66", name="another.example"),
        packet,
        b"",
        answer_to(packet, "192.0.2.7"),
    ]


def believed(engine: Engine, count: int) -> list[str]:
    """Lies that were believed."""
    found = []
    with outside(engine, liar), contextlib.closing(asker(engine, "web")) as client:
        for number in range(count):
            told, _seconds = timed(client, question(f"n{number}.example", identifier=number))
            if socket.inet_ntoa(told[-4:]) != "192.0.2.7" or told[:2] != struct.pack("!H", number):
                found.append(f"n{number}: {told!r}")
    return found


def test_lies_are_not_believed(pair: Engine, size: Size, figure: list[str]) -> None:
    """Only an answer to the question that was asked, with its identifier, is passed on."""
    count = size.of(1000, 100)
    lies = believed(pair, count)
    figure.append(f"{count} questions with four lies each, {len(lies)} believed")
    assert not lies, lies[:3]


def test_an_internal_network_asks_nobody(engine: Engine, figure: list[str]) -> None:
    """N05, CVE-2024-29018: not one packet goes out."""
    engine.docker_ok("network", "create", "--internal", "inner")
    engine.docker_ok("network", "create", "outer")
    with host_asks(engine, OUTSIDE):
        for name, network in (("shut", "inner"), ("open", "outer")):
            engine.docker_ok("run", "-d", "--name", name, "--network", network, "busybox",
                             "sleep", "1000")  # fmt: skip
    truthful = lambda packet: [answer_to(packet, "192.0.2.7")]  # noqa: E731
    with outside(engine, truthful) as server, contextlib.closing(asker(engine, "shut")) as client:
        for number in range(50):
            told, _seconds = timed(client, question(f"n{number}.example"))
            assert told[3] & 0x0F == SERVER_FAILURE
        asked = len(server.asked)
        with contextlib.closing(asker(engine, "open")) as other:
            timed(other, question("open.example"))
        assert len(server.asked) == asked + 1, "who may ask is answered"
    engine.remove_all_containers()
    engine.docker_ok("network", "rm", "inner", "outer")
    figure.append(f"50 questions, {asked} packets outside")
    assert not asked


HOSTILE = (
    b"",
    b"\0" * 11,
    b"\xff" * 512,
    question("web")[:-3],
    question("web")[:12] + b"\xc0\x0c" * 100,
    question("web")[:12] + b"\x3f" * 400,
    struct.pack("!HHHHHH", 1, 0x0100, 65535, 0, 0, 0) + b"\0",
    struct.pack("!HHHHHH", 1, 0x8180, 1, 1, 0, 0) + question("web")[12:],
)


def test_hostile_questions(pair: Engine, figure: list[str]) -> None:
    """Loops, cut-off and huge ones, by both transports; the process goes on and serves."""
    netd = pair.process_named("netd")
    with contextlib.closing(asker(pair, "web")) as client:
        for packet in HOSTILE * 20:
            client.send(packet)
        told, _seconds = timed(client, question("db"))
        assert told[3] & 0x0F == 0
    for payload in (b"\0\0", b"\xff\xff" + b"a" * 65535, b"\0\5abc", b"\xff"):
        with contextlib.closing(asker(pair, "web", tcp=True)) as stream:
            stream.sendall(payload)
            stream.shutdown(socket.SHUT_WR)
            assert stream.recv(10) == b""
    with contextlib.closing(asker(pair, "web", tcp=True)) as stream:
        packet = question("db")
        stream.sendall((len(packet).to_bytes(2, "big") + packet) * 3)
        received = b""
        while len(received) < 3 * (2 + len(packet) + 16):
            received += stream.recv(4096)
    assert pair.process_named("netd") == netd
    figure.append(f"{20 * len(HOSTILE) + 4} hostile questions, the process is the same")


def test_no_look_up_is_lost_without_the_daemon(
    pair: Engine, size: Size, figure: list[str]
) -> None:
    """kill -9 and SIGSTOP of wherryd amid look-ups."""
    wished = size.of(10_000, 1500)
    lost, done = [], 0
    is_over = threading.Event()

    def ask(client: socket.socket) -> None:
        nonlocal done
        client.settimeout(2)
        while done < wished or not is_over.is_set():
            try:
                told, _seconds = timed(client, question("db", identifier=done & 0xFFFF))
                if told[3] & 0x0F:
                    lost.append(f"{done}: {told!r}")
            except TimeoutError:
                lost.append(f"{done}: no answer")
            done += 1

    # The asker is made while the daemon lives: whose namespace it is, the daemon says.
    with contextlib.closing(asker(pair, "web")) as client:
        thread = threading.Thread(target=ask, args=(client,))
        thread.start()
        for _death in range(size.of(5, 2)):
            pair.kill9()
            pair.start()
        is_over.set()
        thread.join()
    figure.append(f"{done} look-ups, {len(lost)} lost")
    assert done >= wished
    assert not lost, lost[:3]


def test_lies_mutant(figure: list[str]) -> None:
    """Without the look at identifier and name, the first lie wins."""
    mutant = Mutant(
        "any answer will do",
        "netd/resolver.py",
        '        if int.from_bytes(data[:2], "big") != self._identifier or not dns.is_answer_to(\n'
        "            data, self._question\n        ):\n            return",
        "        if len(data) < 12:\n            return",
    )
    with mutated_engine(mutant) as engine:
        make_pair(engine)
        lies = believed(engine, 5)
    figure.append(f"killed: {mutant.name} ({len(lies)} of 5 believed)")
    assert lies


def test_internal_mutant(figure: list[str]) -> None:
    """Without the question whether it may go out, an internal network asks the world."""
    mutant = Mutant(
        "everybody may ask outside",
        "networks/names/container_names.py",
        "may_ask_outside = any(each.is_way_out for each in endpoints)",
        "may_ask_outside = True",
    )
    with mutated_engine(mutant) as engine, pytest.raises(AssertionError):
        test_an_internal_network_asks_nobody(engine, [])
    figure.append(f"killed: {mutant.name}")
