"""Programs for another processor: refused with a reason, and run once an emulator is there.

The kernel has one table of formats for the whole machine, so these tests take turns with those
of other runs, and leave it as it was.
"""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.foreign_program import arm64_program
from support.image_archives import config, docker_archive
from support.tar_archives import archive, member
from wherry.linux import binfmt_misc

pytestmark = [pytest.mark.timeout(180), pytest.mark.stock_differs]

RULE = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
NAME = "qemu-aarch64"
RUN = ("run", "--rm", "--network", "none")


@pytest.fixture
def foreign(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """An image for 64-bit ARM on a kernel that runs no such programs."""
    program = archive(member("hello", arm64_program(b"hello from arm64\n"), mode=0o755))
    document = config(program, architecture="arm64", config={"Cmd": ["/hello"]})
    packed = tmp_path / "foreign.tar"
    packed.write_bytes(docker_archive(program, tags=("foreign:1",), document=document))
    with Path("/tmp/wherry-tests-formats.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        was_there = forgotten()
        try:
            engine.docker_ok("load", "-i", str(packed))
            yield "foreign:1"
        finally:
            forgotten()
            if was_there:
                with binfmt_misc.table() as directory:
                    binfmt_misc.register(directory, RULE.read_text().strip())
            engine.docker("rmi", "-f", "foreign:1")
            engine.machine.run("umount", binfmt_misc.PLACE)


def forgotten() -> bool:
    """Take the format out of the kernel's table; whether it was in it."""
    with binfmt_misc.table() as directory:
        is_there = any(each.name == NAME for each in binfmt_misc.formats(directory))
        if is_there:
            binfmt_misc.unregister(directory, NAME)
    return is_there


def wherry(engine: Engine, *words: str) -> str:
    """What our own command line prints."""
    ran = engine.wherry("platform", *words)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slide("18.16")
def test_enabled_and_disabled(engine: Engine, foreign: str) -> None:
    """Before: Docker's warning, and how to help oneself. After: it runs, over a restart too."""
    refused = engine.docker(*RUN, foreign)
    assert refused.returncode != 0
    assert (
        "The requested image's platform (linux/arm64) does not match the detected host platform"
    ) in refused.stderr
    assert '"wherry platform enable linux/arm64" registers an emulator' in refused.stderr
    assert "exec format error" in refused.stderr
    assert wherry(engine, "enable", "linux/arm64") == "linux/arm64: enabled\n"
    ran = engine.docker(*RUN, "--platform", "linux/arm64", foreign)
    assert (ran.stdout, ran.stderr) == ("hello from arm64\n", "")
    listed = wherry(engine, "ls", "--format", "json").splitlines()
    shown = {each["Platform"]: each for each in map(json.loads, listed)}
    assert shown["linux/arm64"]["Status"] == "enabled"
    assert shown["linux/amd64"]["RunsBy"] == "the processor"
    assert shown["linux/s390x"]["Status"] == "not enabled"
    forgotten()  # as by a restart of the host
    engine.restart()
    assert engine.docker_ok(*RUN, foreign) == "hello from arm64"
    assert wherry(engine, "disable", "linux/arm64") == "linux/arm64: not enabled\n"
    assert "exec format error" in engine.docker(*RUN, foreign).stderr
    for text, problem in (("linux/vax", "is not one that"), ("windows/arm64", "one of linux")):
        assert problem in engine.wherry("platform", "enable", text).stderr


@pytest.mark.slide("18.15", "18.17")
def test_a_container_registers_by_itself(engine: Engine, foreign: str) -> None:
    """A privileged container with static emulators tells the kernel, and takes it back."""
    rule = binfmt_misc.parse_rule(RULE.read_text())
    emulator = Path(rule.interpreter).resolve()
    # As hosts with systemd have it; without a mount the kernel forgets what is registered.
    engine.machine.run("mount", "-t", "binfmt_misc", "none", binfmt_misc.PLACE)
    table = f"mount -t binfmt_misc none {binfmt_misc.PLACE} && cd {binfmt_misc.PLACE}"
    mounts = ("-v", f"{RULE}:/rule:ro", "-v", f"{emulator}:{rule.interpreter}:ro")
    container = (*RUN, "--privileged", *mounts, "busybox", "sh", "-ec")
    engine.docker_ok(*container, f"{table} && cat /rule > register")
    with contextlib.ExitStack() as after:
        after.callback(engine.docker_ok, *container, f"{table} && echo -1 > {NAME}")
        ran = engine.docker(*RUN, "--platform", "linux/arm64", foreign)
        assert (ran.stdout, ran.stderr) == ("hello from arm64\n", "")
    assert "exec format error" in engine.docker(*RUN, foreign).stderr
