"""The sans-IO core: whatever the sizes of the reads, the same response comes out."""

import pytest

from wherry.client import http1
from wherry.client.errors import ProtocolError

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n"
)
SIZED = b"HTTP/1.1 201 Created\r\nContent-Length: 11\r\nA: 1\r\na: 2\r\n\r\nhello world"


def parsed(raw: bytes, step: int, *, method: str = "GET") -> tuple[http1.ResponseParser, bytes]:
    """Feed a response in pieces of one size."""
    parser = http1.ResponseParser(method=method)
    body = b""
    for at in range(0, len(raw), step):
        parser.feed(raw[at : at + step])
        if parser.head is not None:
            body += parser.body()
    return parser, body


@pytest.mark.parametrize("raw", [CHUNKED, SIZED], ids=["chunked", "sized"])
@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_body_does_not_depend_on_reads(raw: bytes, step: int) -> None:
    """Cut anywhere, the body is the same and the end is known."""
    parser, body = parsed(raw, step)
    assert body == b"hello world"
    assert parser.is_complete


def test_repeated_fields_are_joined() -> None:
    """Two fields of one name become one, in order, whatever their case."""
    parser, _ = parsed(SIZED, 1000)
    assert parser.head is not None
    assert parser.head.headers["a"] == "1, 2"


def test_interim_responses_are_skipped() -> None:
    """100 Continue is not the answer."""
    parser, body = parsed(b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED, 4)
    assert parser.head is not None
    assert (parser.head.status, body) == (201, b"hello world")


def test_bytes_behind_an_upgrade_belong_to_the_stream() -> None:
    """What came in the segment of the head is handed over undecoded."""
    parser = http1.ResponseParser(method="POST")
    parser.feed(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n\x01\x00raw")
    assert parser.head is not None
    assert parser.head.status == 101
    assert parser.rest() == b"\x01\x00raw"


def test_body_without_length_ends_with_the_connection() -> None:
    """Neither length nor chunks: the end of the stream is the end of the body."""
    parser = http1.ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert parser.body() == b"abc"
    assert not parser.is_complete
    parser.feed(b"")
    assert parser.is_complete


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body(status: int) -> None:
    """204 and 304 are complete with their head."""
    parser, _ = parsed(f"HTTP/1.1 {status} X\r\n\r\n".encode(), 5)
    assert parser.is_complete


def test_head_requests_have_no_body() -> None:
    """A length in the answer to HEAD announces nothing."""
    parser, _ = parsed(SIZED.partition(b"hello")[0], 9, method="HEAD")
    assert parser.is_complete


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 5000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * http1.LARGEST_HEAD,
    ],
)
def test_nonsense_is_refused(raw: bytes) -> None:
    """What is no HTTP, or has no bounds, is an error and not a guess."""
    with pytest.raises(ProtocolError):
        parsed(raw, 1 << 20)


def test_a_cut_response_is_an_error() -> None:
    """The end of the connection in the middle of a body is no end of the body."""
    parser, _ = parsed(SIZED[:-3], 1000)
    with pytest.raises(ProtocolError):
        parser.feed(b"")


def test_request_heads_cannot_be_split() -> None:
    """A line break in a target or field never reaches the wire."""
    with pytest.raises(ValueError, match="not printable"):
        http1.request_bytes("GET", "/x\r\nEvil: 1", {})
    with pytest.raises(ValueError, match="not printable"):
        http1.request_bytes("GET", "/", {"X": "a\nb"})


def test_queries_are_escaped() -> None:
    """Everything that means something in a query or is no ASCII is escaped."""
    assert http1.encode_query([("name", "a b&c=ü/")]) == "?name=a%20b%26c%3D%C3%BC/"
    assert http1.encode_query([]) == ""
