"""GELF 1.1 (go2docs.graylog.org, "GELF"): compressed, chunked datagrams, or JSON over tcp."""

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from wherry.logs.receivers.messages import (
    Json,
    LogSource,
    Message,
    Patience,
    ReceiverRefused,
    doubling_pause_s,
)
from wherry.logs.receivers.sockets import dial, problem_text
from wherry.logs.targets.gelf import parse_gelf

_INFO, _ERROR = 6, 3
_CHUNK_MAGIC = b"\x1e\x0f"
_CHUNK_HEADER = 12
_LARGEST_PACKET = 1420
"""So that a datagram passes an Ethernet in one piece."""
_MOST_CHUNKS = 128


class GelfReceiver:
    """A GELF input."""

    def __init__(self, options: Mapping[str, str], source: LogSource) -> None:
        """Raises: ValueError."""
        self._target = target = parse_gelf(options)
        delay_s = target.delay_s
        self.patience = Patience(
            pause_s=doubling_pause_s if delay_s is None else lambda _failures: float(delay_s),
            most_failures=None if target.reconnects is None else target.reconnects + 1,
        )
        self._members: dict[str, Json] = {
            "version": "1.1",
            "host": source.hostname,
            "_container_id": source.container_id,
            "_container_name": source.container_name,
            "_image_id": source.image_id,
            "_image_name": source.image_name,
            "_command": source.command,
            "_tag": source.tag,
            "_created": source.created,
        }
        for name, value in source.attributes.items():
            self._members[name if name.startswith("_") else f"_{name}"] = value
        self._connection: socket.socket | None = None

    def open(self) -> None:
        """Connect. Raises: ReceiverRefused."""
        target = self._target
        try:
            self._connection = dial(target.scheme, target.host, target.port)
        except OSError as error:
            where = f"{target.host}:{target.port}"
            raise ReceiverRefused(
                f"gelf: cannot connect to GELF endpoint: {where} {problem_text(error)}"
            ) from error

    def send(self, messages: Sequence[Message]) -> None:
        """One document for each message. Raises: OSError, ReceiverRefused."""
        if self._connection is None:
            self.open()
        assert self._connection is not None
        documents = (self._document(each) for each in messages)
        if self._target.scheme == "tcp":
            self._connection.sendall(b"".join(each + b"\0" for each in documents))
            return
        for document in documents:
            for packet in chunks(self._compressed(document)):
                with suppress(ConnectionRefusedError):
                    self._connection.send(packet)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _document(self, message: Message) -> bytes:
        members = self._members | {
            "short_message": message.text,
            "timestamp": message.at_ns // 1_000_000 / 1000,
            "level": _ERROR if message.is_error else _INFO,
        }
        return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode(
            "utf-8", "replace"
        )

    def _compressed(self, document: bytes) -> bytes:
        if self._target.compression == "none":
            return document
        import zlib

        window = zlib.MAX_WBITS + (16 if self._target.compression == "gzip" else 0)
        packer = zlib.compressobj(self._target.level, zlib.DEFLATED, window)
        return packer.compress(document) + packer.flush()


def chunks(document: bytes) -> Iterator[bytes]:
    """The datagrams of a document; none when it is larger than 128 of them."""
    if len(document) <= _LARGEST_PACKET:
        yield document
        return
    room = _LARGEST_PACKET - _CHUNK_HEADER
    count = -(-len(document) // room)
    if count > _MOST_CHUNKS:
        return
    identity = os.urandom(8)
    for number in range(count):
        head = _CHUNK_MAGIC + identity + bytes((number, count))
        yield head + document[number * room : (number + 1) * room]
