"""Limits: what a container's cgroups and processes may use."""

import re

from wherry.model.containers import Limits, Ulimit
from wherry.model.errors import InvalidValue
from wherry.oci.runtime_spec import Cpu, Memory, Rlimit
from wherry.specgen.host import HostFacts

LEAST_MEMORY_BYTES = 6 << 20
CPU_PERIOD_US = 100_000
UNLIMITED = (1 << 64) - 1
"""RLIM_INFINITY (getrlimit(2))."""

_NANOS_PER_CPU = 1_000_000_000
_MOST_CPUS = 8192
"""The largest CONFIG_NR_CPUS; a list naming more can't be right."""
_LONGEST_CPU_LIST = 4096
_CPU_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_RLIMITS = frozenset({
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile",
    "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
})  # fmt: skip


def check_limits(limits: Limits, host: HostFacts) -> None:
    """Refuse limits that make no sense or that this host can't give. Raises: InvalidValue."""
    _check_memory(limits)
    most_nanos = host.processors * _NANOS_PER_CPU
    if not 0 <= limits.cpu_nanos <= most_nanos:
        count = host.processors
        raise InvalidValue(
            f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )
    if limits.cpu_shares < 0:
        raise InvalidValue(f"shares must be a positive number: {limits.cpu_shares}")
    if limits.cpuset_cpus:
        _check_cpuset(limits.cpuset_cpus, host)
    for each in limits.ulimits:
        _rlimit(each)


def memory(limits: Limits, host: HostFacts) -> Memory | None:
    """The memory limits; without a word about swap, as much swap as memory.

    A host that does not count swap limits memory alone.
    """
    if not limits.memory_bytes and not limits.memory_swap_bytes:
        return None
    swap = limits.memory_swap_bytes or 2 * limits.memory_bytes
    return Memory(limit=limits.memory_bytes or None, swap=swap if host.counts_swap else None)


def cpu(limits: Limits) -> Cpu | None:
    """The processor limits: shares, a quota per period, and which processors."""
    if not (limits.cpu_nanos or limits.cpu_shares or limits.cpuset_cpus):
        return None
    return Cpu(
        shares=limits.cpu_shares or None,
        quota=limits.cpu_nanos * CPU_PERIOD_US // _NANOS_PER_CPU or None,
        period=CPU_PERIOD_US if limits.cpu_nanos else None,
        cpus=limits.cpuset_cpus,
    )


def pids_limit(limits: Limits) -> int | None:
    """The most processes and threads; None for any number."""
    return limits.pids if limits.pids is not None and limits.pids > 0 else None


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


def _check_memory(limits: Limits) -> None:
    if limits.memory_bytes and limits.memory_bytes < LEAST_MEMORY_BYTES:
        raise InvalidValue("Minimum memory limit allowed is 6MB")
    if 0 < limits.memory_swap_bytes < limits.memory_bytes:
        raise InvalidValue(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if not limits.memory_bytes and limits.memory_swap_bytes > 0:
        raise InvalidValue(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if limits.memory_swap_bytes < -1:
        raise InvalidValue(f"invalid memory swap limit: {limits.memory_swap_bytes}")


def _check_cpuset(text: str, host: HostFacts) -> None:
    wanted = _parse_cpu_list(text)
    if wanted is None:
        shown = text if len(text) <= _LONGEST_CPU_LIST else f"{text[:64]}..."
        raise InvalidValue(f"Invalid value {shown} for cpuset cpus")
    available = _parse_cpu_list(host.cpuset_cpus) or 0
    if wanted & ~available:
        raise InvalidValue(
            f"Requested CPUs are not available - requested {text}, available: {host.cpuset_cpus}"
        )


def _parse_cpu_list(text: str) -> int | None:
    """A list such as `0-3,6` as a bit mask; None when it is none, or of absurd size."""
    if len(text) > _LONGEST_CPU_LIST:
        return None
    mask = 0
    for part in text.split(","):
        match = _CPU_RANGE.fullmatch(part)
        if match is None:
            return None
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if not first <= last < _MOST_CPUS:
            return None
        mask |= (1 << last + 1) - (1 << first)
    return mask
