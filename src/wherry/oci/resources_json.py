"""The JSON of what cgroups may use: `linux.resources`, also the input of `update`."""

from wherry.oci.json_fields import INT64, UINT16, UINT32, UINT64, Fields, JsonObject, present
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

_DEVICE_NUMBER = INT64


# -- writing ---------------------------------------------------------------------------------


def resources_to_json(resources: Resources) -> JsonObject:
    """Limits as a member of a larger document."""
    members: JsonObject = {"devices": [_rule_to_json(each) for each in resources.devices]}
    if resources.memory is not None:
        members["memory"] = _memory_to_json(resources.memory)
    if resources.cpu is not None:
        members["cpu"] = _cpu_to_json(resources.cpu)
    if resources.pids_limit is not None:
        members["pids"] = {"limit": resources.pids_limit}
    if resources.block_io is not None:
        members["blockIO"] = _block_io_to_json(resources.block_io)
    if resources.network is not None:
        members["network"] = _network_to_json(resources.network)
    members |= present(
        hugepageLimits=[
            {"pageSize": each.page_size, "limit": each.limit} for each in resources.hugepage_limits
        ]
        or None,
        rdma={
            name: present(hcaHandles=each.hca_handles, hcaObjects=each.hca_objects)
            for name, each in resources.rdma.items()
        }
        or None,
        unified=resources.unified or None,
    )
    return members


def _rule_to_json(rule: DeviceRule) -> JsonObject:
    return present(
        allow=rule.allow, type=rule.type, major=rule.major, minor=rule.minor, access=rule.access
    )


def _memory_to_json(memory: Memory) -> JsonObject:
    return present(
        limit=memory.limit,
        reservation=memory.reservation,
        swap=memory.swap,
        kernel=memory.kernel,
        kernelTCP=memory.kernel_tcp,
        swappiness=memory.swappiness,
        disableOOMKiller=memory.disable_oom_killer or None,
        useHierarchy=memory.use_hierarchy or None,
        checkBeforeUpdate=memory.check_before_update or None,
    )


def _cpu_to_json(cpu: Cpu) -> JsonObject:
    return present(
        shares=cpu.shares,
        quota=cpu.quota,
        burst=cpu.burst,
        period=cpu.period,
        realtimeRuntime=cpu.realtime_runtime,
        realtimePeriod=cpu.realtime_period,
        cpus=cpu.cpus or None,
        mems=cpu.mems or None,
        idle=cpu.idle,
    )


def _block_io_to_json(block_io: BlockIo) -> JsonObject:
    return present(
        weight=block_io.weight,
        leafWeight=block_io.leaf_weight,
        weightDevice=[
            present(
                major=each.major,
                minor=each.minor,
                weight=each.weight,
                leafWeight=each.leaf_weight,
            )
            for each in block_io.weight_devices
        ]
        or None,
        throttleReadBpsDevice=_throttles_to_json(block_io.read_bps),
        throttleWriteBpsDevice=_throttles_to_json(block_io.write_bps),
        throttleReadIOPSDevice=_throttles_to_json(block_io.read_iops),
        throttleWriteIOPSDevice=_throttles_to_json(block_io.write_iops),
    )


def _throttles_to_json(throttles: tuple[BlockThrottle, ...]) -> list[JsonObject] | None:
    return [
        {"major": each.major, "minor": each.minor, "rate": each.rate} for each in throttles
    ] or None


def _network_to_json(network: NetworkClass) -> JsonObject:
    return present(
        classID=network.class_id,
        priorities=[{"name": each.name, "priority": each.priority} for each in network.priorities]
        or None,
    )


# -- reading ---------------------------------------------------------------------------------


def resources_from_json(fields: Fields) -> Resources:
    """The reverse of `resources_to_json`. Raises: ValueError."""
    return Resources(
        devices=tuple(_rule(each) for each in fields.children("devices")),
        memory=_memory(fields.child("memory")) if fields.has("memory") else None,
        cpu=_cpu(fields.child("cpu")) if fields.has("cpu") else None,
        pids_limit=fields.child("pids").number_or_none("limit", INT64),
        block_io=_block_io(fields.child("blockIO")) if fields.has("blockIO") else None,
        hugepage_limits=tuple(_hugepages(each) for each in fields.children("hugepageLimits")),
        network=_network(fields.child("network")) if fields.has("network") else None,
        rdma={name: _rdma(each) for name, each in fields.children_by_name("rdma")},
        unified=fields.texts_by_name("unified"),
    )


def _rule(fields: Fields) -> DeviceRule:
    fields.require("allow")
    return DeviceRule(
        allow=fields.flag("allow"),
        type=fields.text("type", "a"),
        major=fields.number_or_none("major", _DEVICE_NUMBER),
        minor=fields.number_or_none("minor", _DEVICE_NUMBER),
        access=fields.text("access", "rwm"),
    )


def _memory(fields: Fields) -> Memory:
    return Memory(
        limit=fields.number_or_none("limit", INT64),
        reservation=fields.number_or_none("reservation", INT64),
        swap=fields.number_or_none("swap", INT64),
        kernel=fields.number_or_none("kernel", INT64),
        kernel_tcp=fields.number_or_none("kernelTCP", INT64),
        swappiness=fields.number_or_none("swappiness", UINT64),
        disable_oom_killer=fields.flag("disableOOMKiller"),
        use_hierarchy=fields.flag("useHierarchy"),
        check_before_update=fields.flag("checkBeforeUpdate"),
    )


def _cpu(fields: Fields) -> Cpu:
    return Cpu(
        shares=fields.number_or_none("shares", UINT64),
        quota=fields.number_or_none("quota", INT64),
        burst=fields.number_or_none("burst", UINT64),
        period=fields.number_or_none("period", UINT64),
        realtime_runtime=fields.number_or_none("realtimeRuntime", INT64),
        realtime_period=fields.number_or_none("realtimePeriod", UINT64),
        cpus=fields.text("cpus"),
        mems=fields.text("mems"),
        idle=fields.number_or_none("idle", INT64),
    )


def _block_io(fields: Fields) -> BlockIo:
    return BlockIo(
        weight=fields.number_or_none("weight", UINT16),
        leaf_weight=fields.number_or_none("leafWeight", UINT16),
        weight_devices=tuple(_block_weight(each) for each in fields.children("weightDevice")),
        read_bps=_throttles(fields, "throttleReadBpsDevice"),
        write_bps=_throttles(fields, "throttleWriteBpsDevice"),
        read_iops=_throttles(fields, "throttleReadIOPSDevice"),
        write_iops=_throttles(fields, "throttleWriteIOPSDevice"),
    )


def _block_weight(fields: Fields) -> BlockWeight:
    fields.require("major", "minor")
    return BlockWeight(
        major=fields.number("major", _DEVICE_NUMBER),
        minor=fields.number("minor", _DEVICE_NUMBER),
        weight=fields.number_or_none("weight", UINT16),
        leaf_weight=fields.number_or_none("leafWeight", UINT16),
    )


def _throttles(fields: Fields, name: str) -> tuple[BlockThrottle, ...]:
    return tuple(_throttle(each) for each in fields.children(name))


def _throttle(fields: Fields) -> BlockThrottle:
    fields.require("major", "minor", "rate")
    return BlockThrottle(
        major=fields.number("major", _DEVICE_NUMBER),
        minor=fields.number("minor", _DEVICE_NUMBER),
        rate=fields.number("rate", UINT64),
    )


def _hugepages(fields: Fields) -> HugepageLimit:
    fields.require("pageSize", "limit")
    return HugepageLimit(page_size=fields.text("pageSize"), limit=fields.number("limit", UINT64))


def _network(fields: Fields) -> NetworkClass:
    return NetworkClass(
        class_id=fields.number_or_none("classID", UINT32),
        priorities=tuple(_priority(each) for each in fields.children("priorities")),
    )


def _priority(fields: Fields) -> InterfacePriority:
    fields.require("name", "priority")
    return InterfacePriority(name=fields.text("name"), priority=fields.number("priority", UINT32))


def _rdma(fields: Fields) -> RdmaLimit:
    return RdmaLimit(
        hca_handles=fields.number_or_none("hcaHandles", UINT32),
        hca_objects=fields.number_or_none("hcaObjects", UINT32),
    )
