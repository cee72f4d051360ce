"""What a container is made from: the shapes that creation takes and inspection gives back."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Empty(Struct, forbid_unknown_fields=True):
    """`{}`: a member of a set that is written as a map."""


class HealthConfig(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How the container's health is to be probed; times in nanoseconds."""

    Test: list[str] | None = None
    Interval: Int64 = 0
    Timeout: Int64 = 0
    StartPeriod: Int64 = 0
    StartInterval: Int64 = 0
    Retries: Int64 = 0


class Config(Struct, forbid_unknown_fields=True, kw_only=True):
    """The part of a container's configuration that is independent of the host."""

    Hostname: str = ""
    Domainname: str = ""
    User: str = ""
    AttachStdin: bool = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    ExposedPorts: dict[str, Empty] | UnsetType | None = UNSET
    Tty: bool = False
    OpenStdin: bool = False
    StdinOnce: bool = False
    Env: list[str] | None = None
    Cmd: list[str] | str | None = None
    Healthcheck: HealthConfig | UnsetType | None = UNSET
    ArgsEscaped: bool | UnsetType | None = UNSET
    Image: str = ""
    Volumes: dict[str, Empty] | None = None
    WorkingDir: str = ""
    Entrypoint: list[str] | str | None = None
    NetworkDisabled: bool | UnsetType | None = UNSET
    MacAddress: str | UnsetType | None = UNSET
    OnBuild: list[str] | None = None
    Labels: dict[str, str] | None = None
    StopSignal: str | UnsetType | None = UNSET
    StopTimeout: Int64 | UnsetType | None = UNSET
    Shell: list[str] | UnsetType | None = UNSET


# -- the host's part -------------------------------------------------------------------------


class LogShape(Struct, forbid_unknown_fields=True):
    """Where the output goes."""

    Type: str = ""
    Config: dict[str, str] | None = field(default_factory=dict)


class HostPort(Struct, forbid_unknown_fields=True):
    """One host side of a published port."""

    HostIp: str = ""
    HostPort: str = ""


class RestartShape(Struct, forbid_unknown_fields=True):
    """What happens after the container's end."""

    Name: str = "no"
    MaximumRetryCount: Int64 = 0


class Ulimit(Struct, forbid_unknown_fields=True):
    """A resource limit."""

    Name: str = ""
    Hard: Int64 = 0
    Soft: Int64 = 0


class BindShape(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a bind mount."""

    Propagation: str = ""
    NonRecursive: bool = False
    CreateMountpoint: bool = False
    ReadOnlyNonRecursive: bool = False
    ReadOnlyForceRecursive: bool = False


class DriverShape(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The driver of a volume that has to be made."""

    Name: str = ""
    Options: dict[str, str] | None = None


class VolumeShape(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a volume."""

    NoCopy: bool = False
    Labels: dict[str, str] | None = None
    Subpath: str = ""
    DriverConfig: DriverShape | None = None


class TmpfsShape(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a temporary file system."""

    SizeBytes: Int64 = 0
    Mode: Int64 = 0
    Options: list[list[str]] | None = None


class ImageShape(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Options of an image's files."""

    Subpath: str = ""


class Mount(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A mount as `--mount` asks for it."""

    Type: str = ""
    Source: str = ""
    Target: str = ""
    ReadOnly: bool = False
    Consistency: str = ""
    BindOptions: BindShape | None = None
    VolumeOptions: VolumeShape | None = None
    ImageOptions: ImageShape | None = None
    TmpfsOptions: TmpfsShape | None = None
    ClusterOptions: dict[str, Any] | None = None


class DeviceWeight(Struct, forbid_unknown_fields=True):
    """A block device's share."""

    Path: str = ""
    Weight: Int64 = 0


class DeviceRate(Struct, forbid_unknown_fields=True):
    """The most that a block device does in a second."""

    Path: str = ""
    Rate: Int64 = 0


class DeviceMapping(Struct, forbid_unknown_fields=True):
    """A device of the host in the container."""

    PathOnHost: str = ""
    PathInContainer: str = ""
    CgroupPermissions: str = ""


class DeviceRequest(Struct, forbid_unknown_fields=True):
    """Devices that a driver is to choose."""

    Driver: str = ""
    Count: Int64 = 0
    DeviceIDs: list[str] | None = None
    Capabilities: list[list[str]] | None = None
    Options: dict[str, str] | None = None


class HostShape(Struct, forbid_unknown_fields=True, kw_only=True):
    """The part of a container's configuration that depends on the host."""

    Binds: list[str] | None = None
    ContainerIDFile: str = ""
    LogConfig: LogShape = field(default_factory=LogShape)
    NetworkMode: str = ""
    PortBindings: dict[str, list[HostPort] | None] | None = field(default_factory=dict)
    RestartPolicy: RestartShape = field(default_factory=RestartShape)
    AutoRemove: bool = False
    VolumeDriver: str = ""
    VolumesFrom: list[str] | None = None
    ConsoleSize: list[Int64] | None = field(default_factory=lambda: [0, 0])
    Annotations: dict[str, str] | UnsetType | None = UNSET
    CapAdd: list[str] | None = None
    CapDrop: list[str] | None = None
    CgroupnsMode: str = ""
    Dns: list[str] | None = field(default_factory=list)
    DnsOptions: list[str] | None = field(default_factory=list)
    DnsSearch: list[str] | None = field(default_factory=list)
    ExtraHosts: list[str] | None = None
    GroupAdd: list[str] | None = None
    IpcMode: str = ""
    Cgroup: str = ""
    Links: list[str] | None = None
    OomScoreAdj: Int64 = 0
    PidMode: str = ""
    Privileged: bool = False
    PublishAllPorts: bool = False
    ReadonlyRootfs: bool = False
    SecurityOpt: list[str] | None = None
    StorageOpt: dict[str, str] | UnsetType | None = UNSET
    Tmpfs: dict[str, str] | UnsetType | None = UNSET
    UTSMode: str = ""
    UsernsMode: str = ""
    ShmSize: Int64 = 0
    Sysctls: dict[str, str] | UnsetType | None = UNSET
    Runtime: str = ""
    Isolation: str = ""
    CpuShares: Int64 = 0
    Memory: Int64 = 0
    NanoCpus: Int64 = 0
    CgroupParent: str = ""
    BlkioWeight: Int64 = 0
    BlkioWeightDevice: list[DeviceWeight] | None = field(default_factory=list)
    BlkioDeviceReadBps: list[DeviceRate] | None = field(default_factory=list)
    BlkioDeviceWriteBps: list[DeviceRate] | None = field(default_factory=list)
    BlkioDeviceReadIOps: list[DeviceRate] | None = field(default_factory=list)
    BlkioDeviceWriteIOps: list[DeviceRate] | None = field(default_factory=list)
    CpuPeriod: Int64 = 0
    CpuQuota: Int64 = 0
    CpuRealtimePeriod: Int64 = 0
    CpuRealtimeRuntime: Int64 = 0
    CpusetCpus: str = ""
    CpusetMems: str = ""
    Devices: list[DeviceMapping] | None = field(default_factory=list)
    DeviceCgroupRules: list[str] | None = None
    DeviceRequests: list[DeviceRequest] | None = None
    KernelMemory: Int64 | UnsetType = UNSET
    KernelMemoryTCP: Int64 | UnsetType = UNSET
    MemoryReservation: Int64 = 0
    MemorySwap: Int64 = 0
    MemorySwappiness: Int64 | None = None
    OomKillDisable: bool | None = None
    PidsLimit: Int64 | None = None
    Ulimits: list[Ulimit] | None = field(default_factory=list)
    CpuCount: Int64 = 0
    CpuPercent: Int64 = 0
    IOMaximumIOps: Int64 = 0
    IOMaximumBandwidth: Int64 = 0
    Mounts: list[Mount] | UnsetType | None = UNSET
    MaskedPaths: list[str] | None = None
    ReadonlyPaths: list[str] | None = None
    Init: bool | UnsetType | None = UNSET


# -- networks --------------------------------------------------------------------------------


class EndpointSettings(Struct, forbid_unknown_fields=True, kw_only=True):
    """A container on a network: what was wished and what came of it."""

    IPAMConfig: dict[str, Any] | None = None
    Links: list[str] | None = None
    Aliases: list[str] | None = None
    MacAddress: str = ""
    DriverOpts: dict[str, str] | None = None
    GwPriority: Int64 = 0
    NetworkID: str = ""
    EndpointID: str = ""
    Gateway: str = ""
    IPAddress: str = ""
    IPPrefixLen: Int64 = 0
    IPv6Gateway: str = ""
    GlobalIPv6Address: str = ""
    GlobalIPv6PrefixLen: Int64 = 0
    DNSNames: list[str] | None = None


class NetworkingShape(Struct, forbid_unknown_fields=True):
    """The networks that a new container is connected to."""

    EndpointsConfig: dict[str, EndpointSettings | None] | None = None


class CreateRequest(Config, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /containers/create`: a Config with the two other parts in it."""

    HostConfig: HostShape | None = None
    NetworkingConfig: NetworkingShape | None = None


# -- changes ---------------------------------------------------------------------------------


class UpdateRequest(HostShape, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /containers/{id}/update`: limits, and a policy that has a name."""

    RestartPolicy: RestartShape = field(default_factory=lambda: RestartShape(Name=""))
    PublishAdd: dict[str, list[HostPort] | None] = field(default_factory=dict)
    """Wherry's own: ports to publish besides."""
    PublishRm: list[str] = field(default_factory=list)
    """Wherry's own: ports to publish no longer, `[ADDRESS:]HOSTPORT[:PORT][/udp]`."""
    KeepFlows: bool = False


class UpdateAnswer(Struct):
    """What could not hold; null when all does."""

    Warnings: list[str] | None = None
