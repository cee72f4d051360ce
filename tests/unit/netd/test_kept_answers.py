"""Answers that are kept by a resolver: told again, until names or what may be known change."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from wherry.kit.event_loop import EventLoop
from wherry.netd import dns_messages as dns
from wherry.netd.kept_answers import LARGEST_KEPT_BYTES, MOST_KEPT, KeptAnswers
from wherry.netd.names import Names, holder_of
from wherry.netd.resolver import Forwarding, Resolver, View

ONE_RECORD, TWO_RECORDS = (b"ab\x80\0\0\1\0" + bytes([each]) + b"rest" for each in (1, 2))


class Asker:
    """A container that asks its resolver, which runs when it is asked."""

    def __init__(self, loop: EventLoop, udp: socket.socket, resolver: Resolver) -> None:
        self._loop, self.resolver = loop, resolver
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(udp.getsockname())
        self._socket.settimeout(5)

    def ask(self, name: str, identifier: bytes) -> list[str]:
        """The addresses of a name; the answer repeats identifier and question to the letter."""
        question = dns.asking(name, identifier)[0]
        self._socket.send(question)
        self._loop.wait(5)
        answer = self._socket.recv(512)
        assert answer[:2] == identifier
        assert answer[12 : len(question)] == question[12:]
        return [str(each) for each in dns.addresses_told(answer)]

    def close(self) -> None:
        """Ask no more."""
        self._socket.close()
        self.resolver.close()


@contextmanager
def asking(names: Names) -> Iterator[Asker]:
    """A resolver of a container on network n1 that asks nobody else."""
    loop = EventLoop()
    udp, tcp = (socket.socket(type=kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM))
    for each in (udp, tcp):
        each.bind(("127.0.0.1", 0))
    tcp.listen()
    view = View(networks=("n1",), servers=())
    resolver = Resolver(loop, names, Forwarding(), udp=udp, tcp=tcp, view=view)
    asker = Asker(loop, udp, resolver)
    try:
        yield asker
    finally:
        asker.close()


def test_an_answer_is_true_when_it_is_told_again() -> None:
    """Whatever changed: an address, a second holder of the name, nobody, what may be known."""
    names = Names()
    names.add("n1", "front", "e1", holder_of(["web"], ["10.0.0.2"]))
    with asking(names) as asker:
        for identifier in (b"\0\1", b"\0\2", b"\0\1"):
            assert asker.ask("web", identifier) == ["10.0.0.2"]
        names.add("n1", "front", "e1", holder_of(["web"], ["10.0.0.3"]))
        assert asker.ask("web", b"\0\1") == ["10.0.0.3"]
        names.add("n1", "front", "e2", holder_of(["web"], ["10.0.0.4"]))
        orders = {tuple(asker.ask("web", b"\0\1")) for _ in range(60)}
        assert len(orders) == 2
        names.remove("n1", "e2")
        assert asker.ask("web", b"\0\1") == ["10.0.0.3"]
        asker.resolver.change_view(View(networks=("n2",), servers=()))
        assert asker.ask("web", b"\0\1") == []
        asker.resolver.change_view(View(networks=("n1",), servers=()))
        assert asker.ask("web", b"\0\1") == ["10.0.0.3"]
        names.remove("n1", "e1")
        assert asker.ask("web", b"\0\1") == []


@pytest.mark.parametrize("letters", ["web", "WEB", "wEb"])
def test_capitals_are_the_askers(letters: str) -> None:
    """Not those of an earlier question: random capitals are how some know a true answer."""
    names = Names()
    names.add("n1", "front", "e1", holder_of(["web"], ["10.0.0.2"]))
    with asking(names) as asker:
        assert asker.ask("Web", b"\0\1") == asker.ask(letters, b"\0\2") == ["10.0.0.2"]


def test_not_everything_is_kept() -> None:
    """Records whose order changes, long questions, and more than so many are not."""
    kept = KeptAnswers(Names())
    kept.keep(b"12several", TWO_RECORDS)
    kept.keep(b"12" + bytes(LARGEST_KEPT_BYTES), ONE_RECORD)
    assert kept.find(b"12several") is None
    assert kept.find(b"12" + bytes(LARGEST_KEPT_BYTES)) is None
    for number in range(MOST_KEPT):
        kept.keep(b"12%d" % number, ONE_RECORD)
    assert kept.find(b"340") == b"34" + ONE_RECORD[2:]
    kept.keep(b"12one more", ONE_RECORD)
    assert kept.find(b"340") is None
