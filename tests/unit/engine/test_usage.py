"""Counters of both versions of cgroups become the same values."""

from pathlib import Path

from wherry.engine.containers.usage import MachineTime, UsagePlaces, read_usage
from wherry.model.stats import BlockCount

MACHINE = MachineTime(total_ns=9_000, processors=2)


def _tree(root: Path, files: dict[str, str]) -> dict[str, str]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {each.name: str(each) for each in root.iterdir() if each.is_dir()} | {"": str(root)}


def test_version_1(tmp_path: Path) -> None:
    """Nanoseconds, ticks of a hundredth, and a file for each number."""
    files = {
        "cpuacct/cpuacct.usage": "5000\n",
        "cpuacct/cpuacct.usage_percpu": "2000 3000 \n",
        "cpuacct/cpuacct.stat": "user 3\nsystem 4\n",
        "cpu/cpu.stat": "nr_periods 5\nnr_throttled 6\nthrottled_time 7\n",
        "memory/memory.usage_in_bytes": "100\n",
        "memory/memory.max_usage_in_bytes": "110\n",
        "memory/memory.limit_in_bytes": "4096\n",
        "memory/memory.failcnt": "8\n",
        "memory/memory.stat": "cache 1\ntotal_inactive_file 2\n",
        "pids/pids.current": "3\n",
        "pids/pids.max": "max\n",
        "blkio/blkio.throttle.io_service_bytes_recursive": "254:0 Read 10\nTotal 10\n",
        "blkio/blkio.throttle.io_serviced_recursive": "Total 0\n",
    }
    places = UsagePlaces(directories=_tree(tmp_path, files), is_unified=False, process=1)
    usage = read_usage(places, MACHINE, 77)
    assert (usage.cpu.total_ns, usage.cpu.per_cpu_ns) == (5000, (2000, 3000))
    assert (usage.cpu.user_ns, usage.cpu.kernel_ns) == (30_000_000, 40_000_000)
    assert (usage.cpu.periods, usage.cpu.throttled_periods, usage.cpu.throttled_ns) == (5, 6, 7)
    assert (usage.cpu.system_ns, usage.cpu.online, usage.read_at_ns) == (9_000, 2, 77)
    memory = usage.memory
    assert (memory.used_bytes, memory.most_bytes, memory.limit_bytes) == (100, 110, 4096)
    assert (memory.failures, memory.details["total_inactive_file"]) == (8, 2)
    assert (usage.processes, usage.processes_limit) == (3, None)
    assert usage.block_bytes == (BlockCount(254, 0, "Read", 10),)
    assert usage.block_operations == ()


def test_version_2(tmp_path: Path) -> None:
    """Microseconds, `max`, and lines of pairs."""
    files = {
        "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 5\nnr_throttled 6\n"
        "throttled_usec 7\n",
        "memory.current": "100\n",
        "memory.max": "max\n",
        "memory.events": "low 0\noom 4\noom_kill 1\n",
        "memory.stat": "anon 1\ninactive_file 2\n",
        "pids.current": "3\n",
        "pids.max": "9\n",
        "io.stat": "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
    }
    places = UsagePlaces(directories=_tree(tmp_path, files), is_unified=True, process=1)
    usage = read_usage(places, MACHINE, 77)
    assert (usage.cpu.total_ns, usage.cpu.user_ns, usage.cpu.kernel_ns) == (5000, 3000, 2000)
    assert usage.cpu.throttled_ns == 7000
    assert usage.memory.limit_bytes > 1 << 20
    assert (usage.memory.failures, usage.memory.details["inactive_file"]) == (4, 2)
    assert (usage.processes, usage.processes_limit) == (3, 9)
    assert usage.block_bytes == (BlockCount(254, 0, "read", 1), BlockCount(254, 0, "write", 2))
    assert usage.block_operations == (
        BlockCount(254, 0, "read", 3),
        BlockCount(254, 0, "write", 4),
    )


def test_a_container_that_has_just_gone() -> None:
    """Every file is gone: zeros, and no error."""
    places = UsagePlaces(directories={"memory": "/nowhere"}, is_unified=False, process=1 << 30)
    usage = read_usage(places, MACHINE, 1)
    assert (usage.memory.used_bytes, usage.processes, usage.interfaces) == (0, 0, ())
