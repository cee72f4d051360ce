"""Devices of the host that a container gets, or whose use is limited: looked up at each start.

Devices come and go, so nothing here is remembered. `--device` names a node, a link to one, or
a directory whose nodes are all given; `--privileged` gives every node of the host.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence

from wherry.kit.values import dataclass, field
from wherry.model.containers import ContainerSpec
from wherry.model.devices import DeviceMapping, DeviceRequest
from wherry.model.errors import InvalidValue
from wherry.model.limits import Limits
from wherry.oci.runtime_spec import Device, DeviceRule
from wherry.operations.plan import explain_error

_UNSHARED_DIRECTORIES = frozenset({"pts", "shm", "fd", "mqueue", "hugepages"})
"""Directories of /dev that every container has of its own, or that hold no devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDevices:
    """What a start found out about devices."""

    nodes: tuple[Device, ...] = ()
    """To make in the container."""
    rules: tuple[DeviceRule, ...] = ()
    """Which of them may be used, and how."""
    numbers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Major and minor of the block devices whose use is limited, by path."""


def find_devices(spec: ContainerSpec) -> HostDevices:
    """Look up what a container that is about to start needs to know of devices.

    Raises: InvalidValue in Docker's words for what is not there; OSError when /dev is unreadable.
    """
    for request in spec.devices.requests:
        raise InvalidValue(_unanswerable(request))
    is_privileged = spec.security.is_privileged
    nodes = list(read_host_devices()) if is_privileged else []
    rules = []
    for mapping in spec.devices.mappings:
        found = _mapped(mapping)
        nodes += found
        rules += [_rule(device, mapping.access) for device in found]
    return HostDevices(
        nodes=tuple(nodes),
        rules=tuple(rules),
        numbers=find_block_devices(spec.limits),
    )


def find_block_devices(limits: Limits) -> Mapping[str, tuple[int, int]]:
    """Major and minor of the devices whose use is limited. Raises: InvalidValue."""
    return {path: _numbers(path) for path in sorted(limits.blocks.paths)}


def _unanswerable(request: DeviceRequest) -> str:
    """No driver hands devices out here: the words of an engine without the vendor's parts."""
    if request.driver == "cdi":
        names = ", ".join(request.device_ids)
        return f"CDI device injection failed: unresolvable CDI devices {names}"
    groups = " ".join(f"[{' '.join(each)}]" for each in request.capabilities)
    driver = request.driver
    return f'could not select device driver "{driver}" with capabilities: [{groups}]'


def read_host_devices(directory: str = "/dev") -> tuple[Device, ...]:
    """Every device node of the host, for privileged containers; they come and go, so ask anew.

    Raises: OSError when the directory can't be read.
    """
    found: list[Device] = []
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _UNSHARED_DIRECTORIES and not entry.name.startswith("."):
                    found += read_host_devices(entry.path)
                continue
            if entry.name == "console" or entry.is_symlink():
                continue
            device = _device(entry.path)
            if device is not None:
                found.append(device)
    return tuple(found)


def _device(path: str) -> Device | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None  # unplugged since the directory was read
    return _node(path, status)


def _node(path: str, status: os.stat_result) -> Device | None:
    """A device node of the container's; None for what is no device."""
    if stat.S_ISCHR(status.st_mode):
        kind = "c"
    elif stat.S_ISBLK(status.st_mode):
        kind = "b"
    else:
        return None
    return Device(
        path=path,
        type=kind,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        file_mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )


# -- what was named --------------------------------------------------------------------------


def _mapped(mapping: DeviceMapping) -> Sequence[Device]:
    """The nodes of one `--device`. Raises: InvalidValue."""
    path = os.path.realpath(mapping.host_path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            found = tuple(_below(path, mapping.container_path))
        else:
            node = _node(mapping.container_path, status)
            found = () if node is None else (node,)
    except OSError as error:
        raise InvalidValue(_no_device(mapping.host_path, explain_error(error))) from error
    if not found:
        raise InvalidValue(_no_device(mapping.host_path, "not a device node"))
    return found


def _no_device(path: str, problem: str) -> str:
    return f'error gathering device information while adding custom device "{path}": {problem}'


def _below(directory: str, place: str) -> Iterator[Device]:
    """The nodes of a directory and of those below it, at the same places under `place`."""
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            there = f"{place.rstrip('/')}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, there)
                continue
            node = _node(there, entry.stat(follow_symlinks=False))
            if node is not None:
                yield node


def _rule(device: Device, access: str) -> DeviceRule:
    return DeviceRule(
        allow=True, type=device.type, major=device.major, minor=device.minor, access=access
    )


def _numbers(path: str) -> tuple[int, int]:
    """Raises: InvalidValue where there is no such device."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise InvalidValue(f"stat {path}: {explain_error(error)}") from error
    return os.major(status.st_rdev), os.minor(status.st_rdev)
