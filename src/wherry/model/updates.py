"""What an update changes of a container, and what contradicts the limits that it has."""

from wherry.kit.values import dataclass, field, replace
from wherry.model.containers import RestartPolicy
from wherry.model.limits import BlockLimits, DeviceRate, DeviceWeight, Limits
from wherry.model.networks import PortBinding, PortRemoval


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerChanges:
    """The wish: zero or empty leaves a limit as it is."""

    limits: Limits = field(default_factory=Limits)
    changes_pids: bool = False
    """Whether `limits.pids` is said; None or less than one then takes the limit away."""
    restart: RestartPolicy | None = None
    """None leaves the policy as it is."""
    published: tuple[PortBinding, ...] = ()
    """Ports to publish besides."""
    unpublished: tuple[PortRemoval, ...] = ()
    """Ports to publish no longer."""
    keeps_flows: bool = False
    """Whether connections through ports that go may go on."""


def changed_limits(current: Limits, wish: ContainerChanges) -> tuple[str, Limits]:
    """The limits after a change; or, as a sentence, why they can't be."""
    new = wish.limits
    problem = _conflict(current, new)
    if problem:
        return problem, current
    after = replace(
        current,
        memory_bytes=new.memory_bytes or current.memory_bytes,
        memory_swap_bytes=new.memory_swap_bytes or current.memory_swap_bytes,
        memory_reservation_bytes=(
            new.memory_reservation_bytes or current.memory_reservation_bytes
        ),
        cpu_nanos=new.cpu_nanos or current.cpu_nanos,
        cpu_shares=new.cpu_shares or current.cpu_shares,
        cpu_period_us=new.cpu_period_us or current.cpu_period_us,
        cpu_quota_us=new.cpu_quota_us or current.cpu_quota_us,
        cpu_realtime_period_us=new.cpu_realtime_period_us or current.cpu_realtime_period_us,
        cpu_realtime_runtime_us=new.cpu_realtime_runtime_us or current.cpu_realtime_runtime_us,
        cpuset_cpus=new.cpuset_cpus or current.cpuset_cpus,
        cpuset_mems=new.cpuset_mems or current.cpuset_mems,
        pids=max(new.pids or 0, 0) if wish.changes_pids else current.pids,
        blocks=_changed_blocks(current.blocks, new.blocks),
    )
    return _impossible(after), after


def _changed_blocks(current: BlockLimits, new: BlockLimits) -> BlockLimits:
    return BlockLimits(
        weight=new.weight or current.weight,
        device_weights=_weights(current.device_weights, new.device_weights),
        read_bps=_rates(current.read_bps, new.read_bps),
        write_bps=_rates(current.write_bps, new.write_bps),
        read_iops=_rates(current.read_iops, new.read_iops),
        write_iops=_rates(current.write_iops, new.write_iops),
    )


def _rates(current: tuple[DeviceRate, ...], new: tuple[DeviceRate, ...]) -> tuple[DeviceRate, ...]:
    return tuple({each.path: each for each in (*current, *new)}.values())


def _weights(
    current: tuple[DeviceWeight, ...], new: tuple[DeviceWeight, ...]
) -> tuple[DeviceWeight, ...]:
    return tuple({each.path: each for each in (*current, *new)}.values())


def _conflict(current: Limits, new: Limits) -> str:
    """Billionths of processors, and period and quota, are two ways to say one thing."""
    for wished, there, names in (
        (new.cpu_nanos, current.cpu_period_us, ("Nano CPUs", "CPU Period")),
        (new.cpu_nanos, current.cpu_quota_us, ("Nano CPUs", "CPU Quota")),
        (new.cpu_period_us, current.cpu_nanos, ("CPU Period", "NanoCPUs")),
        (new.cpu_quota_us, current.cpu_nanos, ("CPU Quota", "NanoCPUs")),
    ):
        if wished > 0 and there > 0:
            return (
                f"Conflicting options: {names[0]} cannot be updated as {names[1]} has already"
                " been set"
            )
    swap = current.memory_swap_bytes or 2 * current.memory_bytes
    if new.memory_bytes and not new.memory_swap_bytes and swap >= 0 and new.memory_bytes > swap:
        return (
            "Memory limit should be smaller than already set memoryswap limit, update the"
            " memoryswap at the same time"
        )
    return ""


def _impossible(after: Limits) -> str:
    """What only shows once old and new are put together."""
    if 0 < after.memory_swap_bytes < after.memory_bytes:
        return "Minimum memoryswap limit should be larger than memory limit, see usage"
    if 0 < after.memory_bytes < after.memory_reservation_bytes:
        return "Minimum memory limit can not be less than memory reservation limit, see usage"
    period, runtime = after.cpu_realtime_period_us, after.cpu_realtime_runtime_us
    if 0 < period < runtime:
        return "cpu real-time runtime cannot be higher than cpu real-time period"
    return ""
