"""Fluentd's forward protocol, version 1 (fluent/fluentd wiki, "Forward Protocol Specification").

A batch is one message in the Forward mode: `[tag, [[time, record], ...], option]`. With
`fluentd-request-ack` the option names the chunk and the receiver must answer with that name.
"""

import base64
import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence

from wherry.kit.timestamps import NANOSECONDS
from wherry.logs.receivers.messages import LogSource, Message, Patience, ReceiverRefused
from wherry.logs.receivers.sockets import SEND_TIMEOUT_S, dial, dial_unix
from wherry.logs.targets.fluentd import parse_fluentd

_LARGEST_ANSWER = 1024
_LONGEST_PAUSE_S = 60.0
_EVENT_TIME = struct.Struct(">BBII")


class FluentdReceiver:
    """A fluentd or fluent-bit `forward` input."""

    def __init__(self, options: Mapping[str, str], source: LogSource) -> None:
        """Raises: ValueError."""
        self._target = target = parse_fluentd(options)
        self.patience = Patience(
            pause_s=lambda failures: pause_s(target.retry_wait_s, failures),
            most_failures=target.most_tries,
            most_lines=target.most_events,
            # Docker's driver discards what waits at the end of a container (ForceStopAsyncSend).
            grace_s=0 if target.is_async else Patience().grace_s,
        )
        self._opened_at = 0.0
        self._tag = source.tag
        self._members = {
            "container_id": source.container_id,
            "container_name": f"/{source.container_name}",
            **source.attributes,
        }
        self._connection: socket.socket | None = None

    def open(self) -> None:
        """Connect. Raises: OSError."""
        target = self._target
        if target.scheme == "unix":
            self._connection = dial_unix(target.path, is_stream=True)
        else:
            self._connection = dial(target.scheme, target.host, target.port)
        self._opened_at = time.monotonic()

    def send(self, messages: Sequence[Message]) -> None:
        """One Forward message; waits for its acknowledgement where one was asked for.

        Raises: OSError, ReceiverRefused.
        """
        renewal_s = self._target.renew_after_s
        if renewal_s is not None and time.monotonic() > self._opened_at + renewal_s:
            self.close()
        if self._connection is None:
            self.open()
        assert self._connection is not None
        self._connection.settimeout(self._target.write_timeout_s or SEND_TIMEOUT_S)
        entries = [Entry(self._moment(each), self._record(each)) for each in messages]
        if not self._target.wants_ack:
            self._connection.sendall(pack([self._tag, entries]))
            return
        chunk = base64.b64encode(os.urandom(16)).decode()
        self._connection.sendall(pack([self._tag, entries, {"chunk": chunk}]))
        self._await_ack(self._connection, pack({"ack": chunk}))

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _await_ack(self, connection: socket.socket, expected: bytes) -> None:
        connection.settimeout(self._target.read_timeout_s or SEND_TIMEOUT_S)
        answer = b""
        while len(answer) < len(expected):
            part = connection.recv(_LARGEST_ANSWER)
            if not part:
                raise ConnectionResetError(104, "fluentd closed the connection before its ack")
            answer += part
        if answer != expected:
            raise ReceiverRefused("fluentd acknowledged another chunk")

    def _moment(self, message: Message) -> "int | EventTime":
        if self._target.is_precise:
            return EventTime(message.at_ns)
        return message.at_ns // NANOSECONDS

    def _record(self, message: Message) -> dict[str, str]:
        record = {**self._members, "source": message.stream, "log": message.text}
        if message.partial is not None:
            record |= {
                "partial_message": "true",
                "partial_id": message.partial.id,
                "partial_ordinal": str(message.partial.ordinal),
                "partial_last": "true" if message.partial.is_last else "false",
            }
        return record


def pause_s(retry_wait_s: float, failures: int) -> float:
    """fluent-logger-golang's pauses: 0, 1, 1, 2, 3, 5 ... times the wait, at most a minute."""
    return min(retry_wait_s * int(1.5 ** min(failures - 2, 40)), _LONGEST_PAUSE_S)


# -- MessagePack, as much of it as we say (msgpack/msgpack, spec.md) -------------------------


class EventTime(int):
    """Nanoseconds, to be packed as the protocol's extension type 0."""


class Entry(tuple["int | EventTime", dict[str, str]]):
    """A time and a record."""

    __slots__ = ()

    def __new__(cls, moment: "int | EventTime", record: dict[str, str]) -> "Entry":
        """A pair."""
        return super().__new__(cls, (moment, record))


def pack(value: object) -> bytes:
    """Texts, whole numbers, times, lists and maps. Raises: TypeError for anything else."""
    match value:
        case EventTime():
            seconds, nanoseconds = divmod(int(value), NANOSECONDS)
            return _EVENT_TIME.pack(0xD7, 0, seconds, nanoseconds)
        case int():
            return b"\xce" + value.to_bytes(4, "big") if value >= 128 else bytes((value,))
        case str():
            text = value.encode("utf-8", "replace")
            return _head(len(text), 0xA0, 32, (0xD9, 0xDA, 0xDB)) + text
        case list() | tuple():
            head = _head(len(value), 0x90, 16, (None, 0xDC, 0xDD))
            return head + b"".join(pack(each) for each in value)
        case dict():
            head = _head(len(value), 0x80, 16, (None, 0xDE, 0xDF))
            return head + b"".join(pack(key) + pack(each) for key, each in value.items())
        case _:
            raise TypeError(f"{type(value).__name__} is not packed here")


def _head(length: int, fixed: int, below: int, wider: tuple[int | None, int, int]) -> bytes:
    """A type with its length, in the shortest form."""
    if length < below:
        return bytes((fixed | length,))
    for kind, width in zip(wider, (1, 2, 4), strict=True):
        if kind is not None and length < 1 << 8 * width:
            return bytes((kind,)) + length.to_bytes(width, "big")
    raise TypeError(f"{length} is too long")
