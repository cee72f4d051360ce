"""What an update makes of the limits that are there."""

from dataclasses import replace

import pytest

from wherry.model.limits import BlockLimits, DeviceRate, DeviceWeight, Limits
from wherry.model.updates import ContainerChanges, changed_limits

MIB = 1 << 20
NOW = Limits(memory_bytes=64 * MIB, memory_swap_bytes=128 * MIB, cpu_shares=7, pids=9)


@pytest.mark.parametrize(
    ("wish", "after"),
    [
        (Limits(), NOW),
        (Limits(cpu_shares=8), replace(NOW, cpu_shares=8)),
        (Limits(memory_bytes=32 * MIB), replace(NOW, memory_bytes=32 * MIB)),
        (
            Limits(memory_bytes=256 * MIB, memory_swap_bytes=-1),
            replace(NOW, memory_bytes=256 * MIB, memory_swap_bytes=-1),
        ),
        (Limits(cpuset_cpus="0"), replace(NOW, cpuset_cpus="0")),
        (
            Limits(blocks=BlockLimits(read_bps=(DeviceRate(path="/a", rate=1),))),
            replace(NOW, blocks=BlockLimits(read_bps=(DeviceRate(path="/a", rate=1),))),
        ),
    ],
)
def test_what_is_said_changes(wish: Limits, after: Limits) -> None:
    """Zero and empty leave things as they are."""
    assert changed_limits(NOW, ContainerChanges(limits=wish)) == ("", after)


def test_devices_are_changed_one_by_one() -> None:
    """A rate for one device leaves those of others."""
    there = BlockLimits(
        device_weights=(DeviceWeight(path="/a", weight=10),),
        read_bps=(DeviceRate(path="/a", rate=1), DeviceRate(path="/b", rate=2)),
    )
    new = BlockLimits(read_bps=(DeviceRate(path="/b", rate=3),))
    changes = ContainerChanges(limits=Limits(blocks=new))
    _problem, after = changed_limits(replace(NOW, blocks=there), changes)
    assert {each.path: each.rate for each in after.blocks.read_bps} == {"/a": 1, "/b": 3}
    assert after.blocks.device_weights == there.device_weights


@pytest.mark.parametrize(("wish", "after"), [(None, 0), (0, 0), (-1, 0), (5, 5)])
def test_processes(wish: int | None, after: int) -> None:
    """Less than one takes the limit away; unsaid leaves it."""
    said = ContainerChanges(limits=Limits(pids=wish), changes_pids=True)
    assert changed_limits(NOW, said)[1].pids == after
    assert changed_limits(NOW, ContainerChanges(limits=Limits(pids=wish)))[1].pids == 9


@pytest.mark.parametrize(
    ("now", "wish", "words"),
    [
        (NOW, Limits(memory_bytes=256 * MIB), "update the memoryswap at the same time"),
        (Limits(), Limits(memory_bytes=256 * MIB), "update the memoryswap at the same time"),
        (NOW, Limits(memory_swap_bytes=32 * MIB), "Minimum memoryswap limit should be larger"),
        (NOW, Limits(memory_reservation_bytes=65 * MIB), "less than memory reservation limit"),
        (Limits(cpu_nanos=1), Limits(cpu_quota_us=1), "CPU Quota cannot be updated as NanoCPUs"),
        (
            Limits(cpu_period_us=1),
            Limits(cpu_nanos=1),
            "as CPU Period has already been set",
        ),
        (
            Limits(cpu_realtime_period_us=5),
            Limits(cpu_realtime_runtime_us=6),
            "cannot be higher than cpu real-time period",
        ),
    ],
)
def test_contradictions(now: Limits, wish: Limits, words: str) -> None:
    """What contradicts the rest is a sentence, and changes nothing."""
    problem, after = changed_limits(now, ContainerChanges(limits=wish))
    assert words in problem
    if "has already been set" in words:
        assert after == now
