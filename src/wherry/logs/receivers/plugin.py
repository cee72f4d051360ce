"""A log driver of somebody else (docs.docker.com/engine/extend/plugins_logging).

    logger                                   plugin
    a fifo, opened for writing
    POST /LogDriver.StartLogging  ------->   opens it for reading
    length, LogEntry, length, LogEntry -->   (protobuf; the length has four bytes, big end first)
    POST /LogDriver.StopLogging   ------->   the last entry has come

The fifo is ours and has a name that the plugin is told, which may see another tree than we do.
`docker logs` reads the local file, so a plugin need not be able to read; where there is to be
none, the engine reads what the plugin has kept, in the same form.
"""

import json
import os
import select
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress

from wherry.logs.json_lines import STDERR, STDOUT, Line
from wherry.logs.receivers.messages import (
    Json,
    LogSource,
    Message,
    Patience,
    ReceiverRefused,
)
from wherry.logs.receivers.sockets import DIAL_TIMEOUT_S, SEND_TIMEOUT_S

SOCKET, FIFO, SHOWN_FIFO, NAME = "x-socket", "x-fifo", "x-shown-fifo", "x-name"
"""Options that the engine adds: where the plugin answers, where the fifo is for us and for the
plugin, and what it is called."""
LARGEST_ENTRY = 4 << 20
"""Bytes; Docker takes a million."""
_LARGEST_ANSWER = 1 << 16


class PluginReceiver:
    """One stream of a log plugin."""

    def __init__(self, options: Mapping[str, str], source: LogSource) -> None:
        """The options are the user's and those above."""
        self._socket, self._fifo = options[SOCKET], options[FIFO]
        self._shown, self._name = options[SHOWN_FIFO], options[NAME]
        self.patience = Patience()
        self._info = described(options, source)
        self._stream: int | None = None

    def open(self) -> None:
        """Have the plugin read the stream. Raises: OSError, ReceiverRefused."""
        os.makedirs(os.path.dirname(self._fifo), mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.mkfifo(self._fifo, 0o600)
        # For reading too, so that it opens before anybody reads, and outlives who does.
        stream = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._call("StartLogging", {"File": self._shown, "Info": self._info})
        except BaseException:
            os.close(stream)
            raise
        self._stream = stream

    def send(self, messages: Sequence[Message]) -> None:
        """Write the entries; a plugin that reads none is waited for. Raises: OSError,
        ReceiverRefused."""
        if self._stream is None:
            self.open()
        assert self._stream is not None
        left = memoryview(b"".join(framed(each) for each in messages))
        while left:
            _readers, ready, _problems = select.select((), (self._stream,), (), SEND_TIMEOUT_S)
            if not ready:
                raise TimeoutError(f"log plugin {self._name} reads nothing")
            with suppress(BlockingIOError):
                left = left[os.write(self._stream, left) :]

    def close(self) -> None:
        """Tell the plugin that there is no more."""
        if self._stream is None:
            return
        os.close(self._stream)
        self._stream = None
        with suppress(OSError, ReceiverRefused):
            self._call("StopLogging", {"File": self._shown})
        with suppress(FileNotFoundError):
            os.unlink(self._fifo)

    def _call(self, verb: str, request: dict[str, Json]) -> None:
        """One call of the plugin's protocol. Raises: OSError, ReceiverRefused."""
        body = json.dumps(request).encode()
        head = (
            f"POST /LogDriver.{verb} HTTP/1.1\r\nHost: plugin\r\nConnection: close\r\n"
            "Accept: application/vnd.docker.plugins.v1.2+json\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            connection.settimeout(DIAL_TIMEOUT_S)
            connection.connect(self._socket)
            connection.sendall(head.encode() + body)
            answer = b"".join(_received(connection))
        problem = _problem(answer)
        if problem:
            raise ReceiverRefused(f"log plugin {self._name}: LogDriver.{verb}: {problem}")


def described(options: Mapping[str, str], source: LogSource) -> dict[str, Json]:
    """What a plugin is told of a log."""
    program, *arguments = source.command.split(" ")
    environment = (f"{name}={value}" for name, value in source.attributes.items())
    return {
        "Config": {key: value for key, value in options.items() if not key.startswith("x-")},
        "ContainerID": source.container_id,
        "ContainerName": f"/{source.container_name}",
        "ContainerEntrypoint": program,
        "ContainerArgs": [*arguments],
        "ContainerImageID": source.image_id,
        "ContainerImageName": source.image_name,
        "ContainerCreated": source.created,
        "ContainerEnv": [*environment],
        "ContainerLabels": {},
        "LogPath": "",
        "DaemonName": "docker",
    }


def entry_bytes(head: bytes) -> int:
    """How long the entry is that follows. Raises: ValueError."""
    size = int.from_bytes(head, "big")
    if size > LARGEST_ENTRY:
        raise ValueError(f"an entry of {size} bytes is too large")
    return size


def line_of(entry: bytes) -> Line:
    """The reverse of `framed`, but for its length. Raises: ValueError."""
    found = dict(_fields_of(entry))
    source, at_ns, text = found.get(1, b""), found.get(2, 0), found.get(3, b"")
    if not isinstance(source, bytes) or not isinstance(at_ns, int) or not isinstance(text, bytes):
        raise ValueError("an entry that makes no sense")
    end = b"" if found.get(4) else b"\n"
    return Line(STDERR if source == b"stderr" else STDOUT, at_ns, text + end)


def _fields_of(entry: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: numbers, and what has a length. Raises: ValueError."""
    position = 0
    while position < len(entry):
        key, position = _number_at(entry, position)
        value, position = _number_at(entry, position)
        match key & 7:
            case 0:
                yield key >> 3, value
            case 2 if position + value <= len(entry):
                yield key >> 3, entry[position : position + value]
                position += value
            case _:
                raise ValueError("an entry that makes no sense")


def _number_at(entry: bytes, position: int) -> tuple[int, int]:
    """A varint, and what comes after it. Raises: ValueError."""
    number = 0
    for shift in range(0, 70, 7):
        if position >= len(entry):
            break
        byte, position = entry[position], position + 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("an entry that is cut off")


def framed(message: Message) -> bytes:
    """A message as plugins read it: source, time, line, and what is partial of it."""
    entry = _bytes_field(1, message.stream.encode())
    entry += b"\x10" + _varint(message.at_ns)
    entry += _bytes_field(3, message.text.encode())
    if message.partial is not None:
        part = message.partial
        if not part.is_last:
            entry += b"\x20\x01"
        facts = b"\x08\x01" if part.is_last else b""
        facts += _bytes_field(2, part.id.encode()) + b"\x18" + _varint(part.ordinal)
        entry += _bytes_field(5, facts)
    return struct.pack(">I", len(entry)) + entry


def _bytes_field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    packed = bytearray()
    while number > 0x7F:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)
    return bytes(packed)


def _received(connection: socket.socket) -> Iterator[bytes]:
    left = _LARGEST_ANSWER
    while left > 0 and (piece := connection.recv(left)):
        left -= len(piece)
        yield piece


def _problem(answer: bytes) -> str:
    """What a plugin complains of; empty when it does not."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    start, end = body.find(b"{"), body.rfind(b"}")
    try:
        said = json.loads(body[start : end + 1]) if start >= 0 else {}
    except ValueError:
        said = {}
    if isinstance(said, dict) and said.get("Err"):
        return str(said["Err"])
    return "" if status == [b"200"] else f"status {(status or [b'none'])[0].decode()}"
