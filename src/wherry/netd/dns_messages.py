"""DNS messages, as far as a resolver for containers needs them (RFC 1035, RFC 6891).

A question is read strictly: one of them, no compression, at most 255 bytes of name. What we don't
answer ourselves is passed on as it came, so nothing else has to be understood.
"""

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from wherry.kit.values import dataclass

A, PTR, AAAA, ANY = 1, 12, 28, 255
CLASS_IN = 1
NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NAME_ERROR, NOT_IMPLEMENTED, REFUSED = 0, 1, 2, 3, 4, 5

_HEADER = struct.Struct("!HHHHHH")
_IS_ANSWER, _OPCODE, _TRUNCATED, _WANTS_RECURSION = 0x8000, 0x7800, 0x0200, 0x0100
_RECURSION_OFFERED = 0x0080
_OPT = 41
_SMALLEST_UDP, _LARGEST_UDP = 512, 4096
_LONGEST_NAME = 255
_TTL_S = 600
"""How long an answer of ours may be kept, in seconds: Docker's number."""
_POINTER = 0xC0
_POINTER_TO_QUESTION = b"\xc0\x0c"


class MalformedMessage(Exception):
    """Bytes that are no question that we could answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody wants to know."""

    identifier: int
    flags: int
    name: str
    """In lower case, without a dot at the end."""
    kind: int
    in_class: int
    raw: bytes
    """The question section as it came: an answer repeats it to the letter."""
    udp_bytes: int
    """How large an answer by UDP may be."""
    edns_version: int | None = None
    """Of the extensions that its sender speaks (RFC 6891); None: it speaks none."""


def read_question(packet: bytes) -> Question:
    """Raises: MalformedMessage."""
    if len(packet) < _HEADER.size:
        raise MalformedMessage
    identifier, flags, questions, _answers, _authorities, additional = _HEADER.unpack_from(packet)
    if flags & _IS_ANSWER or questions != 1:
        raise MalformedMessage
    name, position = _read_name(packet, _HEADER.size)
    if position + 4 > len(packet):
        raise MalformedMessage
    kind, in_class = struct.unpack_from("!HH", packet, position)
    end = position + 4
    udp_bytes, edns_version = _extensions(packet, end) if additional else (_SMALLEST_UDP, None)
    return Question(
        identifier=identifier,
        flags=flags,
        name=name,
        kind=kind,
        in_class=in_class,
        raw=packet[_HEADER.size : end],
        udp_bytes=udp_bytes,
        edns_version=edns_version,
    )


def is_answer_to(packet: bytes, question: Question) -> bool:
    """Whether a packet answers a question: who guesses must guess its name as well."""
    start = _HEADER.size
    if len(packet) < start + len(question.raw):
        return False
    _identifier, flags, questions, *_rest = _HEADER.unpack_from(packet)
    asked = packet[start : start + len(question.raw)]
    return bool(flags & _IS_ANSWER) and questions == 1 and asked.lower() == question.raw.lower()


def is_query(question: Question) -> bool:
    """Whether it is an ordinary query; anything else is not implemented."""
    return not question.flags & _OPCODE and question.in_class == CLASS_IN


def addresses_answer(
    question: Question, addresses: Sequence[IPv4Address | IPv6Address], *, limit_bytes: int
) -> bytes:
    """An answer with addresses; none says that the name exists and has no such addresses."""
    records = [_record(A if each.version == 4 else AAAA, each.packed) for each in addresses]
    return _answer(question, records, limit_bytes=limit_bytes)


def name_answer(question: Question, name: str, *, limit_bytes: int) -> bytes:
    """An answer with a name, to a reverse look-up."""
    return _answer(question, [_record(PTR, _written(name))], limit_bytes=limit_bytes)


def failure(question: Question, code: int) -> bytes:
    """An answer that says why there is none."""
    return _answer(question, [], code=code, limit_bytes=_LARGEST_UDP)


def truncated(question: Question) -> bytes:
    """An answer that says: ask again by TCP."""
    return _header(question, _TRUNCATED, 0) + question.raw + _extended(question)


def unknown_version(question: Question) -> bytes:
    """An answer to whoever speaks a later version of the extensions than there is (BADVERS)."""
    return _header(question, NO_ERROR, 0) + question.raw + _extended(question, code=1)


def code_of(packet: bytes) -> int:
    """How an answer went, in the words of its header."""
    return packet[3] & 0x0F


def with_identifier(packet: bytes, identifier: int) -> bytes:
    """The same message under another identifier."""
    return identifier.to_bytes(2, "big") + packet[2:]


def reverse_address(name: str) -> IPv4Address | IPv6Address | None:
    """The address of `2.0.17.172.in-addr.arpa` or of its IPv6 sister; None for another name."""
    labels = name.split(".")
    try:
        if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
            return IPv4Address(".".join(reversed(labels[:4])))
        if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34:
            digits = "".join(reversed(labels[:32]))
            if all(len(each) == 1 for each in labels[:32]):
                return IPv6Address(bytes.fromhex(digits))
    except ValueError:
        pass
    return None


def asking(name: str, identifier: bytes) -> tuple[bytes, bytes]:
    """Questions for the addresses of a name, of IPv4 and of IPv6."""
    header = _HEADER.pack(int.from_bytes(identifier, "big"), _WANTS_RECURSION, 1, 0, 0, 0)
    written = header + _written(name)
    return written + struct.pack("!HH", A, CLASS_IN), written + struct.pack("!HH", AAAA, CLASS_IN)


def addresses_told(packet: bytes) -> list[IPv4Address | IPv6Address]:
    """The addresses in an answer to one question. Raises: MalformedMessage."""
    found: list[IPv4Address | IPv6Address] = []
    try:
        count = _HEADER.unpack_from(packet)[3]
        position = _read_name(packet, _HEADER.size)[1] + 4
        for _ in range(count):
            position = _after_name(packet, position)
            kind, _in_class, _ttl_s, length = struct.unpack_from("!HHIH", packet, position)
            data = packet[position + 10 : position + 10 + length]
            position += 10 + length
            if kind in (A, AAAA):
                found.append(IPv4Address(data) if kind == A else IPv6Address(data))
    except (struct.error, ValueError) as error:
        raise MalformedMessage from error
    return found


def _after_name(packet: bytes, position: int) -> int:
    """Where a name of an answer ends: at a pointer, or as it is written."""
    while position < len(packet) and packet[position] < _POINTER:
        if packet[position] == 0:
            return position + 1
        position += 1 + packet[position]
    return position + 2


def _answer(
    question: Question, records: Sequence[bytes], *, code: int = NO_ERROR, limit_bytes: int
) -> bytes:
    body = b"".join(records) + _extended(question)
    if _HEADER.size + len(question.raw) + len(body) > limit_bytes:
        return truncated(question)
    return _header(question, code, len(records)) + question.raw + body


def _header(question: Question, flags: int, count: int) -> bytes:
    kept = question.flags & (_WANTS_RECURSION | _OPCODE)
    flags |= _IS_ANSWER | _RECURSION_OFFERED | kept
    extended = int(question.edns_version is not None)
    return _HEADER.pack(question.identifier, flags, 1, count, 0, extended)


def _record(kind: int, data: bytes) -> bytes:
    return _POINTER_TO_QUESTION + struct.pack("!HHIH", kind, CLASS_IN, _TTL_S, len(data)) + data


def _written(name: str) -> bytes:
    parts = [each.encode("ascii", "replace")[:63] for each in name.split(".") if each]
    return b"".join(bytes([len(each)]) + each for each in parts) + b"\0"


def _read_name(packet: bytes, position: int) -> tuple[str, int]:
    start = position
    labels: list[str] = []
    while True:
        if position >= len(packet) or position - start > _LONGEST_NAME:
            raise MalformedMessage
        length = packet[position]
        position += 1
        if length == 0:
            return ".".join(labels), position
        if length > 63 or position + length > len(packet):
            raise MalformedMessage  # a pointer has nothing to point to in a question
        labels.append(packet[position : position + length].decode("latin-1").lower())
        position += length


def _extensions(packet: bytes, position: int) -> tuple[int, int | None]:
    """What an OPT record with an empty name says: the size that its sender takes, a version."""
    if packet[position : position + 1] != b"\0" or position + 9 > len(packet):
        return _SMALLEST_UDP, None
    kind, size, _code, version = struct.unpack_from("!HHBB", packet, position + 1)
    if kind != _OPT:
        return _SMALLEST_UDP, None
    return min(max(size, _SMALLEST_UDP), _LARGEST_UDP), version


def _extended(question: Question, *, code: int = 0) -> bytes:
    """The OPT record of an answer, for who sent one; `code` are the upper bits of the answer's."""
    if question.edns_version is None:
        return b""
    return b"\0" + struct.pack("!HHBBHH", _OPT, _LARGEST_UDP, code, 0, 0, 0)
