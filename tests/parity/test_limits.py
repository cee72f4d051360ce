"""Limits hold, and what they end is told truly."""

import time
from pathlib import Path

import pytest

from support.daemon import Engine
from support.waiting import wait_until

MEBIBYTE = 1 << 20


@pytest.fixture
def bound_probe(probe: Path) -> tuple[str, ...]:
    """Flags that put the probe into a container."""
    return ("-v", f"{probe}:/probe:ro")


@pytest.mark.slide("23.10")
def test_memory_kill_is_reported(engine: Engine, bound_probe: tuple[str, ...]) -> None:
    """Over the limit: exit 137, OOMKilled, and an `oom` event."""
    since = time.time() - 0.01
    flags = ("--name", "hungry", "-m", "32m", "--memory-swap", "32m")
    ran = engine.docker("run", *flags, *bound_probe, "busybox", "/probe", "eat", "200")
    assert ran.returncode == 137
    state = engine.inspect("hungry")["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)
    actions = [event["Action"] for event in engine.events_since(since, container=["hungry"])]
    assert "oom" in actions
    assert actions.index("oom") < actions.index("die")


def test_under_the_limit_nothing_is_killed(engine: Engine, bound_probe: tuple[str, ...]) -> None:
    """A container that is killed by hand has not run out of memory."""
    flags = ("-d", "--name", "modest", "-m", "64m")
    engine.docker_ok("run", *flags, *bound_probe, "busybox", "/probe", "eat", "8")
    wait_until("it has eaten", lambda: "eaten" in engine.docker_ok("logs", "modest"))
    engine.docker_ok("kill", "modest")
    state = engine.inspect("modest")["State"]
    assert (state["OOMKilled"], state["ExitCode"]) == (False, 137)


@pytest.mark.slide("23.4")
def test_process_limit(engine: Engine, bound_probe: tuple[str, ...]) -> None:
    """`--pids-limit` counts every process of the container."""
    flags = ("--rm", "--pids-limit", "10", *bound_probe)
    ran = engine.docker("run", *flags, "busybox", "/probe", "fork", "50")
    assert ran.stdout == "9 Resource temporarily unavailable\n"


def test_processor_time(engine: Engine) -> None:
    """`--cpus 0.5` gives half a processor's time."""
    script = "while :; do :; done"
    container = engine.docker_ok("run", "-d", "--cpus", "0.5", "busybox", "sh", "-c", script)
    pid = engine.container_pid(container)
    begun, before = time.monotonic(), _processor_seconds(pid)
    wait_until("two seconds", lambda: time.monotonic() - begun > 2)
    used = (_processor_seconds(pid) - before) / (time.monotonic() - begun)
    assert used < 0.62
    host = engine.inspect(container)["HostConfig"]
    assert host["NanoCpus"] == 500_000_000


@pytest.mark.slide("23.3")
def test_the_kernel_got_the_numbers(engine: Engine) -> None:
    """Each limit is where the kernel keeps it."""
    flags = (
        "-m", "100m", "--cpu-shares", "512", "--cpuset-cpus", "0",
        "--pids-limit", "77", "--cpus", "0.25",
    )  # fmt: skip
    container = engine.docker_ok("run", "-d", *flags, "busybox", "sleep", "1000")
    pid = engine.container_pid(container)
    assert _setting(pid, "memory", "memory.limit_in_bytes") == str(100 * MEBIBYTE)
    assert _setting(pid, "cpu", "cpu.shares") == "512"
    assert _setting(pid, "cpu", "cpu.cfs_quota_us") == "25000"
    assert _setting(pid, "cpu", "cpu.cfs_period_us") == "100000"
    assert _setting(pid, "cpuset", "cpuset.cpus") == "0"
    assert _setting(pid, "pids", "pids.max") == "77"


def test_open_file_limit(engine: Engine, bound_probe: tuple[str, ...]) -> None:
    """`--ulimit` sets soft and hard, also for exec."""
    flags = ("-d", "--ulimit", "nofile=100:200", *bound_probe)
    container = engine.docker_ok("run", *flags, "busybox", "sleep", "1000")
    for pid in ("1", "self"):
        out = engine.docker_ok("exec", container, "cat", f"/proc/{pid}/limits")
        line = next(each for each in out.splitlines() if each.startswith("Max open files"))
        assert line.split()[3:5] == ["100", "200"]
    assert "nofile 100 200" in engine.docker_ok("exec", container, "/probe", "limits")


def test_shared_memory_size(engine: Engine) -> None:
    """/dev/shm has 64 MiB, or what `--shm-size` says."""
    for flags, kibibytes in (((), "65536"), (("--shm-size", "3m"), "3072")):
        out = engine.docker_ok("run", "--rm", *flags, "busybox", "df", "-k", "/dev/shm")
        assert out.splitlines()[-1].split()[1] == kibibytes


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("-m", "1k"), "Minimum memory limit allowed is 6MB"),
        (("-m", "32m", "--memory-swap", "16m"), "Minimum memoryswap limit should be larger"),
        (("--memory-swap", "16m"), "You should always set the Memory limit"),
        (("--cpus", "1000"), "Range of CPUs is from 0.01 to"),
        (("--cpuset-cpus", "99"), "Requested CPUs are not available"),
        (("--cpuset-cpus", "a-b"), "Invalid value a-b for cpuset cpus"),
        (("--shm-size", "-1"), ""),
    ],
)
def test_senseless_limits_are_refused(
    engine: Engine, flags: tuple[str, ...], sentence: str
) -> None:
    """A limit that can't be is refused at create, with Docker's sentence."""
    refused = engine.docker("create", *flags, "busybox", "true")
    assert refused.returncode in (1, 125)
    assert sentence.lower() in refused.stderr.lower()


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _setting(pid: int, hierarchy: str, name: str) -> str:
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if hierarchy in controllers.split(","):
            return Path(f"/sys/fs/cgroup/{hierarchy}{path}/{name}").read_text().strip()
    pytest.skip("this host mounts cgroup v2")
