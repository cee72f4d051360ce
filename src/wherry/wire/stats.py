"""What `GET /containers/{id}/stats` gives each second."""

from msgspec import UNSET, Struct, UnsetType, field


class PidsStats(Struct, omit_defaults=True):
    """Processes and threads."""

    current: int = 0
    limit: int = 0


class BlockEntry(Struct):
    """A counter of one block device."""

    major: int
    minor: int
    op: str
    value: int


class BlockStats(Struct):
    """Block devices; null for what this version of cgroups does not count."""

    io_service_bytes_recursive: list[BlockEntry] | None = None
    io_serviced_recursive: list[BlockEntry] | None = None
    io_queue_recursive: list[BlockEntry] | None = None
    io_service_time_recursive: list[BlockEntry] | None = None
    io_wait_time_recursive: list[BlockEntry] | None = None
    io_merged_recursive: list[BlockEntry] | None = None
    io_time_recursive: list[BlockEntry] | None = None
    sectors_recursive: list[BlockEntry] | None = None


class CpuUsage(Struct):
    """Processor time of the container in nanoseconds."""

    total_usage: int = 0
    percpu_usage: list[int] | UnsetType = UNSET
    usage_in_kernelmode: int = 0
    usage_in_usermode: int = 0


class Throttling(Struct):
    """How often the quota was used up."""

    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CpuStats(Struct):
    """Processor time of the container and of the machine."""

    cpu_usage: CpuUsage = field(default_factory=CpuUsage)
    system_cpu_usage: int | UnsetType = UNSET
    online_cpus: int | UnsetType = UNSET
    throttling_data: Throttling = field(default_factory=Throttling)


class MemoryStats(Struct, omit_defaults=True):
    """Memory in bytes."""

    usage: int = 0
    max_usage: int = 0
    stats: dict[str, int] = {}
    failcnt: int = 0
    limit: int = 0


class InterfaceStats(Struct):
    """Traffic of one interface."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


class Empty(Struct):
    """What only Windows fills."""


class StatsAnswer(Struct, kw_only=True):
    """One sample."""

    name: str
    id: str
    read: str = "0001-01-01T00:00:00Z"
    preread: str = "0001-01-01T00:00:00Z"
    pids_stats: PidsStats = field(default_factory=PidsStats)
    blkio_stats: BlockStats = field(default_factory=BlockStats)
    num_procs: int = 0
    storage_stats: Empty = field(default_factory=Empty)
    cpu_stats: CpuStats = field(default_factory=CpuStats)
    precpu_stats: CpuStats = field(default_factory=CpuStats)
    memory_stats: MemoryStats = field(default_factory=MemoryStats)
    networks: dict[str, InterfaceStats] | UnsetType = UNSET
