"""`docker update`: at once in the kernel, kept over restarts, and all or nothing."""

import json
from collections.abc import Iterator

import pytest

from support.cgroups import setting_of
from support.daemon import Engine

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _clean(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()


@pytest.mark.parametrize(
    ("before", "flags", "files"),
    [
        (
            ("-m", "64m"),
            ("-m", "96m", "--memory-swap", "200m"),
            {"memory.limit_in_bytes": 96 * MIB, "memory.memsw.limit_in_bytes": 200 * MIB},
        ),
        (
            ("-m", "64m"),
            ("-m", "300m", "--memory-swap", "300m"),
            {"memory.limit_in_bytes": 300 * MIB, "memory.memsw.limit_in_bytes": 300 * MIB},
        ),
        (
            ("-m", "300m"),
            ("-m", "32m", "--memory-swap", "32m"),
            {"memory.limit_in_bytes": 32 * MIB, "memory.memsw.limit_in_bytes": 32 * MIB},
        ),
        ((), ("--memory-reservation", "48m"), {"memory.soft_limit_in_bytes": 48 * MIB}),
        ((), ("--cpu-shares", "77"), {"cpu.shares": 77}),
        (("--cpus", "0.5"), ("--cpus", "1.5"), {"cpu.cfs_quota_us": 150_000}),
        (
            (),
            ("--cpu-period", "50000", "--cpu-quota", "10000"),
            {"cpu.cfs_period_us": 50_000, "cpu.cfs_quota_us": 10_000},
        ),
        (("--cpu-quota", "10000"), ("--cpu-quota", "-1"), {"cpu.cfs_quota_us": -1}),
        ((), ("--cpuset-cpus", "0"), {"cpuset.cpus": 0}),
        ((), ("--cpuset-mems", "0"), {"cpuset.mems": 0}),
        ((), ("--pids-limit", "33"), {"pids.max": 33}),
    ],
)
def test_the_kernel_has_the_new_value(
    engine: Engine, before: tuple[str, ...], flags: tuple[str, ...], files: dict[str, int]
) -> None:
    """Limits grow and shrink while the container runs, and are there after a restart."""
    container = engine.docker_ok("run", "-d", *before, "busybox", "sleep", "1000")
    assert engine.docker_ok("update", *flags, container) == container

    def assert_values() -> None:
        pid = engine.container_pid(container)
        for file, value in files.items():
            assert setting_of(pid, file.partition(".")[0], file) == str(value)

    assert_values()
    engine.docker_ok("restart", "-t", "0", container)
    assert_values()


def test_a_limit_is_taken_away(engine: Engine) -> None:
    """`--pids-limit -1` means any number again."""
    container = engine.docker_ok("run", "-d", "--pids-limit", "9", "busybox", "sleep", "1000")
    engine.docker_ok("update", "--pids-limit", "-1", container)
    assert setting_of(engine.container_pid(container), "pids", "pids.max") == "max"
    assert engine.inspect(container)["HostConfig"]["PidsLimit"] == 0


def test_several_at_once_and_inspect(engine: Engine) -> None:
    """One command changes several containers, running or not; inspect shows it; so do events."""
    running = engine.docker_ok("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    engine.docker_ok("create", "--name", "two", "busybox", "true")
    assert engine.docker_ok("update", "--cpu-shares", "99", "one", "two") == "one\ntwo"
    for name in ("one", "two"):
        assert engine.inspect(name)["HostConfig"]["CpuShares"] == 99
    actions = [each["Action"] for each in engine.events_since(0, container=[running])]
    assert actions[-1] == "update"


def test_restart_policy(engine: Engine) -> None:
    """The policy changes; limits stay; with --rm there is none to change."""
    engine.docker_ok("run", "-d", "--name", "kept", "-m", "64m", "busybox", "sleep", "1000")
    engine.docker_ok("update", "--restart", "on-failure:3", "kept")
    host = engine.inspect("kept")["HostConfig"]
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["Memory"] == 64 * MIB
    engine.docker_ok("update", "--cpu-shares", "12", "kept")
    assert engine.inspect("kept")["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"
    engine.docker_ok("run", "-d", "--rm", "--name", "gone", "busybox", "sleep", "1000")
    refused = engine.docker("update", "--restart", "always", "gone")
    assert refused.returncode == 1
    sentence = "Restart policy cannot be updated because AutoRemove is enabled for the container"
    assert sentence in refused.stderr


@pytest.mark.parametrize(
    ("before", "flags", "sentence"),
    [
        (
            ("--cpus", "0.5"), ("--cpu-quota", "20000"),
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
        (
            ("--cpus", "0.5"), ("--cpu-period", "20000"),
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            ("--cpu-period", "20000"), ("--cpus", "0.5"),
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            ("--cpu-quota", "20000"), ("--cpus", "0.5"),
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            ("-m", "32m"), ("-m", "100m"),
            "Memory limit should be smaller than already set memoryswap limit, update the"
            " memoryswap at the same time",
        ),
        (
            (), ("-m", "100m"),
            "Memory limit should be smaller than already set memoryswap limit, update the"
            " memoryswap at the same time",
        ),
        ((), ("-m", "1m"), "Minimum memory limit allowed is 6MB"),
        ((), ("--cpuset-cpus", "512"), "Requested CPUs are not available - requested 512"),
        ((), ("--cpu-period", "10"), "CPU cfs period can not be less than 1ms"),
    ],
)  # fmt: skip
def test_what_can_not_be(
    engine: Engine, before: tuple[str, ...], flags: tuple[str, ...], sentence: str
) -> None:
    """Docker's sentence, and nothing changed."""
    container = engine.docker_ok("run", "-d", *before, "busybox", "sleep", "1000")
    was = engine.inspect(container)["HostConfig"]
    refused = engine.docker("update", *flags, container)
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert engine.inspect(container)["HostConfig"] == was


def test_what_the_kernel_refuses(engine: Engine, probe: object) -> None:
    """Memory below what is in use: the error names the file, and every other value is back."""
    flags = ("-d", "-m", "64m", "--cpu-shares", "100", "-v", f"{probe}:/probe:ro")
    container = engine.docker_ok("run", *flags, "busybox", "/probe", "eat", "40")
    pid = engine.container_pid(container)
    engine.docker_ok("exec", container, "sh", "-c", "until [ -e /proc/1/exe ]; do :; done")
    while int(setting_of(pid, "memory", "memory.usage_in_bytes")) < 40 * MIB:
        pass
    was = engine.inspect(container)["HostConfig"]
    refused = engine.docker(
        "update", "-m", "8m", "--memory-swap", "8m", "--cpu-shares", "200", container
    )
    assert refused.returncode == 1
    assert f"Cannot update container {container}: set memory.limit_in_bytes" in refused.stderr
    assert setting_of(pid, "cpu", "cpu.shares") == "100"
    assert setting_of(pid, "memory", "memory.limit_in_bytes") == str(64 * MIB)
    assert engine.inspect(container)["HostConfig"] == was


def test_explained(engine: Engine) -> None:
    """`wherry explain` tells of the new value only, and why it is there."""
    container = engine.docker_ok("run", "-d", "-m", "64m", "busybox", "sleep", "1000")
    engine.docker_ok("update", "-m", "48m", "--memory-swap", "96m", container)
    told = engine.wherry("explain", container).stdout
    assert f"set memory.limit_in_bytes to {48 * MIB}" in told
    assert "docker update --memory 48m" in told
    assert f"set memory.limit_in_bytes to {64 * MIB}" not in told
    engine.docker_ok("restart", "-t", "0", container)
    assert "docker update" not in engine.wherry("explain", container).stdout


def test_docker_py_sends_only_what_it_changes(engine: Engine) -> None:
    """A body without a policy leaves the policy."""
    container = engine.create("sleep", "1000", HostConfig={"RestartPolicy": {"Name": "always"}})
    answer = engine.api("POST", f"/containers/{container}/update", {"CpuShares": 5})
    assert (answer.status, json.loads(answer.body)) == (200, {"Warnings": None})
    host = engine.inspect(container)["HostConfig"]
    assert (host["CpuShares"], host["RestartPolicy"]["Name"]) == (5, "always")


def test_own_client(engine: Engine) -> None:
    """Wherry's own `update` says what docker's says, and does the same."""
    engine.docker_ok("run", "-d", "--name", "one", "--cpus", "0.5", "busybox", "sleep", "1000")
    for arguments in (
        ("--cpu-shares", "70", "one"),
        ("--blkio-weight", "100", "one"),
        ("--restart", "on-failure:2", "one"),
        ("--cpu-quota", "5000", "one"),
        ("-m", "1m", "one"),
        ("one",),
        ("--cpu-shares", "70", "one", "nobody"),
        ("--restart", ":3", "one"),
    ):
        own, stock = engine.wherry("update", *arguments), engine.docker("update", *arguments)
        assert (own.returncode, own.stdout) == (stock.returncode, stock.stdout), arguments
        assert own.stderr.strip() == stock.stderr.strip(), arguments
    host = engine.inspect("one")["HostConfig"]
    assert (host["CpuShares"], host["RestartPolicy"]["MaximumRetryCount"]) == (70, 2)
