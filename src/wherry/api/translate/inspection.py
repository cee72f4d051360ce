"""From a container to what inspection shows of it."""

from msgspec import UNSET
from msgspec.structs import replace

from wherry.api.translate.endpoints import to_endpoint_settings
from wherry.api.translate.health import to_health_config, to_health_shape
from wherry.api.translate.limits import show_devices, show_limits
from wherry.api.translate.mount_objects import mount_objects
from wherry.api.translate.mount_texts import bind_texts
from wherry.api.translate.mounts import mount_points, tmpfs_texts
from wherry.api.translate.networking import network_mode_text
from wherry.api.translate.ports import binding_texts, exposed_texts, published_texts
from wherry.api.translate.restarts import to_restart_shape
from wherry.kit.timestamps import rfc3339_nano
from wherry.model.containers import Container, ContainerSpec, ContainerStatus, Security
from wherry.model.lifecycle import ContainerState
from wherry.model.queries import ContainerDetails
from wherry.specgen import MASKED_PATHS, READ_ONLY_PATHS
from wherry.wire import container_config as shapes
from wherry.wire.containers import (
    Delivery,
    GraphDriver,
    InspectAnswer,
    NetworkSettings,
    State,
)

DEFAULT_RUNTIME = "wherry"


def to_inspect_answer(details: ContainerDetails) -> InspectAnswer:
    """Everything about a container."""
    container = details.container
    arguments = container.arguments
    return InspectAnswer(
        Id=container.id,
        Created=rfc3339_nano(container.created_at_ns),
        Path=arguments[0] if arguments else "",
        Args=list(arguments[1:]),
        State=to_state(container.status),
        Image=container.image_id,
        ResolvConfPath=details.resolv_conf_path,
        HostnamePath=details.hostname_path,
        HostsPath=details.hosts_path,
        LogPath=details.log_path,
        Name=f"/{container.name}",
        RestartCount=container.status.restart_count,
        Driver=details.graph_driver,
        Platform="linux",
        AppArmorProfile=container.spec.security.apparmor,
        ExecIDs=list(details.exec_ids) or None,
        HostConfig=replace(to_host_config(container.spec), Links=list(details.links) or None),
        GraphDriver=GraphDriver(Data=dict(details.graph_data) or None, Name=details.graph_driver),
        SizeRw=UNSET if details.size_rw_bytes is None else details.size_rw_bytes,
        SizeRootFs=UNSET if details.size_rootfs_bytes is None else details.size_rootfs_bytes,
        Mounts=mount_points(container.spec.mounts),
        Config=to_config(container.spec),
        NetworkSettings=to_network_settings(details),
        LogDelivery=UNSET
        if (delivery := details.log_delivery) is None
        else Delivery(delivery.sent, delivery.dropped, delivery.problem),
    )


def to_state(status: ContainerStatus) -> State:
    """The state; Docker's booleans are computed from it."""
    is_paused = status.state is ContainerState.PAUSED
    is_restarting = status.state is ContainerState.RESTARTING
    return State(
        Status=status.state.value,
        Running=status.state is ContainerState.RUNNING or is_paused or is_restarting,
        Paused=is_paused,
        Restarting=is_restarting,
        OOMKilled=status.was_oom_killed,
        Dead=status.state is ContainerState.DEAD,
        Pid=status.pid,
        ExitCode=status.exit_code,
        Error=status.error,
        StartedAt=rfc3339_nano(status.started_at_ns),
        FinishedAt=rfc3339_nano(status.finished_at_ns),
        Health=UNSET if status.health is None else to_health_shape(status.health),
    )


# -- configuration ---------------------------------------------------------------------------


def to_config(spec: ContainerSpec) -> shapes.Config:
    """The part that is independent of the host."""
    terminal = spec.terminal
    return shapes.Config(
        Hostname=spec.hostname,
        Domainname=spec.domainname,
        User=spec.user,
        AttachStdin=terminal.attaches_stdin,
        AttachStdout=terminal.attaches_stdout,
        AttachStderr=terminal.attaches_stderr,
        ExposedPorts=exposed_texts(spec.network.exposed) or UNSET,
        Tty=terminal.is_tty,
        OpenStdin=terminal.opens_stdin,
        StdinOnce=terminal.closes_stdin_after_first,
        Env=list(spec.environment),
        Cmd=None if spec.command is None else list(spec.command),
        Image=spec.image,
        Volumes={path: shapes.Empty() for path in spec.declared_volumes} or None,
        WorkingDir=spec.working_directory,
        Entrypoint=None if spec.entrypoint is None else list(spec.entrypoint),
        NetworkDisabled=spec.network.is_disabled or UNSET,
        MacAddress=spec.network.mac_address or UNSET,
        Labels=dict(spec.labels),
        Healthcheck=UNSET if spec.health is None else to_health_config(spec.health),
        StopSignal=spec.stop_signal or UNSET,
        StopTimeout=UNSET if spec.stop_timeout_s is None else spec.stop_timeout_s,
    )


def to_host_config(spec: ContainerSpec) -> shapes.HostShape:
    """The part that depends on the host."""
    security, network, names = spec.security, spec.network, spec.namespaces
    shape = shapes.HostShape(
        Binds=bind_texts(spec.mounts),
        ContainerIDFile=spec.cid_file,
        LogConfig=shapes.LogShape(Type=spec.log.driver, Config=dict(spec.log.options)),
        NetworkMode=network_mode_text(network.mode),
        PortBindings=binding_texts(network.bindings),
        RestartPolicy=to_restart_shape(spec.restart),
        AutoRemove=spec.removes_itself,
        VolumeDriver=spec.volume_driver,
        VolumesFrom=list(spec.volumes_from) or None,
        ConsoleSize=[spec.terminal.rows, spec.terminal.columns],
        Annotations=dict(spec.annotations) or UNSET,
        CapAdd=list(security.capabilities_added) or None,
        CapDrop=list(security.capabilities_dropped) or None,
        CgroupnsMode=names.cgroup,
        Dns=list(network.dns),
        DnsOptions=list(network.dns_options),
        DnsSearch=list(network.dns_search),
        ExtraHosts=list(network.extra_hosts) or None,
        GroupAdd=list(security.group_add) or None,
        IpcMode=names.ipc or "private",
        OomScoreAdj=spec.oom_score_adjust,
        PidMode=names.pid,
        Privileged=security.is_privileged,
        PublishAllPorts=network.publishes_all,
        ReadonlyRootfs=spec.is_rootfs_read_only,
        SecurityOpt=list(security.options or _implied_options(spec)) or None,
        Tmpfs=dict(tmpfs_texts(spec.mounts)) or UNSET,
        UTSMode=names.uts,
        UsernsMode=names.user,
        ShmSize=spec.shm_bytes,
        StorageOpt=dict(spec.storage_options) or UNSET,
        Sysctls=dict(spec.sysctls) or UNSET,
        Runtime=spec.runtime or DEFAULT_RUNTIME,
        Isolation=spec.isolation,
        CgroupParent=spec.cgroup_parent,
        Mounts=list(mount_objects(spec.mounts)) or UNSET,
        MaskedPaths=_paths(security, security.masked_paths, MASKED_PATHS),
        ReadonlyPaths=_paths(security, security.read_only_paths, READ_ONLY_PATHS),
        Init=UNSET if spec.runs_init is None else spec.runs_init,
    )
    show_limits(spec.limits, shape)
    show_devices(spec.devices, shape)
    return shape


def _implied_options(spec: ContainerSpec) -> tuple[str, ...]:
    """What Docker adds for containers that see the host's processes or devices."""
    sees_the_host = spec.security.is_privileged or "host" in (
        spec.namespaces.pid,
        spec.namespaces.ipc,
    )
    return ("label=disable",) if sees_the_host else ()


def _paths(
    security: Security, asked: tuple[str, ...] | None, default: tuple[str, ...]
) -> list[str] | None:
    if asked is not None:
        return list(asked)
    return None if security.is_privileged else list(default)


# -- networks --------------------------------------------------------------------------------


def to_network_settings(details: ContainerDetails) -> NetworkSettings:
    """How the container is connected; the first bridge endpoint is repeated at the top."""
    container = details.container
    is_alive = container.status.state in (ContainerState.RUNNING, ContainerState.PAUSED)
    settings = NetworkSettings(
        SandboxID=_sandbox_id(details.sandbox_path),
        SandboxKey=details.sandbox_path,
        Networks=to_endpoints(container),
    )
    if is_alive:
        published = [each for endpoint in container.endpoints for each in endpoint.published]
        settings.Ports = published_texts(container.spec.network.exposed, published)
    for endpoint in container.endpoints:
        if endpoint.network_name == "bridge":
            settings.EndpointID = endpoint.endpoint_id
            settings.Gateway = endpoint.gateway
            settings.IPAddress = endpoint.address
            settings.IPPrefixLen = endpoint.prefix_length
            settings.MacAddress = endpoint.mac_address
            settings.GlobalIPv6Address = endpoint.ipv6_address
            settings.GlobalIPv6PrefixLen = endpoint.ipv6_prefix_length
            settings.IPv6Gateway = endpoint.ipv6_gateway
    return settings


def _sandbox_id(path: str) -> str:
    return path.rpartition("/")[2] if path else ""


def to_endpoints(container: Container) -> dict[str, shapes.EndpointSettings]:
    """The networks of a container, by name."""
    network = container.spec.network
    wishes = {each.network: each for each in network.endpoints}
    return {
        endpoint.network_name: to_endpoint_settings(
            endpoint,
            wishes.get(endpoint.network_name) or wishes.get(endpoint.network_id),
            network.mac_address if endpoint.network_name == _mode_name(container) else "",
        )
        for endpoint in container.endpoints
    }


def _mode_name(container: Container) -> str:
    """The network of the container's mode, as its endpoint calls it."""
    mode = container.spec.network.mode
    return mode.reference or "bridge"
