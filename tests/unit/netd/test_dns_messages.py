"""DNS messages: what is read, what is refused, what is answered."""

import contextlib
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.netd import dns_messages as dns


def query(name: str, kind: int = dns.A, *, identifier: int = 7, opt: bytes = b"") -> bytes:
    """A question as a client writes it."""
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split(".") if each)
    header = struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 1 if opt else 0)
    return header + labels + b"\0" + struct.pack("!HH", kind, dns.CLASS_IN) + opt


EDNS = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


def test_a_question_is_read() -> None:
    """In lower case, with the size of answers that its sender takes."""
    question = dns.read_question(query("Web.Front", dns.AAAA, opt=EDNS))
    assert (question.name, question.kind, question.udp_bytes) == ("web.front", dns.AAAA, 1232)
    assert dns.read_question(query("web")).udp_bytes == 512


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\0" * 11,
        query("web")[:-1],
        query("web")[:14],
        query("web").replace(b"\3web", b"\xc0\x0c" + b"\0\0"),
        query("web")[:2] + b"\x81\x00" + query("web")[4:],
        query("web")[:4] + b"\0\2" + query("web")[6:],
        query(".".join(["a" * 60] * 6)),
    ],
)
def test_what_is_no_question(packet: bytes) -> None:
    """Cut off, compressed, an answer, two questions at once, a name that is too long."""
    with pytest.raises(dns.MalformedMessage):
        dns.read_question(packet)


@given(st.binary(max_size=600))
def test_nothing_but_that_is_raised(packet: bytes) -> None:
    """Whatever comes in from a container."""
    with contextlib.suppress(dns.MalformedMessage):
        dns.read_question(packet)


def test_answers() -> None:
    """With the question repeated to the letter; too many addresses say: ask by TCP."""
    question = dns.read_question(query("WEB"))
    answer = dns.addresses_answer(question, [IPv4Address("10.0.0.2")], limit_bytes=512)
    assert answer[:2] == b"\0\7"
    assert b"\3WEB\0" in answer
    assert answer.endswith(b"\0\4" + bytes([10, 0, 0, 2]))
    assert dns.is_answer_to(answer, question)
    many = [IPv6Address(each) for each in range(40)]
    cut = dns.addresses_answer(question, many, limit_bytes=512)
    assert cut[2] & 0x02
    assert len(cut) < 64
    assert len(dns.addresses_answer(question, many, limit_bytes=65535)) > 1000


def test_guesses_are_no_answers() -> None:
    """Another name, a question, a cut off packet."""
    question = dns.read_question(query("web"))
    other = dns.addresses_answer(dns.read_question(query("wed")), [], limit_bytes=512)
    for packet in (other, query("web"), b"", b"\0" * 12):
        assert not dns.is_answer_to(packet, question)


@pytest.mark.parametrize("text", ["172.18.0.2", "fd00::1:2", "::1"])
def test_reverse_names(text: str) -> None:
    """From the name of a reverse look-up to the address."""
    assert dns.reverse_address(ip_address(text).reverse_pointer) == ip_address(text)


@pytest.mark.parametrize(
    "name", ["", "arpa", "1.2.3.in-addr.arpa", "x.0.18.172.in-addr.arpa", "g.ip6.arpa", "web"]
)
def test_names_that_are_no_addresses(name: str) -> None:
    """Too short, no numbers, or something else."""
    assert dns.reverse_address(name) is None
