"""What plugins are asked and answer (docs.docker.com/engine/extend/plugins_volume)."""

from collections.abc import Mapping

from msgspec import Struct


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


class VolumePlace(Answer):
    """Where a volume is mounted."""

    Mountpoint: str | None = None
