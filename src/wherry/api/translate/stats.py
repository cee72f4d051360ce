"""From counters to what a client of the statistics is told."""

from collections.abc import Iterable

from msgspec import UNSET

from wherry.kit.timestamps import rfc3339_nano
from wherry.model.stats import BlockCount, CpuUsage, InterfaceUsage, MemoryUsage, UsageSample
from wherry.wire import stats as shapes

_ANY_NUMBER = (1 << 64) - 1


def to_stats(sample: UsageSample) -> shapes.StatsAnswer:
    """One sample; of a container that does not run, its names alone."""
    now, before = sample.now, sample.before
    answer = shapes.StatsAnswer(name=f"/{sample.name}", id=sample.container_id)
    if before is not None:
        answer.preread = rfc3339_nano(before.read_at_ns)
        answer.precpu_stats = _cpu(before.cpu)
    if now is None:
        return answer
    limit = now.processes_limit
    answer.read = rfc3339_nano(now.read_at_ns)
    answer.pids_stats = shapes.PidsStats(
        current=now.processes, limit=_ANY_NUMBER if limit is None else limit
    )
    answer.blkio_stats = _blocks(now.block_bytes, now.block_operations)
    answer.cpu_stats = _cpu(now.cpu)
    answer.memory_stats = _memory(now.memory)
    if now.interfaces:
        answer.networks = {each.name: _interface(each) for each in now.interfaces}
    return answer


def _cpu(usage: CpuUsage) -> shapes.CpuStats:
    return shapes.CpuStats(
        cpu_usage=shapes.CpuUsage(
            total_usage=usage.total_ns,
            percpu_usage=list(usage.per_cpu_ns) or UNSET,
            usage_in_kernelmode=usage.kernel_ns,
            usage_in_usermode=usage.user_ns,
        ),
        system_cpu_usage=usage.system_ns,
        online_cpus=usage.online,
        throttling_data=shapes.Throttling(
            periods=usage.periods,
            throttled_periods=usage.throttled_periods,
            throttled_time=usage.throttled_ns,
        ),
    )


def _memory(usage: MemoryUsage) -> shapes.MemoryStats:
    return shapes.MemoryStats(
        usage=usage.used_bytes,
        max_usage=usage.most_bytes,
        stats=usage.details,
        failcnt=usage.failures,
        limit=usage.limit_bytes,
    )


def _blocks(
    byte_counts: Iterable[BlockCount], operations: Iterable[BlockCount]
) -> shapes.BlockStats:
    return shapes.BlockStats(
        io_service_bytes_recursive=_entries(byte_counts),
        io_serviced_recursive=_entries(operations),
    )


def _entries(counts: Iterable[BlockCount]) -> list[shapes.BlockEntry] | None:
    return [
        shapes.BlockEntry(major=each.major, minor=each.minor, op=each.operation, value=each.value)
        for each in counts
    ] or None


def _interface(usage: InterfaceUsage) -> shapes.InterfaceStats:
    return shapes.InterfaceStats(*usage.received, *usage.sent)
