"""A container, started by the stock docker client, serves a page through a published port.

Run by `make demo`: a daemon with roots of its own under .work/demo, a base image made of this
machine's busybox, one web server, one request, the explanation, and everything away again.
"""

import contextlib
import os
import re
import shutil
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
BRIDGE = ("--bridge", "wherry-demo", "--bip", "10.201.77.1/24")
PAGE = "<h1>Hello from a container that Wherry runs</h1>"
SERVE = f"mkdir /www && echo '{PAGE}' > /www/index.html && exec httpd -f -p 80 -h /www"


def main() -> int:
    """The demonstration; the exit code."""
    if os.geteuid() != 0:
        print("demo: a container engine needs root", file=sys.stderr)
        return 1
    begun = time.monotonic()
    with _daemon() as socket:
        _show("docker", "version", "--format", "{{.Client.Version}} talks to {{.Server.Version}}",
              socket=socket)  # fmt: skip
        if "busybox" not in _output(
            "wherry", "images", "--format", "{{.Repository}}", socket=socket
        ):
            _show("wherry", "image", "bootstrap", "busybox", socket=socket)
        _show("docker", "run", "-d", "--name", "web", "-p", "8088:80", "-m", "64m", "busybox", "sh",
              "-c", SERVE, socket=socket)  # fmt: skip
        try:
            _show("docker", "ps", "--format", "table {{.Names}}\t{{.Status}}\t{{.Ports}}",
                  socket=socket)  # fmt: skip
            page = _fetch("http://127.0.0.1:8088/")
            print(f"$ curl http://127.0.0.1:8088/\n{page}")
            _show("wherry", "explain", "web", socket=socket)
        finally:
            _show("docker", "rm", "-f", "web", socket=socket)
    print(f"done in {time.monotonic() - begun:.1f} s; nothing is left but the image in {DATA}")
    return 0 if PAGE in page else 1


@contextlib.contextmanager
def _daemon() -> Iterator[str]:
    """A wherryd of the demonstration's own; yields its socket."""
    DATA.mkdir(parents=True, exist_ok=True)
    # Short, because a Unix socket's path has 107 bytes and container ids are long.
    run = Path(tempfile.mkdtemp(prefix="wherry-demo-"))
    socket = run / "wherry.sock"
    roots = ("--data-root", str(DATA / "data"), "--exec-root", str(run / "exec"))
    with (DATA / "wherryd.log").open("wb") as log:
        daemon = subprocess.Popen(
            [*_program("wherryd"), "-H", f"unix://{socket}", *roots, "--pidfile", str(run / "pid"),
             *BRIDGE],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _wait_for(socket, daemon)
        yield str(socket)
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)
        _remove_network()
        shutil.rmtree(run, ignore_errors=True)


def _wait_for(socket: Path, daemon: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while subprocess.run(
        [*_program("wherry"), "version"], env=_environment(str(socket)), capture_output=True,
        check=False,
    ).returncode:  # fmt: skip
        if daemon.poll() is not None or time.monotonic() > deadline:
            sys.exit(
                f"demo: wherryd did not come up:\n{(DATA / 'wherryd.log').read_text()[-3000:]}"
            )
        time.sleep(0.05)


def _program(name: str) -> list[str]:
    return [sys.executable, "-P", "-m", f"wherry.programs.{name}"]


def _environment(socket: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "WHERRY_"))}
    return {
        **kept,
        "DOCKER_HOST": f"unix://{socket}",
        "DOCKER_CONFIG": str(DATA / "docker-config"),
    }


def _show(*command: str, socket: str) -> None:
    """Run a client's command in sight. Exits when it fails."""
    shown = " ".join(f"'{word}'" if re.search(r"[\s{<>&|]", word) else word for word in command)
    if command[0] == "docker":
        shown = shown.replace("docker ", f"docker -H unix://{socket} ", 1)
    print(f"\n$ {shown}", flush=True)
    done = subprocess.run(_argv(command), env=_environment(socket), check=False)
    if done.returncode:
        sys.exit(f"demo: that failed with {done.returncode}")


def _output(*command: str, socket: str) -> str:
    return subprocess.run(
        _argv(command), env=_environment(socket), check=True, capture_output=True, text=True
    ).stdout


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


def _remove_network() -> None:
    """An engine leaves its bridge for the next start; a demonstration does not."""
    subprocess.run(["ip", "link", "delete", "wherry-demo"], capture_output=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
