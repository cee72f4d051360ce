"""Answers about the engine as a whole, its events, and errors."""

from msgspec import UNSET, Struct, UnsetType, field

from wherry.wire.builds import CacheRow
from wherry.wire.containers import Summary
from wherry.wire.images import Deletion, ImageSummary
from wherry.wire.volumes import VolumeAnswer


class ErrorAnswer(Struct):
    """Why a request failed."""

    message: str


# -- version ---------------------------------------------------------------------------------


class Component(Struct):
    """A part of the engine."""

    Name: str
    Version: str
    Details: dict[str, str]


class PlatformName(Struct):
    """What the product is called."""

    Name: str


class VersionAnswer(Struct, kw_only=True):
    """Which engine this is."""

    Platform: PlatformName
    Components: list[Component]
    Version: str
    ApiVersion: str
    MinAPIVersion: str
    GitCommit: str
    GoVersion: str
    Os: str
    Arch: str
    KernelVersion: str
    BuildTime: str


# -- info ------------------------------------------------------------------------------------


class Plugins(Struct):
    """Drivers by kind."""

    Volume: list[str]
    Network: list[str]
    Authorization: list[str] | None
    Log: list[str]


class Commit(Struct):
    """The version of a part."""

    ID: str


class Runtime(Struct):
    """A low-level runtime."""

    path: str
    runtimeArgs: list[str] | UnsetType = UNSET


class SwarmInfo(Struct):
    """The place in a cluster: none."""

    NodeID: str = ""
    NodeAddr: str = ""
    LocalNodeState: str = "inactive"
    ControlAvailable: bool = False
    Error: str = ""
    RemoteManagers: list[str] | None = None


class Index(Struct):
    """A registry."""

    Name: str
    Mirrors: list[str]
    Secure: bool
    Official: bool


class RegistryConfig(Struct):
    """How registries are reached."""

    InsecureRegistryCIDRs: list[str]
    IndexConfigs: dict[str, Index]
    Mirrors: list[str]


class FirewallBackend(Struct):
    """What filters packets."""

    Driver: str


class InfoAnswer(Struct, kw_only=True):
    """Facts of engine and host."""

    ID: str
    Containers: int
    ContainersRunning: int
    ContainersPaused: int
    ContainersStopped: int
    Images: int
    Driver: str
    DriverStatus: list[tuple[str, str]]
    Plugins: Plugins
    MemoryLimit: bool
    SwapLimit: bool
    CpuCfsPeriod: bool
    CpuCfsQuota: bool
    CPUShares: bool
    CPUSet: bool
    PidsLimit: bool
    IPv4Forwarding: bool
    Debug: bool
    NFd: int
    OomKillDisable: bool
    NGoroutines: int
    SystemTime: str
    LoggingDriver: str
    CgroupDriver: str
    CgroupVersion: str
    NEventsListener: int
    KernelVersion: str
    OperatingSystem: str
    OSVersion: str
    OSType: str = "linux"
    Architecture: str
    IndexServerAddress: str = "https://index.docker.io/v1/"
    RegistryConfig: RegistryConfig
    NCPU: int
    MemTotal: int
    GenericResources: list[str] | None = None
    DockerRootDir: str
    HttpProxy: str = ""
    HttpsProxy: str = ""
    NoProxy: str = ""
    Name: str
    Labels: list[str]
    ExperimentalBuild: bool = False
    ServerVersion: str
    Runtimes: dict[str, Runtime]
    DefaultRuntime: str
    Swarm: SwarmInfo = field(default_factory=SwarmInfo)
    LiveRestoreEnabled: bool = True
    Isolation: str = ""
    InitBinary: str
    ContainerdCommit: Commit
    RuncCommit: Commit
    InitCommit: Commit
    SecurityOptions: list[str]
    FirewallBackend: FirewallBackend
    CDISpecDirs: list[str] = field(default_factory=list)
    Warnings: list[str] | None


# -- disk usage ------------------------------------------------------------------------------


class DiskUsageAnswer(Struct, kw_only=True):
    """What takes space; null for kinds that were not asked for."""

    LayersSize: int = 0
    Images: list[ImageSummary] | None = None
    Containers: list[Summary] | None = None
    Volumes: list[VolumeAnswer] | None = None
    BuildCache: list[CacheRow] | None = None


# -- prunes ----------------------------------------------------------------------------------


class ContainersPruned(Struct):
    """Containers that went."""

    ContainersDeleted: list[str] | None
    SpaceReclaimed: int


class ImagesPruned(Struct):
    """Images that went, step by step."""

    ImagesDeleted: list[Deletion] | None
    SpaceReclaimed: int


class NetworksPruned(Struct):
    """Networks that went, by name."""

    NetworksDeleted: list[str] | None


class BuildCachePruned(Struct):
    """Entries of the build cache that went."""

    CachesDeleted: list[str] | None
    SpaceReclaimed: int


# -- events ----------------------------------------------------------------------------------


class Actor(Struct):
    """What something happened to."""

    ID: str
    Attributes: dict[str, str]


class EventMessage(Struct, kw_only=True):
    """Something happened."""

    status: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    from_: str | UnsetType = field(default=UNSET, name="from")
    Type: str
    Action: str
    Actor: Actor
    scope: str
    time: int
    timeNano: int
