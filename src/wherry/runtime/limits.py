"""Which cgroup files hold a container's limits, in version 1 and in version 2."""

from collections.abc import Iterator

from wherry.linux.cgroups import CgroupLayout
from wherry.oci.runtime_spec import BlockIo, Cpu, DeviceRule, Memory, NetworkClass, Resources
from wherry.operations.plan import Operation
from wherry.operations.processes.cgroups import (
    AttachDeviceFilter,
    SetDeviceRules,
    device_rule_text,
)
from wherry.runtime.block_limits import legacy_block_io, unified_block_io
from wherry.runtime.cgroup_settings import Setting, write_operation

_RUNTIME_RULES = (
    DeviceRule(allow=True, type="c", access="m"),
    DeviceRule(allow=True, type="b", access="m"),
    DeviceRule(allow=True, type="c", major=1, minor=3),
    DeviceRule(allow=True, type="c", major=1, minor=5),
    DeviceRule(allow=True, type="c", major=1, minor=7),
    DeviceRule(allow=True, type="c", major=1, minor=8),
    DeviceRule(allow=True, type="c", major=1, minor=9),
    DeviceRule(allow=True, type="c", major=5, minor=0),
    DeviceRule(allow=True, type="c", major=5, minor=2),
    DeviceRule(allow=True, type="c", major=136),
)
"""What every container may do: make any node, open the default ones and its terminals."""

_LEAST_SHARES, _MOST_SHARES = 2, 262144
_LEAST_WEIGHT, _MOST_WEIGHT = 1, 10000


def limit_operations(
    resources: Resources, directories: dict[str, str], layout: CgroupLayout
) -> Iterator[Operation]:
    """The writes that set a container's limits; `directories` are by controller.

    Raises: PlanRefused for a limit that no controller of this machine can keep.
    """
    for each in limit_settings(resources, layout):
        yield write_operation(each, directories)


def limit_settings(resources: Resources, layout: CgroupLayout) -> Iterator[Setting]:
    """What the files of a container's cgroups are to hold, in the order of writing."""
    if layout.is_unified:
        yield from _unified_memory(resources.memory or Memory())
        yield from _unified_cpu(resources.cpu or Cpu())
        yield from unified_block_io(resources.block_io or BlockIo())
    else:
        yield from _legacy_memory(resources.memory or Memory())
        yield from _legacy_cpu(resources.cpu or Cpu())
        yield from legacy_block_io(resources.block_io or BlockIo())
        yield from _legacy_network(resources.network or NetworkClass())
    yield from _processes(resources)
    yield from _hugepages(resources, is_unified=layout.is_unified)
    yield from _rdma(resources)
    for file, value in sorted(resources.unified.items()):
        yield Setting(file.partition(".")[0], file, value, f"resources.unified has {file}")


def device_operation(resources: Resources, directories: dict[str, str]) -> Operation | None:
    """The device rules, through version 1's files where there are such, else as a filter."""
    rules = resources.devices
    why = "default: only the container's own devices (--device adds, --privileged allows all)"
    if not (rules and _allows_all(rules[-1])):
        rules += _RUNTIME_RULES
    written = tuple(
        (
            "allow" if rule.allow else "deny",
            device_rule_text(rule.type, rule.major, rule.minor, rule.access),
        )
        for rule in rules
    )
    if "devices" in directories:
        return SetDeviceRules(path=directories["devices"], rules=written, why=why)
    if "" in directories:
        return AttachDeviceFilter(path=directories[""], rules=written, why=why)
    return None


def cpu_weight(shares: int) -> int:
    """Version 2's weight (1 to 10000) for version 1's shares (2 to 262144), on a line."""
    shares = min(max(shares, _LEAST_SHARES), _MOST_SHARES)
    span = _MOST_SHARES - _LEAST_SHARES
    return _LEAST_WEIGHT + (shares - _LEAST_SHARES) * (_MOST_WEIGHT - _LEAST_WEIGHT) // span


# -- version 1 -------------------------------------------------------------------------------


def _legacy_memory(memory: Memory) -> Iterator[Setting]:
    if memory.use_hierarchy:
        # Before anything is accounted: later the kernel would refuse it (memory.rst, 6).
        option = "resources.memory.useHierarchy"
        yield Setting("memory", "memory.use_hierarchy", "1", option)
    if memory.limit is not None:
        value, option = str(memory.limit), f"--memory {_size(memory.limit)}"
        yield Setting("memory", "memory.limit_in_bytes", value, option)
    if memory.reservation is not None:
        value, option = str(memory.reservation), _reservation(memory.reservation)
        yield Setting("memory", "memory.soft_limit_in_bytes", value, option)
    if memory.swap is not None:
        value, option = str(memory.swap), f"--memory-swap {_size(memory.swap)}"
        yield Setting("memory", "memory.memsw.limit_in_bytes", value, option, is_optional=True)
    if memory.kernel is not None:
        value, option = str(memory.kernel), f"--kernel-memory {_size(memory.kernel)}"
        yield Setting("memory", "memory.kmem.limit_in_bytes", value, option, is_optional=True)
    if memory.kernel_tcp is not None:
        value = str(memory.kernel_tcp)
        option = "resources.memory.kernelTCP"
        yield Setting("memory", "memory.kmem.tcp.limit_in_bytes", value, option, is_optional=True)
    if memory.swappiness is not None:
        value = str(memory.swappiness)
        yield Setting("memory", "memory.swappiness", value, f"--memory-swappiness {value}")
    if memory.disable_oom_killer:
        yield Setting("memory", "memory.oom_control", "1", "--oom-kill-disable")


def _legacy_cpu(cpu: Cpu) -> Iterator[Setting]:
    if cpu.shares:
        yield Setting("cpu", "cpu.shares", str(cpu.shares), f"--cpu-shares {cpu.shares}")
    if cpu.period:
        yield Setting("cpu", "cpu.cfs_period_us", str(cpu.period), _cpus(cpu))
    if cpu.quota:
        yield Setting("cpu", "cpu.cfs_quota_us", str(cpu.quota), _cpus(cpu))
    if cpu.burst is not None:
        yield Setting("cpu", "cpu.cfs_burst_us", str(cpu.burst), "resources.cpu.burst")
    if cpu.realtime_period:
        value = str(cpu.realtime_period)
        yield Setting("cpu", "cpu.rt_period_us", value, f"--cpu-rt-period {value}")
    if cpu.realtime_runtime:
        value = str(cpu.realtime_runtime)
        yield Setting("cpu", "cpu.rt_runtime_us", value, f"--cpu-rt-runtime {value}")
    if cpu.idle is not None:
        yield Setting("cpu", "cpu.idle", str(cpu.idle), "resources.cpu.idle")
    yield from _cpuset(cpu)


def _legacy_network(network: NetworkClass) -> Iterator[Setting]:
    if network.class_id is not None:
        value = str(network.class_id)
        yield Setting("net_cls", "net_cls.classid", value, "resources.network.classID")
    for each in network.priorities:
        value = f"{each.name} {each.priority}"
        yield Setting("net_prio", "net_prio.ifpriomap", value, "resources.network.priorities")


# -- version 2 -------------------------------------------------------------------------------


def _unified_memory(memory: Memory) -> Iterator[Setting]:
    """Version 1's swappiness, out-of-memory switch and kernel limits have no counterpart;
    what useHierarchy asks for is always so."""
    if memory.limit is not None:
        option = f"--memory {_size(memory.limit)}"
        yield Setting("memory", "memory.max", _or_max(memory.limit), option)
    if memory.reservation is not None:
        value, option = _or_max(memory.reservation), _reservation(memory.reservation)
        yield Setting("memory", "memory.low", value, option)
    if memory.swap is not None:
        # Version 1 limits memory and swap together, version 2 swap by itself.
        own = memory.swap if memory.swap < 0 else memory.swap - (memory.limit or 0)
        option = f"--memory-swap {_size(memory.swap)}"
        yield Setting("memory", "memory.swap.max", _or_max(own), option, is_optional=True)


def _unified_cpu(cpu: Cpu) -> Iterator[Setting]:
    if cpu.shares:
        weight = str(cpu_weight(cpu.shares))
        yield Setting("cpu", "cpu.weight", weight, f"--cpu-shares {cpu.shares}")
    if cpu.quota or cpu.period:
        value = f"{_or_max(cpu.quota or -1)} {cpu.period or 100_000}"
        yield Setting("cpu", "cpu.max", value, _cpus(cpu))
    if cpu.burst is not None:
        yield Setting("cpu", "cpu.max.burst", str(cpu.burst), "resources.cpu.burst")
    if cpu.idle is not None:
        yield Setting("cpu", "cpu.idle", str(cpu.idle), "resources.cpu.idle")
    yield from _cpuset(cpu)


# -- both ------------------------------------------------------------------------------------


def _processes(resources: Resources) -> Iterator[Setting]:
    if resources.pids_limit:
        limit = resources.pids_limit
        yield Setting("pids", "pids.max", _or_max(limit), f"--pids-limit {limit}")


def _hugepages(resources: Resources, *, is_unified: bool) -> Iterator[Setting]:
    ending = "max" if is_unified else "limit_in_bytes"
    for each in resources.hugepage_limits:
        file = f"hugetlb.{each.page_size}.{ending}"
        yield Setting("hugetlb", file, str(each.limit), "resources.hugepageLimits")


def _rdma(resources: Resources) -> Iterator[Setting]:
    for device, limit in resources.rdma.items():
        parts = (("hca_handle", limit.hca_handles), ("hca_object", limit.hca_objects))
        words = [f"{name}={'max' if most is None else most}" for name, most in parts]
        yield Setting("rdma", "rdma.max", f"{device} {' '.join(words)}", "resources.rdma")


def _cpuset(cpu: Cpu) -> Iterator[Setting]:
    if cpu.cpus:
        yield Setting("cpuset", "cpuset.cpus", cpu.cpus, f"--cpuset-cpus {cpu.cpus}")
    if cpu.mems:
        yield Setting("cpuset", "cpuset.mems", cpu.mems, f"--cpuset-mems {cpu.mems}")


def _cpus(cpu: Cpu) -> str:
    if cpu.quota and cpu.quota > 0 and cpu.period:
        return f"--cpus {cpu.quota / cpu.period:g} (or --cpu-quota and --cpu-period)"
    return "--cpu-period and --cpu-quota"


def _reservation(size_bytes: int) -> str:
    return f"--memory-reservation {_size(size_bytes)}"


def _or_max(value: int) -> str:
    return "max" if value < 0 else str(value)


def _size(size_bytes: int) -> str:
    """As a person would have typed it: 64m, not 67108864."""
    if size_bytes <= 0:
        return str(size_bytes)
    for unit, letter in ((1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k")):
        if size_bytes % unit == 0:
            return f"{size_bytes // unit}{letter}"
    return str(size_bytes)


def _allows_all(rule: DeviceRule) -> bool:
    return rule.allow and rule.type == "a" and rule.major is None and rule.minor is None
