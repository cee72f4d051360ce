"""Limits that make no sense are refused, those that a kernel lacks are discarded with a word."""

from dataclasses import replace

import pytest

from wherry.linux.cgroups import CgroupLayout, Hierarchy
from wherry.model.errors import InvalidValue
from wherry.model.limits import BlockLimits, DeviceRate, DeviceWeight, Limits, Ulimit
from wherry.specgen import HostFacts, Knob, admitted
from wherry.specgen.knobs import offered_knobs

HOST = HostFacts(processors=4, cpuset_cpus="0-3", cpuset_mems="0")
MIB = 1 << 20

REFUSALS = (
    (Limits(memory_bytes=MIB), "Minimum memory limit allowed is 6MB"),
    (Limits(memory_bytes=6 * MIB - 1), "Minimum memory limit allowed is 6MB"),
    (Limits(memory_bytes=-1), "Minimum memory limit allowed is 6MB"),
    (
        Limits(memory_bytes=8 * MIB, memory_swap_bytes=7 * MIB),
        "Minimum memoryswap limit should be larger than memory limit, see usage",
    ),
    (
        Limits(memory_swap_bytes=8 * MIB),
        "You should always set the Memory limit when using Memoryswap limit, see usage",
    ),
    (Limits(memory_swap_bytes=-2), "invalid memory swap limit: -2"),
    (
        Limits(memory_reservation_bytes=MIB),
        "Minimum memory reservation allowed is 6MB",
    ),
    (Limits(memory_reservation_bytes=-5), "invalid memory reservation: -5"),
    (
        Limits(memory_bytes=8 * MIB, memory_reservation_bytes=9 * MIB),
        "Minimum memory limit can not be less than memory reservation limit, see usage",
    ),
    (
        Limits(memory_swappiness=101),
        "Invalid value: 101, valid memory swappiness range is 0-100",
    ),
    (
        Limits(memory_swappiness=-3),
        "Invalid value: -3, valid memory swappiness range is 0-100",
    ),
    (
        Limits(cpu_nanos=1, cpu_period_us=1000),
        "Conflicting options: Nano CPUs and CPU Period cannot both be set",
    ),
    (
        Limits(cpu_nanos=1, cpu_quota_us=1000),
        "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
    ),
    (
        Limits(cpu_nanos=4_000_000_001),
        "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
    ),
    (
        Limits(cpu_nanos=-1),
        "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
    ),
    (Limits(cpu_shares=-1), "shares must be a positive number: -1"),
    (
        Limits(cpu_period_us=999),
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    ),
    (
        Limits(cpu_period_us=1_000_001),
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    ),
    (
        Limits(cpu_period_us=-1),
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    ),
    (Limits(cpu_quota_us=999), "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    (
        Limits(cpu_realtime_period_us=10, cpu_realtime_runtime_us=11),
        "cpu real-time runtime cannot be higher than cpu real-time period",
    ),
    (
        Limits(cpu_realtime_period_us=-1),
        "cpu real-time period must be a positive number: -1",
    ),
    (
        Limits(cpu_realtime_runtime_us=-1),
        "cpu real-time runtime must be a positive number: -1",
    ),
    (
        Limits(cpuset_cpus="2-4"),
        "Requested CPUs are not available - requested 2-4, available: 0-3",
    ),
    (Limits(cpuset_cpus="first"), "Invalid value first for cpuset cpus"),
    (Limits(cpuset_cpus="0-4294967295"), "Invalid value 0-4294967295 for cpuset cpus"),
    (Limits(cpuset_cpus="3-1"), "Invalid value 3-1 for cpuset cpus"),
    (Limits(cpuset_cpus="\u0661"), "Invalid value \u0661 for cpuset cpus"),
    (
        Limits(cpuset_mems="1"),
        "Requested memory nodes are not available - requested 1, available: 0",
    ),
    (Limits(cpuset_mems="x"), "Invalid value x for cpuset mems"),
    (Limits(blocks=BlockLimits(weight=9)), "Range of blkio weight is from 10 to 1000"),
    (Limits(blocks=BlockLimits(weight=1001)), "Range of blkio weight is from 10 to 1000"),
    (Limits(blocks=BlockLimits(weight=-1)), "Range of blkio weight is from 10 to 1000"),
    (
        Limits(ulimits=(Ulimit(name="patience", soft=1, hard=1),)),
        "invalid ulimit type: patience",
    ),
    (
        Limits(ulimits=(Ulimit(name="nofile", soft=2, hard=1),)),
        "ulimit soft limit must be less than or equal to hard limit: 2 > 1",
    ),
    (
        Limits(ulimits=(Ulimit(name="nofile", soft=-1, hard=1),)),
        "ulimit soft limit must be less than or equal to hard limit: -1 > 1",
    ),
)


@pytest.mark.parametrize(("limits", "sentence"), REFUSALS)
def test_refusals(limits: Limits, sentence: str) -> None:
    """Docker's sentence says what was wrong, and what would be right."""
    with pytest.raises(InvalidValue) as caught:
        admitted(limits, HOST)
    assert caught.value.sentence == sentence


_RATE = (DeviceRate(path="/dev/null", rate=1),)
DISCARDS = (
    (
        Knob.MEMORY,
        Limits(memory_bytes=8 * MIB),
        Limits(memory_swap_bytes=-1),
        "Your kernel does not support memory limit capabilities or the cgroup is not mounted."
        " Limitation discarded.",
    ),
    (
        Knob.SWAP,
        Limits(memory_bytes=8 * MIB, memory_swap_bytes=9 * MIB),
        Limits(memory_bytes=8 * MIB, memory_swap_bytes=-1),
        "Your kernel does not support swap limit capabilities or the cgroup is not mounted."
        " Memory limited without swap.",
    ),
    (
        Knob.SWAPPINESS,
        Limits(memory_swappiness=7),
        Limits(),
        "Your kernel does not support memory swappiness capabilities or the cgroup is not"
        " mounted. Memory swappiness discarded.",
    ),
    (
        Knob.MEMORY_RESERVATION,
        Limits(memory_reservation_bytes=7 * MIB),
        Limits(),
        "Your kernel does not support memory soft limit capabilities or the cgroup is not"
        " mounted. Limitation discarded.",
    ),
    (
        Knob.OOM_KILL_DISABLE,
        Limits(disables_oom_killer=True),
        Limits(),
        "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    ),
    (
        Knob.PIDS,
        Limits(pids=7),
        Limits(),
        "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted."
        " PIDs limit discarded.",
    ),
    (
        Knob.CPU_SHARES,
        Limits(cpu_shares=7),
        Limits(),
        "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.",
    ),
    (
        Knob.CPU_QUOTA,
        Limits(cpu_quota_us=7000, cpu_period_us=8000),
        Limits(),
        "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
    ),
    (
        Knob.CPUSET,
        Limits(cpuset_cpus="0", cpuset_mems="0"),
        Limits(),
        "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.",
    ),
    (
        Knob.BLOCK_WEIGHT,
        Limits(blocks=BlockLimits(weight=100)),
        Limits(),
        "Your kernel does not support Block I/O weight or the cgroup is not mounted."
        " Weight discarded.",
    ),
    (
        Knob.BLOCK_DEVICE_WEIGHT,
        Limits(blocks=BlockLimits(device_weights=(DeviceWeight(path="/dev/null", weight=9),))),
        Limits(),
        "Your kernel does not support Block I/O weight_device or the cgroup is not mounted."
        " Weight-device discarded.",
    ),
    (
        Knob.READ_BPS,
        Limits(blocks=BlockLimits(read_bps=_RATE)),
        Limits(),
        "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted."
        " Block I/O BPS read limit discarded.",
    ),
    (
        Knob.WRITE_BPS,
        Limits(blocks=BlockLimits(write_bps=_RATE)),
        Limits(),
        "Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted."
        " Block I/O BPS write limit discarded.",
    ),
    (
        Knob.READ_IOPS,
        Limits(blocks=BlockLimits(read_iops=_RATE)),
        Limits(),
        "Your kernel does not support IOPS Block read limit or the cgroup is not mounted."
        " Block I/O IOPS read limit discarded.",
    ),
    (
        Knob.WRITE_IOPS,
        Limits(blocks=BlockLimits(write_iops=_RATE)),
        Limits(),
        "Your kernel does not support IOPS Block write limit or the cgroup is not mounted."
        " Block I/O IOPS write limit discarded.",
    ),
)


@pytest.mark.parametrize(("knob", "wish", "kept", "warning"), DISCARDS)
def test_what_the_kernel_lacks(knob: Knob, wish: Limits, kept: Limits, warning: str) -> None:
    """The rest of the wish holds, and the user is told."""
    admission = admitted(wish, replace(HOST, knobs=HOST.knobs - {knob}))
    assert admission.limits == kept
    assert admission.warnings == (warning,)


@pytest.mark.parametrize(("knob", "wish"), [(each[0], each[1]) for each in DISCARDS])
def test_what_the_kernel_has(knob: Knob, wish: Limits) -> None:
    """With the knob there, the wish holds as it is."""
    assert admitted(wish, HOST).limits == wish


@pytest.mark.parametrize("word", ["period", "runtime"])
def test_realtime_is_not_discarded(word: str) -> None:
    """A process that counts on its real-time share must not run without it."""
    wish = Limits(**{f"cpu_realtime_{word}_us": 5})  # type: ignore[arg-type]
    with pytest.raises(InvalidValue) as caught:
        admitted(wish, replace(HOST, knobs=HOST.knobs - {Knob.CPU_REALTIME}))
    sentence = f"Your kernel does not support cgroup cpu real-time {word}"
    assert caught.value.sentence == sentence


def test_a_container_that_can_stop_the_host() -> None:
    """Without a limit, nothing ends what the killer may not end: a warning says so."""
    admission = admitted(Limits(disables_oom_killer=True), HOST)
    assert admission.warnings == (
        "OOM killer is disabled for the container, but no memory limit is set, this can result"
        " in the system running out of resources.",
    )


def test_an_update_may_name_swap_alone() -> None:
    """The memory limit is there already."""
    assert admitted(Limits(memory_swap_bytes=8 * MIB), HOST, is_update=True).warnings == ()


def test_knobs_of_version_2() -> None:
    """Version 2 has neither swappiness, nor the out-of-memory switch, nor real-time groups."""
    controllers = ("cpuset", "cpu", "io", "memory", "pids")
    layout = CgroupLayout(
        unified=Hierarchy(version=2, mount_point="/nowhere", controllers=controllers)
    )
    absent = {Knob.SWAPPINESS, Knob.OOM_KILL_DISABLE, Knob.CPU_REALTIME}
    assert offered_knobs(layout) == frozenset(Knob) - absent


def test_knobs_of_version_1(tmp_path_factory: pytest.TempPathFactory) -> None:
    """In version 1 the file must be there."""
    memory = tmp_path_factory.mktemp("memory")
    (memory / "memory.limit_in_bytes").touch()
    pids = tmp_path_factory.mktemp("pids")
    layout = CgroupLayout(
        legacy=(
            Hierarchy(version=1, mount_point=str(memory), controllers=("memory",)),
            Hierarchy(version=1, mount_point=str(pids), controllers=("pids",)),
        )
    )
    assert offered_knobs(layout) == {Knob.MEMORY, Knob.PIDS}
