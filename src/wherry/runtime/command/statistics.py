"""What a container uses, read from its cgroups, in the shape of `runc events`."""

import os
from collections.abc import Callable

from wherry.linux import cgroups
from wherry.oci.json_fields import JsonObject
from wherry.runtime.command.records import Record

_NS_PER_US = 1000


def read_statistics(record: Record) -> JsonObject:
    """Counters and limits of each controller that is there."""
    parts: JsonObject = {}
    for name, file, read in _READERS:
        path = _with(record, file)
        if name not in parts and path:
            parts[name] = read(path, record)
    return parts


def _with(record: Record, file: str) -> str:
    """The container's directory that has a file; empty when none has."""
    found = (path for path in record.cgroup_paths if os.path.exists(f"{path}/{file}"))
    return next(found, "")


def _legacy_cpu(path: str, record: Record) -> JsonObject:
    per_cpu = [int(each) for each in cgroups.read_text(path, "cpuacct.usage_percpu").split()]
    usage: JsonObject = {
        "total": cgroups.read_number(path, "cpuacct.usage"),
        "percpu": per_cpu,
        "kernel": cgroups.read_number(path, "cpuacct.usage_sys"),
        "user": cgroups.read_number(path, "cpuacct.usage_user"),
    }
    throttled: JsonObject = {}
    directory = _with(record, "cpu.cfs_quota_us")
    if directory:
        counters = cgroups.read_counters(directory, "cpu.stat")
        throttled = {
            "periods": counters.get("nr_periods", 0),
            "throttledPeriods": counters.get("nr_throttled", 0),
            "throttledTime": counters.get("throttled_time", 0),
        }
    return {"usage": usage, "throttling": throttled}


def _unified_cpu(path: str, _record: Record) -> JsonObject:
    counters = cgroups.read_counters(path, "cpu.stat")
    return {
        "usage": {
            "total": counters.get("usage_usec", 0) * _NS_PER_US,
            "kernel": counters.get("system_usec", 0) * _NS_PER_US,
            "user": counters.get("user_usec", 0) * _NS_PER_US,
        },
        "throttling": {
            "periods": counters.get("nr_periods", 0),
            "throttledPeriods": counters.get("nr_throttled", 0),
            "throttledTime": counters.get("throttled_usec", 0) * _NS_PER_US,
        },
    }


def _legacy_memory(path: str, _record: Record) -> JsonObject:
    raw = cgroups.read_counters(path, "memory.stat")
    return {
        "cache": raw.get("cache", 0),
        "usage": {
            "limit": cgroups.read_number(path, "memory.limit_in_bytes"),
            "usage": cgroups.read_number(path, "memory.usage_in_bytes"),
            "max": cgroups.read_number(path, "memory.max_usage_in_bytes"),
            "failcnt": cgroups.read_number(path, "memory.failcnt"),
        },
        "raw": raw,
    }


def _unified_memory(path: str, _record: Record) -> JsonObject:
    raw = cgroups.read_counters(path, "memory.stat")
    return {
        "cache": raw.get("file", 0),
        "usage": {
            "limit": cgroups.read_number(path, "memory.max"),
            "usage": cgroups.read_number(path, "memory.current"),
        },
        "raw": raw,
    }


def _pids(path: str, _record: Record) -> JsonObject:
    return {
        "current": cgroups.read_number(path, "pids.current"),
        "limit": cgroups.read_number(path, "pids.max") or 0,
    }


_Read = Callable[[str, Record], JsonObject]
_READERS: tuple[tuple[str, str, _Read], ...] = (
    ("cpu", "cpuacct.usage", _legacy_cpu),
    ("memory", "memory.usage_in_bytes", _legacy_memory),
    ("pids", "pids.current", _pids),
    ("cpu", "cpu.stat", _unified_cpu),
    ("memory", "memory.current", _unified_memory),
)
"""The part, the file that tells its version, and who reads it; version 1 first."""
