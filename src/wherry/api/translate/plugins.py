"""Managed plugins, both ways."""

from collections.abc import Mapping

import msgspec

from wherry.model.plugins import ManagedPlugin, PluginPrivilege
from wherry.wire.plugins import PluginAnswer, Privilege, SettingsAnswer

_Parts = list[dict[str, object]]


class _Capabilities(msgspec.Struct):
    Devices: _Parts | None = None


class _Config(msgspec.Struct):
    Mounts: _Parts | None = None
    Linux: _Capabilities | None = None


def to_privileges(given: list[Privilege]) -> tuple[PluginPrivilege, ...]:
    """What somebody allows."""
    return tuple(
        PluginPrivilege(
            name=each.Name, description=each.Description, values=tuple(each.Value or ())
        )
        for each in given
    )


def to_privilege_answer(privilege: PluginPrivilege) -> Privilege:
    """What a plugin wants."""
    return Privilege(privilege.name, privilege.description, list(privilege.values))


def to_plugin_answer(plugin: ManagedPlugin) -> PluginAnswer:
    """A plugin as it is shown; mounts and devices with what was set of them."""
    config = msgspec.json.decode(plugin.config, type=_Config)
    settings = plugin.settings
    linux = config.Linux or _Capabilities()
    return PluginAnswer(
        Id=plugin.id,
        Name=plugin.name,
        Enabled=plugin.is_enabled,
        Settings=SettingsAnswer(
            Mounts=_set(config.Mounts, "Source", dict(settings.mounts)),
            Env=list(settings.environment),
            Args=list(settings.arguments),
            Devices=_set(linux.Devices, "Path", dict(settings.devices)),
        ),
        PluginReference=plugin.remote,
        Config=msgspec.Raw(plugin.config),
    )


def _set(parts: _Parts | None, key: str, values: Mapping[str, str]) -> _Parts:
    return [{**each, key: values.get(str(each["Name"]), each[key])} for each in parts or ()]
