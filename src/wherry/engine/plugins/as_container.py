"""What a managed plugin is to the runtime: a container with the privileges that were allowed."""

from collections.abc import Iterator

from wherry.engine.plugins.config import PluginConfig
from wherry.model.containers import BindMount, ContainerSpec, Namespaces, NetworkSpec, Security
from wherry.model.devices import DeviceMapping, DeviceSpec
from wherry.model.networks import NetworkMode, NetworkModeKind
from wherry.model.plugins import ManagedPlugin

SOCKETS = "/run/docker/plugins"
_PROPAGATIONS = ("shared", "rshared", "slave", "rslave", "private", "rprivate")


def container_spec(plugin: ManagedPlugin, config: PluginConfig, place: str) -> ContainerSpec:
    """A plugin as a container, with those privileges and no others."""
    is_of_host = config.Network.Type == "host"
    return ContainerSpec(
        image="",
        entrypoint=tuple(config.Entrypoint or ()),
        command=plugin.settings.arguments,
        environment=plugin.settings.environment,
        working_directory=config.WorkDir,
        mounts=tuple(_mounts(plugin, config, place, is_of_host=is_of_host)),
        devices=_devices(plugin, config),
        security=Security(
            capabilities_added=tuple(config.Linux.Capabilities or ()),
            seccomp="unconfined",
            apparmor="unconfined",
        ),
        namespaces=Namespaces(
            pid="host" if config.PidHost else "",
            ipc="host" if config.IpcHost else "private",
            user="host",
        ),
        network=NetworkSpec(
            mode=NetworkMode(kind=NetworkModeKind.HOST if is_of_host else NetworkModeKind.NONE)
        ),
    )


def _mounts(
    plugin: ManagedPlugin, config: PluginConfig, place: str, *, is_of_host: bool
) -> Iterator[BindMount]:
    """Its own, the directory of its socket, what the host is to see, and the host's names."""
    sources = dict(plugin.settings.mounts)
    for each in config.Mounts or ():
        source, options = sources.get(each.Name) or each.Source, each.Options or ()
        if source:
            yield BindMount(
                source=source,
                target=each.Destination,
                is_read_only="ro" in options,
                is_recursive="bind" not in options,
                propagation=next((word for word in options if word in _PROPAGATIONS), "rprivate"),
            )
    yield BindMount(source=f"{SOCKETS}/{plugin.id}", target=SOCKETS)
    if config.PropagatedMount:
        yield BindMount(
            source=f"{place}/propagated-mount",
            target=config.PropagatedMount,
            propagation="rshared",
        )
    if is_of_host:
        for file in ("/etc/hosts", "/etc/resolv.conf"):
            yield BindMount(source=file, target=file, is_read_only=True)


def _devices(plugin: ManagedPlugin, config: PluginConfig) -> DeviceSpec:
    given = dict(plugin.settings.devices)
    paths = (given.get(each.Name) or each.Path for each in config.Linux.Devices or ())
    return DeviceSpec(
        mappings=tuple(
            DeviceMapping(host_path=path, container_path=path) for path in paths if path
        ),
        rules=("a *:* rwm",) if config.Linux.AllowAllDevices else (),
    )
