"""Images as the OCI image specification v1.1 writes them, with Docker's additions.

Docker's image configuration (v1.2) and OCI's are the same document; members that only Docker
knows are marked. What is not here (ArgsEscaped) stays in the blob, whose bytes are never
rewritten.
"""

from collections.abc import Mapping

from wherry.kit.values import dataclass, field

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

INDEXES = frozenset((INDEX, DOCKER_MANIFEST_LIST))


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What an image runs on."""

    architecture: str = ""
    os: str = ""
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A typed reference to a blob (descriptor.md)."""

    media_type: str = CONFIG
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An image's parts (manifest.md)."""

    config: Descriptor
    layers: tuple[Descriptor, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Manifests for several platforms or names (image-index.md)."""

    manifests: tuple[Descriptor, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """Docker's: how a container's health is probed; times in nanoseconds."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionDefaults:
    """The `config` member: how a container of the image runs by default."""

    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    shell: tuple[str, ...] = ()
    """Docker's."""
    on_build: tuple[str, ...] = ()
    """Docker's."""
    healthcheck: Healthcheck | None = None
    """Docker's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One step; its time as RFC 3339 text, empty for none."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    author: str = ""
    empty_layer: bool = False
    step_key: str = ""
    """Ours: by what the builder finds the step's result again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDocument:
    """An image's configuration (config.md)."""

    architecture: str = ""
    os: str = ""
    variant: str = ""
    created: str = ""
    author: str = ""
    comment: str = ""
    """Docker's."""
    config: ExecutionDefaults = field(default_factory=ExecutionDefaults)
    diff_ids: tuple[str, ...] = ()
    history: tuple[History, ...] = ()
