"""The Go types of the documents that `inspect`, `info`, `version` and `events` print.

A template that Docker's CLI runs on a typed value must give the same here: field names in Go's
spelling (`.ID` where the document has "Id"), fields that the document lacks, the order in which
`json` and `print` show them, and errors that name the type. Each line of the schema is one field:
its Go name, its type, its name in JSON where that is another, and `omit` for omitempty. A name
with `:` is a named type over a plain one; `embed` stands for an embedded struct.
"""

import re
from collections.abc import Iterator
from functools import cache

from wherry.cli.templates.values import (
    ANY,
    BOOL,
    FLOAT64,
    INT,
    INT64,
    STRING,
    Datum,
    GoType,
    Kind,
    StructField,
    map_of,
    pointer_to,
    slice_of,
)
from wherry.kit.durations import duration_text

_SCHEMA = """
container.InspectResponse
 embed *container.ContainerJSONBase
 Mounts []container.MountPoint
 Config *container.Config
 NetworkSettings *container.NetworkSettings
 ImageManifestDescriptor *v1.Descriptor omit

container.ContainerJSONBase
 ID string Id
 Created string
 Path string
 Args []string
 State *container.State
 Image string
 ResolvConfPath string
 HostnamePath string
 HostsPath string
 LogPath string
 Name string
 RestartCount int
 Driver string
 Platform string
 MountLabel string
 ProcessLabel string
 AppArmorProfile string
 ExecIDs []string
 HostConfig *container.HostConfig
 GraphDriver storage.DriverData
 SizeRw *int64 omit
 SizeRootFs *int64 omit

container.State
 Status string
 Running bool
 Paused bool
 Restarting bool
 OOMKilled bool
 Dead bool
 Pid int
 ExitCode int
 Error string
 StartedAt string
 FinishedAt string
 Health *container.Health omit

container.Health
 Status string
 FailingStreak int
 Log []*container.HealthcheckResult

container.HealthcheckResult
 Start time.Time
 End time.Time
 ExitCode int
 Output string

storage.DriverData
 Data map[string]string
 Name string

container.MountPoint
 Type mount.Type:string omit
 Name string omit
 Source string
 Destination string
 Driver string omit
 Mode string
 RW bool
 Propagation mount.Propagation:string

container.Config
 Hostname string
 Domainname string
 User string
 AttachStdin bool
 AttachStdout bool
 AttachStderr bool
 ExposedPorts nat.PortSet omit
 Tty bool
 OpenStdin bool
 StdinOnce bool
 Env []string
 Cmd strslice.StrSlice
 Healthcheck *v1.HealthcheckConfig omit
 ArgsEscaped bool omit
 Image string
 Volumes map[string]struct{}
 WorkingDir string
 Entrypoint strslice.StrSlice
 NetworkDisabled bool omit
 MacAddress string omit
 OnBuild []string
 Labels map[string]string
 StopSignal string omit
 StopTimeout *int omit
 Shell strslice.StrSlice omit

v1.HealthcheckConfig
 Test []string omit
 Interval time.Duration omit
 Timeout time.Duration omit
 StartPeriod time.Duration omit
 StartInterval time.Duration omit
 Retries int omit

container.HostConfig
 Binds []string
 ContainerIDFile string
 LogConfig container.LogConfig
 NetworkMode container.NetworkMode:string
 PortBindings nat.PortMap
 RestartPolicy container.RestartPolicy
 AutoRemove bool
 VolumeDriver string
 VolumesFrom []string
 ConsoleSize [2]uint
 Annotations map[string]string omit
 CapAdd strslice.StrSlice
 CapDrop strslice.StrSlice
 CgroupnsMode container.CgroupnsMode:string
 DNS []string Dns
 DNSOptions []string DnsOptions
 DNSSearch []string DnsSearch
 ExtraHosts []string
 GroupAdd []string
 IpcMode container.IpcMode:string
 Cgroup container.CgroupSpec:string
 Links []string
 OomScoreAdj int
 PidMode container.PidMode:string
 Privileged bool
 PublishAllPorts bool
 ReadonlyRootfs bool
 SecurityOpt []string
 StorageOpt map[string]string omit
 Tmpfs map[string]string omit
 UTSMode container.UTSMode:string
 UsernsMode container.UsernsMode:string
 ShmSize int64
 Sysctls map[string]string omit
 Runtime string omit
 Isolation container.Isolation:string
 embed container.Resources
 Mounts []mount.Mount omit
 MaskedPaths []string
 ReadonlyPaths []string
 Init *bool omit

container.LogConfig
 Type string
 Config map[string]string

container.RestartPolicy
 Name container.RestartPolicyMode:string
 MaximumRetryCount int

container.Resources
 CPUShares int64 CpuShares
 Memory int64
 NanoCPUs int64 NanoCpus
 CgroupParent string
 BlkioWeight uint16
 BlkioWeightDevice []*blkiodev.WeightDevice
 BlkioDeviceReadBps []*blkiodev.ThrottleDevice
 BlkioDeviceWriteBps []*blkiodev.ThrottleDevice
 BlkioDeviceReadIOps []*blkiodev.ThrottleDevice
 BlkioDeviceWriteIOps []*blkiodev.ThrottleDevice
 CPUPeriod int64 CpuPeriod
 CPUQuota int64 CpuQuota
 CPURealtimePeriod int64 CpuRealtimePeriod
 CPURealtimeRuntime int64 CpuRealtimeRuntime
 CpusetCpus string
 CpusetMems string
 Devices []container.DeviceMapping
 DeviceCgroupRules []string
 DeviceRequests []container.DeviceRequest
 KernelMemory int64 omit
 KernelMemoryTCP int64 omit
 MemoryReservation int64
 MemorySwap int64
 MemorySwappiness *int64
 OomKillDisable *bool
 PidsLimit *int64
 Ulimits []*units.Ulimit
 CPUCount int64 CpuCount
 CPUPercent int64 CpuPercent
 IOMaximumIOps uint64
 IOMaximumBandwidth uint64

blkiodev.WeightDevice
 Path string
 Weight uint16

blkiodev.ThrottleDevice
 Path string
 Rate uint64

container.DeviceMapping
 PathOnHost string
 PathInContainer string
 CgroupPermissions string

container.DeviceRequest
 Driver string
 Count int
 DeviceIDs []string
 Capabilities [][]string
 Options map[string]string

units.Ulimit
 Name string
 Hard int64
 Soft int64

mount.Mount
 Type mount.Type:string omit
 Source string omit
 Target string omit
 ReadOnly bool omit
 Consistency mount.Consistency:string omit
 BindOptions *mount.BindOptions omit
 VolumeOptions *mount.VolumeOptions omit
 ImageOptions *mount.ImageOptions omit
 TmpfsOptions *mount.TmpfsOptions omit
 ClusterOptions *mount.ClusterOptions omit

mount.ClusterOptions

mount.BindOptions
 Propagation mount.Propagation:string omit
 NonRecursive bool omit
 CreateMountpoint bool omit
 ReadOnlyNonRecursive bool omit
 ReadOnlyForceRecursive bool omit

mount.VolumeOptions
 NoCopy bool omit
 Labels map[string]string omit
 Subpath string omit
 DriverConfig *mount.Driver omit

mount.Driver
 Name string omit
 Options map[string]string omit

mount.ImageOptions
 Subpath string omit

mount.TmpfsOptions
 SizeBytes int64 omit
 Mode fs.FileMode:uint32 omit
 Options [][]string omit

container.NetworkSettings
 embed container.NetworkSettingsBase
 embed container.DefaultNetworkSettings
 Networks map[string]*network.EndpointSettings

container.NetworkSettingsBase
 Bridge string
 SandboxID string
 SandboxKey string
 Ports nat.PortMap
 HairpinMode bool
 LinkLocalIPv6Address string
 LinkLocalIPv6PrefixLen int
 SecondaryIPAddresses []network.Address
 SecondaryIPv6Addresses []network.Address

container.DefaultNetworkSettings
 EndpointID string
 Gateway string
 GlobalIPv6Address string
 GlobalIPv6PrefixLen int
 IPAddress string
 IPPrefixLen int
 IPv6Gateway string
 MacAddress string

network.Address
 Addr string
 PrefixLen int

network.EndpointSettings
 IPAMConfig *network.EndpointIPAMConfig
 Links []string
 Aliases []string
 MacAddress string
 DriverOpts map[string]string
 GwPriority int
 NetworkID string
 EndpointID string
 Gateway string
 IPAddress string
 IPPrefixLen int
 IPv6Gateway string
 GlobalIPv6Address string
 GlobalIPv6PrefixLen int
 DNSNames []string

network.EndpointIPAMConfig
 IPv4Address string omit
 IPv6Address string omit
 LinkLocalIPs []string omit

nat.PortBinding
 HostIP string HostIp
 HostPort string

v1.Descriptor
 MediaType string mediaType
 Digest digest.Digest:string digest
 Size int64 size
 URLs []string urls omit
 Annotations map[string]string annotations omit
 Data []uint8 data omit
 Platform *v1.Platform platform omit
 ArtifactType string artifactType omit

v1.Platform
 Architecture string architecture
 OS string os
 OSVersion string os.version omit
 OSFeatures []string os.features omit
 Variant string variant omit

image.InspectResponse
 ID string Id
 RepoTags []string
 RepoDigests []string
 Parent string
 Comment string
 Created string omit
 Container string omit
 ContainerConfig *container.Config omit
 DockerVersion string
 Author string
 Config *v1.DockerOCIImageConfig
 Architecture string
 Variant string omit
 Os string
 OsVersion string omit
 Size int64
 VirtualSize int64 omit
 GraphDriver storage.DriverData
 RootFS image.RootFS
 Metadata image.Metadata
 Descriptor *v1.Descriptor omit
 Manifests []image.ManifestSummary omit

v1.DockerOCIImageConfig
 embed v1.ImageConfig
 embed v1.DockerOCIImageConfigExt

v1.ImageConfig
 User string omit
 ExposedPorts map[string]struct{} omit
 Env []string omit
 Entrypoint []string omit
 Cmd []string omit
 Volumes map[string]struct{} omit
 WorkingDir string omit
 Labels map[string]string omit
 StopSignal string omit
 ArgsEscaped bool omit

v1.DockerOCIImageConfigExt
 Healthcheck *v1.HealthcheckConfig omit
 OnBuild []string omit
 Shell []string omit

image.RootFS
 Type string omit
 Layers []string omit

image.Metadata
 LastTagTime time.Time

image.ManifestSummary
 ID string
 Descriptor v1.Descriptor
 Available bool
 Size image.ManifestSize
 Kind image.ManifestKind:string

image.ManifestSize
 Content int64
 Total int64

network.Inspect
 Name string
 ID string Id
 Created time.Time
 Scope string
 Driver string
 EnableIPv4 bool
 EnableIPv6 bool
 IPAM network.IPAM
 Internal bool
 Attachable bool
 Ingress bool
 ConfigFrom network.ConfigReference
 ConfigOnly bool
 Containers map[string]network.EndpointResource
 Options map[string]string
 Labels map[string]string
 Peers []network.PeerInfo omit
 Services map[string]network.ServiceInfo omit

volume.Volume
 ClusterVolume *volume.ClusterVolume omit
 CreatedAt string omit
 Driver string
 Labels map[string]string
 Mountpoint string
 Name string
 Options map[string]string
 Scope string
 Status map[string]interface{} omit
 UsageData *volume.UsageData omit

volume.ClusterVolume
 ID string

types.Plugin
 Config types.PluginConfig
 Enabled bool
 ID string Id omit
 Name string
 PluginReference string omit
 Settings types.PluginSettings

types.PluginConfig
 Args types.PluginConfigArgs
 Description string
 DockerVersion string omit
 Documentation string
 Entrypoint []string
 Env []types.PluginEnv
 Interface types.PluginConfigInterface
 IpcHost bool
 Linux types.PluginConfigLinux
 Mounts []types.PluginMount
 Network types.PluginConfigNetwork
 PidHost bool
 PropagatedMount string
 User types.PluginConfigUser omit
 WorkDir string
 Rootfs *types.PluginConfigRootfs rootfs omit

types.PluginConfigArgs
 Description string
 Name string
 Settable []string
 Value []string

types.PluginConfigInterface
 ProtocolScheme string omit
 Socket string
 Types []string

types.PluginConfigLinux
 AllowAllDevices bool
 Capabilities []string
 Devices []types.PluginDevice

types.PluginConfigNetwork
 Type string

types.PluginConfigRootfs
 DiffIds []string diff_ids
 Type string type omit

types.PluginConfigUser
 GID uint32 omit
 UID uint32 omit

types.PluginDevice
 Description string
 Name string
 Path *string
 Settable []string

types.PluginEnv
 Description string
 Name string
 Settable []string
 Value *string

types.PluginMount
 Description string
 Destination string
 Name string
 Options []string
 Settable []string
 Source *string
 Type string

types.PluginSettings
 Args []string
 Devices []types.PluginDevice
 Env []string
 Mounts []types.PluginMount

volume.UsageData
 RefCount int64
 Size int64

network.IPAM
 Driver string
 Options map[string]string
 Config []network.IPAMConfig

network.IPAMConfig
 Subnet string omit
 IPRange string omit
 Gateway string omit
 AuxAddress map[string]string AuxiliaryAddresses omit

network.ConfigReference
 Network string

network.EndpointResource
 Name string
 EndpointID string
 MacAddress string
 IPv4Address string
 IPv6Address string

network.PeerInfo
 Name string
 IP string

network.ServiceInfo
 VIP string
 Ports []string
 LocalLBIndex int
 Tasks []network.Task

network.Task
 Name string
 EndpointID string
 EndpointIP string
 Info map[string]string

system.versionInfo
 Client system.clientVersion
 Server *types.Version

system.clientVersion
 Platform *system.platformInfo omit
 Version string omit
 APIVersion string ApiVersion omit
 DefaultAPIVersion string omit
 GitCommit string
 GoVersion string
 Os string
 Arch string
 BuildTime string omit
 Context string

system.platformInfo
 Name string

types.Version
 Platform system.platformInfo omit
 Components []types.ComponentVersion omit
 Version string
 APIVersion string ApiVersion
 MinAPIVersion string omit
 GitCommit string
 GoVersion string
 Os string
 Arch string
 KernelVersion string omit
 Experimental bool omit
 BuildTime string omit

types.ComponentVersion
 Name string
 Version string
 Details map[string]string omit

system.dockerInfo
 embed *system.Info
 ServerErrors []string omit
 UserName string -
 ClientInfo *system.clientInfo omit
 ClientErrors []string omit

system.clientInfo
 Debug bool
 embed system.clientVersion
 Plugins []interface{}
 Warnings []string

system.Info
 ID string
 Containers int
 ContainersRunning int
 ContainersPaused int
 ContainersStopped int
 Images int
 Driver string
 DriverStatus [][2]string
 SystemStatus [][2]string omit
 Plugins system.PluginsInfo
 MemoryLimit bool
 SwapLimit bool
 KernelMemory bool omit
 KernelMemoryTCP bool omit
 CPUCfsPeriod bool CpuCfsPeriod
 CPUCfsQuota bool CpuCfsQuota
 CPUShares bool
 CPUSet bool
 PidsLimit bool
 IPv4Forwarding bool
 Debug bool
 NFd int
 OomKillDisable bool
 NGoroutines int
 SystemTime string
 LoggingDriver string
 CgroupDriver string
 CgroupVersion string omit
 NEventsListener int
 KernelVersion string
 OperatingSystem string
 OSVersion string
 OSType string
 Architecture string
 IndexServerAddress string
 RegistryConfig *registry.ServiceConfig
 NCPU int
 MemTotal int64
 GenericResources []interface{}
 DockerRootDir string
 HTTPProxy string HttpProxy
 HTTPSProxy string HttpsProxy
 NoProxy string
 Name string
 Labels []string
 ExperimentalBuild bool
 ServerVersion string
 Runtimes map[string]system.RuntimeWithStatus
 DefaultRuntime string
 Swarm swarm.Info
 LiveRestoreEnabled bool
 Isolation container.Isolation:string
 InitBinary string
 ContainerdCommit system.Commit
 RuncCommit system.Commit
 InitCommit system.Commit
 SecurityOptions []string
 ProductLicense string omit
 DefaultAddressPools []system.NetworkAddressPool omit
 FirewallBackend *system.FirewallInfo omit
 CDISpecDirs []string
 DiscoveredDevices []interface{} omit
 Containerd *system.ContainerdInfo omit
 Warnings []string

system.PluginsInfo
 Volume []string
 Network []string
 Authorization []string
 Log []string

system.FirewallInfo
 Driver string
 Info [][2]string omit

system.ContainerdInfo
 Address string omit
 Namespaces system.ContainerdNamespaces

system.ContainerdNamespaces
 Containers string
 Plugins string

system.NetworkAddressPool
 Base string
 Size int

system.RuntimeWithStatus
 Path string path omit
 Args []string runtimeArgs omit
 Type string runtimeType omit
 Options map[string]interface{} options omit
 Status map[string]string status omit

system.Commit
 ID string
 Expected string omit

swarm.Info
 NodeID string
 NodeAddr string
 LocalNodeState swarm.LocalNodeState:string
 ControlAvailable bool
 Error string
 RemoteManagers []interface{}
 Nodes int omit
 Managers int omit
 Cluster *interface{} omit
 Warnings []string omit

registry.ServiceConfig
 AllowNondistributableArtifactsCIDRs []string omit
 AllowNondistributableArtifactsHostnames []string omit
 InsecureRegistryCIDRs []string
 IndexConfigs map[string]*registry.IndexInfo
 Mirrors []string

registry.IndexInfo
 Name string
 Mirrors []string
 Secure bool
 Official bool

events.Message
 Status string status omit
 ID string id omit
 From string from omit
 Type events.Type:string
 Action events.Action:string
 Actor events.Actor
 Scope string scope omit
 Time int64 time omit
 TimeNano int64 timeNano omit

events.Actor
 ID string
 Attributes map[string]string
"""

_EMPTY = GoType(kind=Kind.STRUCT, name="struct {}")
_PLAIN = {
    "string": STRING, "bool": BOOL, "int": INT, "int64": INT64, "float64": FLOAT64,
    "interface{}": ANY, "struct{}": _EMPTY,
}  # fmt: skip
_UNSIGNED = re.compile(r"uint(8|16|32|64)?")


def _duration_text(datum: Datum) -> str:
    """A time.Duration."""
    return duration_text(datum if isinstance(datum, int) else 0)


def _time_text(datum: Datum) -> str:
    """A time.Time as Go's String prints it."""
    text = str(datum)
    moment, zone = (text[:-1], "+0000 UTC") if text.endswith("Z") else (text[:-6], "")
    if not zone:
        offset = text[-6:].replace(":", "")
        zone = f"{offset} {offset}"
    return f"{moment.replace('T', ' ')} {zone}"


def _ulimit_text(datum: Datum) -> str:
    entries = datum if isinstance(datum, dict) else {}
    return f"{entries.get('Name')}={entries.get('Soft')}:{entries.get('Hard')}"


_ZERO_TIME = "0001-01-01T00:00:00Z"


def _blocks() -> Iterator[tuple[str, list[str]]]:
    for block in _SCHEMA.strip().split("\n\n"):
        name, *lines = block.split("\n")
        yield name, lines


@cache
def _types() -> dict[str, GoType]:
    known = dict(_PLAIN)
    known["time.Duration"] = GoType(kind=Kind.INT, name="time.Duration", shows=_duration_text)
    known["time.Time"] = GoType(
        kind=Kind.STRING, name="time.Time", shows=_time_text, zero=_ZERO_TIME
    )
    known["strslice.StrSlice"] = GoType(kind=Kind.SLICE, name="strslice.StrSlice", element=STRING)
    blocks = dict(_blocks())
    for name in blocks:
        known[name] = GoType(kind=Kind.STRUCT, name=name)
    known["nat.PortSet"] = GoType(
        kind=Kind.MAP, name="nat.PortSet", element=_EMPTY, key="nat.Port"
    )
    bindings = slice_of(known["nat.PortBinding"])
    known["nat.PortMap"] = GoType(
        kind=Kind.MAP, name="nat.PortMap", element=bindings, key="nat.Port"
    )
    known["units.Ulimit"].shows = _ulimit_text
    for name, lines in blocks.items():
        known[name].fields = tuple(_field(line.split(), known) for line in lines)
    return known


def _field(words: list[str], known: dict[str, GoType]) -> StructField:
    name, kind, *rest = words
    omits = rest[-1:] == ["omit"]
    rest = rest[:-1] if omits else rest
    of = _type(kind, known)
    is_embedded = name == "embed"
    if is_embedded:
        name = kind.lstrip("*").rpartition(".")[2]
    json_name = rest[0] if rest else name
    return StructField(
        name=name,
        type=of,
        json_name="" if json_name == "-" else json_name,
        omits_empty=omits,
        is_embedded=is_embedded,
    )


def _type(expression: str, known: dict[str, GoType]) -> GoType:
    if expression in known:
        return known[expression]
    if expression.startswith("*"):
        return pointer_to(_type(expression[1:], known))
    if expression.startswith("[]"):
        return slice_of(_type(expression[2:], known))
    if expression.startswith("[2]"):
        element = _type(expression[3:], known)
        empty = [0, 0] if element.kind is Kind.UINT else ["", ""]
        return GoType(kind=Kind.SLICE, name=f"[2]{element.name}", element=element, zero=empty)
    if expression.startswith("map[string]"):
        return map_of(_type(expression.removeprefix("map[string]"), known))
    if ":" in expression:
        name, plain = expression.split(":")
        return GoType(kind=_type(plain, known).kind, name=name)
    if _UNSIGNED.fullmatch(expression):
        return GoType(kind=Kind.UINT, name=expression)
    raise KeyError(expression)


def type_named(name: str) -> GoType:
    """A type of the schema by its Go name. Raises: KeyError."""
    return _types()[name]
