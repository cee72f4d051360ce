"""Limits, devices, freezing and killing where the machine mounts cgroup version 2 alone.

Run in the virtual machine by `make vm-test`, and on any host that boots so.
"""

import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from support.containers import Box
from support.daemon import Engine
from support.waiting import wait_until
from wherry.linux.cgroups import discover
from wherry.oci.runtime_spec import Device, DeviceRule, Resources
from wherry.runtime.container import InitProcess

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not discover().is_unified, reason="this host mounts cgroup v1"),
    pytest.mark.timeout(600),
]

MEBIBYTE = 1 << 20


def directory_of(engine: Engine, container: str) -> Path:
    """A running container's cgroup, as the tests' process sees it."""
    line = Path(f"/proc/{engine.container_pid(container)}/cgroup").read_text().strip()
    assert line.startswith("0::")
    return Path("/sys/fs/cgroup") / line.removeprefix("0::").lstrip("/")


def counters(directory: Path, file: str) -> dict[str, int]:
    """A file of names and numbers."""
    lines = (line.split() for line in (directory / file).read_text().splitlines())
    return {name: int(value) for name, value in lines}


@pytest.mark.slide("23.7", "23.16")
def test_every_limit_is_where_the_kernel_keeps_it(engine: Engine) -> None:
    """memory.max, memory.swap.max, pids.max, cpu.max, cpu.weight and cpuset.cpus hold what was
    asked, and the container sees its own cgroup alone."""
    flags = (
        "-m", "64m", "--memory-swap", "96m", "--pids-limit", "33", "--cpus", "0.5",
        "--cpu-shares", "2048", "--cpuset-cpus", "1",
    )  # fmt: skip
    container = engine.docker_ok("run", "-d", *flags, "busybox", "sleep", "1000")
    directory = directory_of(engine, container)
    wanted = {
        "memory.max": str(64 * MEBIBYTE),
        "memory.swap.max": str(32 * MEBIBYTE),
        "pids.max": "33",
        "cpu.max": "50000 100000",
        "cpuset.cpus": "1",
    }
    assert {file: (directory / file).read_text().strip() for file in wanted} == wanted
    assert int((directory / "cpu.weight").read_text()) > 1
    script = "cat /proc/self/cgroup; grep Cpus_allowed_list /proc/self/status"
    seen = engine.docker_ok("exec", container, "sh", "-c", script).split()
    assert seen == ["0::/", "Cpus_allowed_list:", "1"]


def test_out_of_memory(engine: Engine, probe: Path) -> None:
    """memory.max ends what goes beyond it: exit 137, OOMKilled, and the event."""
    since = time.time() - 0.01
    flags = ("--name", "hungry", "-m", "24m", "--memory-swap", "24m", "-v", f"{probe}:/probe:ro")
    ran = engine.docker("run", *flags, "busybox", "/probe", "eat", "100")
    assert ran.returncode == 137
    state = engine.inspect("hungry")["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)
    actions = [event["Action"] for event in engine.events_since(since, container=["hungry"])]
    assert actions.index("oom") < actions.index("die")


def test_the_device_filter_is_seen(engine: Engine) -> None:
    """`explain --live` finds the program that was attached."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    live = engine.wherry("explain", "--live", container).stdout
    assert "device filter" in live
    assert "the cgroup has program" in live


def test_process_limit(engine: Engine, probe: Path) -> None:
    """pids.max refuses the process that would be one too many."""
    flags = ("--rm", "--pids-limit", "10", "-v", f"{probe}:/probe:ro")
    ran = engine.docker("run", *flags, "busybox", "/probe", "fork", "50")
    assert ran.stdout == "9 Resource temporarily unavailable\n"


def test_processor_time(engine: Engine) -> None:
    """cpu.max holds a busy loop back: the kernel counts the periods in which it did."""
    loop = ("sh", "-c", "while :; do :; done")
    container = engine.docker_ok("run", "-d", "--cpus", "0.2", "busybox", *loop)
    directory = directory_of(engine, container)

    def is_throttled() -> bool:
        return counters(directory, "cpu.stat")["nr_throttled"] >= 5

    wait_until("five periods were throttled", is_throttled)
    seen = counters(directory, "cpu.stat")
    assert seen["throttled_usec"] > 0
    assert seen["usage_usec"] < seen["nr_periods"] * 20_000 + 100_000


def test_pause_is_a_freeze(engine: Engine) -> None:
    """`pause` freezes the cgroup, `unpause` thaws it; frozen time uses no processor."""
    loop = ("sh", "-c", "while :; do :; done")
    container = engine.docker_ok("run", "-d", "busybox", *loop)
    directory = directory_of(engine, container)
    engine.docker_ok("pause", container)
    assert counters(directory, "cgroup.events")["frozen"] == 1
    before = counters(directory, "cpu.stat")["usage_usec"]
    engine.docker_ok("ps")
    assert counters(directory, "cpu.stat")["usage_usec"] == before
    engine.docker_ok("unpause", container)
    assert counters(directory, "cgroup.events")["frozen"] == 0
    wait_until("it runs", lambda: counters(directory, "cpu.stat")["usage_usec"] > before)


def test_killing_reaches_every_process(engine: Engine) -> None:
    """With the host's pid namespace no namespace dies with process 1: the cgroup is killed."""
    script = "for each in 1 2 3 4 5; do setsid sleep 1000 & done; exec sleep 1000"
    flags = ("-d", "--name", "family", "--pid", "host")
    engine.docker_ok("run", *flags, "busybox", "sh", "-c", script)
    directory = directory_of(engine, "family")

    def members() -> list[str]:
        return (directory / "cgroup.procs").read_text().split()

    wait_until("all six run", lambda: len(members()) == 6)
    pids = members()
    engine.docker_ok("rm", "-f", "family")
    wait_until("none is left", lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert not directory.exists()


def test_devices_are_a_filter(engine: Engine) -> None:
    """The BPF program lets the default devices be opened and no other; nodes may be made."""
    cases = {"c 1 3": True, "c 1 5": True, "c 1 7": True, "c 1 8": True, "c 1 9": True,
             "c 1 1": False, "c 1 2": False, "c 1 11": False, "c 10 229": False,
             "c 10 200": False, "b 254 0": False, "b 7 0": False}  # fmt: skip
    script = "".join(
        f"mknod /tmp/n {numbers} && {{ head -c 0 /tmp/n >/dev/null 2>&1; echo {index} $?; }};"
        "rm /tmp/n; "
        for index, numbers in enumerate(cases)
    )
    out = engine.docker_ok("run", "--rm", "busybox", "sh", "-c", script)
    seen = dict(line.split() for line in out.splitlines())
    assert {name: seen[str(index)] == "0" for index, name in enumerate(cases)} == cases
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    refused = engine.docker("exec", container, "sh", "-c", "mknod /n b 254 0; head -c 0 /n")
    assert "Operation not permitted" in refused.stderr


def test_input_and_output_are_held_back(box: Box) -> None:
    """io.max makes a direct write of 2 MiB at 1 MiB/s take longer than a second."""
    disk = os.stat("/dev/vda")
    assert stat.S_ISBLK(disk.st_mode)
    numbers = os.major(disk.st_rdev), os.minor(disk.st_rdev)
    node = Device(path="/dev/disk", type="b", major=numbers[0], minor=numbers[1])
    may_use = DeviceRule(allow=True, type="b", major=numbers[0], minor=numbers[1], access="rw")
    limit = f"{numbers[0]}:{numbers[1]} rbps=max wbps={MEBIBYTE} riops=max wiops=max"

    def seen(init: InitProcess) -> str:
        path = Path(f"/proc/{init.pid}/cgroup").read_text().strip().removeprefix("0::")
        return Path(f"/sys/fs/cgroup{path}/io.max").read_text().strip()

    resources = Resources(
        devices=(*(box.spec.linux.resources or Resources()).devices, may_use),
        unified={"io.max": limit},
    )
    linux = {"devices": (node,), "resources": resources}
    assert box.runs("sleep", "100", linux=linux, meanwhile=seen).notes == limit
    begun = time.monotonic()
    write = ("dd", "if=/dev/zero", "of=/dev/disk", "bs=65536", "count=32", "oflag=direct")
    outcome = box.runs(*write, linux=linux, rootfs=box.fresh_rootfs())
    assert outcome.status == 0, outcome.output
    assert time.monotonic() - begun > 1


@pytest.mark.parametrize(
    ("file", "value"), [("memory.high", str(32 * MEBIBYTE)), ("pids.max", "9")]
)
def test_values_by_their_own_names(box: Box, file: str, value: str) -> None:
    """`unified` of a specification is written as it is."""

    def seen(init: InitProcess) -> str:
        path = Path(f"/proc/{init.pid}/cgroup").read_text().strip().removeprefix("0::")
        return Path(f"/sys/fs/cgroup{path}/{file}").read_text().strip()

    resources = replace(box.spec.linux.resources or Resources(), unified={file: value})
    outcome = box.runs("sleep", "100", linux={"resources": resources}, meanwhile=seen)
    assert outcome.notes == value
    assert outcome.left == []


def test_a_container_that_manages_its_tree(engine: Engine) -> None:
    """Nobody may enter a cgroup that passes controllers on: exec and probes go where they can."""
    tree = "/sys/fs/cgroup"
    script = (
        f"mkdir {tree}/init && echo 1 > {tree}/init/cgroup.procs"
        f" && echo +pids > {tree}/cgroup.subtree_control && echo ready; exec sleep 1000"
    )
    flags = ("--privileged", "--cgroupns", "private", "--health-cmd", "true",
             "--health-interval", "1s")  # fmt: skip
    container = engine.docker_ok("run", "-d", *flags, "busybox", "sh", "-c", script)
    wait_until("it has moved", lambda: engine.docker_ok("logs", container) == "ready")
    assert engine.docker_ok("exec", container, "cat", "/proc/self/cgroup") == "0::/init"
    health = "{{.State.Health.Status}}"
    wait_until(
        "a probe has joined",
        lambda: engine.docker_ok("inspect", "-f", health, container) == "healthy",
    )


def test_the_tree_is_read_only(engine: Engine) -> None:
    """No container can write to its own or any other cgroup."""
    script = "for each in /sys/fs/cgroup/*; do (echo 1 > $each) 2>/dev/null && echo $each; done; :"
    assert engine.docker_ok("run", "--rm", "busybox", "sh", "-c", script) == ""


def test_nothing_is_left(engine: Engine) -> None:
    """After containers with limits are gone, so are their cgroups and filters."""
    before = engine.census()
    flags = ("-m", "32m", "--pids-limit", "9", "--cpus", "0.5")
    for _each in range(3):
        engine.docker_ok("run", "--rm", *flags, "busybox", "true")
    engine.docker_ok("run", "-d", "--name", "gone", *flags, "busybox", "sleep", "1000")
    engine.docker_ok("rm", "-f", "gone")
    assert engine.leaks_since(before, within_s=60) == []
