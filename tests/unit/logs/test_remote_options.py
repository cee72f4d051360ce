"""Options of remote drivers whose effect is a time, a number of tries or a byte on the wire.

Each of these tests fails when its option is ignored.
"""

import gzip
import socket
import time
from collections.abc import Iterator

import pytest

from support.receivers import Collector
from support.waiting import wait_until
from wherry.logs.receivers.fluentd import FluentdReceiver
from wherry.logs.receivers.gelf import GelfReceiver
from wherry.logs.receivers.messages import LogSource, Message
from wherry.logs.receivers.sockets import SEND_TIMEOUT_S
from wherry.logs.receivers.splunk import SplunkReceiver

MESSAGE = Message(text="said", is_error=False, at_ns=1_000_000_000)


@pytest.fixture
def source() -> LogSource:
    """A container."""
    return LogSource(
        container_id="c" * 64,
        container_name="says",
        image_id="sha256:" + "a" * 64,
        image_name="busybox",
        command="echo",
        created="2026-01-01T00:00:00Z",
        hostname="host",
        tag="T",
    )


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections, reads nothing and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield address_of(listening)


def address_of(listening: socket.socket) -> str:
    """Host and port."""
    host, port = listening.getsockname()
    return f"{host}:{port}"


def test_fluentd_retry_wait(source: LogSource) -> None:
    """The pauses are multiples of it."""
    receiver = FluentdReceiver({"fluentd-retry-wait": "3s"}, source)
    assert [receiver.patience.pause_s(n) for n in range(1, 8)] == [0, 3, 3, 6, 9, 15, 21]


def test_fluentd_write_timeout(source: LogSource, silent: str) -> None:
    """A receiver that reads nothing is given up after it."""
    options = {"fluentd-address": silent, "fluentd-write-timeout": "50ms"}
    receiver = FluentdReceiver(options, source)
    large = Message(text="x" * (8 << 20), is_error=False, at_ns=0)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        receiver.send([large])
    receiver.close()
    assert time.monotonic() - began < SEND_TIMEOUT_S  # the one without the option


def test_fluentd_read_timeout(source: LogSource, silent: str) -> None:
    """An acknowledgement that does not come is waited for so long."""
    options = {"fluentd-address": silent, "fluentd-request-ack": "true",
               "fluentd-read-timeout": "50ms"}  # fmt: skip
    receiver = FluentdReceiver(options, source)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        receiver.send([MESSAGE])
    receiver.close()
    assert time.monotonic() - began < SEND_TIMEOUT_S  # the one without the option


@pytest.mark.parametrize(
    ("interval", "is_async", "is_new"),
    [("100ms", "true", True), ("10s", "true", False), ("100ms", "false", False)],
)
def test_fluentd_reconnect_interval(
    source: LogSource, interval: str, is_async: str, is_new: bool
) -> None:
    """A connection of that age is made anew, so that an address is looked up again."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        options = {"fluentd-address": address_of(listening), "fluentd-async": is_async,
                   "fluentd-async-reconnect-interval": interval}  # fmt: skip
        receiver = FluentdReceiver(options, source)
        receiver.send([MESSAGE])
        first, _ = listening.accept()
        opened_by = time.monotonic()
        wait_until("it is old", lambda: time.monotonic() > opened_by + 0.15)
        receiver.send([MESSAGE])
        listening.setblocking(False)
        with first:
            if is_new:
                listening.accept()[0].close()
            else:
                with pytest.raises(BlockingIOError):
                    listening.accept()
        receiver.close()


def test_gelf_reconnect_delay(source: LogSource) -> None:
    """The pause between two tries is always the same, and ours grows without it."""
    address = {"gelf-address": "tcp://127.0.0.1:1"}
    patience = GelfReceiver({**address, "gelf-tcp-reconnect-delay": "7"}, source).patience
    assert [patience.pause_s(n) for n in (1, 2, 9)] == [7, 7, 7]
    patience = GelfReceiver({**address, "gelf-tcp-reconnect-delay": "0"}, source).patience
    assert patience.pause_s(9) == 0
    assert GelfReceiver(address, source).patience.pause_s(9) > 0


@pytest.mark.parametrize(
    ("level", "mark"), [({}, 0), ({"splunk-gzip-level": "9"}, 2), ({"splunk-gzip-level": "1"}, 4)]
)
def test_splunk_gzip(source: LogSource, level: dict[str, str], mark: int) -> None:
    """Compressed at zlib's own level unless told; byte 8 tells 9 and 1 apart (RFC 1952, XFL)."""
    content = posted(source, {"splunk-gzip": "true", **level})
    assert content[:2] == b"\x1f\x8b"
    assert content[8] == mark
    assert b'"said"' in gzip.decompress(content)


def test_splunk_is_plain_by_default(source: LogSource) -> None:
    """Without `splunk-gzip` nothing is compressed, whatever the level."""
    assert b'"said"' in posted(source, {"splunk-gzip-level": "9"})


def posted(source: LogSource, options: dict[str, str]) -> bytes:
    """What a collector is sent for one message."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://{address_of(listening)}"
    collector = Collector(listening)
    try:
        receiver = SplunkReceiver({"splunk-url": url, "splunk-token": "t", **options}, source)
        receiver.send([MESSAGE])
        receiver.close()
    finally:
        collector.close()
    return collector.requests[-1][3]
