"""podman on top of `wherry-runtime`: the runtime is one that other engines can use."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.bundles import fill_rootfs, write_program

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(180)]

# podman asks for limits that a process without CAP_SYS_RESOURCE must not set.
_CONTAINERS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{directory}/tmp"
"""
_STORAGE = """
[storage]
driver = "vfs"
graphroot = "{directory}/graph"
runroot = "{directory}/run"
"""

Podman = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name: conmon waits for ever below one that its socket's name does
    not fit into."""
    with tempfile.TemporaryDirectory(prefix="wp-", dir="/tmp", ignore_cleanup_errors=True) as name:
        try:
            yield Path(name)
        finally:
            _unmount_below(name)
    # podman leaves the cgroups that it made above its containers.
    for parent in Path("/sys/fs/cgroup").glob("*/libpod_parent"):
        for directory, _below, _files in os.walk(parent, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def _unmount_below(directory: str) -> None:
    """What a podman that was interrupted leaves mounted (each container's `userdata/shm`)."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for target in reversed([each for each in mounted if each.startswith(f"{directory}/")]):
        subprocess.run(["umount", "-l", target], check=False)


@pytest.fixture
def podman(place: Path) -> Podman:
    """podman with its files in a directory of the test's own, in private namespaces."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    for name, text in (("containers", _CONTAINERS), ("storage", _STORAGE)):
        (place / f"{name}.conf").write_text(text.format(directory=place))
    program = write_program(place / "wherry-runtime")
    fill_rootfs(place / "rootfs")
    environment = os.environ | {
        "CONTAINERS_CONF": str(place / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(place / "storage.conf"),
    }

    def run(*words: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["podman", "--runtime", str(program), *words],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert fails or done.returncode == 0, done.stderr
        return done

    return run


def test_podman_runs_joins_pauses_and_kills(podman: Podman, place: Path) -> None:
    """Output, exit statuses, a terminal, the freezer and a kill come out as with crun."""
    rootfs = ("--network", "none", "--rootfs", str(place / "rootfs"))
    done = podman("run", "--rm", *rootfs, "sh", "-c", "echo hello; exit 3", fails=True)
    assert (done.returncode, done.stdout) == (3, "hello\n")
    (place / "rootfs" / "data").mkdir()
    (place / "rootfs" / "data" / "kept").write_text("of the image")
    shown = podman("run", "--rm", "--tmpfs", "/data", *rootfs, "cat", "/data/kept")
    assert shown.stdout == "of the image"

    name = f"wherry-podman-{os.getpid()}"
    podman("run", "-d", "--name", name, *rootfs, "sleep", "1000")
    try:
        assert podman("exec", name, "sh", "-c", "echo joined").stdout == "joined\n"
        assert podman("exec", name, "sh", "-c", "exit 4", fails=True).returncode == 4
        assert podman("exec", "-t", name, "tty").stdout.strip() == "/dev/pts/0"
        missing = podman("exec", name, "no-such-program", fails=True)
        assert (missing.returncode, "not found" in missing.stderr) == (127, True)
        podman("pause", name)
        assert _status(podman, name) == "paused"
        podman("unpause", name)
        assert _status(podman, name) == "running"
        podman("kill", name)
        assert podman("wait", name).stdout.strip() == "137"
    finally:
        podman("rm", "-f", name)
    refused = podman("run", "--rm", *rootfs, "no-such-program", fails=True)
    assert (refused.returncode, "not found" in refused.stderr) == (127, True)


def _status(podman: Podman, name: str) -> str:
    return podman("inspect", "--format", "{{.State.Status}}", name).stdout.strip()
