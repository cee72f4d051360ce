"""Limits and devices: from the API's fields to what the engine is asked for, and back."""

from collections.abc import Iterable, Iterator

from wherry.model.devices import DeviceMapping, DeviceRequest, DeviceSpec
from wherry.model.errors import InvalidValue
from wherry.model.limits import BlockLimits, DeviceRate, DeviceWeight, Limits, Ulimit
from wherry.wire import container_config as shapes
from wherry.wire.container_config import HostShape


def to_limits(host: HostShape) -> Limits:
    """What the container may use. Raises: InvalidValue."""
    if host.IOMaximumBandwidth or host.IOMaximumIOps:
        raise InvalidValue(
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps"
        )
    swappiness = host.MemorySwappiness
    return Limits(
        memory_bytes=host.Memory,
        memory_swap_bytes=host.MemorySwap,
        memory_reservation_bytes=host.MemoryReservation,
        memory_swappiness=None if swappiness == -1 else swappiness,
        disables_oom_killer=host.OomKillDisable,
        cpu_nanos=host.NanoCpus,
        cpu_shares=host.CpuShares,
        cpu_period_us=host.CpuPeriod,
        cpu_quota_us=host.CpuQuota,
        cpu_realtime_period_us=host.CpuRealtimePeriod,
        cpu_realtime_runtime_us=host.CpuRealtimeRuntime,
        cpuset_cpus=host.CpusetCpus,
        cpuset_mems=host.CpusetMems,
        pids=host.PidsLimit or None,
        blocks=BlockLimits(
            weight=host.BlkioWeight,
            device_weights=tuple(
                DeviceWeight(path=each.Path, weight=each.Weight)
                for each in host.BlkioWeightDevice or ()
            ),
            read_bps=_rates(host.BlkioDeviceReadBps),
            write_bps=_rates(host.BlkioDeviceWriteBps),
            read_iops=_rates(host.BlkioDeviceReadIOps),
            write_iops=_rates(host.BlkioDeviceWriteIOps),
        ),
        ulimits=tuple(
            Ulimit(name=each.Name, soft=each.Soft, hard=each.Hard) for each in host.Ulimits or ()
        ),
    )


def _rates(shapes_of_rates: Iterable[shapes.DeviceRate] | None) -> tuple[DeviceRate, ...]:
    return tuple(DeviceRate(path=each.Path, rate=each.Rate) for each in shapes_of_rates or ())


def discarded_limits(host: HostShape | None) -> Iterator[str]:
    """Warnings about limits that only Windows has."""
    if host is None:
        return
    if host.CpuPercent > 0:
        yield "linux does not support CPU percent. Percent discarded."
    if host.CpuCount > 0:
        yield "linux does not support CPU count. Count discarded."


def show_limits(limits: Limits, shape: HostShape) -> None:
    """Write the limits into what inspection shows."""
    shape.Memory = limits.memory_bytes
    shape.MemorySwap = limits.memory_swap_bytes or 2 * limits.memory_bytes
    shape.MemoryReservation = limits.memory_reservation_bytes
    shape.MemorySwappiness = limits.memory_swappiness
    shape.OomKillDisable = limits.disables_oom_killer
    shape.NanoCpus = limits.cpu_nanos
    shape.CpuShares = limits.cpu_shares
    shape.CpuPeriod = limits.cpu_period_us
    shape.CpuQuota = limits.cpu_quota_us
    shape.CpuRealtimePeriod = limits.cpu_realtime_period_us
    shape.CpuRealtimeRuntime = limits.cpu_realtime_runtime_us
    shape.CpusetCpus = limits.cpuset_cpus
    shape.CpusetMems = limits.cpuset_mems
    shape.PidsLimit = limits.pids
    shape.Ulimits = [
        shapes.Ulimit(Name=each.name, Hard=each.hard, Soft=each.soft) for each in limits.ulimits
    ]
    blocks = limits.blocks
    shape.BlkioWeight = blocks.weight
    shape.BlkioWeightDevice = [
        shapes.DeviceWeight(Path=each.path, Weight=each.weight) for each in blocks.device_weights
    ]
    shape.BlkioDeviceReadBps = _shown_rates(blocks.read_bps)
    shape.BlkioDeviceWriteBps = _shown_rates(blocks.write_bps)
    shape.BlkioDeviceReadIOps = _shown_rates(blocks.read_iops)
    shape.BlkioDeviceWriteIOps = _shown_rates(blocks.write_iops)


def _shown_rates(rates: Iterable[DeviceRate]) -> list[shapes.DeviceRate]:
    return [shapes.DeviceRate(Path=each.path, Rate=each.rate) for each in rates]


# -- devices ---------------------------------------------------------------------------------


def to_devices(host: HostShape) -> DeviceSpec:
    """Which devices the container asks for."""
    return DeviceSpec(
        mappings=tuple(
            DeviceMapping(
                host_path=each.PathOnHost,
                container_path=each.PathInContainer or each.PathOnHost,
                access=each.CgroupPermissions or "rwm",
            )
            for each in host.Devices or ()
        ),
        rules=tuple(host.DeviceCgroupRules or ()),
        requests=tuple(
            DeviceRequest(
                driver=each.Driver,
                count=each.Count,
                device_ids=tuple(each.DeviceIDs or ()),
                capabilities=tuple(tuple(names) for names in each.Capabilities or ()),
                options=each.Options or {},
            )
            for each in host.DeviceRequests or ()
        ),
    )


def show_devices(devices: DeviceSpec, shape: HostShape) -> None:
    """Write the devices into what inspection shows."""
    shape.Devices = [
        shapes.DeviceMapping(
            PathOnHost=each.host_path,
            PathInContainer=each.container_path,
            CgroupPermissions=each.access,
        )
        for each in devices.mappings
    ]
    shape.DeviceCgroupRules = list(devices.rules) or None
    shape.DeviceRequests = [
        shapes.DeviceRequest(
            Driver=each.driver,
            Count=each.count,
            DeviceIDs=list(each.device_ids) or None,
            Capabilities=[list(names) for names in each.capabilities] or None,
            Options=dict(each.options),
        )
        for each in devices.requests
    ] or None
