"""What a managed plugin says of itself (docs.docker.com/engine/extend/config).

`config.json` comes in small letters and the API shows it in its own spelling; like Docker we take
either. What it wants of the host are *privileges*, which whoever installs it has to allow one by
one; what it lets a user change are *settings*.
"""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from wherry.kit.values import replace
from wherry.model.errors import InvalidValue
from wherry.model.plugins import PluginPrivilege, PluginSettings

LARGEST_CONFIG = 1 << 20
"""Bytes."""


class PluginInterface(Struct):
    """How it is spoken to."""

    Types: list[str] | None = None
    """As `docker.volumedriver/1.0`."""
    Socket: str = ""
    ProtocolScheme: str = ""


class PluginUser(Struct, omit_defaults=True):
    """Whom it runs as."""

    UID: int = 0
    GID: int = 0


class PluginNetwork(Struct):
    """`host`, or one of its own that is connected to nothing."""

    Type: str = ""


class Device(Struct):
    """A device that it uses."""

    Name: str = ""
    Description: str = ""
    Settable: list[str] | None = None
    Path: str | None = None


class Capabilities(Struct):
    """What it may do to the kernel."""

    Capabilities: list[str] | None = None
    AllowAllDevices: bool = False
    Devices: list[Device] | None = None


class PluginMount(Struct):
    """A path of the host that it sees."""

    Name: str = ""
    Description: str = ""
    Settable: list[str] | None = None
    Source: str | None = None
    Destination: str = ""
    Type: str = ""
    Options: list[str] | None = None


class Variable(Struct):
    """An environment variable."""

    Name: str = ""
    Description: str = ""
    Settable: list[str] | None = None
    Value: str | None = None


class Arguments(Struct):
    """What follows its entry point."""

    Name: str = ""
    Description: str = ""
    Settable: list[str] | None = None
    Value: list[str] | None = None


class Rootfs(Struct, rename={"Type": "type", "DiffIds": "diff_ids"}, omit_defaults=True):
    """Its files."""

    Type: str = "layers"
    DiffIds: list[str] = []


class PluginConfig(Struct, kw_only=True):
    """The description as a whole."""

    DockerVersion: str = ""
    Description: str = ""
    Documentation: str = ""
    Interface: PluginInterface
    Entrypoint: list[str] | None = None
    WorkDir: str = ""
    User: PluginUser = msgspec.field(default_factory=PluginUser)
    Network: PluginNetwork = msgspec.field(default_factory=PluginNetwork)
    Linux: Capabilities = msgspec.field(default_factory=Capabilities)
    PropagatedMount: str = ""
    IpcHost: bool = False
    PidHost: bool = False
    Mounts: list[PluginMount] | None = None
    Env: list[Variable] | None = None
    Args: Arguments = msgspec.field(default_factory=Arguments)
    rootfs: Rootfs | None = None


def read_config(document: bytes) -> PluginConfig:
    """A description, in either spelling. Raises: InvalidValue."""
    try:
        config = msgspec.convert(_spelled(msgspec.json.decode(document)), PluginConfig)
    except msgspec.MsgspecError as error:
        raise InvalidValue(f"invalid plugin config: {error}") from error
    socket = config.Interface.Socket
    if not config.Interface.Types or not socket:
        raise InvalidValue("invalid plugin config: no interface types or no socket")
    if "/" in socket or socket in (".", ".."):
        raise InvalidValue(f"invalid plugin config: socket {socket!r} must be a plain name")
    if not config.Entrypoint:
        raise InvalidValue("invalid plugin config: no entrypoint")
    return config


def implements(config: PluginConfig) -> frozenset[str]:
    """The kinds of plugin that it is, in the protocol's words: `VolumeDriver`."""
    words = (each.split("/")[0].rpartition(".")[2] for each in config.Interface.Types or ())
    return frozenset(_KINDS.get(word, word) for word in words)


def capabilities(config: PluginConfig) -> frozenset[str]:
    """The same as the list's filter has them: `volumedriver`."""
    return frozenset(
        each.split("/")[0].rpartition(".")[2] for each in config.Interface.Types or ()
    )


def privileges(config: PluginConfig) -> tuple[PluginPrivilege, ...]:
    """What somebody has to allow, in Docker's order and words."""
    return tuple(_privileges(config))


def _privileges(config: PluginConfig) -> Iterator[PluginPrivilege]:
    def wanted(name: str, description: str, *values: str) -> PluginPrivilege:
        return PluginPrivilege(name=name, description=description, values=values)

    if config.Network.Type not in ("", "null", "bridge"):
        yield wanted("network", "permissions to access a network", config.Network.Type)
    if config.IpcHost:
        yield wanted("host ipc namespace", "allow access to host ipc namespace", "true")
    if config.PidHost:
        yield wanted("host pid namespace", "allow access to host pid namespace", "true")
    for mount in config.Mounts or ():
        if mount.Source is not None:
            yield wanted("mount", "host path to mount", mount.Source)
    for device in config.Linux.Devices or ():
        if device.Path is not None:
            yield wanted("device", "host device to access", device.Path)
    if config.Linux.AllowAllDevices:
        yield wanted("allow-all-devices", "allow 'rwm' access to all devices", "true")
    if config.Linux.Capabilities:
        yield wanted(
            "capabilities", "list of additional capabilities required", *config.Linux.Capabilities
        )


def are_allowed(config: PluginConfig, allowed: Sequence[PluginPrivilege]) -> bool:
    """Whether what was allowed is exactly what is wanted, in whatever order."""

    def compared(given: Sequence[PluginPrivilege]) -> list[tuple[str, tuple[str, ...]]]:
        return sorted((each.name, tuple(sorted(each.values))) for each in given)

    return compared(privileges(config)) == compared(allowed)


# -- settings --------------------------------------------------------------------------------


def default_settings(config: PluginConfig) -> PluginSettings:
    """What holds before anybody sets anything."""
    return PluginSettings(
        environment=tuple(
            f"{each.Name}={each.Value}" for each in config.Env or () if each.Value is not None
        ),
        arguments=tuple(config.Args.Value or ()),
        mounts=tuple((each.Name, each.Source or "") for each in config.Mounts or ()),
        devices=tuple((each.Name, each.Path or "") for each in config.Linux.Devices or ()),
    )


def with_settings(
    config: PluginConfig, settings: PluginSettings, wishes: Sequence[str]
) -> PluginSettings:
    """Settings with some of them changed: `DEBUG=1`, `state.source=/srv`, `args=...`.

    Raises: InvalidValue, with Docker's text.
    """
    for wish in wishes:
        settings = _with_setting(config, settings, wish)
    return settings


def _with_setting(config: PluginConfig, settings: PluginSettings, wish: str) -> PluginSettings:
    key, equals, value = wish.partition("=")
    name, dot, part = key.partition(".")
    if not name or (not equals and dot):
        raise InvalidValue(f"setting not found in the plugin configuration: {wish!r}")

    def refuse_unless(settable: list[str] | None, default: str) -> None:
        if (part or default) not in (settable or ()):
            raise InvalidValue(f'"{key}" is not settable')

    for mount in config.Mounts or ():
        if mount.Name == name:
            refuse_unless(mount.Settable, "source")
            return replace(settings, mounts=_replaced(settings.mounts, name, value))
    for device in config.Linux.Devices or ():
        if device.Name == name:
            refuse_unless(device.Settable, "path")
            return replace(settings, devices=_replaced(settings.devices, name, value))
    for variable in config.Env or ():
        if variable.Name == name:
            refuse_unless(variable.Settable, "value")
            kept = tuple(each for each in settings.environment if not each.startswith(f"{name}="))
            return replace(settings, environment=(*kept, f"{name}={value}"))
    if config.Args.Name and config.Args.Name == name:
        refuse_unless(config.Args.Settable, "value")
        return replace(settings, arguments=tuple(value.split()))
    raise InvalidValue(f'setting "{name}" not found in the plugin configuration')


def _replaced(
    pairs: tuple[tuple[str, str], ...], name: str, value: str
) -> tuple[tuple[str, str], ...]:
    return tuple((key, value if key == name else old) for key, old in pairs)


# -- spelling --------------------------------------------------------------------------------

_KINDS = {
    "volumedriver": "VolumeDriver",
    "networkdriver": "NetworkDriver",
    "ipamdriver": "IpamDriver",
    "logdriver": "LogDriver",
    "authz": "authz",
}
_SPELLINGS = {
    field.name.lower(): field.name
    for kind in (
        PluginConfig, PluginInterface, PluginUser, PluginNetwork, Device, Capabilities,
        PluginMount, Variable, Arguments,
    )
    for field in msgspec.structs.fields(kind)
}  # fmt: skip


def _spelled(value: object, *, is_rootfs: bool = False) -> object:
    """A document with the API's names, whatever the letters' case; what is null is left out."""
    match value:
        case dict():
            return {
                key.lower() if is_rootfs else _SPELLINGS.get(key.lower(), key): _spelled(
                    each, is_rootfs=key.lower() == "rootfs"
                )
                for key, each in value.items()
                if each is not None
            }
        case list():
            return [_spelled(each) for each in value]
        case _:
            return value
