"""What plugins are asked and answer (docs.docker.com/engine/extend/plugins_volume)."""

from collections.abc import Mapping

from msgspec import Raw, Struct


class Nothing(Struct):
    """A request that says nothing."""


class VolumeRequest(Struct, omit_defaults=True):
    """About one volume."""

    Name: str
    Opts: Mapping[str, str] = {}
    ID: str = ""
    """Who mounts it; the unmount names the same."""


class Answer(Struct):
    """What every answer has."""

    Err: str | None = None


class Activation(Answer):
    """What a plugin implements, as `VolumeDriver`."""

    Implements: tuple[str, ...] = ()


class VolumeState(Struct):
    """What a plugin says of one volume."""

    Name: str = ""
    Mountpoint: str = ""
    CreatedAt: str = ""
    Status: Raw = Raw()
    """A JSON object; what is in it is between the plugin and its user."""


class VolumeFound(Answer):
    """The answer of `VolumeDriver.Get`."""

    Volume: VolumeState | None = None


class VolumesFound(Answer):
    """The answer of `VolumeDriver.List`."""

    Volumes: tuple[VolumeState, ...] | None = None


class DriverScope(Struct):
    """Whether volumes are this host's (`local`) or known to others too (`global`)."""

    Scope: str = ""


class DriverCapabilities(Answer):
    """The answer of `VolumeDriver.Capabilities`."""

    Capabilities: DriverScope | None = None


class LogAbilities(Struct):
    """What a log driver can do besides taking lines."""

    ReadLogs: bool = False


class LogCapabilities(Answer):
    """The answer of `LogDriver.Capabilities`."""

    Cap: LogAbilities | None = None


class LogWindow(Struct):
    """Which lines `LogDriver.ReadLogs` is to give."""

    Since: str
    Until: str
    Tail: int
    """-1: all."""
    Follow: bool


class VolumePlace(Answer):
    """Where a volume is mounted."""

    Mountpoint: str | None = None
