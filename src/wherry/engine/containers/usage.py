"""Reading what a container uses: from its cgroups, and from its network namespace.

Each value is one small file, and a hundred containers are read every second: so the files are
read by plain system calls, and only as many as the answer needs. A file that is not there (a
controller that this kernel lacks, a container that has just ended) leaves its value at zero.
"""

import os
from collections.abc import Iterator, Mapping

from wherry.kit.values import dataclass
from wherry.model.stats import BlockCount, CpuUsage, InterfaceUsage, MemoryUsage, Usage

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_MACHINE_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
_LARGEST_FILE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePlaces:
    """Where the counters of one running container are."""

    directories: Mapping[str, str]
    """By controller; "" is the version 2 tree."""
    is_unified: bool
    process: int
    """The pid of its first process, through which its network is seen."""
    has_network: bool = True
    """Of its own: the host's interfaces are not its traffic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTime:
    """Processor time of the whole machine, read once for all containers."""

    total_ns: int
    processors: int


def read_machine_time() -> MachineTime:
    """The sum of user, nice, system, idle, iowait, irq and softirq, as Docker takes it."""
    lines = _read("/proc/stat").split(b"\n")
    total = sum(int(word) for word in lines[0].split()[1:8])
    processors = sum(line.startswith(b"cpu") for line in lines) - 1
    return MachineTime(total_ns=total * _TICK_NS, processors=processors)


def read_usage(places: UsagePlaces, machine: MachineTime, now_ns: int) -> Usage:
    """Read one container's counters; zeros where there is nothing (any more)."""
    read = _read_unified if places.is_unified else _read_legacy
    return read(places, machine, now_ns)


def _read_legacy(places: UsagePlaces, machine: MachineTime, now_ns: int) -> Usage:
    memory, cpu = places.directories.get("memory", "/-"), places.directories.get("cpu", "/-")
    account = places.directories.get("cpuacct", "/-")
    blocks = f"{places.directories.get('blkio', '/-')}/blkio.throttle"
    ticks = _counters(f"{account}/cpuacct.stat")
    throttling = _counters(f"{cpu}/cpu.stat")
    per_cpu = tuple(int(each) for each in _read(f"{account}/cpuacct.usage_percpu").split())
    return Usage(
        read_at_ns=now_ns,
        cpu=CpuUsage(
            total_ns=_number(f"{account}/cpuacct.usage"),
            kernel_ns=ticks.get("system", 0) * _TICK_NS,
            user_ns=ticks.get("user", 0) * _TICK_NS,
            per_cpu_ns=per_cpu,
            periods=throttling.get("nr_periods", 0),
            throttled_periods=throttling.get("nr_throttled", 0),
            throttled_ns=throttling.get("throttled_time", 0),
            system_ns=machine.total_ns,
            online=machine.processors,
        ),
        memory=MemoryUsage(
            used_bytes=_number(f"{memory}/memory.usage_in_bytes"),
            most_bytes=_number(f"{memory}/memory.max_usage_in_bytes"),
            limit_bytes=_at_most_all(_number(f"{memory}/memory.limit_in_bytes")),
            failures=_number(f"{memory}/memory.failcnt"),
            details=_counters(f"{memory}/memory.stat"),
        ),
        block_bytes=tuple(_legacy_blocks(f"{blocks}.io_service_bytes_recursive")),
        block_operations=tuple(_legacy_blocks(f"{blocks}.io_serviced_recursive")),
        processes=_number(f"{places.directories.get('pids', '/-')}/pids.current"),
        processes_limit=_limit(f"{places.directories.get('pids', '/-')}/pids.max"),
        interfaces=_interfaces(places.process) if places.has_network else (),
    )


def _read_unified(places: UsagePlaces, machine: MachineTime, now_ns: int) -> Usage:
    directory = places.directories.get("", "/-")
    cpu = _counters(f"{directory}/cpu.stat")
    limit = _limit(f"{directory}/memory.max")
    blocks = tuple(_unified_blocks(f"{directory}/io.stat"))
    return Usage(
        read_at_ns=now_ns,
        cpu=CpuUsage(
            total_ns=cpu.get("usage_usec", 0) * 1000,
            kernel_ns=cpu.get("system_usec", 0) * 1000,
            user_ns=cpu.get("user_usec", 0) * 1000,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_ns=cpu.get("throttled_usec", 0) * 1000,
            system_ns=machine.total_ns,
            online=machine.processors,
        ),
        memory=MemoryUsage(
            used_bytes=_number(f"{directory}/memory.current"),
            limit_bytes=_MACHINE_BYTES if limit is None else _at_most_all(limit),
            failures=_counters(f"{directory}/memory.events").get("oom", 0),
            details=_counters(f"{directory}/memory.stat"),
        ),
        block_bytes=tuple(each for name, each in blocks if name.endswith("bytes")),
        block_operations=tuple(each for name, each in blocks if name.endswith("ios")),
        processes=_number(f"{directory}/pids.current"),
        processes_limit=_limit(f"{directory}/pids.max"),
        interfaces=_interfaces(places.process) if places.has_network else (),
    )


def _at_most_all(limit_bytes: int) -> int:
    return min(limit_bytes, _MACHINE_BYTES)


# -- block devices ---------------------------------------------------------------------------


def _legacy_blocks(path: str) -> Iterator[BlockCount]:
    """Lines `254:0 Read 4096`; the last one is a sum without a device."""
    for line in _read(path).decode("ascii").splitlines():
        words = line.split()
        if len(words) == 3:
            major, _, minor = words[0].partition(":")
            yield BlockCount(int(major), int(minor), words[1], int(words[2]))


_UNIFIED_WORDS = {"rbytes": "read", "wbytes": "write", "rios": "read", "wios": "write"}


def _unified_blocks(path: str) -> Iterator[tuple[str, BlockCount]]:
    """Lines `254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`."""
    for line in _read(path).decode("ascii").splitlines():
        device, *pairs = line.split()
        major, _, minor = device.partition(":")
        for pair in pairs:
            name, _, value = pair.partition("=")
            if name in _UNIFIED_WORDS and minor.isdigit():
                count = BlockCount(int(major), int(minor), _UNIFIED_WORDS[name], int(value))
                yield name, count


# -- network ---------------------------------------------------------------------------------


def _interfaces(pid: int) -> tuple[InterfaceUsage, ...]:
    """Lines `eth0: 8 numbers of receiving, 8 of sending` of /proc/PID/net/dev."""
    found = []
    for line in _read(f"/proc/{pid}/net/dev").decode("ascii", "replace").splitlines()[2:]:
        name, _, rest = line.partition(":")
        name = name.strip()
        if name == "lo":
            continue
        numbers = [int(word) for word in rest.split()]
        received = (numbers[0], numbers[1], numbers[2], numbers[3])
        sent = (numbers[8], numbers[9], numbers[10], numbers[11])
        found.append(InterfaceUsage(name=name, received=received, sent=sent))
    return tuple(found)


# -- files -----------------------------------------------------------------------------------


def _read(path: str) -> bytes:
    """The content; empty when there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _LARGEST_FILE)
    except OSError:  # ENODEV: the cgroup went away meanwhile
        return b""
    finally:
        os.close(descriptor)


def _number(path: str) -> int:
    text = _read(path)
    return int(text) if text[:1].isdigit() else 0


def _limit(path: str) -> int | None:
    """None where there is no limit: `max`, or no file."""
    text = _read(path)
    return int(text) if text[:1].isdigit() else None


def _counters(path: str) -> dict[str, int]:
    words = _read(path).decode("ascii").split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=False))
