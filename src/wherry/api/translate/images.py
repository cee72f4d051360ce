"""From an image to what Docker shows of it."""

from base64 import b64encode
from collections.abc import Iterable, Mapping

from msgspec import UNSET

from wherry.api.translate.health import to_health_config
from wherry.api.translate.ports import exposed_texts
from wherry.kit.timestamps import NANOSECONDS, rfc3339_nano
from wherry.model.images import DescribedImage, Image, ImageConfig
from wherry.model.outcomes import Progress, Removal
from wherry.model.queries import ImageSizes
from wherry.wire import images as shapes
from wherry.wire.container_config import Empty
from wherry.wire.containers import GraphDriver
from wherry.wire.registries import OciDescriptor, OciPlatform

_TRACE = "moby.buildkit.trace"
MISSING_LAYER_ID = "<missing>"
"""The id of history entries that have no image of their own."""


NOT_COUNTED = -1
"""What Docker says of a size or a count that nobody asked for."""


def to_image_summary(image: Image, sizes: ImageSizes | None) -> shapes.ImageSummary:
    """An image in a list."""
    return shapes.ImageSummary(
        Id=image.id,
        ParentId=image.parent,
        RepoTags=list(image.references),
        RepoDigests=list(image.repo_digests),
        Created=(image.created_at_ns or 0) // NANOSECONDS,
        Size=image.size_bytes,
        SharedSize=NOT_COUNTED if sizes is None else sizes.shared_bytes,
        Labels=dict(image.config.labels) or None,
        Containers=NOT_COUNTED if sizes is None else sizes.containers,
    )


def to_manifest(described: DescribedImage) -> shapes.ManifestSummary:
    """One of the images that a name leads to."""
    image = described.image
    platform = OciPlatform(
        architecture=image.architecture, os=image.operating_system, variant=image.variant
    )
    return shapes.ManifestSummary(
        ID=described.manifest_digest,
        Descriptor=OciDescriptor(
            mediaType=described.media_type,
            digest=described.manifest_digest,
            size=described.manifest_bytes,
            platform=platform,
        ),
        Size=shapes.ManifestSize(
            Content=described.content_bytes, Total=described.content_bytes + image.size_bytes
        ),
        ImageData=shapes.ManifestImage(
            Platform=platform,
            Containers=list(described.containers),
            Size=shapes.UnpackedSize(Unpacked=image.size_bytes),
        ),
    )


def to_deletions(removals: Iterable[Removal]) -> list[shapes.Deletion]:
    """The steps of a removal."""
    return [shapes.Deletion(Untagged=step.untagged, Deleted=step.deleted) for step in removals]


def to_image_answer(
    image: Image, driver: str, graph_data: Mapping[str, str]
) -> shapes.ImageInspectAnswer:
    """Everything about an image."""
    return shapes.ImageInspectAnswer(
        Id=image.id,
        RepoTags=list(image.references),
        RepoDigests=list(image.repo_digests),
        Parent=image.parent,
        Comment=image.comment,
        Created=UNSET if image.created_at_ns is None else rfc3339_nano(image.created_at_ns),
        Author=image.author,
        Config=_config(image.config),
        Architecture=image.architecture,
        Variant=image.variant or UNSET,
        Os=image.operating_system,
        Size=image.size_bytes,
        GraphDriver=GraphDriver(Data=dict(graph_data) or None, Name=driver),
        RootFS=shapes.RootFS(
            Type="layers", Layers=[layer.diff_id for layer in image.layers] or UNSET
        ),
        Metadata=shapes.Metadata(LastTagTime=rfc3339_nano(image.tagged_at_ns)),
    )


def _config(config: ImageConfig) -> shapes.ImageConfig:
    return shapes.ImageConfig(
        User=config.user,
        ExposedPorts=exposed_texts(config.exposed_ports) or None,
        Env=list(config.environment) or None,
        Entrypoint=None if config.entrypoint is None else list(config.entrypoint),
        Cmd=None if config.command is None else list(config.command),
        Volumes={path: Empty() for path in config.volumes} or None,
        WorkingDir=config.working_directory,
        Labels=dict(config.labels) or None,
        StopSignal=config.stop_signal,
        Healthcheck=None if config.health is None else to_health_config(config.health),
        OnBuild=list(config.on_build) or None,
        Shell=list(config.shell) or None,
    )


def to_history(image: Image) -> list[shapes.HistoryItem]:
    """How the image came to be, the newest step first; only that one has the image's id."""
    sizes = iter([layer.size_bytes for layer in image.layers])
    items = [
        shapes.HistoryItem(
            Id=MISSING_LAYER_ID,
            Created=(entry.created_at_ns or 0) // NANOSECONDS,
            CreatedBy=entry.created_by,
            Tags=None,
            Size=0 if entry.is_empty_layer else next(sizes, 0),
            Comment=entry.comment,
        )
        for entry in image.history
    ]
    items.reverse()
    if items:
        items[0].Id = image.id
        items[0].Tags = list(image.references) or None
    return items


def _aux(
    progress: Progress,
) -> shapes.PushResult | shapes.BuildResult | shapes.OutputData | str | None:
    if progress.trace:
        return b64encode(progress.trace).decode()
    if progress.built or progress.digest:
        return shapes.BuildResult(
            ID=progress.built, Digest=progress.digest, Metadata=dict(progress.said)
        )
    if progress.output is not None:
        number, content = progress.output
        return shapes.OutputData(Output=number, Data=b64encode(content).decode())
    pushed = progress.pushed
    if pushed is None:
        return None
    return shapes.PushResult(Tag=pushed.tag, Digest=pushed.digest, Size=pushed.size_bytes)


def to_message(progress: Progress) -> shapes.Message:
    """One message of a stream."""
    has_detail = progress.current is not None or progress.total is not None
    detail = shapes.ProgressDetail(current=progress.current, total=progress.total)
    return shapes.Message(
        stream=progress.stream,
        status=progress.status,
        id=_TRACE if progress.trace else progress.id,
        progressDetail=detail if has_detail else None,
        error=progress.error,
        errorDetail=shapes.ErrorDetail(message=progress.error, code=progress.error_code)
        if progress.error
        else None,
        aux=_aux(progress),
    )
