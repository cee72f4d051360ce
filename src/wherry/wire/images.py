"""Answers about images."""

from msgspec import UNSET, Struct, UnsetType

from wherry.wire.container_config import Empty, HealthConfig
from wherry.wire.containers import GraphDriver
from wherry.wire.registries import OciDescriptor, OciPlatform


class ManifestSize(Struct):
    """Bytes of one image of an index: as it is transferred, and all in all."""

    Content: int
    Total: int


class UnpackedSize(Struct):
    """Bytes of its files."""

    Unpacked: int


class ManifestImage(Struct):
    """What a manifest leads to, when that is an image."""

    Platform: OciPlatform
    Containers: list[str]
    Size: UnpackedSize


class ManifestSummary(Struct, kw_only=True):
    """One of the manifests that a name leads to."""

    ID: str
    Descriptor: OciDescriptor
    Available: bool = True
    Size: ManifestSize
    Kind: str = "image"
    ImageData: ManifestImage


class ImageSummary(Struct, kw_only=True):
    """An image in a list."""

    Id: str
    ParentId: str
    RepoTags: list[str]
    RepoDigests: list[str]
    Created: int
    Size: int
    SharedSize: int
    Labels: dict[str, str] | None
    Containers: int
    Manifests: list[ManifestSummary] | UnsetType = UNSET


class ImageConfig(Struct, kw_only=True, omit_defaults=True):
    """What an image says about its containers (OCI image-spec, "config")."""

    User: str = ""
    ExposedPorts: dict[str, Empty] | None = None
    Env: list[str] | None = None
    Entrypoint: list[str] | None = None
    Cmd: list[str] | None = None
    Volumes: dict[str, Empty] | None = None
    WorkingDir: str = ""
    Labels: dict[str, str] | None = None
    StopSignal: str = ""
    Healthcheck: HealthConfig | None = None
    OnBuild: list[str] | None = None
    Shell: list[str] | None = None


class RootFS(Struct):
    """The layers, by the digests of their uncompressed tars."""

    Type: str
    Layers: list[str] | UnsetType


class Metadata(Struct):
    """What only this host knows of the image."""

    LastTagTime: str


class ImageInspectAnswer(Struct, kw_only=True):
    """Everything about one image."""

    Id: str
    RepoTags: list[str]
    RepoDigests: list[str]
    Parent: str
    Comment: str
    Created: str | UnsetType = UNSET
    DockerVersion: str = ""
    Author: str
    Config: ImageConfig
    Architecture: str
    Variant: str | UnsetType = UNSET
    Os: str
    Size: int
    GraphDriver: GraphDriver
    RootFS: RootFS
    Metadata: Metadata
    Manifests: list[ManifestSummary] | UnsetType = UNSET


class PlatformAnswer(Struct):
    """A platform whose programs run here, or could."""

    Platform: str
    Enabled: bool
    RunsBy: str


class HistoryItem(Struct, kw_only=True):
    """One step of an image's making."""

    Id: str
    Created: int
    CreatedBy: str
    Tags: list[str] | None
    Size: int
    Comment: str


class Deletion(Struct, omit_defaults=True):
    """One step of an image's removal."""

    Untagged: str = ""
    Deleted: str = ""


# -- streams of messages ---------------------------------------------------------------------


class ProgressDetail(Struct, omit_defaults=True):
    """How far something is."""

    current: int | None = None
    total: int | None = None


class ErrorDetail(Struct, omit_defaults=True):
    """A failure in the middle of a stream."""

    message: str
    code: int | None = None
    """The exit code of a build step."""


class PushResult(Struct):
    """What a push left in a registry; the `aux` of its last message."""

    Tag: str
    Digest: str
    Size: int


class BuildResult(Struct):
    """What a build made; the `aux` of its last messages."""

    ID: str
    Digest: str = ""
    Metadata: dict[str, str] = {}
    """Under BuildKit's names (Wherry's own)."""


class OutputData(Struct):
    """A piece of what a build makes for its client (Wherry's own)."""

    Output: int
    Data: str
    """In base64."""


class Message(Struct, kw_only=True, omit_defaults=True):
    """One message of a JSON stream."""

    stream: str = ""
    status: str = ""
    progressDetail: ProgressDetail | None = None
    id: str = ""
    errorDetail: ErrorDetail | None = None
    error: str = ""
    aux: PushResult | BuildResult | OutputData | str | None = None
