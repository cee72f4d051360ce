"""Which devices of the host a container asks for."""

from collections.abc import Mapping

from wherry.kit.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMapping:
    """A device of the host, or a directory of them, at a place in the container (`--device`)."""

    host_path: str
    container_path: str
    access: str = "rwm"
    """Of read, write and mknod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRequest:
    """Devices that a driver is to choose (`--gpus`, names of the Container Device Interface)."""

    driver: str = ""
    count: int = 0
    """-1 is all."""
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[tuple[str, ...], ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """All that a container asks for."""

    mappings: tuple[DeviceMapping, ...] = ()
    rules: tuple[str, ...] = ()
    """More of the device controller's rules: `c 1:3 rwm` (`--device-cgroup-rule`)."""
    requests: tuple[DeviceRequest, ...] = ()
