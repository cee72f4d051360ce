"""Which limits make sense, and which this host can keep: in Docker's words and order.

A limit that makes no sense is refused. One that the kernel was built without is discarded with
a warning, as users of Docker know it: their containers start on every host.
"""

import re

from wherry.kit.values import dataclass, replace
from wherry.model.errors import InvalidValue
from wherry.model.limits import BlockLimits, Limits
from wherry.specgen.host import HostFacts
from wherry.specgen.knobs import Knob
from wherry.specgen.limits import rlimits

LEAST_MEMORY_BYTES = 6 << 20

_NANOS_PER_CPU = 1_000_000_000
_MOST_CPUS = 8192
"""The largest CONFIG_NR_CPUS; a list naming more can't be right."""
_LONGEST_CPU_LIST = 4096
_CPU_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_BLOCK_WARNINGS = (
    (Knob.BLOCK_DEVICE_WEIGHT, "device_weights", "Block I/O weight_device", "Weight-device"),
    (Knob.READ_BPS, "read_bps", "BPS Block I/O read limit", "Block I/O BPS read limit"),
    (Knob.WRITE_BPS, "write_bps", "BPS Block I/O write limit", "Block I/O BPS write limit"),
    (Knob.READ_IOPS, "read_iops", "IOPS Block read limit", "Block I/O IOPS read limit"),
    (Knob.WRITE_IOPS, "write_iops", "IOPS Block write limit", "Block I/O IOPS write limit"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The limits that will hold, and what was discarded on the way."""

    limits: Limits
    warnings: tuple[str, ...] = ()


def admitted(limits: Limits, host: HostFacts, *, is_update: bool = False) -> Admission:
    """What of the wish can hold on this host.

    An update may name swap alone: the container has its memory limit already.

    Raises: InvalidValue with Docker's sentences.
    """
    warnings: list[str] = []
    limits = _admit_memory(limits, host, warnings, is_update=is_update)
    limits = _admit_processes(limits, host, warnings)
    limits = _admit_cpu(limits, host, warnings)
    limits = _admit_cpuset(limits, host, warnings)
    blocks = _admit_blocks(limits.blocks, host, warnings)
    rlimits(limits.ulimits)
    return Admission(limits=replace(limits, blocks=blocks), warnings=tuple(warnings))


def _lacks(what: str, discarded: str) -> str:
    return (
        f"Your kernel does not support {what} or the cgroup is not mounted. {discarded} discarded."
    )


# -- memory ----------------------------------------------------------------------------------


def _admit_memory(
    limits: Limits, host: HostFacts, warnings: list[str], *, is_update: bool
) -> Limits:
    if limits.memory_bytes and limits.memory_bytes < LEAST_MEMORY_BYTES:
        raise InvalidValue("Minimum memory limit allowed is 6MB")
    if limits.memory_bytes and Knob.MEMORY not in host.knobs:
        warnings.append(_lacks("memory limit capabilities", "Limitation"))
        limits = replace(limits, memory_bytes=0, memory_swap_bytes=-1)
    if limits.memory_bytes and limits.memory_swap_bytes != -1 and Knob.SWAP not in host.knobs:
        warnings.append(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted."
            " Memory limited without swap."
        )
        limits = replace(limits, memory_swap_bytes=-1)
    _check_swap(limits, is_update=is_update)
    limits = _admit_swappiness(limits, host, warnings)
    limits = _admit_reservation(limits, host, warnings)
    return _admit_oom_switch(limits, host, warnings)


def _check_swap(limits: Limits, *, is_update: bool) -> None:
    if limits.memory_bytes and 0 < limits.memory_swap_bytes < limits.memory_bytes:
        raise InvalidValue(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if not limits.memory_bytes and limits.memory_swap_bytes > 0 and not is_update:
        raise InvalidValue(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if limits.memory_swap_bytes < -1:
        raise InvalidValue(f"invalid memory swap limit: {limits.memory_swap_bytes}")


def _admit_swappiness(limits: Limits, host: HostFacts, warnings: list[str]) -> Limits:
    value = limits.memory_swappiness
    if value is None:
        return limits
    if Knob.SWAPPINESS not in host.knobs:
        warnings.append(_lacks("memory swappiness capabilities", "Memory swappiness"))
        return replace(limits, memory_swappiness=None)
    if not 0 <= value <= 100:
        raise InvalidValue(f"Invalid value: {value}, valid memory swappiness range is 0-100")
    return limits


def _admit_reservation(limits: Limits, host: HostFacts, warnings: list[str]) -> Limits:
    value = limits.memory_reservation_bytes
    if value < 0:
        raise InvalidValue(f"invalid memory reservation: {value}")
    if value and Knob.MEMORY_RESERVATION not in host.knobs:
        warnings.append(_lacks("memory soft limit capabilities", "Limitation"))
        return replace(limits, memory_reservation_bytes=0)
    if 0 < value < LEAST_MEMORY_BYTES:
        raise InvalidValue("Minimum memory reservation allowed is 6MB")
    if value and 0 < limits.memory_bytes < value:
        raise InvalidValue(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )
    return limits


def _admit_oom_switch(limits: Limits, host: HostFacts, warnings: list[str]) -> Limits:
    if Knob.OOM_KILL_DISABLE not in host.knobs:
        if limits.disables_oom_killer:
            warnings.append(
                "Your kernel does not support OomKillDisable. OomKillDisable discarded."
            )
        return replace(limits, disables_oom_killer=None)
    if limits.disables_oom_killer and not limits.memory_bytes:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can"
            " result in the system running out of resources."
        )
    return limits


# -- processes and processors ----------------------------------------------------------------


def _admit_processes(limits: Limits, host: HostFacts, warnings: list[str]) -> Limits:
    if limits.pids is None or Knob.PIDS in host.knobs:
        return limits
    if limits.pids > 0:
        warnings.append(_lacks("PIDs limit capabilities", "PIDs limit"))
    return replace(limits, pids=None)


def _admit_cpu(limits: Limits, host: HostFacts, warnings: list[str]) -> Limits:
    _check_nanos(limits, host)
    _check_realtime(limits, host)
    if limits.cpu_shares < 0:
        raise InvalidValue(f"shares must be a positive number: {limits.cpu_shares}")
    if limits.cpu_shares and Knob.CPU_SHARES not in host.knobs:
        warnings.append(_lacks("CPU shares", "Shares"))
        limits = replace(limits, cpu_shares=0)
    if (limits.cpu_period_us or limits.cpu_quota_us) and Knob.CPU_QUOTA not in host.knobs:
        warnings.append(
            "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."
        )
        limits = replace(limits, cpu_period_us=0, cpu_quota_us=0)
    if limits.cpu_period_us and not 1000 <= limits.cpu_period_us <= 1_000_000:
        raise InvalidValue(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < limits.cpu_quota_us < 1000:
        raise InvalidValue("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    return limits


def _check_nanos(limits: Limits, host: HostFacts) -> None:
    if limits.cpu_nanos > 0 and limits.cpu_period_us > 0:
        raise InvalidValue("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if limits.cpu_nanos > 0 and limits.cpu_quota_us > 0:
        raise InvalidValue("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if limits.cpu_nanos > 0 and Knob.CPU_QUOTA not in host.knobs:
        raise InvalidValue(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the"
            " cgroup is not mounted"
        )
    count = host.processors
    if not 0 <= limits.cpu_nanos <= count * _NANOS_PER_CPU:
        raise InvalidValue(
            f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )


def _check_realtime(limits: Limits, host: HostFacts) -> None:
    period, runtime = limits.cpu_realtime_period_us, limits.cpu_realtime_runtime_us
    for value, word in ((period, "period"), (runtime, "runtime")):
        if value and Knob.CPU_REALTIME not in host.knobs:
            raise InvalidValue(f"Your kernel does not support cgroup cpu real-time {word}")
        if value < 0:
            raise InvalidValue(f"cpu real-time {word} must be a positive number: {value}")
    if period and runtime > period:
        raise InvalidValue("cpu real-time runtime cannot be higher than cpu real-time period")


def _admit_cpuset(limits: Limits, host: HostFacts, warnings: list[str]) -> Limits:
    if not (limits.cpuset_cpus or limits.cpuset_mems):
        return limits
    if Knob.CPUSET not in host.knobs:
        warnings.append(_lacks("cpuset", "Cpuset"))
        return replace(limits, cpuset_cpus="", cpuset_mems="")
    _check_list(limits.cpuset_cpus, host.cpuset_cpus, "cpus", "CPUs")
    _check_list(limits.cpuset_mems, host.cpuset_mems, "mems", "memory nodes")
    return limits


def _check_list(text: str, online: str, word: str, things: str) -> None:
    if not text:
        return
    wanted = _parse_list(text)
    if wanted is None:
        shown = text if len(text) <= _LONGEST_CPU_LIST else f"{text[:64]}..."
        raise InvalidValue(f"Invalid value {shown} for cpuset {word}")
    available = _parse_list(online) or 0
    if wanted & ~available:
        raise InvalidValue(
            f"Requested {things} are not available - requested {text}, available: {online}"
        )


def _parse_list(text: str) -> int | None:
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


# -- block devices ---------------------------------------------------------------------------


def _admit_blocks(blocks: BlockLimits, host: HostFacts, warnings: list[str]) -> BlockLimits:
    if blocks.weight and Knob.BLOCK_WEIGHT not in host.knobs:
        warnings.append(_lacks("Block I/O weight", "Weight"))
        blocks = replace(blocks, weight=0)
    if blocks.weight and not 10 <= blocks.weight <= 1000:
        raise InvalidValue("Range of blkio weight is from 10 to 1000")
    for knob, name, what, discarded in _BLOCK_WARNINGS:
        if getattr(blocks, name) and knob not in host.knobs:
            warnings.append(_lacks(what, discarded))
            blocks = replace(blocks, **{name: ()})  # type: ignore[arg-type]
    return blocks
