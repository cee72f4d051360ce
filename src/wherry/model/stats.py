"""What a container uses: counters of the kernel at one moment.

Counters since the container's cgroups were made, unless it says otherwise. Structs, because
hundreds are made every second while somebody watches.
"""

from msgspec import Struct


class CpuUsage(Struct, frozen=True):
    """Processor time in nanoseconds."""

    total_ns: int = 0
    kernel_ns: int = 0
    user_ns: int = 0
    per_cpu_ns: tuple[int, ...] = ()
    """Only version 1 counts by processor."""
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0
    system_ns: int = 0
    """Of the whole machine, idle time too, since it was booted."""
    online: int = 0
    """Processors."""


class MemoryUsage(Struct, frozen=True):
    """Memory in bytes, now."""

    used_bytes: int = 0
    most_bytes: int = 0
    """Ever; version 1 only."""
    limit_bytes: int = 0
    """Of the machine where there is none."""
    failures: int = 0
    """How often the limit was hit."""
    details: dict[str, int] = {}
    """memory.stat, by the kernel's names."""


class BlockCount(Struct, frozen=True):
    """Bytes or operations of one block device."""

    major: int
    minor: int
    operation: str
    value: int


class InterfaceUsage(Struct, frozen=True):
    """Traffic of one network interface of the container."""

    name: str
    received: tuple[int, int, int, int]
    """Bytes, packets, errors, drops."""
    sent: tuple[int, int, int, int]


class Usage(Struct, frozen=True):
    """All of it, at one moment."""

    read_at_ns: int
    cpu: CpuUsage
    memory: MemoryUsage
    block_bytes: tuple[BlockCount, ...] = ()
    block_operations: tuple[BlockCount, ...] = ()
    processes: int = 0
    processes_limit: int | None = None
    """None: any number."""
    interfaces: tuple[InterfaceUsage, ...] = ()


class UsageSample(Struct, frozen=True):
    """What a watcher is told: now, and what the last time was told."""

    container_id: str
    name: str
    now: Usage | None = None
    """None while the container does not run."""
    before: Usage | None = None
