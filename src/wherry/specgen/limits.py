"""Limits: what a container's cgroups and processes may use."""

from collections.abc import Mapping

from wherry.model.errors import InvalidValue
from wherry.model.limits import BlockLimits, DeviceRate, Limits, Ulimit
from wherry.oci.runtime_spec import (
    BlockIo,
    BlockThrottle,
    BlockWeight,
    Cpu,
    Memory,
    Resources,
    Rlimit,
)
from wherry.specgen.host import HostFacts
from wherry.specgen.knobs import Knob

CPU_PERIOD_US = 100_000
UNLIMITED = (1 << 64) - 1
"""RLIM_INFINITY (getrlimit(2))."""

DeviceNumbers = Mapping[str, tuple[int, int]]
"""Major and minor by the path of a block device."""

_NANOS_PER_CPU = 1_000_000_000
_RLIMITS = frozenset({
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile",
    "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
})  # fmt: skip


def resources(limits: Limits, host: HostFacts, devices: DeviceNumbers) -> Resources:
    """All that cgroups are told of limits; `devices` has every path of `limits.blocks`."""
    return Resources(
        memory=_memory(limits, host),
        cpu=_cpu(limits),
        block_io=_block_io(limits.blocks, devices),
        pids_limit=limits.pids if limits.pids is not None and limits.pids > 0 else None,
    )


def _memory(limits: Limits, host: HostFacts) -> Memory | None:
    """The memory limits; without a word about swap, as much swap as memory.

    A host that does not count swap limits memory alone.
    """
    wanted = Memory(
        limit=limits.memory_bytes or None,
        swap=(limits.memory_swap_bytes or 2 * limits.memory_bytes or None)
        if Knob.SWAP in host.knobs
        else None,
        reservation=limits.memory_reservation_bytes or None,
        swappiness=limits.memory_swappiness,
        disable_oom_killer=bool(limits.disables_oom_killer),
    )
    return None if wanted == Memory() else wanted


def _cpu(limits: Limits) -> Cpu | None:
    """Shares, a quota per period, real-time runtime, and which processors and nodes."""
    nanos = limits.cpu_nanos
    wanted = Cpu(
        shares=limits.cpu_shares or None,
        quota=nanos * CPU_PERIOD_US // _NANOS_PER_CPU or limits.cpu_quota_us or None,
        period=CPU_PERIOD_US if nanos else limits.cpu_period_us or None,
        realtime_period=limits.cpu_realtime_period_us or None,
        realtime_runtime=limits.cpu_realtime_runtime_us or None,
        cpus=limits.cpuset_cpus,
        mems=limits.cpuset_mems,
    )
    return None if wanted == Cpu() else wanted


def _block_io(blocks: BlockLimits, devices: DeviceNumbers) -> BlockIo | None:
    def throttles(rates: tuple[DeviceRate, ...]) -> tuple[BlockThrottle, ...]:
        return tuple(
            BlockThrottle(major=devices[each.path][0], minor=devices[each.path][1], rate=each.rate)
            for each in rates
        )

    wanted = BlockIo(
        weight=blocks.weight or None,
        weight_devices=tuple(
            BlockWeight(
                major=devices[each.path][0], minor=devices[each.path][1], weight=each.weight
            )
            for each in blocks.device_weights
        ),
        read_bps=throttles(blocks.read_bps),
        write_bps=throttles(blocks.write_bps),
        read_iops=throttles(blocks.read_iops),
        write_iops=throttles(blocks.write_iops),
    )
    return None if wanted == BlockIo() else wanted


# -- of processes ----------------------------------------------------------------------------


def rlimits(ulimits: tuple[Ulimit, ...]) -> tuple[Rlimit, ...]:
    """Resource limits by the kernel's names; of two for the same resource the last one counts.

    Raises: InvalidValue.
    """
    return tuple({each.name: _rlimit(each) for each in ulimits}.values())


def _rlimit(ulimit: Ulimit) -> Rlimit:
    if ulimit.name not in _RLIMITS:
        raise InvalidValue(f"invalid ulimit type: {ulimit.name}")
    soft, hard = _resource(ulimit.soft), _resource(ulimit.hard)
    if soft > hard:
        raise InvalidValue(
            "ulimit soft limit must be less than or equal to hard limit: "
            f"{ulimit.soft} > {ulimit.hard}"
        )
    return Rlimit(type=f"RLIMIT_{ulimit.name.upper()}", soft=soft, hard=hard)


def _resource(value: int) -> int:
    if value == -1:
        return UNLIMITED
    if not 0 <= value <= UNLIMITED:
        raise InvalidValue(f"invalid ulimit value: {value}")
    return value
