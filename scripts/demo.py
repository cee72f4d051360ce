"""A container, started by the stock docker client, serves a page through a published port.

Run by `make demo`: a daemon with roots of its own under .work/demo, a base image made of this
machine's busybox, one web server, one request, the explanation, and everything away again.
"""

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY / ".work" / "demo"
LOG = DATA / "wherryd.log"
BRIDGE = "wherry-demo"
VERSIONS = "client {{.Client.Version}}, server {{.Server.Version}}"
PAGE = "<h1>Hello from a container that Wherry runs</h1>"
SERVE = f'mkdir /www && echo "{PAGE}" > /www/index.html && exec httpd -f -p 80 -h /www'


def main() -> int:
    """The demonstration; the exit code."""
    if os.geteuid() != 0:
        print("demo: a container engine needs root", file=sys.stderr)
        return 1
    begun = time.monotonic()
    with _daemon() as clients:
        clients.show("docker", "version", "--format", VERSIONS)
        if "busybox" not in clients.output("wherry", "images", "--format", "{{.Repository}}"):
            clients.show("wherry", "image", "bootstrap", "busybox")
        port = _free_port()
        flags = ("-d", "--name", "web", "-p", f"{port}:80", "-m", "64m")
        clients.show("docker", "run", *flags, "busybox", "sh", "-c", SERVE)
        try:
            clients.show("wherry", "explain", "web")
            clients.show("docker", "ps", "--format", "table {{.Names}}\t{{.Status}}\t{{.Ports}}")
            print(f"\n$ curl http://127.0.0.1:{port}/")
            page = _fetch(f"http://127.0.0.1:{port}/")
            print(page)
        finally:
            clients.show("docker", "rm", "-f", "web")
    print(f"\nThat took {time.monotonic() - begun:.1f} s. The image stays in {DATA} for the next.")
    return 0 if PAGE in page else 1


class _Clients:
    """Runs docker and wherry against the demonstration's daemon."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def show(self, *command: str) -> None:
        """Run a command in sight. Exits when it fails."""
        shown = shlex.join(command)
        if command[0] == "docker":
            shown = shown.replace("docker ", f"docker -H unix://{self.socket} ", 1)
        print(f"\n$ {shown}", flush=True)
        done = subprocess.run(_argv(command), env=self._environment(), check=False)
        if done.returncode:
            sys.exit(f"demo: that failed with {done.returncode}")

    def output(self, *command: str) -> str:
        """What a command prints."""
        return subprocess.run(
            _argv(command), env=self._environment(), check=True, capture_output=True, text=True
        ).stdout

    def reach(self) -> bool:
        """Whether the daemon answers."""
        asking = [*_program("wherry"), "--no-autostart", "version"]
        done = subprocess.run(asking, env=self._environment(), capture_output=True, check=False)
        return done.returncode == 0

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "WHERRY_"))}
        config = str(DATA / "docker-config")
        return {**kept, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": config}


@contextlib.contextmanager
def _daemon() -> Iterator[_Clients]:
    """A wherryd of the demonstration's own."""
    DATA.mkdir(parents=True, exist_ok=True)
    # Short, because a Unix socket's path has 107 bytes and container ids are long.
    run = Path(tempfile.mkdtemp(prefix="wherry-demo-"))
    clients = _Clients(run / "wherry.sock")
    flags = (
        *("-H", f"unix://{clients.socket}", "--pidfile", str(run / "pid")),
        *("--data-root", str(DATA / "data"), "--exec-root", str(run / "exec")),
        *("--bridge", BRIDGE, "--bip", "10.201.77.1/24"),
    )
    with LOG.open("wb") as log:
        daemon = subprocess.Popen(
            [*_program("wherryd"), *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 20
        while not clients.reach():
            if daemon.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"demo: wherryd did not come up:\n{LOG.read_text()[-3000:]}")
            time.sleep(0.05)
        yield clients
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)
        _remove_network()
        shutil.rmtree(run, ignore_errors=True)


def _program(name: str) -> list[str]:
    return [sys.executable, "-P", "-m", f"wherry.programs.{name}"]


def _argv(command: tuple[str, ...]) -> list[str]:
    return [*_program("wherry"), *command[1:]] if command[0] == "wherry" else list(command)


def _fetch(url: str) -> str:
    """The page, once the server in the container listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode().strip())
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    """A port of this machine that nobody listens on."""
    for port in range(8088, 8188):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("0.0.0.0", port))
            return port
    sys.exit("demo: no free port between 8088 and 8187")


def _remove_network() -> None:
    """An engine keeps its bridge and its table for the next start; a demonstration does not."""
    for command in (
        ("ip", "link", "delete", BRIDGE),
        ("nft", "delete", "table", "inet", f"wherry-{BRIDGE}"),
    ):
        subprocess.run(command, capture_output=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
