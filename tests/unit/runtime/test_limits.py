"""Limits in the words of either version of cgroups."""

from pathlib import Path

import pytest

from wherry.linux.cgroups import CgroupLayout, Hierarchy
from wherry.oci.runtime_spec import (
    BlockIo,
    BlockThrottle,
    BlockWeight,
    Cpu,
    DeviceRule,
    HugepageLimit,
    InterfacePriority,
    Memory,
    NetworkClass,
    RdmaLimit,
    Resources,
)
from wherry.operations.plan import Hands
from wherry.operations.processes.cgroups import SetDeviceRules, WriteCgroupFile
from wherry.runtime.block_limits import unified_weight
from wherry.runtime.limits import cpu_weight, device_operation, limit_operations
from wherry.runtime.mount_options import PlanRefused

V1 = CgroupLayout(
    legacy=(Hierarchy(version=1, mount_point="/cg/memory", controllers=("memory",)),)
)
V2 = CgroupLayout(unified=Hierarchy(version=2, mount_point="/cg", controllers=("memory",)))
ALL = ("memory", "cpu", "cpuset", "pids", "blkio", "io", "hugetlb", "net_cls", "net_prio", "rdma")


def _written(resources: Resources, layout: CgroupLayout) -> dict[str, str]:
    directories = {"": "/c", **dict.fromkeys(ALL, "/c")}
    operations = limit_operations(resources, directories, layout)
    return {
        each.path.removeprefix("/c/"): each.value
        for each in operations
        if isinstance(each, WriteCgroupFile)
    }


@pytest.mark.parametrize(
    ("memory", "legacy", "unified"),
    [
        (Memory(), {}, {}),
        (Memory(limit=-1), {"memory.limit_in_bytes": "-1"}, {"memory.max": "max"}),
        (
            Memory(limit=100, swap=300),
            {"memory.limit_in_bytes": "100", "memory.memsw.limit_in_bytes": "300"},
            {"memory.max": "100", "memory.swap.max": "200"},
        ),
        (
            Memory(limit=100, swap=-1),
            {"memory.limit_in_bytes": "100", "memory.memsw.limit_in_bytes": "-1"},
            {"memory.max": "100", "memory.swap.max": "max"},
        ),
        (
            Memory(reservation=7, swappiness=0, disable_oom_killer=True),
            {
                "memory.soft_limit_in_bytes": "7",
                "memory.swappiness": "0",
                "memory.oom_control": "1",
            },
            {"memory.low": "7"},
        ),
    ],
)
def test_memory(memory: Memory, legacy: dict[str, str], unified: dict[str, str]) -> None:
    """Version 1 limits memory and swap as a sum, version 2 each by itself."""
    resources = Resources(memory=memory)
    assert _written(resources, V1) == legacy
    assert _written(resources, V2) == unified


@pytest.mark.parametrize(
    ("cpu", "legacy", "unified"),
    [
        (Cpu(shares=1024), {"cpu.shares": "1024"}, {"cpu.weight": "39"}),
        (
            Cpu(quota=5, period=10),
            {"cpu.cfs_period_us": "10", "cpu.cfs_quota_us": "5"},
            {"cpu.max": "5 10"},
        ),
        (Cpu(quota=-1), {"cpu.cfs_quota_us": "-1"}, {"cpu.max": "max 100000"}),
        (
            Cpu(cpus="0", mems="0"),
            {"cpuset.cpus": "0", "cpuset.mems": "0"},
            {"cpuset.cpus": "0", "cpuset.mems": "0"},
        ),
    ],
)
def test_cpu(cpu: Cpu, legacy: dict[str, str], unified: dict[str, str]) -> None:
    """Shares become a weight, quota and period one line."""
    assert _written(Resources(cpu=cpu), V1) == legacy
    assert _written(Resources(cpu=cpu), V2) == unified


@pytest.mark.parametrize(
    ("limit", "files"), [(None, {}), (0, {}), (-1, {"pids.max": "max"}), (5, {"pids.max": "5"})]
)
def test_processes(limit: int | None, files: dict[str, str]) -> None:
    """Nothing said is nothing written; a negative number takes a limit away."""
    assert _written(Resources(pids_limit=limit), V1) == files


def test_files_of_version_2_by_name() -> None:
    """`unified` is written as it is, in the version 2 tree."""
    assert _written(Resources(unified={"io.weight": "10"}), V2) == {"io.weight": "10"}


def test_a_controller_that_is_not_there_is_named() -> None:
    """A limit that nobody would keep is refused, with the controller and the option."""
    with pytest.raises(PlanRefused, match=r"no pids cgroup controller \(--pids-limit 1\)"):
        list(limit_operations(Resources(pids_limit=1), {"memory": "/c"}, V1))


@pytest.mark.parametrize(
    ("wanted", "legacy", "unified"),
    [
        (BlockIo(weight=10), {"blkio.weight": "10"}, {"io.bfq.weight": "10"}),
        (
            BlockIo(weight_devices=(BlockWeight(major=8, minor=1, weight=20),)),
            {"blkio.weight_device": "8:1 20"},
            {"io.bfq.weight": "8:1 20"},
        ),
        (
            BlockIo(read_bps=(BlockThrottle(major=8, minor=0, rate=7),)),
            {"blkio.throttle.read_bps_device": "8:0 7"},
            {"io.max": "8:0 rbps=7"},
        ),
        (
            BlockIo(write_iops=(BlockThrottle(major=8, minor=0, rate=0),)),
            {"blkio.throttle.write_iops_device": "8:0 0"},
            {"io.max": "8:0 wiops=max"},
        ),
    ],
)
def test_block_devices(wanted: BlockIo, legacy: dict[str, str], unified: dict[str, str]) -> None:
    """Version 1 has a file for each kind of rate, version 2 one file with words."""
    assert _written(Resources(block_io=wanted), V1) == legacy
    assert _written(Resources(block_io=wanted), V2) == unified


def test_weights_of_both_schedulers(tmp_path: Path) -> None:
    """BFQ's file is written where it is, io.weight on its own scale where not."""
    (written,) = limit_operations(
        Resources(block_io=BlockIo(weight=500)), {"io": str(tmp_path)}, V2
    )
    (tmp_path / "io.weight").touch()
    assert written.do(Hands())["seen"] == "4950"
    (tmp_path / "io.bfq.weight").touch()
    assert written.do(Hands())["seen"] == "500"
    assert [unified_weight(each) for each in (0, 10, 1000, 9999)] == [1, 1, 10000, 10000]


@pytest.mark.parametrize(
    ("resources", "legacy", "unified"),
    [
        (
            Resources(hugepage_limits=(HugepageLimit(page_size="2MB", limit=4),)),
            {"hugetlb.2MB.limit_in_bytes": "4"},
            {"hugetlb.2MB.max": "4"},
        ),
        (Resources(network=NetworkClass(class_id=3)), {"net_cls.classid": "3"}, {}),
        (
            Resources(network=NetworkClass(priorities=(InterfacePriority(name="a", priority=5),))),
            {"net_prio.ifpriomap": "a 5"},
            {},
        ),
        (
            Resources(rdma={"mlx5_0": RdmaLimit(hca_handles=2)}),
            {"rdma.max": "mlx5_0 hca_handle=2 hca_object=max"},
            {"rdma.max": "mlx5_0 hca_handle=2 hca_object=max"},
        ),
        (
            Resources(cpu=Cpu(burst=1, idle=1)),
            {"cpu.cfs_burst_us": "1", "cpu.idle": "1"},
            {"cpu.max.burst": "1", "cpu.idle": "1"},
        ),
        (
            Resources(cpu=Cpu(realtime_period=9, realtime_runtime=8)),
            {"cpu.rt_period_us": "9", "cpu.rt_runtime_us": "8"},
            {},
        ),
        (
            Resources(memory=Memory(kernel=1, kernel_tcp=2)),
            {"memory.kmem.limit_in_bytes": "1", "memory.kmem.tcp.limit_in_bytes": "2"},
            {},
        ),
    ],
)
def test_the_rest(resources: Resources, legacy: dict[str, str], unified: dict[str, str]) -> None:
    """What only one version has is written only there."""
    assert _written(resources, V1) == legacy
    assert _written(resources, V2) == unified


@pytest.mark.parametrize(
    ("shares", "weight"), [(0, 1), (2, 1), (1024, 39), (262144, 10000), (1 << 30, 10000)]
)
def test_weight(shares: int, weight: int) -> None:
    """The two ends of one scale are the ends of the other."""
    assert cpu_weight(shares) == weight


def test_device_rules() -> None:
    """The specification's rules come first, what every container may do after them."""
    rules = (DeviceRule(allow=False), DeviceRule(allow=True, type="c", major=10, minor=200))
    made = device_operation(Resources(devices=rules), {"devices": "/c"})
    assert isinstance(made, SetDeviceRules)
    assert made.rules[:2] == (("deny", "a *:* rwm"), ("allow", "c 10:200 rwm"))
    assert ("allow", "c *:* m") in made.rules
    assert ("allow", "c 136:* rwm") in made.rules


def test_privileged_devices() -> None:
    """A rule that allows all needs no other after it."""
    made = device_operation(
        Resources(devices=(DeviceRule(allow=True, access="rwm"),)), {"devices": "/c"}
    )
    assert isinstance(made, SetDeviceRules)
    assert made.rules == (("allow", "a *:* rwm"),)


def test_no_device_controller() -> None:
    """Without version 1's controller and without a version 2 tree nothing can be done."""
    assert device_operation(Resources(), {}) is None
