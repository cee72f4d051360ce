"""A log plugin as its own process: `python log_plugin.py SOCKET DIRECTORY`.

It writes each entry of a stream as a line of JSON to DIRECTORY/ID, each call to DIRECTORY/calls,
and its pid to DIRECTORY/pid. A container with the option `refuse` is not logged.
"""

import json
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any, BinaryIO


def fields(entry: bytes) -> dict[int, Any]:
    """The fields of a protobuf message: numbers, and what has a length as bytes."""
    found: dict[int, Any] = {}
    position = 0

    def varint() -> int:
        nonlocal position
        number = shift = 0
        while True:
            byte = entry[position]
            position += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while position < len(entry):
        key = varint()
        if key & 7 == 2:
            size = varint()
            found[key >> 3] = entry[position : position + size]
            position += size
        else:
            found[key >> 3] = varint()
    return found


def packed(line: dict[str, Any]) -> bytes:
    """A line as the protobuf message that it came in."""

    def varint(number: int) -> bytes:
        return (
            bytes([number & 0x7F | 0x80]) + varint(number >> 7)
            if number > 0x7F
            else bytes([number])
        )

    source, text = line["source"].encode(), line["line"].encode()
    entry = b"\x0a" + varint(len(source)) + source + b"\x10" + varint(line["time"])
    return entry + b"\x1a" + varint(len(text)) + text + b"\x20" + varint(line["partial"])


def keep(stream: BinaryIO, kept: Path) -> None:
    """Write down what comes, until nobody writes any more."""
    while head := stream.read(4):
        entry = fields(stream.read(struct.unpack(">I", head)[0]))
        line = {"source": entry[1].decode(), "time": entry[2], "line": entry[3].decode()}
        with kept.open("a") as file:
            file.write(json.dumps({**line, "partial": entry.get(4, 0)}) + "\n")


class Handler(BaseHTTPRequestHandler):
    """One call."""

    directory: Path
    ended: set[str] = set()

    def do_POST(self) -> None:
        """Answer by the method's name."""
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        method = self.path.removeprefix("/")
        with (self.directory / "calls").open("a") as calls:
            calls.write(json.dumps([method, request]) + "\n")
        if method == "LogDriver.ReadLogs":
            self.send_response(200)
            self.end_headers()
            for entry in self._entries(request):
                self.wfile.write(struct.pack(">I", len(entry)) + entry)
                self.wfile.flush()
            return
        answer = json.dumps(self._answer(method, request)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _answer(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "Plugin.Activate":
                return {"Implements": ["LogDriver"]}
            case "LogDriver.StartLogging":
                if "refuse" in request["Info"]["Config"]:
                    return {"Err": "this one I don't want"}
                kept = self.directory / request["Info"]["ContainerID"]
                stream = open(request["File"], "rb")  # noqa: SIM115
                threading.Thread(target=keep, args=(stream, kept), daemon=True).start()
            case "LogDriver.StopLogging":
                self.ended.add(Path(request["File"]).name)
            case "LogDriver.Capabilities":
                return {"Cap": {"ReadLogs": not (self.directory / "mute").exists()}}
        return {"Err": ""}

    def _entries(self, request: dict[str, Any]) -> Iterator[bytes]:
        """What is kept of a container; to follow, until its log was stopped."""
        container, wanted = request["Info"]["ContainerID"], request["Config"]
        kept, given = self.directory / container, 0
        while True:
            is_over = container in self.ended or not wanted["Follow"]
            lines = kept.read_text().splitlines() if kept.exists() else []
            if not given and wanted["Tail"] >= 0:
                given = max(0, len(lines) - wanted["Tail"])
            for line in lines[given:]:
                yield packed(json.loads(line))
            given = len(lines)
            if is_over:
                return
            time.sleep(0.05)

    def log_message(self, *_words: object) -> None:
        """Nothing to say."""

    def address_string(self) -> str:
        """A Unix socket's peer has none."""
        return "local"


if __name__ == "__main__":
    Path(sys.argv[1]).parent.mkdir(parents=True, exist_ok=True)
    Handler.directory = Path(sys.argv[2])
    (Handler.directory / "pid").write_text(str(os.getpid()))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process has no default
    ThreadingUnixStreamServer(sys.argv[1], Handler).serve_forever()
