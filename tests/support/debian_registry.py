"""Debian's `docker-registry` in the machine of an engine: a real registry on its loopback."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from support.daemon import Engine
from support.waiting import wait_until


@contextlib.contextmanager
def debian_registry(
    engine: Engine,
    *,
    host: str = "127.0.0.1",
    port: int = 5000,
    tls: tuple[Path, Path] | None = None,
    passwords: str = "",
) -> Iterator[str]:
    """A registry at `host:port`; its name, as in references.

    `tls` is a certificate and its key; `passwords` are the lines of an htpasswd file.
    """
    root = Path(tempfile.mkdtemp(prefix=f"wh-{os.getpid()}-registry-"))
    root.chmod(0o755)
    secure = f"  tls:\n    certificate: {tls[0]}\n    key: {tls[1]}\n" if tls else ""
    lines = ""
    if passwords:
        (root / "htpasswd").write_text(passwords)
        lines = f"auth:\n  htpasswd:\n    realm: here\n    path: {root}/htpasswd\n"
    (root / "config.yml").write_text(
        "version: 0.1\n"
        "log:\n  level: error\n"
        f"storage:\n  filesystem:\n    rootdirectory: {root}/data\n  delete:\n    enabled: true\n"
        f"http:\n  addr: {host}:{port}\n{secure}{lines}"
    )
    with (root / "log").open("wb") as log:
        serving = subprocess.Popen(
            engine.machine.command("docker-registry", "serve", str(root / "config.yml")),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
        )
    name = f"{host}:{port}"
    try:
        wait_until(
            f"a registry listens at {name}", lambda: _listens(engine, host, port), within_s=20
        )
        yield name
    finally:
        with contextlib.suppress(ProcessLookupError):
            for pid in engine.machine.processes():
                if f"{root}/config.yml".encode() in _command(pid):
                    os.kill(pid, signal.SIGTERM)
        serving.wait(timeout=20)
        shutil.rmtree(root, ignore_errors=True)


def anew(engine: Engine) -> None:
    """Make the engine's busybox anew: one that was pushed keeps its compressed layer."""
    engine.docker_ok("rmi", "-f", engine.docker_ok("images", "-q", "busybox"))
    engine.bootstrap()


def _listens(engine: Engine, host: str, port: int) -> bool:
    try:
        engine.machine.connect(host, port).close()
    except OSError:
        return False
    return True


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
