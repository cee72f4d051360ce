"""systemd as a container's init: it boots, and a stop is the orderly one that it knows.

Here on the version 1 hierarchies of this host; `make vm-test` runs the same on version 2.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.systemd_image import SYSTEMD, write_systemd_image
from support.waiting import wait_until

IMAGE = "booted"
HALTED = 130
"""What systemd ends with in a container that it halts: 128 + SIGINT, by reboot(2)."""

pytestmark = pytest.mark.skipif(not SYSTEMD.exists(), reason="this host has no systemd")


@pytest.fixture
def image(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """An image that says how it wants to be stopped."""
    file = tmp_path / "image.tar"
    write_systemd_image(file)
    changes = ("STOPSIGNAL SIGRTMIN+3", 'CMD ["/lib/systemd/systemd"]', "ENV container=docker")
    flags = [word for each in changes for word in ("--change", each)]
    engine.docker_ok("import", *flags, str(file), IMAGE)
    yield IMAGE
    engine.remove_all_containers()
    engine.docker_ok("rmi", IMAGE)


@pytest.mark.timeout(900)
def test_boot_and_stop(engine: Engine, image: str) -> None:
    """The service is started, the stop signal of the image stops it, and a start boots again."""
    flags = ("-d", "--name", "host", "--privileged", "--cgroupns", "private", "--tmpfs", "/run")
    engine.docker_ok("run", *flags, image)
    for _ in range(2):
        wait_until(
            "the service runs",
            lambda: engine.docker("exec", "host", "ls", "/run/started").returncode == 0,
            within_s=30,
        )
        assert engine.docker_ok("exec", "host", "cat", "/proc/1/comm") == "systemd"
        engine.docker_ok("exec", "host", "rm", "-f", "/stopped")
        engine.docker_ok("stop", "-t", "60", "host", timeout_s=90)
        assert engine.inspect("host")["State"]["ExitCode"] == HALTED
        assert "A /stopped" in engine.docker_ok("diff", "host").splitlines()
        engine.docker_ok("start", "host")
