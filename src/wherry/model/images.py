"""Images: their configuration, layers, and the names that lead to them."""

from collections.abc import Mapping

from wherry.kit.values import dataclass, field
from wherry.model.health import HealthCheck
from wherry.model.ids import ChainId, ContainerId, DiffId, Digest, ImageId
from wherry.model.networks import Port


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What an image says about the containers made from it (OCI image-spec, "config")."""

    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: tuple[str, ...] = ()
    working_directory: str = ""
    user: str = ""
    exposed_ports: tuple[Port, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    health: HealthCheck | None = None
    shell: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One step of how an image came to be."""

    created_at_ns: int | None
    created_by: str = ""
    comment: str = ""
    author: str = ""
    is_empty_layer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of an image, as unpacked here."""

    diff_id: DiffId
    chain_id: ChainId
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in the local store."""

    id: ImageId
    references: tuple[str, ...]
    """Familiar names with tags, such as `busybox:latest`, sorted."""
    repo_digests: tuple[str, ...] = ()
    config: ImageConfig
    layers: tuple[Layer, ...]
    history: tuple[HistoryEntry, ...] = ()
    architecture: str = "amd64"
    variant: str = ""
    operating_system: str = "linux"
    created_at_ns: int | None = None
    author: str = ""
    comment: str = ""
    size_bytes: int = 0
    parent: str = ""
    tagged_at_ns: int | None = None
    manifest_digest: Digest | None = None

    @property
    def chain_id(self) -> ChainId | None:
        """The stack of all layers; None for an image without any."""
        return self.layers[-1].chain_id if self.layers else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedImage:
    """One of the images that a name leads to, and the manifest that registries know it by."""

    image: Image
    manifest_digest: Digest
    media_type: str
    manifest_bytes: int
    content_bytes: int
    """As it is stored and transferred: manifest, configuration, and layers as they came."""
    containers: tuple[ContainerId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedPlatform:
    """A platform whose programs this machine runs, or could run by an emulator."""

    platform: str
    """As people write it: `linux/arm64`."""
    is_enabled: bool
    runs_by: str
    """The interpreter's path, or words for the processor itself; empty where it is not enabled."""


# -- what registries say ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLogin:
    """A login that succeeded."""

    identity_token: str
    """What to keep instead of the password; empty where the registry gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRepository:
    """One hit of a search."""

    name: str
    description: str
    star_count: int
    is_official: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionImage:
    """What a registry has under a name."""

    media_type: str
    digest: Digest
    size_bytes: int
    """Of the manifest or index itself."""
    platforms: tuple[tuple[str, str, str], ...]
    """System, architecture, variant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitPlan:
    """What becomes of a container's changes: an image, and how it is called and described."""

    config: ImageConfig
    inherited: ImageConfig | None = None
    """Where `config` is a wish of its own: what completes it."""
    changes: tuple[str, ...] = ()
    """Dockerfile instructions."""
    reference: str = ""
    """Name and tag; empty for none."""
    author: str = ""
    comment: str = ""
    created_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    """A commit as the user asks for it."""

    reference: str = ""
    author: str = ""
    comment: str = ""
    changes: tuple[str, ...] = ()
    pauses: bool = True
    """Hold the container's processes while its files are read."""
    config: ImageConfig | None = None
    """In place of the container's own configuration, which then only completes it."""
