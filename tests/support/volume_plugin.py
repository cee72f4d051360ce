"""A volume plugin as its own process: `python volume_plugin.py SOCKET DIRECTORY`.

It keeps volumes as directories, mounts each as a tmpfs that only it knows of, and writes every
call to DIRECTORY/calls, its pid to DIRECTORY/pid. A volume with the option `refuse` is not made.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.daemon import Engine


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
            case "VolumeDriver.Get":
                if not place.is_dir():
                    return {"Err": "no such volume"}
                return {"Volume": {"Name": place.name, "Status": {"kept": "in memory"}}}
            case "VolumeDriver.List":
                names = sorted(each.name for each in place.iterdir()) if place.is_dir() else []
                return {"Volumes": [{"Name": name} for name in names]}
            case "VolumeDriver.Capabilities":
                return {"Capabilities": {"Scope": "global"}}
            case _:
                return {"Err": f"no {method}"}
        return {"Err": ""}

    def log_message(self, *_words: object) -> None:
        """Nothing to say."""

    def address_string(self) -> str:
        """A Unix socket's peer has none."""
        return "local"


@contextlib.contextmanager
def beside(engine: "Engine", program: str, socket: str, directory: Path) -> Iterator[None]:
    """A plugin of ours that runs beside an engine."""
    from support.waiting import wait_until

    directory.mkdir(exist_ok=True)
    command = engine.machine.command(sys.executable, program, socket, str(directory))
    process = subprocess.Popen(command)
    try:
        wait_until(
            "the plugin listens", lambda: not engine.machine.run("test", "-S", socket).returncode
        )
        yield
    finally:
        engine.machine.run("kill", (directory / "pid").read_text())
        process.wait()


if __name__ == "__main__":
    Path(sys.argv[1]).parent.mkdir(parents=True, exist_ok=True)
    Handler.directory = Path(sys.argv[2])
    (Handler.directory / "pid").write_text(str(os.getpid()))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process has no default
    ThreadingUnixStreamServer(sys.argv[1], Handler).serve_forever()
