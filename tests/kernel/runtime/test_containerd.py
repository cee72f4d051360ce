"""containerd on top of `wherry-runtime`: its shim drives it as it drives runc."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.bundles import fill_rootfs, write_program
from support.waiting import wait_until

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(180)]

_CONFIGURATION = """
version = 2
root = "{place}/root"
state = "{place}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{place}/socket"
"""
# Its shims have their sockets below /run whatever the configuration says.
_PRIVATE = 'mount -t tmpfs tmpfs /run && exec "$@"'

Ctr = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name, since sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="wc-", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def namespace() -> Iterator[str]:
    """containerd's word for a set of containers; their cgroups are below one of this name."""
    name = f"wherry-containerd-{os.getpid()}"
    yield name
    for parent in (*Path("/sys/fs/cgroup").glob(f"*/{name}"), Path("/sys/fs/cgroup") / name):
        with contextlib.suppress(OSError):
            os.rmdir(parent)


@pytest.fixture
def ctr(place: Path, namespace: str) -> Iterator[Ctr]:
    """containerd's own client, of a containerd in private mount and network namespaces."""
    if shutil.which("containerd") is None:
        pytest.skip("this host has no containerd")
    fill_rootfs(place / "rootfs")
    (place / "config.toml").write_text(_CONFIGURATION.format(place=place))

    log = place / "containerd.log"
    words = ("containerd", "-c", str(place / "config.toml"))
    with (
        log.open("w") as output,
        subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", _PRIVATE, "sh", *words],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        ) as daemon,
    ):  # fmt: skip
        inside = ("nsenter", "--target", str(daemon.pid), "--mount", "--net")

        def run(*words: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
            done = subprocess.run(
                [*inside, "ctr", "-a", str(place / "socket"), "-n", namespace, *words],
                capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert fails or done.returncode == 0, done.stderr
            return done

        try:
            wait_until("containerd answers", lambda: run("version", fails=True).returncode == 0)
            yield run
        finally:
            daemon.terminate()
            daemon.wait(30)


def test_containerd_runs_joins_pauses_and_kills(ctr: Ctr, place: Path) -> None:
    """Output, exit statuses, exec, the freezer, metrics and a kill come out as with runc."""
    program, rootfs = write_program(place / "wherry-runtime"), str(place / "rootfs")
    by_us = ("--runtime", "io.containerd.runc.v2", "--runc-binary", str(program), "--rootfs")
    done = ctr("run", "--rm", *by_us, rootfs, "one", "/bin/sh", "-c", "echo a; exit 3", fails=True)
    assert (done.returncode, done.stdout) == (3, "a\n"), done.stderr

    ctr("run", "-d", *by_us, rootfs, "two", "/bin/sleep", "1000")
    try:
        join = ("task", "exec", "--exec-id", "more", "two", "/bin/sh", "-c", "echo b; exit 4")
        joined = ctr(*join, fails=True)
        assert (joined.returncode, joined.stdout) == (4, "b\n")
        ctr("task", "pause", "two")
        assert "PAUSED" in ctr("task", "ls").stdout
        ctr("task", "resume", "two")
        assert "RUNNING" in ctr("task", "ls").stdout
        assert "memory" in ctr("task", "metrics", "two").stdout
    finally:
        ctr("task", "kill", "-s", "KILL", "two")
        wait_until("it has ended", lambda: "STOPPED" in ctr("task", "ls").stdout)
        ctr("task", "rm", "two", fails=True)
        ctr("container", "rm", "two")
    missing = ctr("run", "--rm", *by_us, rootfs, "three", "/no/such", fails=True)
    assert "no such file or directory" in missing.stderr
    assert ctr("container", "ls", "-q").stdout == ""
