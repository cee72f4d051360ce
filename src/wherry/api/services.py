"""What the API needs from the engine: one protocol per noun, declared by the consumer.

`engine` implements them, `programs.wiring` puts them together into `Services`. References are
what a user typed: an id, an unambiguous prefix of one, or a name. Every method raises kinds of
`wherry.model.errors`; `api.errors` maps them to statuses and Docker's texts.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wherry.builder import ClientOffers
from wherry.kit.values import dataclass
from wherry.model.builds import (
    BuildEvent,
    BuildRequest,
    CachePrune,
    CacheRecord,
    KeptBuild,
    SentPart,
)
from wherry.model.containers import Container, ContainerSpec, ExecSpec, ExecStatus
from wherry.model.events import Event
from wherry.model.files import Change, CopyRules, PathState
from wherry.model.ids import ContainerId, ExecId, ImageId
from wherry.model.images import (
    CommitRequest,
    DescribedImage,
    DistributionImage,
    EmulatedPlatform,
    FoundRepository,
    Image,
    RegistryLogin,
)
from wherry.model.networks import EndpointWish, Network, NetworkRequest
from wherry.model.outcomes import (
    CreateOutcome,
    Progress,
    PrunedContainers,
    PrunedImages,
    PrunedNetworks,
    Removal,
    StartOutcome,
    StopOutcome,
    WaitCondition,
)
from wherry.model.plugins import ManagedPlugin, PluginPrivilege
from wherry.model.queries import (
    AttachRequest,
    ContainerDetails,
    ContainerQuery,
    ContainerSizes,
    EngineInfo,
    Filters,
    ImageSizes,
    LogLine,
    LogQuery,
    ProcessTable,
    RemovedLines,
)
from wherry.model.reaching import Reach, ReachQuestion
from wherry.model.reasons import Reason
from wherry.model.stats import UsageSample
from wherry.model.tasks import ExitRecord
from wherry.model.updates import ContainerChanges
from wherry.model.volumes import (
    Consistency,
    Volume,
    VolumePrune,
    VolumeSnapshot,
    VolumeSpec,
    VolumeUsage,
)
from wherry.registry import Credentials
from wherry.snapshots import Compression

__all__ = [
    "AttachRequest",
    "Builds",
    "ByteSource",
    "ContainerDetails",
    "ContainerQuery",
    "Containers",
    "CreateOutcome",
    "CredentialSource",
    "DuplexStream",
    "EngineInfo",
    "Events",
    "Execs",
    "Explanations",
    "Files",
    "Filters",
    "Images",
    "LogLine",
    "LogQuery",
    "Networks",
    "Plugins",
    "ProcessTable",
    "Progress",
    "Registries",
    "Removal",
    "Services",
    "StartOutcome",
    "StopOutcome",
    "System",
    "VolumeHistory",
    "Volumes",
    "WaitCondition",
]

# -- streams ---------------------------------------------------------------------------------


class DuplexStream(Protocol):
    """The bytes of an attached container or exec session.

    What is read is framed (`kit.streams`) unless the session has a terminal; what is written
    is its stdin.
    """

    async def read(self) -> bytes:
        """The next bytes; empty when the output has ended."""
        ...

    async def write(self, data: bytes) -> None:
        """Pass bytes to stdin; waits while the process doesn't read."""
        ...

    async def close_stdin(self) -> None:
        """No more input: the half-close of the client."""
        ...

    def tell_detached(self) -> None:
        """The user typed the keys to leave; `close` follows."""
        ...

    async def close(self) -> None:
        """Let go; the process goes on."""
        ...


# -- containers ------------------------------------------------------------------------------


class Containers(Protocol):
    """Everything that one can do with containers."""

    async def create(
        self, spec: ContainerSpec, *, name: str, platform: str = ""
    ) -> CreateOutcome: ...
    async def start(self, reference: str) -> StartOutcome: ...
    async def stop(
        self, reference: str, *, signal: str = "", timeout_s: int | None = None
    ) -> StopOutcome: ...
    async def restart(
        self, reference: str, *, signal: str = "", timeout_s: int | None = None
    ) -> None: ...
    async def kill(self, reference: str, *, signal: str = "") -> None: ...
    async def pause(self, reference: str) -> None: ...
    async def unpause(self, reference: str) -> None: ...
    async def update(self, reference: str, changes: ContainerChanges) -> tuple[str, ...]:
        """The warnings."""
        ...

    async def rename(self, reference: str, new_name: str) -> None: ...
    async def remove(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        removes_volumes: bool = False,
        removes_link: bool = False,
    ) -> None: ...
    async def wait(self, reference: str, condition: WaitCondition) -> Awaitable[ExitRecord]:
        """Returns when the waiting has begun; await the result for the end."""
        ...

    async def resize(self, reference: str, *, rows: int, columns: int) -> None: ...
    async def attach(self, reference: str, request: AttachRequest) -> DuplexStream: ...
    async def logs(self, reference: str, query: LogQuery) -> AsyncIterator[Sequence[LogLine]]: ...
    async def logs_of_removed(self, reference: str, query: LogQuery) -> RemovedLines: ...
    async def get(self, reference: str) -> Container: ...
    async def inspect(self, reference: str, *, wants_size: bool = False) -> ContainerDetails: ...
    async def list(self, query: ContainerQuery) -> Sequence[Container]: ...
    async def names_by_links(self) -> Mapping[ContainerId, Sequence[str]]:
        """The further names that links give to containers: `web/store`."""
        ...

    async def top(self, reference: str, ps_arguments: str) -> ProcessTable: ...
    async def stats(self, reference: str) -> AsyncIterator[UsageSample]:
        """Each second, until the container is removed."""
        ...

    async def stats_once(self, reference: str) -> UsageSample: ...


class Files(Protocol):
    """Files of containers."""

    async def stat(self, reference: str, path: str) -> PathState: ...
    async def archive(
        self, reference: str, path: str
    ) -> tuple[PathState, AsyncGenerator[bytes, None]]: ...
    async def unpack(
        self, reference: str, path: str, archive: AsyncIterator[bytes], rules: CopyRules
    ) -> None: ...
    async def export(self, reference: str) -> AsyncGenerator[bytes, None]: ...


class Commits(Protocol):
    """What containers have written."""

    async def changes(self, reference: str) -> Sequence[Change]: ...
    async def commit(self, reference: str, request: CommitRequest) -> ImageId: ...


class Execs(Protocol):
    """Commands that join running containers."""

    async def create(self, reference: str, spec: ExecSpec) -> ExecId: ...
    async def start(
        self, exec_id: str, *, is_detached: bool, is_tty: bool, rows: int = 0, columns: int = 0
    ) -> DuplexStream | None:
        """None when it was started detached."""
        ...

    async def inspect(self, exec_id: str) -> ExecStatus: ...
    async def resize(self, exec_id: str, *, rows: int, columns: int) -> None: ...


# -- images ----------------------------------------------------------------------------------


ByteSource = AsyncIterator[bytes]
"""A request body as it comes."""


class Images(Protocol):
    """The local image store."""

    async def list(self, filters: Filters, *, wants_all: bool = False) -> Sequence[Image]: ...
    async def get(self, reference: str, *, platform: str = "") -> Image: ...
    async def siblings(self, references: Sequence[str]) -> Sequence[DescribedImage]: ...
    async def graph_data(self, image: Image) -> tuple[str, Mapping[str, str]]:
        """Driver name and GraphDriver.Data."""
        ...

    async def tag(self, reference: str, *, repository: str, tag: str) -> None: ...
    async def remove(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        prunes_parents: bool = True,
        platforms: Sequence[str] = (),
    ) -> Sequence[Removal]: ...
    def load(
        self, archive: ByteSource, *, platforms: Sequence[str] = ()
    ) -> AsyncIterator[Progress]: ...
    def save(
        self, references: Sequence[str], *, platforms: Sequence[str] = ()
    ) -> AsyncIterator[bytes]: ...
    def import_archive(
        self,
        archive: ByteSource,
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[Progress]: ...
    def import_from(
        self,
        address: str,
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[Progress]: ...
    def bootstrap(self, reference: str) -> AsyncIterator[Progress]: ...


class CredentialSource(Protocol):
    """Credentials for registries, asked for when they are needed."""

    async def of(self, domain: str) -> Credentials:
        """Those for a registry's domain (`docker.io` for Docker Hub)."""
        ...


class Builds(Protocol):
    """Images from Dockerfiles."""

    def build(
        self,
        request: BuildRequest,
        parts: AsyncIterator[SentPart],
        credentials: Mapping[str, Credentials],
    ) -> AsyncIterator[BuildEvent]: ...
    def build_for_client(
        self, request: BuildRequest, offers: ClientOffers, credentials: CredentialSource
    ) -> AsyncIterator[BuildEvent]: ...
    def files_of(self, reference: str) -> AbstractAsyncContextManager[int]:
        """The root of an image's files, to read."""
        ...

    async def configuration(
        self, reference: str, platform: str, credentials: CredentialSource
    ) -> tuple[str, bytes]:
        """Digest and content of an image's configuration."""
        ...

    async def cache(self) -> Sequence[CacheRecord]: ...
    async def prune(self, wish: CachePrune) -> Sequence[CacheRecord]:
        """What went."""
        ...


class BuildHistory(Protocol):
    """Builds that were, as a door remembers them."""

    async def all(self) -> Sequence[KeptBuild]:
        """The oldest first."""
        ...

    async def keep(self, build: KeptBuild, story: bytes) -> Sequence[str]:
        """The names of those that were forgotten for it."""
        ...

    async def change(self, build: KeptBuild) -> None: ...
    async def story(self, ref: str) -> bytes | None: ...
    async def forget(self, ref: str) -> None: ...


class Registries(Protocol):
    """Images elsewhere."""

    def pull(
        self, reference: str, *, platform: str, credentials: Credentials, pulls_all_tags: bool
    ) -> AsyncIterator[Progress]: ...
    def push(
        self, reference: str, *, tag: str, credentials: Credentials, platform: str = ""
    ) -> AsyncIterator[Progress]: ...
    async def log_in(self, domain: str, credentials: Credentials) -> RegistryLogin: ...
    async def search(
        self, term: str, *, limit: int, credentials: Credentials
    ) -> Sequence[FoundRepository]: ...
    async def distribution(
        self, reference: str, credentials: Credentials
    ) -> DistributionImage: ...


# -- the rest --------------------------------------------------------------------------------


class Platforms(Protocol):
    """Processors whose programs run here."""

    async def list(self) -> Sequence[EmulatedPlatform]: ...
    async def enable(self, text: str) -> EmulatedPlatform: ...
    async def disable(self, text: str) -> EmulatedPlatform: ...


class Networks(Protocol):
    """Everything that one can do with networks."""

    async def list(self, filters: Filters) -> Sequence[Network]: ...
    async def get(self, reference: str) -> Network: ...
    async def containers_on(self, network: Network) -> Sequence[Container]: ...
    async def create(self, request: NetworkRequest) -> Network: ...
    async def remove(self, reference: str) -> None: ...
    async def connect(self, reference: str, container: str, wish: EndpointWish) -> None: ...
    async def disconnect(self, reference: str, container: str, *, is_forced: bool) -> None: ...


class Prunes(Protocol):
    """Removing what nobody uses."""

    async def containers(self, filters: Filters) -> PrunedContainers: ...
    async def images(self, filters: Filters) -> PrunedImages: ...
    async def networks(self, filters: Filters) -> PrunedNetworks: ...


class DiskUsage(Protocol):
    """What takes space."""

    async def layers_bytes(self) -> int: ...
    async def of_images(self) -> Mapping[ImageId, ImageSizes]: ...
    async def of_containers(self, containers: Sequence[Container]) -> Sequence[ContainerSizes]: ...


class Volumes(Protocol):
    """Named and anonymous volumes."""

    async def create(self, spec: VolumeSpec) -> Volume: ...
    async def get(self, name: str) -> Volume: ...
    async def list(self, filters: Filters) -> Sequence[Volume]: ...
    async def remove(self, name: str, *, is_forced: bool = False) -> None: ...
    async def prune(self, filters: Filters, *, takes_named: bool = False) -> VolumePrune: ...
    async def usage(self) -> Sequence[VolumeUsage]: ...


class VolumeHistory(Protocol):
    """What volumes were, and copies of them."""

    async def list(self, name: str) -> Sequence[VolumeSnapshot]: ...
    async def take(self, name: str, label: str, consistency: Consistency) -> VolumeSnapshot: ...
    async def forget(self, name: str, label: str) -> None: ...
    async def roll_back(self, name: str, label: str, *, restarts: bool) -> VolumeSnapshot:
        """What the volume was until now, which is kept."""
        ...

    async def clone(self, name: str, label: str, new_name: str) -> Volume: ...
    async def rename(self, name: str, new_name: str) -> Volume: ...
    async def changes(self, name: str, older: str, newer: str) -> Sequence[Change]: ...
    async def export(
        self, name: str, label: str, compression: Compression
    ) -> AsyncGenerator[bytes, None]: ...
    async def import_archive(
        self, name: str, archive: ByteSource, *, replaces: bool, takes_devices: bool
    ) -> Volume: ...


class Plugins(Protocol):
    """Managed plugins."""

    async def list(self, filters: Filters) -> Sequence[ManagedPlugin]: ...
    async def get(self, reference: str) -> ManagedPlugin: ...
    async def privileges(
        self, remote: str, credentials: Credentials
    ) -> Sequence[PluginPrivilege]: ...
    async def create(self, name: str, context: ByteSource) -> None: ...
    def pull(
        self,
        remote: str,
        name: str,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]: ...
    def upgrade(
        self,
        reference: str,
        remote: str,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]: ...
    async def enable(self, reference: str, timeout_s: float = 0) -> None: ...
    async def disable(self, reference: str, *, is_forced: bool = False) -> None: ...
    async def set(self, reference: str, wishes: Sequence[str]) -> None: ...
    async def remove(self, reference: str, *, is_forced: bool = False) -> ManagedPlugin: ...
    def push(self, reference: str, credentials: Credentials) -> AsyncIterator[Progress]: ...


class System(Protocol):
    """The engine as a whole."""

    async def info(self) -> EngineInfo: ...


class Events(Protocol):
    """The event stream."""

    def subscribe(
        self, *, since_ns: int | None, until_ns: int | None, filters: Filters
    ) -> AsyncIterator[Event]: ...


class Explanations(Protocol):
    """What the engine did to the kernel."""

    async def container_text(self, reference: str, *, live: bool = False) -> str: ...
    async def container_json(self, reference: str, *, live: bool = False) -> bytes:
        """The journal as a JSON document."""
        ...

    async def container_script(self, reference: str) -> str:
        """The last start as a shell script."""
        ...


class Reasons(Protocol):
    """Why containers are in their states."""

    async def __call__(self, reference: str) -> Reason: ...


class Sights(Protocol):
    """Looking at networks."""

    async def reach(self, question: ReachQuestion) -> Reach: ...
    async def reach_all(self, *, is_static: bool) -> Sequence[Reach]: ...
    async def capture(
        self, reference: str, *, count: int, expression: str
    ) -> AsyncGenerator[bytes, None]:
        """Blocks of a pcapng stream; a count of zero: until the container ends."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The engine as the API sees it."""

    containers: Containers
    execs: Execs
    files: Files
    commits: Commits
    images: Images
    builds: Builds
    build_history: BuildHistory
    registries: Registries
    networks: Networks
    volumes: Volumes
    volume_history: VolumeHistory
    plugins: Callable[[], Plugins]
    """Loaded when somebody asks for them."""
    system: System
    events: Events
    explanations: Explanations
    reasons: Reasons
    sights: Sights
    platforms: Platforms
    prunes: Prunes
    disk_usage: DiskUsage
