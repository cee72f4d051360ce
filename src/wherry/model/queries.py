"""What is asked of the engine, and the shapes of its answers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from wherry.kit.values import dataclass, field
from wherry.model.containers import Container
from wherry.model.ids import ExecId
from wherry.model.images import Image

Filters = Mapping[str, tuple[str, ...]]
"""A decoded `filters` parameter: key to the accepted values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachRequest:
    """Which streams, and whether the past (`logs`) comes first."""

    wants_stdin: bool = False
    wants_stdout: bool = False
    wants_stderr: bool = False
    wants_stream: bool = True
    wants_logs: bool = False
    detach_keys: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which log lines."""

    wants_stdout: bool
    wants_stderr: bool
    follows: bool = False
    since_ns: int | None = None
    until_ns: int | None = None
    tail: int | None = None
    """None: all."""


class LogLine(NamedTuple):
    """One line (or a piece of a long one) as the container wrote it."""

    stream: int
    """1 stdout, 2 stderr."""
    at_ns: int
    content: bytes
    attributes: Mapping[str, str] = MappingProxyType({})
    """What `--details` shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedLines:
    """What a container wrote that was removed since."""

    name: str
    removed_at_ns: int
    is_tty: bool
    batches: AsyncIterator[Sequence[LogLine]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerQuery:
    """Which containers to list."""

    wants_all: bool = False
    limit: int = 0
    """Zero: no limit; otherwise the newest ones, whatever their state."""
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTable:
    """The answer of `top`."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDelivery:
    """What became of a container's log on its way to a receiver elsewhere, in lines."""

    sent: int
    dropped: int
    """These the receiver will never get; `logs` has them all the same."""
    problem: str
    """Why the receiver takes nothing now; empty when it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDetails:
    """A container with what inspect adds to its record."""

    container: Container
    image: Image | None
    """None when the image has been removed since."""
    log_path: str
    sandbox_path: str
    """The network namespace's file; empty when there is none."""
    hosts_path: str
    resolv_conf_path: str
    hostname_path: str
    graph_driver: str
    graph_data: Mapping[str, str]
    exec_ids: tuple[ExecId, ...]
    size_rw_bytes: int | None = None
    """Only when asked for."""
    size_rootfs_bytes: int | None = None
    links: tuple[str, ...] = ()
    """As inspection shows them: `/db:/web/store`."""
    log_delivery: LogDelivery | None = None
    """None when the log has no receiver but the engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSizes:
    """The space of a container's files."""

    written_bytes: int
    """Its own, beyond its image's."""
    total_bytes: int
    """Together with the image's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSizes:
    """What an image's own record does not say of the space it takes."""

    shared_bytes: int
    """Layers that other images have too."""
    containers: int
    """How many containers were made from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """Facts of this engine and host, for `info` and `version`."""

    id: str
    version: str
    git_commit: str
    build_time: str
    host_name: str
    operating_system: str
    os_version: str
    kernel_version: str
    architecture: str
    processors: int
    memory_bytes: int
    containers_running: int
    containers_paused: int
    containers_stopped: int
    images: int
    storage_driver: str
    storage_status: tuple[tuple[str, str], ...]
    data_root: str
    log_driver: str
    log_drivers: tuple[str, ...]
    volume_drivers: tuple[str, ...]
    network_drivers: tuple[str, ...]
    cgroup_driver: str
    cgroup_version: str
    security_options: tuple[str, ...]
    default_runtime: str
    runtimes: Mapping[str, tuple[str, ...]]
    """Path and arguments by name."""
    labels: tuple[str, ...]
    warnings: tuple[str, ...]
    is_debug: bool
    open_files: int
    tasks: int
    event_listeners: int
    system_time_ns: int
    limits: Mapping[str, bool]
    """Which limits the host's cgroups offer: memory, swap, pids, cpu_shares, cpu_quota,
    cpuset, oom_kill_disable, ipv4_forwarding."""
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()
    """Name and version of each part, such as the runtime."""
    init_path: str = ""
    """The program that `--init` puts first; empty when it is not installed."""
    init_version: str = ""
    is_experimental: bool = False
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
