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

    def do_POST(self) -> None:
        """Answer by the method's name."""
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        method = self.path.removeprefix("/")
        with (self.directory / "calls").open("a") as calls:
            calls.write(json.dumps([method, request]) + "\n")
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
            case "LogDriver.Capabilities":
                return {"Cap": {"ReadLogs": False}}
        return {"Err": ""}

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
