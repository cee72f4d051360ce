"""Every limit that `docker run` knows is where the kernel keeps it; what it lacks is told."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cgroups import directories_of, setting_of
from support.daemon import Engine
from support.waiting import wait_until

MIB = 1 << 20


@pytest.fixture
def bound_probe(probe: Path) -> tuple[str, ...]:
    """Flags that put the probe into a container."""
    return ("-v", f"{probe}:/probe:ro")


def _disk() -> tuple[str, str]:
    """A block device of this machine, and its numbers as the kernel writes them."""
    for name in sorted(os.listdir("/sys/class/block")):
        numbers = Path(f"/sys/class/block/{name}/dev").read_text().strip()
        if (
            not Path(f"/sys/class/block/{name}/partition").exists()
            and Path(f"/dev/{name}").exists()
        ):
            return f"/dev/{name}", numbers
    pytest.skip("this host has no block device")


@pytest.mark.slide("23.9", "23.17", "23.18")
@pytest.mark.parametrize(
    ("flags", "controller", "file", "value"),
    [
        (("--memory-reservation", "32m"), "memory", "memory.soft_limit_in_bytes", str(32 * MIB)),
        (("--memory-swappiness", "7"), "memory", "memory.swappiness", "7"),
        (("-m", "32m", "--memory-swap", "48m"), "memory", "memory.memsw.limit_in_bytes",
         str(48 * MIB)),
        (("--cpu-period", "50000", "--cpu-quota", "20000"), "cpu", "cpu.cfs_period_us", "50000"),
        (("--cpu-period", "50000", "--cpu-quota", "20000"), "cpu", "cpu.cfs_quota_us", "20000"),
        (("--cpuset-mems", "0"), "cpuset", "cpuset.mems", "0"),
        (("--annotation", "wherry.cgroup.cpu.cfs_burst_us=500", "--cpu-quota", "20000"), "cpu",
         "cpu.cfs_burst_us", "500"),
    ],
)  # fmt: skip
def test_the_kernel_has_the_value(
    engine: Engine, flags: tuple[str, ...], controller: str, file: str, value: str
) -> None:
    """The file of the container's cgroup says what the option said."""
    container = engine.docker_ok("run", "-d", *flags, "busybox", "sleep", "1000")
    assert setting_of(engine.container_pid(container), controller, file) == value


@pytest.mark.slide("23.19")
@pytest.mark.parametrize(
    ("flag", "text", "file", "rate"),
    [
        ("--device-read-bps", "1mb", "blkio.throttle.read_bps_device", MIB),
        ("--device-write-bps", "2mb", "blkio.throttle.write_bps_device", 2 * MIB),
        ("--device-read-iops", "300", "blkio.throttle.read_iops_device", 300),
        ("--device-write-iops", "400", "blkio.throttle.write_iops_device", 400),
    ],
)
def test_rates_of_block_devices(
    engine: Engine, flag: str, text: str, file: str, rate: int
) -> None:
    """A path becomes the device's numbers."""
    path, numbers = _disk()
    container = engine.docker_ok("run", "-d", flag, f"{path}:{text}", "busybox", "sleep", "1000")
    assert setting_of(engine.container_pid(container), "blkio", file) == f"{numbers} {rate}"


def test_a_block_device_that_is_not_there(engine: Engine) -> None:
    """It is looked for when the container starts, and named."""
    ran = engine.docker("run", "--device-read-bps", "/dev/nowhere:1mb", "busybox", "true")
    assert ran.returncode == 127  # the client reads "no such file" as a missing program
    assert "stat /dev/nowhere: no such file or directory" in ran.stderr


def test_weights_without_a_scheduler_for_them(engine: Engine) -> None:
    """Where no scheduler keeps weights, the container runs and the user is warned."""
    if Path("/sys/fs/cgroup/blkio/blkio.weight").exists():
        pytest.skip("this kernel has no lack of weights")
    ran = engine.docker("run", "--rm", "--blkio-weight", "100", "busybox", "true")
    assert ran.returncode == 0
    assert (
        "Your kernel does not support Block I/O weight or the cgroup is not mounted" in ran.stderr
    )
    ran = engine.docker("create", "--blkio-weight-device", "/dev/null:100", "busybox", "true")
    assert "does not support Block I/O weight_device" in ran.stderr


def test_processes_wait_at_the_limit(engine: Engine, bound_probe: tuple[str, ...]) -> None:
    """`--oom-kill-disable` freezes who needs more; `update --memory` lets it go on."""
    flags = ("-d", "--name", "waiting", "-m", "32m", "--memory-swap", "32m", "--oom-kill-disable")
    container = engine.docker_ok("run", *flags, *bound_probe, "busybox", "/probe", "eat", "48")
    pid = engine.container_pid(container)

    def is_held() -> bool:
        return "under_oom 1" in setting_of(pid, "memory", "memory.oom_control")

    wait_until("the kernel holds it", is_held)
    assert "oom_kill_disable 1" in setting_of(pid, "memory", "memory.oom_control")
    assert "eaten" not in engine.docker_ok("logs", container)
    engine.docker_ok("update", "--memory", "128m", "--memory-swap", "128m", container)
    wait_until("it has eaten", lambda: "eaten" in engine.docker_ok("logs", container))
    state = engine.inspect(container)["State"]
    assert (state["Running"], state["OOMKilled"]) == (True, False)


def test_oom_score(engine: Engine) -> None:
    """`--oom-score-adj` is the process's own, also for exec."""
    container = engine.docker_ok("run", "-d", "--oom-score-adj", "321", "busybox", "sleep", "1000")
    assert engine.docker_ok("exec", container, "cat", "/proc/1/oom_score_adj") == "321"
    assert engine.docker_ok("exec", container, "cat", "/proc/self/oom_score_adj") == "321"


@pytest.mark.slide("23.5")
def test_cgroup_parent(engine: Engine) -> None:
    """`--cgroup-parent` says below which cgroup the container's are."""
    container = engine.docker_ok(
        "run", "-d", "--cgroup-parent", "/of-a-course", "busybox", "sleep", "1000"
    )
    pid = engine.container_pid(container)
    above = {directory.parent for directory in directories_of(pid)}
    assert {each.name for each in above} == {"of-a-course"}
    assert engine.inspect(container)["HostConfig"]["CgroupParent"] == "/of-a-course"
    engine.docker_ok("rm", "-f", container)
    for each in above:
        each.rmdir()


@pytest.mark.slide("23.51")
def test_cgroup_namespace(engine: Engine) -> None:
    """A private one begins at the container's own cgroup."""
    run = ("run", "--rm")
    private = engine.docker_ok(*run, "--cgroupns", "private", "busybox", "cat", "/proc/1/cgroup")
    assert {line.split(":")[2] for line in private.splitlines()} == {"/"}
    shared = engine.docker_ok(*run, "--cgroupns", "host", "busybox", "cat", "/proc/1/cgroup")
    assert any(re.search(r":/docker/[0-9a-f]{64}$", line) for line in shared.splitlines())


def test_realtime_needs_a_share_above(engine: Engine) -> None:
    """The kernel gives no more than the cgroup above has, which is nothing by default."""
    ran = engine.docker("run", "--cpu-rt-runtime", "5000", "busybox", "true")
    assert ran.returncode == 125
    assert "cpu.rt_runtime_us" in ran.stderr or "real-time runtime" in ran.stderr


def test_an_absent_controller_is_named(engine: Engine) -> None:
    """A knob of a controller that is not mounted is an error at create."""
    ran = engine.docker("create", "--annotation", "wherry.cgroup.misc.max=1", "busybox", "true")
    assert ran.returncode == 1
    assert "this host has no misc cgroup controller" in ran.stderr


def test_a_knob_that_the_version_lacks(engine: Engine) -> None:
    """Version 1 has no memory.high: the start fails, names it, and leaves nothing."""
    if not Path("/sys/fs/cgroup/memory").exists():
        pytest.skip("this host mounts cgroup v2")
    before = engine.settled_census()
    ran = engine.docker(
        "run", "--rm", "--annotation", "wherry.cgroup.memory.high=64m", "busybox", "true"
    )
    assert ran.returncode == 125
    assert "set memory.high to 64m: this kernel's controller has no such file" in ran.stderr
    assert engine.leaks_since(before) == []


@pytest.fixture(autouse=True)
def _clean(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()
