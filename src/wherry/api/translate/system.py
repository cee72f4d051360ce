"""From facts about engine and host to `info`, `version` and the event stream."""

from msgspec import UNSET

from wherry.kit.timestamps import NANOSECONDS, rfc3339_nano
from wherry.model.events import Event
from wherry.model.queries import EngineInfo
from wherry.wire import system as shapes
from wherry.wire.versions import NEWEST, OLDEST

_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""The kernel's names and Go's."""


def to_info_answer(info: EngineInfo) -> shapes.InfoAnswer:
    """`info`."""
    offers = info.limits.get
    return shapes.InfoAnswer(
        ID=info.id,
        Containers=info.containers_running + info.containers_paused + info.containers_stopped,
        ContainersRunning=info.containers_running,
        ContainersPaused=info.containers_paused,
        ContainersStopped=info.containers_stopped,
        Images=info.images,
        Driver=info.storage_driver,
        DriverStatus=list(info.storage_status),
        Plugins=shapes.Plugins(
            Volume=list(info.volume_drivers),
            Network=list(info.network_drivers),
            Authorization=None,
            Log=list(info.log_drivers),
        ),
        MemoryLimit=offers("memory", False),
        SwapLimit=offers("swap", False),
        CpuCfsPeriod=offers("cpu_quota", False),
        CpuCfsQuota=offers("cpu_quota", False),
        CPUShares=offers("cpu_shares", False),
        CPUSet=offers("cpuset", False),
        PidsLimit=offers("pids", False),
        IPv4Forwarding=offers("ipv4_forwarding", False),
        Debug=info.is_debug,
        NFd=info.open_files,
        OomKillDisable=offers("oom_kill_disable", False),
        NGoroutines=info.tasks,
        SystemTime=rfc3339_nano(info.system_time_ns),
        LoggingDriver=info.log_driver,
        CgroupDriver=info.cgroup_driver,
        CgroupVersion=info.cgroup_version,
        NEventsListener=info.event_listeners,
        KernelVersion=info.kernel_version,
        OperatingSystem=info.operating_system,
        OSVersion=info.os_version,
        Architecture=info.architecture,
        RegistryConfig=_registries(info),
        NCPU=info.processors,
        MemTotal=info.memory_bytes,
        DockerRootDir=info.data_root,
        Name=info.host_name,
        Labels=list(info.labels),
        ServerVersion=info.version,
        Runtimes={
            name: shapes.Runtime(path=path, runtimeArgs=arguments or UNSET)
            for name, (path, *arguments) in info.runtimes.items()
        },
        DefaultRuntime=info.default_runtime,
        InitBinary=info.init_path,
        ContainerdCommit=shapes.Commit(ID=""),
        RuncCommit=shapes.Commit(ID=info.version),
        InitCommit=shapes.Commit(ID=info.init_version),
        HttpProxy=without_credentials(info.http_proxy),
        HttpsProxy=without_credentials(info.https_proxy),
        NoProxy=info.no_proxy,
        ExperimentalBuild=info.is_experimental,
        SecurityOptions=list(info.security_options),
        FirewallBackend=shapes.FirewallBackend(Driver="nftables"),
        Warnings=list(info.warnings) or None,
    )


def without_credentials(url: str) -> str:
    """A proxy's URL as everybody may see it: name and password masked, as Docker does."""
    scheme, separator, rest = url.partition("://")
    authority, at, host = rest.rpartition("@")
    return f"{scheme}{separator}xxxxx:xxxxx@{host}" if authority or at else url


def _registries(info: EngineInfo) -> shapes.RegistryConfig:
    """Networks by their addresses, hosts by name; loopback needs no certificate, as in Docker."""
    mirrors, insecure = list(info.registry_mirrors), info.insecure_registries
    hub = shapes.Index(Name="docker.io", Mirrors=mirrors, Secure=True, Official=True)
    hosts = [each for each in insecure if "/" not in each]
    return shapes.RegistryConfig(
        InsecureRegistryCIDRs=["::1/128", "127.0.0.0/8", *(x for x in insecure if "/" in x)],
        IndexConfigs={
            "docker.io": hub,
            **{
                host: shapes.Index(Name=host, Mirrors=[], Secure=False, Official=False)
                for host in hosts
            },
        },
        Mirrors=mirrors,
    )


def to_version_answer(info: EngineInfo) -> shapes.VersionAnswer:
    """`version`. GoVersion is empty: there is no Go in this engine."""
    architecture = _GO_ARCHITECTURES.get(info.architecture, info.architecture)
    engine = shapes.Component(
        Name="Engine",
        Version=info.version,
        Details={
            "ApiVersion": str(NEWEST),
            "Arch": architecture,
            "BuildTime": info.build_time,
            "Experimental": "true" if info.is_experimental else "false",
            "GitCommit": info.git_commit,
            "GoVersion": "",
            "KernelVersion": info.kernel_version,
            "MinAPIVersion": str(OLDEST),
            "Os": "linux",
        },
    )
    parts = [shapes.Component(Name=name, Version=version, Details={"GitCommit": ""})
             for name, version in info.components]  # fmt: skip
    return shapes.VersionAnswer(
        Platform=shapes.PlatformName(Name="Wherry"),
        Components=[engine, *parts],
        Version=info.version,
        ApiVersion=str(NEWEST),
        MinAPIVersion=str(OLDEST),
        GitCommit=info.git_commit,
        GoVersion="",
        Os="linux",
        Arch=architecture,
        KernelVersion=info.kernel_version,
        BuildTime=info.build_time,
    )


def to_event_message(event: Event) -> shapes.EventMessage:
    """An event; containers and images repeat themselves in the fields of old clients."""
    message = shapes.EventMessage(
        Type=event.kind,
        Action=event.action,
        Actor=shapes.Actor(ID=event.actor_id, Attributes=dict(event.attributes)),
        scope="local",
        time=event.at_ns // NANOSECONDS,
        timeNano=event.at_ns,
    )
    if event.kind in ("container", "image"):
        message.status, message.id = event.action, event.actor_id
    if event.kind == "container":
        message.from_ = event.attributes.get("image", UNSET)
    return message
