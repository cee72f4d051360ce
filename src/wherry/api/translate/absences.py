"""Fields of a creation request that Wherry can't honour yet: refused by name, never ignored.

A field at its neutral value asks for nothing and passes.
"""

from msgspec import UNSET

from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.wire.container_config import Config, HealthConfig, HostShape, RestartShape

_NEUTRAL: tuple[object, ...] = (None, UNSET, "", 0, False, [], {})

_CONFIG_FIELDS = ("OnBuild", "Shell")
_HOST_FIELDS = (
    "VolumeDriver",
    "VolumesFrom",
    "Cgroup",
    "Links",
    "StorageOpt",
    "BlkioWeight",
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpusetMems",
    "Devices",
    "DeviceCgroupRules",
    "DeviceRequests",
    "MemoryReservation",
    "OomKillDisable",
    "CpuCount",
    "CpuPercent",
    "IOMaximumIOps",
    "IOMaximumBandwidth",
)
"""KernelMemory and KernelMemoryTCP are ignored by Docker too, since API 1.42."""


def refuse_absent_features(config: Config, host: HostShape) -> None:
    """Raises: FeatureMissing, InvalidValue."""
    for name in _CONFIG_FIELDS:
        if getattr(config, name) not in _NEUTRAL:
            raise FeatureMissing(f"Config.{name}")
    for name in _HOST_FIELDS:
        if getattr(host, name) not in _NEUTRAL:
            raise FeatureMissing(f"HostConfig.{name}")
    if config.Volumes:
        raise FeatureMissing(f"anonymous volumes (Config.Volumes {min(config.Volumes)!r})")
    if host.MemorySwappiness not in (None, -1):
        raise FeatureMissing("HostConfig.MemorySwappiness")
    if host.Isolation not in ("", "default"):
        raise InvalidValue(
            f"invalid isolation: \"{host.Isolation}\" - linux only supports 'default'"
        )
    _refuse_health_checks(config.Healthcheck or None)
    _refuse_restarts(host.RestartPolicy, removes_itself=host.AutoRemove)


def _refuse_health_checks(health: HealthConfig | None) -> None:
    if isinstance(health, HealthConfig) and health.Test and health.Test != ["NONE"]:
        raise FeatureMissing("health checks (Config.Healthcheck)")


def _refuse_restarts(policy: RestartShape, *, removes_itself: bool) -> None:
    match policy.Name:
        case "" | "no":
            if policy.MaximumRetryCount:
                raise InvalidValue(
                    "invalid restart policy: maximum retry count can only be used with "
                    "'on-failure'"
                )
        case "always" | "unless-stopped" | "on-failure":
            if removes_itself:
                raise InvalidValue("can't create 'AutoRemove' container with restart policy")
            raise FeatureMissing(f"restart policies (HostConfig.RestartPolicy {policy.Name!r})")
        case other:
            raise InvalidValue(
                f"invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', "
                "'on-failure', or 'unless-stopped'"
            )
