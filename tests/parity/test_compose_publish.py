"""`wherry compose publish`: what a registry then has is a project to Compose v2."""

import subprocess
import sys
from pathlib import Path

from support.certificates import make_certificates
from support.compose_oracle import oracle_program
from support.daemon import Engine
from support.debian_registry import debian_registry

_FILE = """
services:
  a: {image: busybox, command: sleep 99, labels: {own: label}}
"""


def test_published(engine: Engine, tmp_path: Path) -> None:
    """Compose v2 runs the artifact by its address; what could leak is refused."""
    (tmp_path / "compose.yaml").write_text(_FILE)
    own = [sys.executable, "-P", "-m", "wherry.programs.wherry", "--no-autostart", "compose"]

    trusted: list[str] = []

    def inside(*command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            engine.machine.command(*command),
            env={
                **engine.environment,
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                "SSL_CERT_FILE": trusted[0],
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    file = str(tmp_path / "compose.yaml")
    made = make_certificates(tmp_path, "127.0.0.1")
    files = (made.server / "cert.pem", made.server / "key.pem")
    trusted.append(str(made.server / "ca.pem"))
    with debian_registry(engine, port=5012, tls=files) as registry:
        name = f"{registry}/project:1"
        sent = inside(*own, "-f", file, "publish", name)
        assert sent.returncode == 0, sent.stderr
        assert f"{name}  published" in sent.stderr
        read = inside(str(oracle_program()), "-f", f"oci://{name}", "-p", "read", "config")
        assert read.returncode == 0, read.stderr
        assert "own: label" in read.stdout
        (tmp_path / "compose.yaml").write_text(_FILE.replace("labels", "environment"))
        refused = inside(*own, "-f", file, "publish", name)
        assert refused.returncode == 1
        assert "--with-env" in refused.stderr
        (tmp_path / "compose.yaml").write_text(
            _FILE.replace("labels: {own: label}", 'volumes: ["/:/host"]')
        )
        assert "- /:/host" in inside(*own, "-f", file, "publish", name).stderr
