"""A volume plugin as its own process: `python volume_plugin.py SOCKET DIRECTORY`.

It keeps volumes as directories, mounts each as a tmpfs that only it knows of, and writes every
call to DIRECTORY/calls, its pid to DIRECTORY/pid. A volume with the option `refuse` is not made.
"""

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """One call."""

    directory: Path

    def do_POST(self) -> None:
        """Answer by the method's name."""
        size = int(self.headers.get("Content-Length") or 0)
        request = json.loads(self.rfile.read(size) or b"{}")
        method = self.path.removeprefix("/")
        with (self.directory / "calls").open("a") as calls:
            calls.write(f"{method} {self.named(request)}".strip() + "\n")
        answer = json.dumps(self._answer(method, request)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def named(self, request: dict[str, Any]) -> str:
        """What the list of calls shows beside the method."""
        return f"{request.get('Name', '')} {request.get('ID', '')}"

    def _answer(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        place = self.directory / "volumes" / request.get("Name", "")
        match method:
            case "Plugin.Activate":
                return {"Implements": ["VolumeDriver"]}
            case "VolumeDriver.Create":
                if "refuse" in (request.get("Opts") or {}):
                    return {"Err": "this one I don't want"}
                place.mkdir(parents=True)
            case "VolumeDriver.Remove":
                place.rmdir()
            case "VolumeDriver.Mount":
                subprocess.run(["mount", "-t", "tmpfs", "plugin", place], check=True)
                return {"Mountpoint": str(place)}
            case "VolumeDriver.Path":
                return {"Mountpoint": str(place) if os.path.ismount(place) else ""}
            case "VolumeDriver.Unmount":
                subprocess.run(["umount", place], check=True)
            case _:
                return {"Err": f"no {method}"}
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
    ThreadingUnixStreamServer(sys.argv[1], Handler).serve_forever()
