"""Answers about containers, and the small requests."""

from msgspec import UNSET, Struct, UnsetType, field

from wherry.wire.container_config import Config, EndpointSettings, HostPort, HostShape


class CreateAnswer(Struct):
    """A container was made."""

    Id: str
    Warnings: list[str]


class HealthResult(Struct):
    """One probe."""

    Start: str
    End: str
    ExitCode: int
    Output: str


class HealthShape(Struct):
    """What the probes of a container said."""

    Status: str
    FailingStreak: int
    Log: list[HealthResult]


class State(Struct, kw_only=True):
    """Where a container is."""

    Status: str
    Running: bool
    Paused: bool
    Restarting: bool
    OOMKilled: bool
    Dead: bool
    Pid: int
    ExitCode: int
    Error: str
    StartedAt: str
    FinishedAt: str
    Health: HealthShape | UnsetType = UNSET


class MountPoint(Struct, kw_only=True):
    """A mount as inspection shows it."""

    Type: str
    Name: str | UnsetType = UNSET
    Source: str
    Destination: str
    Driver: str | UnsetType = UNSET
    Mode: str
    RW: bool
    Propagation: str


class GraphDriver(Struct):
    """Where the file system is kept."""

    Data: dict[str, str] | None
    Name: str


class NetworkSettings(Struct, kw_only=True):
    """How a container is connected now."""

    Bridge: str = ""
    SandboxID: str = ""
    SandboxKey: str = ""
    Ports: dict[str, list[HostPort] | None] = field(default_factory=dict)
    HairpinMode: bool = False
    LinkLocalIPv6Address: str = ""
    LinkLocalIPv6PrefixLen: int = 0
    SecondaryIPAddresses: list[str] | None = None
    SecondaryIPv6Addresses: list[str] | None = None
    EndpointID: str = ""
    Gateway: str = ""
    GlobalIPv6Address: str = ""
    GlobalIPv6PrefixLen: int = 0
    IPAddress: str = ""
    IPPrefixLen: int = 0
    IPv6Gateway: str = ""
    MacAddress: str = ""
    Networks: dict[str, EndpointSettings] = field(default_factory=dict)


class Delivery(Struct):
    """Not Docker's: lines that the receiver of a log got, and those that it never will."""

    Sent: int
    Dropped: int
    Problem: str


class InspectAnswer(Struct, kw_only=True):
    """Everything about one container."""

    Id: str
    Created: str
    Path: str
    Args: list[str]
    State: State
    Image: str
    ResolvConfPath: str
    HostnamePath: str
    HostsPath: str
    LogPath: str
    Name: str
    RestartCount: int
    Driver: str
    Platform: str
    MountLabel: str = ""
    ProcessLabel: str = ""
    AppArmorProfile: str = ""
    ExecIDs: list[str] | None
    HostConfig: HostShape
    GraphDriver: GraphDriver
    SizeRw: int | UnsetType = UNSET
    SizeRootFs: int | UnsetType = UNSET
    Mounts: list[MountPoint]
    Config: Config
    NetworkSettings: NetworkSettings
    LogDelivery: Delivery | UnsetType = UNSET
    """Of containers whose log driver has a receiver elsewhere."""


# -- lists -----------------------------------------------------------------------------------


class SummaryPort(Struct, kw_only=True):
    """A port in a list: published, or only exposed."""

    IP: str | UnsetType = UNSET
    PrivatePort: int
    PublicPort: int | UnsetType = UNSET
    Type: str


class SummaryHostConfig(Struct):
    """What a list shows of the host configuration."""

    NetworkMode: str
    Annotations: dict[str, str] | UnsetType = UNSET


class SummaryNetworkSettings(Struct):
    """What a list shows of the networks."""

    Networks: dict[str, EndpointSettings]


class Summary(Struct, kw_only=True):
    """A container in a list."""

    Id: str
    Names: list[str]
    Image: str
    ImageID: str
    Command: str
    Created: int
    Ports: list[SummaryPort]
    SizeRw: int | UnsetType = UNSET
    SizeRootFs: int | UnsetType = UNSET
    Labels: dict[str, str]
    State: str
    Status: str
    HostConfig: SummaryHostConfig
    NetworkSettings: SummaryNetworkSettings
    Mounts: list[MountPoint]


# -- the rest --------------------------------------------------------------------------------


class WaitError(Struct):
    """Why the true exit code is not known."""

    Message: str


class WaitAnswer(Struct):
    """The end of a container."""

    StatusCode: int
    Error: WaitError | UnsetType = UNSET


class TopAnswer(Struct):
    """The processes of a container, as `ps` showed them."""

    Processes: list[list[str]]
    Titles: list[str]
