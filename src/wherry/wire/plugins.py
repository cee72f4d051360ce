"""Managed plugins: what creation and installation take, and the answers."""

from msgspec import Raw, Struct


class Privilege(Struct):
    """Something of the host that a plugin wants."""

    Name: str = ""
    Description: str = ""
    Value: list[str] | None = None


class SettingsAnswer(Struct, kw_only=True):
    """What holds of what a user may set."""

    Mounts: list[dict[str, object]]
    Env: list[str]
    Args: list[str]
    Devices: list[dict[str, object]]


class PluginAnswer(Struct, kw_only=True):
    """A plugin."""

    Id: str
    Name: str
    Enabled: bool
    Settings: SettingsAnswer
    PluginReference: str
    Config: Raw
