"""An engine of a script's own, beside whatever else there is on this machine, and its clients."""

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
EXAMPLES = REPOSITORY / "examples"
DATA = REPOSITORY / ".work" / "demo"
LOG = DATA / "wherryd.log"
BASE = "debian:bookworm"
BRIDGE = "wherry-demo"


class Clients:
    """Runs docker and wherry against the demonstration's daemon."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def show(self, directory: Path, *command: str, **variables: str) -> None:
        """Run a command in sight, in a directory. Exits when it fails."""
        given = "".join(f"{name}={value} " for name, value in variables.items())
        shown = shlex.join((os.path.basename(command[0]), *command[1:]))
        print(f"\n$ {given}{shown}", flush=True)
        done = subprocess.run(
            _argv(command), cwd=directory, env={**self._environment(), **variables}, check=False
        )
        if done.returncode:
            sys.exit(f"that failed with {done.returncode}")

    def has_image(self, name: str) -> bool:
        """Whether an image was made before."""
        asking = [*_program("wherry"), "image", "inspect", name]
        done = subprocess.run(asking, env=self._environment(), capture_output=True, check=False)
        return done.returncode == 0

    def containers(self) -> list[str]:
        """The ids of all containers, in order."""
        asking = ["docker", "ps", "--all", "--quiet", "--no-trunc"]
        done = subprocess.run(asking, env=self._environment(), capture_output=True, check=True)
        return sorted(done.stdout.decode().split())

    def has_base_images(self) -> None:
        """Make what the examples are built on, where it was not made before: two minutes."""
        if not self.has_image(BASE):
            self.show(EXAMPLES, "wherry", "image", "bootstrap", "--quiet", BASE)
        if not self.has_image("redis"):
            self.show(EXAMPLES, "wherry", "build", "--quiet", "--tag", "redis", "redis")

    def reach(self) -> bool:
        """Whether the daemon answers."""
        asking = [*_program("wherry"), "--no-autostart", "version"]
        done = subprocess.run(asking, env=self._environment(), capture_output=True, check=False)
        return done.returncode == 0

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "WHERRY_"))}
        config = str(DATA / "docker-config")
        return {
            **kept,
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": config,
            "DOCKER_BUILDKIT": "0",
        }


@contextlib.contextmanager
def own_engine() -> Iterator[Clients]:
    """A wherryd of the demonstration's own."""
    DATA.mkdir(parents=True, exist_ok=True)
    # Short, because a Unix socket's path has 107 bytes and container ids are long.
    run = Path(tempfile.mkdtemp(prefix="wherry-demo-"))
    clients = Clients(run / "wherry.sock")
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
                sys.exit(f"wherryd did not come up:\n{LOG.read_text()[-3000:]}")
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


def fetch(url: str) -> str:
    """The page, once the server in the container listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode().strip())
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    for port in range(8088, 8188):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("0.0.0.0", port))
            return port
    sys.exit("no free port between 8088 and 8187")


def _remove_network() -> None:
    """An engine keeps its bridge and its table for the next start; a demonstration does not."""
    for command in (
        ("ip", "link", "delete", BRIDGE),
        ("nft", "delete", "table", "inet", f"wherry-{BRIDGE}"),
    ):
        subprocess.run(command, capture_output=True, check=False)
