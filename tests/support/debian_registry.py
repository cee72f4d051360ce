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
    engine: Engine, *, port: int = 5000, tls: tuple[Path, Path] | None = None, lines: str = ""
) -> Iterator[str]:
    """A registry at `127.0.0.1:port`; its name, as in references.

    `tls` is a certificate and its key; `lines` are more of its configuration.
    """
    root = Path(tempfile.mkdtemp(prefix="wh-registry-"))
    root.chmod(0o755)
    secure = f"  tls:\n    certificate: {tls[0]}\n    key: {tls[1]}\n" if tls else ""
    (root / "config.yml").write_text(
        "version: 0.1\n"
        "log:\n  level: error\n"
        f"storage:\n  filesystem:\n    rootdirectory: {root}/data\n  delete:\n    enabled: true\n"
        f"http:\n  addr: 127.0.0.1:{port}\n{secure}{lines}"
    )
    with (root / "log").open("wb") as log:
        serving = subprocess.Popen(
            engine.machine.command("docker-registry", "serve", str(root / "config.yml")),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
        )
    name = f"127.0.0.1:{port}"
    try:
        wait_until(f"a registry listens at {name}", lambda: _listens(engine, port), within_s=20)
        yield name
    finally:
        with contextlib.suppress(ProcessLookupError):
            for pid in engine.machine.processes():
                if f"{root}/config.yml".encode() in _command(pid):
                    os.kill(pid, signal.SIGTERM)
        serving.wait(timeout=20)
        shutil.rmtree(root, ignore_errors=True)


def _listens(engine: Engine, port: int) -> bool:
    try:
        engine.machine.connect("127.0.0.1", port).close()
    except OSError:
        return False
    return True


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
