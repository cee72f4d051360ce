"""Which cgroup files hold a container's limits, in version 1 and in version 2."""

from collections.abc import Iterator

from wherry.linux.cgroups import CgroupLayout
from wherry.oci.runtime_spec import Cpu, DeviceRule, Memory, Resources
from wherry.operations.cgroups import (
    AttachDeviceFilter,
    SetDeviceRules,
    WriteCgroupFile,
    device_rule_text,
)
from wherry.operations.plan import Operation

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
    """The writes that set a container's limits; `directories` are by controller."""
    files = _unified_files if layout.is_unified else _legacy_files
    for controller, file, value, option, is_optional in files(resources):
        directory = directories.get(controller)
        if directory is not None:
            yield WriteCgroupFile(
                path=f"{directory}/{file}", value=value, is_optional=is_optional, why=option
            )
    unified = directories.get("")
    for file, value in sorted(resources.unified.items()):
        if unified is not None:
            yield WriteCgroupFile(
                path=f"{unified}/{file}", value=value, why=f"resources.unified has {file}"
            )


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


_File = tuple[str, str, str, str, bool]
"""Controller, file, value, the option that asks for it, whether a kernel may lack it."""


def _legacy_files(resources: Resources) -> Iterator[_File]:
    yield from _legacy_memory(resources.memory or Memory())
    cpu = resources.cpu or Cpu()
    if cpu.shares:
        yield "cpu", "cpu.shares", str(cpu.shares), f"--cpu-shares {cpu.shares}", False
    if cpu.period:
        yield "cpu", "cpu.cfs_period_us", str(cpu.period), _cpus(cpu), False
    if cpu.quota:
        yield "cpu", "cpu.cfs_quota_us", str(cpu.quota), _cpus(cpu), False
    yield from _cpuset(cpu)
    if resources.pids_limit is not None and resources.pids_limit > 0:
        limit = str(resources.pids_limit)
        yield "pids", "pids.max", limit, f"--pids-limit {limit}", False


def _legacy_memory(memory: Memory) -> Iterator[_File]:
    if memory.limit is not None:
        value = str(memory.limit)
        yield "memory", "memory.limit_in_bytes", value, f"--memory {_size(memory.limit)}", False
    if memory.reservation is not None:
        value, option = str(memory.reservation), "--memory-reservation"
        yield "memory", "memory.soft_limit_in_bytes", value, option, False
    if memory.swap is not None:
        value, option = str(memory.swap), f"--memory-swap {_size(memory.swap)}"
        yield "memory", "memory.memsw.limit_in_bytes", value, option, True
    if memory.swappiness is not None:
        value = str(memory.swappiness)
        yield "memory", "memory.swappiness", value, f"--memory-swappiness {value}", False
    if memory.disable_oom_killer:
        yield "memory", "memory.oom_control", "1", "--oom-kill-disable", False


def _unified_files(resources: Resources) -> Iterator[_File]:
    memory, cpu = resources.memory or Memory(), resources.cpu or Cpu()
    if memory.limit is not None:
        option = f"--memory {_size(memory.limit)}"
        yield "memory", "memory.max", _or_max(memory.limit), option, False
    if memory.reservation is not None:
        value = _or_max(memory.reservation)
        yield "memory", "memory.low", value, "--memory-reservation", False
    if memory.swap is not None:
        # Version 1 limits memory and swap together, version 2 swap by itself.
        own = memory.swap if memory.swap < 0 else memory.swap - (memory.limit or 0)
        option = f"--memory-swap {_size(memory.swap)}"
        yield "memory", "memory.swap.max", _or_max(own), option, True
    if cpu.shares:
        weight = str(cpu_weight(cpu.shares))
        yield "cpu", "cpu.weight", weight, f"--cpu-shares {cpu.shares}", False
    if cpu.quota or cpu.period:
        value = f"{_or_max(cpu.quota or -1)} {cpu.period or 100_000}"
        yield "cpu", "cpu.max", value, _cpus(cpu), False
    yield from _cpuset(cpu)
    if resources.pids_limit is not None and resources.pids_limit > 0:
        limit = str(resources.pids_limit)
        yield "pids", "pids.max", limit, f"--pids-limit {limit}", False


def _cpuset(cpu: Cpu) -> Iterator[_File]:
    if cpu.cpus:
        yield "cpuset", "cpuset.cpus", cpu.cpus, f"--cpuset-cpus {cpu.cpus}", False
    if cpu.mems:
        yield "cpuset", "cpuset.mems", cpu.mems, f"--cpuset-mems {cpu.mems}", False


def _cpus(cpu: Cpu) -> str:
    if cpu.quota and cpu.quota > 0 and cpu.period:
        return f"--cpus {cpu.quota / cpu.period:g} (or --cpu-quota and --cpu-period)"
    return "--cpu-period and --cpu-quota"


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
