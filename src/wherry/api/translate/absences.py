"""Fields of a creation request that Wherry can't honour yet: refused by name, never ignored.

A field at its neutral value asks for nothing and passes.
"""

from msgspec import UNSET

from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.wire.container_config import Config, HostShape

_NEUTRAL: tuple[object, ...] = (None, UNSET, "", 0, False, [], {})

_CONFIG_FIELDS = ("OnBuild", "Shell")
_HOST_FIELDS = ("Cgroup",)
"""KernelMemory and KernelMemoryTCP are ignored by Docker too, since API 1.42."""


def refuse_absent_features(config: Config, host: HostShape) -> None:
    """Raises: FeatureMissing, InvalidValue."""
    for name in _CONFIG_FIELDS:
        if getattr(config, name) not in _NEUTRAL:
            raise FeatureMissing(f"Config.{name}")
    for name in _HOST_FIELDS:
        if getattr(host, name) not in _NEUTRAL:
            raise FeatureMissing(f"HostConfig.{name}")
    if host.Isolation not in ("", "default"):
        raise InvalidValue(
            f"invalid isolation: \"{host.Isolation}\" - linux only supports 'default'"
        )
