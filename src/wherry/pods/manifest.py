"""The part of Kubernetes' objects that one host can honour, as types.

A field that is not here is refused by name, so that nobody believes in what is not done. Source:
the Kubernetes API reference, core/v1 and apps/v1.
"""

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field

Quantity: TypeAlias = str | int | float
"""`250m`, `1.5`, `64Mi`; see `quantities`."""
Port: TypeAlias = int | str
"""A number, or the name of one of the container's ports."""


class Object(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What all objects share: names in camel case, and nothing unknown."""


class Metadata(Object, frozen=True):
    """Who an object is."""

    name: str = ""
    namespace: str = "default"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class KeyReference(Object, frozen=True):
    """One key of a ConfigMap or a Secret."""

    name: str
    key: str
    optional: bool = False


class FieldReference(Object, frozen=True):
    """A fact about the pod itself: `metadata.name`, `status.podIP` ..."""

    field_path: str
    api_version: str = "v1"


class ValueSource(Object, frozen=True):
    """Where a variable's value comes from; one of these."""

    config_map_key_ref: KeyReference | None = None
    secret_key_ref: KeyReference | None = None
    field_ref: FieldReference | None = None


class Variable(Object, frozen=True):
    """One environment variable."""

    name: str
    value: str = ""
    value_from: ValueSource | None = None


class MapReference(Object, frozen=True):
    """A whole ConfigMap or Secret."""

    name: str
    optional: bool = False


class VariablesFrom(Object, frozen=True):
    """A variable for every key of a ConfigMap or a Secret."""

    prefix: str = ""
    config_map_ref: MapReference | None = None
    secret_ref: MapReference | None = None


class ContainerPort(Object, frozen=True):
    """A port that a container listens on, and perhaps one of the host's for it."""

    container_port: int
    host_port: int = 0
    host_ip: str = field(default="", name="hostIP")
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    name: str = ""


class Resources(Object, frozen=True):
    """Limits are enforced; requests are weights and soft limits."""

    limits: dict[str, Quantity] = {}
    requests: dict[str, Quantity] = {}


class VolumeMount(Object, frozen=True):
    """A volume of the pod in one container."""

    name: str
    mount_path: str
    sub_path: str = ""
    read_only: bool = False


class ExecAction(Object, frozen=True):
    """A command in the container."""

    command: list[str]


class HttpHeader(Object, frozen=True):
    """One header of a probe's request."""

    name: str
    value: str


class HttpAction(Object, frozen=True):
    """A GET that must answer 200 to 399."""

    port: Port
    path: str = "/"
    host: str = ""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    http_headers: list[HttpHeader] = []


class SocketAction(Object, frozen=True):
    """A port that must take a connection."""

    port: Port
    host: str = ""


class Probe(Object, frozen=True):
    """How to ask whether a container works; times in seconds."""

    exec: ExecAction | None = None
    http_get: HttpAction | None = None
    tcp_socket: SocketAction | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class Capabilities(Object, frozen=True):
    """Names without `CAP_`."""

    add: list[str] = []
    drop: list[str] = []


class ContainerSecurity(Object, frozen=True):
    """What one container's processes are and may do."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool = False
    privileged: bool = False
    read_only_root_filesystem: bool = False
    allow_privilege_escalation: bool = True
    capabilities: Capabilities = Capabilities()


class Container(Object, frozen=True):
    """One container of a pod."""

    name: str
    image: str
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = ""
    command: list[str] = []
    args: list[str] = []
    working_dir: str = ""
    env: list[Variable] = []
    env_from: list[VariablesFrom] = []
    ports: list[ContainerPort] = []
    resources: Resources = Resources()
    volume_mounts: list[VolumeMount] = []
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    security_context: ContainerSecurity = ContainerSecurity()
    stdin: bool = False
    tty: bool = False


class EmptyDirectory(Object, frozen=True):
    """A directory that lives as long as the pod."""

    medium: Literal["", "Memory"] = ""
    size_limit: Quantity = ""


class HostPath(Object, frozen=True):
    """A path of the engine's host."""

    path: str
    type: Literal["", "Directory", "DirectoryOrCreate", "File", "Socket"] = ""


class KeyToPath(Object, frozen=True):
    """Which file a key becomes."""

    key: str
    path: str
    mode: int | None = None


class ConfigMapVolume(Object, frozen=True):
    """A ConfigMap's keys as files."""

    name: str
    items: list[KeyToPath] = []
    default_mode: int = 0o644
    optional: bool = False


class SecretVolume(Object, frozen=True):
    """A Secret's keys as files."""

    secret_name: str
    items: list[KeyToPath] = []
    default_mode: int = 0o644
    optional: bool = False


class ClaimReference(Object, frozen=True):
    """A volume of the engine that outlives the pod, by name."""

    claim_name: str
    read_only: bool = False


class Volume(Object, frozen=True):
    """A volume of the pod; one of the kinds."""

    name: str
    empty_dir: EmptyDirectory | UnsetType | None = UNSET
    host_path: HostPath | None = None
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    persistent_volume_claim: ClaimReference | None = None


class Sysctl(Object, frozen=True):
    """A kernel parameter of the pod's namespaces."""

    name: str
    value: str


class PodSecurity(Object, frozen=True):
    """What holds for all containers that do not say otherwise."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool = False
    supplemental_groups: list[int] = []
    sysctls: list[Sysctl] = []


class HostAlias(Object, frozen=True):
    """Names in /etc/hosts."""

    ip: str
    hostnames: list[str]


class NameOption(Object, frozen=True):
    """An option of resolv.conf."""

    name: str
    value: str = ""


class Names(Object, frozen=True):
    """How names are looked up."""

    nameservers: list[str] = []
    searches: list[str] = []
    options: list[NameOption] = []


class PodSpec(Object, frozen=True):
    """What a pod is made of."""

    containers: list[Container]
    init_containers: list[Container] = []
    volumes: list[Volume] = []
    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    hostname: str = ""
    host_network: bool = False
    host_pid: bool = field(default=False, name="hostPID")
    host_ipc: bool = field(default=False, name="hostIPC")
    share_process_namespace: bool = False
    host_aliases: list[HostAlias] = []
    dns_config: Names = Names()
    security_context: PodSecurity = PodSecurity()
    termination_grace_period_seconds: int = 30


class Pod(Object, frozen=True):
    """A pod."""

    metadata: Metadata
    spec: PodSpec


class PodTemplate(Object, frozen=True):
    """What the pods of a Deployment are."""

    spec: PodSpec
    metadata: Metadata = Metadata()


class DeploymentSpec(Object, frozen=True):
    """How many of which pods."""

    template: PodTemplate
    replicas: int = 1


class Deployment(Object, frozen=True):
    """Several pods that are alike."""

    metadata: Metadata
    spec: DeploymentSpec


class ConfigMap(Object, frozen=True):
    """Configuration by key."""

    metadata: Metadata
    data: dict[str, str] = {}
    binary_data: dict[str, bytes] = {}


class Secret(Object, frozen=True):
    """The same, of what others must not see; `data` is base64."""

    metadata: Metadata
    data: dict[str, bytes] = {}
    string_data: dict[str, str] = {}
    type: str = "Opaque"
