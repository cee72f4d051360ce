"""pause, resume, update: a running container, changed."""

import os
import sys

from wherry.kit.byte_sizes import parse_size
from wherry.kit.values import replace
from wherry.linux import cgroups
from wherry.linux.cgroups import Hierarchy
from wherry.oci import json_fields
from wherry.oci.resources_json import RESOURCES
from wherry.oci.runtime_spec import BlockIo, Cpu, DeviceRule, Memory, Resources
from wherry.operations.plan import Hands, Operation, OperationFailed, Plan, execute
from wherry.operations.processes.cgroup_changes import ChangeCgroupFile
from wherry.runtime import signals
from wherry.runtime.cgroup_settings import Setting
from wherry.runtime.command.arguments import Arguments
from wherry.runtime.command.records import CommandFailed, Record, StateDirectory, status_of
from wherry.runtime.limits import device_operation, limit_settings
from wherry.runtime.machine import this_machine

_MEMORY_IN_USE = ("memory.usage_in_bytes", "memory.current")
_MEMORY_AND_SWAP = ("memory.memsw.limit_in_bytes", "memory.swap.max")


def pause_container(state: StateDirectory, arguments: Arguments) -> int:
    """Freeze every process of a container. Raises: CommandFailed; OSError."""
    record = state.read(arguments.container_id())
    if status_of(state, record) not in ("running", "created"):
        raise CommandFailed("container not running or created: " + status_of(state, record))
    signals.freeze(record.cgroup_paths)
    return 0


def resume_container(state: StateDirectory, arguments: Arguments) -> int:
    """Let a frozen container go on. Raises: CommandFailed; OSError."""
    record = state.read(arguments.container_id())
    if status_of(state, record) != "paused":
        raise CommandFailed("container not paused")
    signals.thaw(record.cgroup_paths)
    return 0


def update_container(state: StateDirectory, arguments: Arguments) -> int:
    """Change limits, all or none. Raises: CommandFailed; OSError; ValueError."""
    record = state.read(arguments.container_id())
    if status_of(state, record) == "stopped":
        raise CommandFailed("container not running")
    resources = wanted_resources(arguments)
    _check_usage(record, resources.memory or Memory())
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
        return RESOURCES.read(json_fields.parse(content))
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
    directories = _directories(record, layout.hierarchies())
    changes: tuple[Operation, ...] = tuple(
        ChangeCgroupFile(
            path=f"{_directory_of(each, directories)}/{each.file}",
            value=each.value,
            why=f"update {each.why}",
        )
        for each in settings
    )
    if not resources.devices:
        return changes
    # The rules are whole: what the container had before is not part of them. They come last,
    # since nobody can tell from the kernel what to write to have the former ones back.
    rules = (DeviceRule(allow=False), *resources.devices)
    devices = device_operation(replace(resources, devices=rules), directories)
    if devices is None:
        raise CommandFailed("devices: this host has no devices cgroup controller")
    return (*changes, devices)


def _check_usage(record: Record, memory: Memory) -> None:
    """With checkBeforeUpdate a limit below what is in use is refused, on version 2 as well,
    where the kernel would kill instead (config-linux.md, "Memory"). Raises: CommandFailed."""
    if not memory.check_before_update or memory.limit is None or memory.limit < 0:
        return
    for path in record.cgroup_paths:
        for name in _MEMORY_IN_USE:
            if os.path.exists(f"{path}/{name}"):
                used = cgroups.read_number(path, name) or 0
                if used > memory.limit:
                    raise CommandFailed(
                        f"memory.limit: {memory.limit} is less than the {used} bytes in use"
                        " (memory.checkBeforeUpdate)"
                    )


def _directories(record: Record, hierarchies: tuple[Hierarchy, ...]) -> dict[str, str]:
    """The container's directory of each controller; "" is the version 2 tree itself."""
    found: dict[str, str] = {}
    for hierarchy in hierarchies:
        for path in record.cgroup_paths:
            if path.startswith(f"{hierarchy.mount_point}/"):
                names = (*hierarchy.controllers, *([""] if hierarchy.version == 2 else []))
                found |= dict.fromkeys(names, path)
    return found


def _directory_of(setting: Setting, directories: dict[str, str]) -> str:
    """The container's directory of a setting's controller. Raises: CommandFailed."""
    name = "" if setting.controller == "cgroup" else setting.controller
    if name not in directories:
        raise CommandFailed(
            f"{setting.file}: this host has no {setting.controller} cgroup controller"
        )
    return directories[name]


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
