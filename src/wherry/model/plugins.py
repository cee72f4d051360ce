"""Managed plugins: programs of others that the engine keeps, starts and ends."""

from wherry.kit.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginLayer:
    """One archive of a plugin's files, as registries have it."""

    digest: str
    size_bytes: int
    diff_id: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSettings:
    """What a user may change of a plugin while it is disabled; the names are the plugin's own."""

    environment: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    mounts: tuple[tuple[str, str], ...] = ()
    """Name and source of each."""
    devices: tuple[tuple[str, str], ...] = ()
    """Name and path of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedPlugin:
    """A plugin that is installed."""

    id: str
    name: str
    """As people write it, with its tag: `vieux/sshfs:latest`."""
    remote: str
    """The full reference that it came from; empty for one that was made here."""
    config: bytes
    """The plugin's own description, a JSON document in the API's spelling."""
    config_digest: str
    layers: tuple[PluginLayer, ...]
    settings: PluginSettings = field(default_factory=PluginSettings)
    is_enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginPrivilege:
    """Something of the host that a plugin wants, which its user has to allow."""

    name: str
    description: str
    values: tuple[str, ...]
