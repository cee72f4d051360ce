"""Chapter 22 of the course, "Resource Limits", command by command."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cgroups import setting_of
from support.daemon import Engine
from support.terminal import Terminal
from support.waiting import wait_until

MIB = 1 << 20
BUSY = ("busybox", "sh", "-c", "while :; do :; done")


@pytest.fixture(autouse=True)
def _clean(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()


@pytest.fixture
def python(engine: Engine) -> Iterator[str]:
    """An image of the name that the chapter uses."""
    engine.docker_ok("tag", "busybox", "python")
    yield "python"
    engine.remove_all_containers()
    engine.docker_ok("rmi", "python")


@pytest.mark.slide("22.2")
def test_container_processes_are_normal_processes(engine: Engine) -> None:
    """`ps` on the host shows them below their shim, whose parent is no container's business."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "4231")
    pid = engine.container_pid(container)
    command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    assert command[:2] == ["sleep", "4231"]
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    assert Path(f"/proc/{parent}/cmdline").read_bytes().startswith(b"wherry-shim ")


@pytest.mark.slide("22.3")
def test_by_default_nothing_changes(engine: Engine) -> None:
    """Without options a container has the limits of the machine."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    pid = engine.container_pid(container)
    assert int(setting_of(pid, "memory", "memory.limit_in_bytes")) > 1 << 50
    assert setting_of(pid, "cpu", "cpu.shares") == "1024"
    assert setting_of(pid, "cpu", "cpu.cfs_quota_us") == "-1"


@pytest.mark.slide("22.5", "22.6")
def test_limiting_ram(engine: Engine, python: str) -> None:
    """`docker run -ti --memory 100m python`: 100 MiB of RAM, and as much swap again."""
    command = ["docker", "run", "-ti", "--name", "limited", "--memory", "100m", python, "sh"]
    with Terminal(command, engine.environment) as terminal:
        terminal.expect("/ # ")
        wait_until("it is said to run", lambda: engine.inspect("limited")["State"]["Running"])
        pid = engine.container_pid("limited")
        assert setting_of(pid, "memory", "memory.limit_in_bytes") == str(100 * MIB)
        assert setting_of(pid, "memory", "memory.memsw.limit_in_bytes") == str(200 * MIB)
        terminal.type("exit\n")
        assert terminal.wait() == 0


@pytest.mark.slide("22.4", "22.5", "22.7")
def test_limiting_ram_and_swap(engine: Engine, python: str, probe: object) -> None:
    """`--memory 100m --memory-swap 100m`: more than that, and the program is killed."""
    flags = ("-t", "--memory", "100m", "--memory-swap", "100m", "-v", f"{probe}:/probe:ro")
    ran = engine.docker("run", "--name", "killed", *flags, python, "/probe", "eat", "200")
    assert ran.returncode == 137
    assert engine.inspect("killed")["State"]["OOMKilled"] is True


@pytest.mark.slide("22.9", "22.10")
def test_relative_priority(engine: Engine) -> None:
    """With `--cpu-shares 2048` a container gets twice the default where both want more."""
    flags = ("-d", "--cpuset-cpus", "0")
    plain = engine.docker_ok("run", *flags, *BUSY)
    doubled = engine.docker_ok("run", *flags, "--cpu-shares", "2048", *BUSY)
    pids = [engine.container_pid(each) for each in (plain, doubled)]
    before = [_used_ns(pid) for pid in pids]

    def used() -> list[int]:
        return [_used_ns(pid) - was for pid, was in zip(pids, before, strict=True)]

    wait_until("they have had two seconds", lambda: sum(used()) > 2_000_000_000, within_s=60)
    one, two = used()
    assert 1.5 < two / one < 2.6


@pytest.mark.slide("22.9", "22.11")
def test_share_of_a_processor(engine: Engine) -> None:
    """`--cpus 0.1` is a tenth of one processor, `--cpus 1.0` a whole one."""
    container = engine.docker_ok("run", "-d", "--cpus", "0.1", *BUSY)
    pid = engine.container_pid(container)
    quota = int(setting_of(pid, "cpu", "cpu.cfs_quota_us"))
    period = int(setting_of(pid, "cpu", "cpu.cfs_period_us"))
    assert quota / period == pytest.approx(0.1)

    def throttled() -> int:
        words = setting_of(pid, "cpu", "cpu.stat").split()
        return int(words[words.index("nr_throttled") + 1])

    wait_until("the kernel has held it back", lambda: throttled() > 3, within_s=60)
    engine.docker_ok("update", "--cpus", "1.0", container)
    assert setting_of(pid, "cpu", "cpu.cfs_quota_us") == str(period)
    refused = engine.docker("run", "--cpus", "10.0", "busybox", "true")
    count = os.cpu_count() or 1
    if count < 10:
        words = (
            f"ange of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )
        assert words in refused.stderr


@pytest.mark.slide("22.9", "22.12")
def test_pinning(engine: Engine) -> None:
    """`--cpuset-cpus 0` is CPU 0; CPUs that are not there are refused, and said."""
    out = engine.docker_ok(
        "run", "--rm", "--cpuset-cpus", "0", "busybox", "grep", "Cpus_allowed_list",
        "/proc/self/status",
    )  # fmt: skip
    assert out.split()[1] == "0"
    online = Path("/sys/devices/system/cpu/online").read_text().strip()
    for wanted in ("3,5,7", "0-3,8-11"):
        ran = engine.docker("run", "--rm", "--cpuset-cpus", wanted, "busybox", "true")
        if (os.cpu_count() or 1) < 4:
            words = f"Requested CPUs are not available - requested {wanted}, available: {online}"
            assert words in ran.stderr
        else:
            assert ran.returncode in (0, 125)


@pytest.mark.slide("22.13")
def test_disk_usage_can_be_audited(engine: Engine) -> None:
    """`docker ps -s` and `docker diff` say what a container has written."""
    script = "dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null; mkdir /made; exec sleep 1000"
    container = engine.docker_ok("run", "-d", "busybox", "sh", "-c", script)

    def written() -> str:
        return engine.docker_ok("diff", container)

    wait_until("it has written", lambda: "A /made" in written())
    assert written().split("\n") == ["A /big", "A /made"]
    assert engine.docker_ok("ps", "-s", "--format", "{{.Size}}").startswith("3.15MB (virtual ")


def _used_ns(pid: int) -> int:
    return int(setting_of(pid, "cpuacct", "cpuacct.usage"))
