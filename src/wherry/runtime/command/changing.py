"""pause, resume, update: a running container, changed."""

import os
import sys

from wherry.kit.byte_sizes import parse_size
from wherry.linux import cgroups
from wherry.linux.cgroups import Hierarchy
from wherry.oci import json_fields
from wherry.oci.resources_json import resources_from_json
from wherry.oci.runtime_spec import BlockIo, Cpu, Memory, Resources
from wherry.operations.cgroup_changes import ChangeCgroupFile
from wherry.operations.plan import Hands, OperationFailed, Plan, execute
from wherry.runtime import signals
from wherry.runtime.cgroup_settings import Setting
from wherry.runtime.command.arguments import Arguments, UsageError
from wherry.runtime.command.records import CommandFailed, Record, StateDirectory, status_of
from wherry.runtime.limits import limit_settings
from wherry.runtime.machine import this_machine

_MEMORY_AND_SWAP = ("memory.memsw.limit_in_bytes", "memory.swap.max")


def pause_container(state: StateDirectory, arguments: Arguments) -> int:
    """Freeze every process of a container. Raises: CommandFailed; OSError."""
    record = _one(state, arguments)
    if status_of(state, record) not in ("running", "created"):
        raise CommandFailed("container not running or created: " + status_of(state, record))
    signals.freeze(record.cgroup_paths)
    return 0


def resume_container(state: StateDirectory, arguments: Arguments) -> int:
    """Let a frozen container go on. Raises: CommandFailed; OSError."""
    record = _one(state, arguments)
    if status_of(state, record) != "paused":
        raise CommandFailed("container not paused")
    signals.thaw(record.cgroup_paths)
    return 0


def update_container(state: StateDirectory, arguments: Arguments) -> int:
    """Change limits, all or none. Raises: CommandFailed; OSError; ValueError."""
    record = _one(state, arguments)
    if status_of(state, record) == "stopped":
        raise CommandFailed("container not running")
    resources = wanted_resources(arguments)
    try:
        execute(_changes(record, resources), Hands(), [])
    except OperationFailed as error:
        raise CommandFailed(str(error)) from error
    return 0


def wanted_resources(arguments: Arguments) -> Resources:
    """The limits of a file (`--resources`, `-` is standard input), or those of the flags.

    Raises: CommandFailed; OSError; ValueError naming the field.
    """
    path = arguments.text("resources")
    if path:
        if path == "-":
            content = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                content = file.read()
        return resources_from_json(json_fields.parse(content))
    weight = _number(arguments, "blkio-weight")
    return Resources(
        memory=Memory(
            limit=_bytes(arguments, "memory"),
            reservation=_bytes(arguments, "memory-reservation"),
            swap=_bytes(arguments, "memory-swap"),
            kernel=_bytes(arguments, "kernel-memory"),
            kernel_tcp=_bytes(arguments, "kernel-memory-tcp"),
        ),
        cpu=Cpu(
            shares=_number(arguments, "cpu-share"),
            quota=_number(arguments, "cpu-quota"),
            burst=_number(arguments, "cpu-burst"),
            period=_number(arguments, "cpu-period"),
            realtime_period=_number(arguments, "cpu-rt-period"),
            realtime_runtime=_number(arguments, "cpu-rt-runtime"),
            cpus=arguments.text("cpuset-cpus"),
            mems=arguments.text("cpuset-mems"),
            idle=_number(arguments, "cpu-idle"),
        ),
        pids_limit=_number(arguments, "pids-limit"),
        block_io=None if weight is None else BlockIo(weight=weight),
    )


def _number(arguments: Arguments, name: str) -> int | None:
    return arguments.number(name) if arguments.text(name) else None


def _bytes(arguments: Arguments, name: str) -> int | None:
    text = arguments.text(name)
    if not text:
        return None
    if text == "-1":
        return -1
    try:
        return parse_size(text)
    except ValueError as error:
        raise CommandFailed(f"invalid value for {name}: {error}") from error


def _changes(record: Record, resources: Resources) -> Plan:
    layout = this_machine().layout
    settings = list(limit_settings(resources, layout))
    if _raises_swap(record, resources):
        # Memory may never be more than memory and swap together.
        settings.sort(key=lambda each: each.file not in _MEMORY_AND_SWAP)
    if resources.pids_limit is not None and resources.pids_limit <= 0:
        settings.append(Setting("pids", "pids.max", "max", "--pids-limit"))
    return tuple(
        ChangeCgroupFile(
            path=f"{_directory_of(record, each, layout.hierarchies())}/{each.file}",
            value=each.value,
            why=f"update {each.why}",
        )
        for each in settings
    )


def _directory_of(record: Record, setting: Setting, hierarchies: tuple[Hierarchy, ...]) -> str:
    """The container's directory of a setting's controller. Raises: CommandFailed."""
    for hierarchy in hierarchies:
        has_it = setting.controller in hierarchy.controllers
        if has_it or (setting.controller == "cgroup" and hierarchy.version == 2):
            for path in record.cgroup_paths:
                if path.startswith(f"{hierarchy.mount_point}/"):
                    return path
    raise CommandFailed(f"{setting.file}: this host has no {setting.controller} cgroup controller")


def _raises_swap(record: Record, resources: Resources) -> bool:
    swap = None if resources.memory is None else resources.memory.swap
    if swap is None:
        return False
    for path in record.cgroup_paths:
        for name in _MEMORY_AND_SWAP:
            if os.path.exists(f"{path}/{name}"):
                now = cgroups.read_number(path, name)
                return swap < 0 or (now is not None and swap > now)
    return False


def _one(state: StateDirectory, arguments: Arguments) -> Record:
    if len(arguments.operands) != 1:
        raise UsageError("needs exactly one container id")
    return state.read(arguments.operands[0])
