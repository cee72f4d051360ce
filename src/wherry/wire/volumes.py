"""Volumes: what creation takes, and the answers."""

from msgspec import UNSET, Raw, Struct, UnsetType


class VolumeCreateRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /volumes/create`."""

    Name: str = ""
    Driver: str = ""
    DriverOpts: dict[str, str] | None = None
    Labels: dict[str, str] | None = None
    ClusterVolumeSpec: dict[str, object] | None = None


class UsageData(Struct):
    """What a volume holds (-1: not known) and how many containers have it."""

    RefCount: int
    Size: int


class VolumeAnswer(Struct, kw_only=True):
    """A volume."""

    CreatedAt: str
    Driver: str
    Labels: dict[str, str] | None
    Mountpoint: str
    Name: str
    Options: dict[str, str] | None
    Scope: str = "local"
    Status: Raw | UnsetType = UNSET
    UsageData: "UsageData | UnsetType" = UNSET


class VolumesAnswer(Struct):
    """The volumes."""

    Volumes: list[VolumeAnswer]
    Warnings: list[str] | None


class VolumesPruneAnswer(Struct):
    """What a prune removed."""

    VolumesDeleted: list[str] | None
    SpaceReclaimed: int


class VolumeSnapshotAnswer(Struct, kw_only=True):
    """How a volume was once: of Wherry's own endpoints."""

    Volume: str
    Name: str
    CreatedAt: str
    Method: str
    Consistency: str
    Writers: list[str]
    Files: int
    Size: int
