"""Chapter 25 of the course: the parts of an engine."""

import json
from pathlib import Path

import pytest

from support.daemon import Engine


@pytest.mark.slide("25.3")
def test_an_api_on_a_socket(engine: Engine) -> None:
    """All interaction is HTTP on the socket, for the command line as for anybody."""
    asked = engine.api("GET", "/version")
    shown = json.loads(engine.docker_ok("version", "--format", "{{json .Server}}"))
    assert shown["ApiVersion"] == asked.json["ApiVersion"]
    assert asked.status == 200


@pytest.mark.slide("25.5")
def test_a_process_per_container_outlives_the_daemon(engine: Engine) -> None:
    """The daemon ends and starts again; the container between them has not noticed."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    pid = engine.container_pid(container)
    engine.stop()
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    assert Path(f"/proc/{parent}/cmdline").read_bytes().startswith(b"wherry-shim ")
    engine.start()
    assert engine.container_pid(container) == pid
