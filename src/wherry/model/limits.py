"""What a container may use of the machine, in the user's words."""

from wherry.kit.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ulimit:
    """One resource limit of the container's processes (getrlimit(2)); -1 is unlimited."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceWeight:
    """A block device's share of its time: `--blkio-weight-device /dev/sda:200`."""

    path: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRate:
    """The most bytes or operations a second: `--device-read-bps /dev/sda:1mb`."""

    path: str
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLimits:
    """What a container may use of block devices. Zero or empty means: no limit of its own."""

    weight: int = 0
    """From 10 to 1000."""
    device_weights: tuple[DeviceWeight, ...] = ()
    read_bps: tuple[DeviceRate, ...] = ()
    write_bps: tuple[DeviceRate, ...] = ()
    read_iops: tuple[DeviceRate, ...] = ()
    write_iops: tuple[DeviceRate, ...] = ()

    @property
    def paths(self) -> frozenset[str]:
        """The devices that are named."""
        rates = (*self.read_bps, *self.write_bps, *self.read_iops, *self.write_iops)
        return frozenset(each.path for each in rates) | {e.path for e in self.device_weights}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a container may use. Zero or empty means: no limit of its own."""

    memory_bytes: int = 0
    memory_swap_bytes: int = 0
    """Memory and swap together; -1 is unlimited swap, 0 twice the memory."""
    memory_reservation_bytes: int = 0
    """What is left to it when memory is short."""
    memory_swappiness: int | None = None
    """How readily the kernel swaps, 0 to 100; None is the kernel's own choice."""
    disables_oom_killer: bool | None = None
    """Whether processes wait at the memory limit; None where the kernel can't, or unsaid."""
    cpu_nanos: int = 0
    """Billionths of a processor: `--cpus 1.5` is 1_500_000_000."""
    cpu_shares: int = 0
    cpu_period_us: int = 0
    cpu_quota_us: int = 0
    """Processor time in each period; negative is unlimited."""
    cpu_realtime_period_us: int = 0
    cpu_realtime_runtime_us: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids: int | None = None
    """None or a value below one: unlimited."""
    blocks: BlockLimits = BlockLimits()
    ulimits: tuple[Ulimit, ...] = ()
