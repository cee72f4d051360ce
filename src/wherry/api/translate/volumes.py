"""Volumes, both ways."""

from msgspec import UNSET, Raw

from wherry.kit.timestamps import NANOSECONDS, rfc3339_nano
from wherry.model.errors import FeatureMissing, HostLacks, InvalidField
from wherry.model.volumes import Consistency, Volume, VolumeSnapshot, VolumeSpec, VolumeUsage
from wherry.wire.volumes import (
    UsageData,
    VolumeAnswer,
    VolumeCreateRequest,
    VolumeSnapshotAnswer,
)


def to_volume_spec(request: VolumeCreateRequest) -> VolumeSpec:
    """What the user asked for. Raises: FeatureMissing."""
    if request.ClusterVolumeSpec is not None:
        raise FeatureMissing("cluster volumes (ClusterVolumeSpec)")
    return VolumeSpec(
        name=request.Name,
        driver=request.Driver,
        options=request.DriverOpts or {},
        labels=request.Labels or {},
    )


def to_volume_answer(volume: Volume) -> VolumeAnswer:
    """A volume as it is shown; times in whole seconds, as Docker reads them off the directory."""
    return VolumeAnswer(
        CreatedAt=rfc3339_nano(volume.created_at_ns // NANOSECONDS * NANOSECONDS),
        Driver=volume.driver,
        Labels=dict(volume.labels) or None,
        Mountpoint=volume.mount_point,
        Name=volume.name,
        Options=dict(volume.options) or None,
        Scope=volume.scope,
        Status=Raw(volume.status) if volume.status not in (b"", b"null") else UNSET,
    )


def to_usage_answer(usage: VolumeUsage) -> VolumeAnswer:
    """The same with what it holds."""
    answer = to_volume_answer(usage.volume)
    answer.UsageData = UsageData(RefCount=len(usage.users), Size=usage.size_bytes)
    return answer


def to_consistency(word: str) -> Consistency:
    """How a snapshot is to be taken. Raises: InvalidField, HostLacks."""
    if word == "freeze":
        raise HostLacks(
            "consistency freeze",
            "a file system for each volume: frozen, this one could not take the copy "
            "(pause and stop hold the containers instead)",
        )
    try:
        return Consistency(word)
    except ValueError:
        raise InvalidField("consistent", word, "must be none, freeze, pause or stop") from None


def to_snapshot_answer(snapshot: VolumeSnapshot) -> VolumeSnapshotAnswer:
    """A snapshot as it is shown."""
    return VolumeSnapshotAnswer(
        Volume=snapshot.volume,
        Name=snapshot.name,
        CreatedAt=rfc3339_nano(snapshot.created_at_ns),
        Method=snapshot.method.value,
        Consistency=snapshot.consistency.value,
        Writers=list(snapshot.writers),
        Files=snapshot.files,
        Size=snapshot.size_bytes,
    )
