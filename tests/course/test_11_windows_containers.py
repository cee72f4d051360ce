"""Chapter 11 of the course: what a container shares with its host is the kernel."""

import os

import pytest

from support.daemon import Engine


@pytest.mark.slide("11.3")
def test_the_kernel_is_the_hosts(engine: Engine) -> None:
    """A container has an image's files and the host's kernel."""
    assert engine.docker_ok("run", "--rm", "busybox", "uname", "-r") == os.uname().release


@pytest.mark.slide("11.5", "11.6")
@pytest.mark.stock_differs
def test_platforms(engine: Engine) -> None:
    """`--platform linux` runs; Windows is what one cannot do on Linux, and is told so."""
    run = ("run", "--rm", "--platform")
    assert engine.docker_ok(*run, "linux", "busybox", "echo", "hello") == "hello"
    refused = engine.docker(*run, "windows", "busybox", "powershell")
    assert refused.returncode == 125
    assert "cannot be used on this platform" in refused.stderr
