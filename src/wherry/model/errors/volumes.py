"""Failures of volumes, and of what they were."""

from wherry.model.errors import AlreadyExists, Conflict, InvalidRequest, NotFound, NotSupported


class BindSourceMissing(InvalidRequest):
    """`--mount` of a host path that is not there."""

    path: str


class VolumeNotFound(NotFound):
    """No volume has this name."""

    name: str


class VolumeInUse(Conflict):
    """Containers have the volume, whether they run or not."""

    name: str
    containers: tuple[str, ...]


class VolumeNameTaken(Conflict):
    """Another driver has a volume of this name."""

    name: str
    driver: str


class VolumeExists(AlreadyExists):
    """A volume was to get a name that another one has."""

    name: str


class VolumeMounted(Conflict):
    """Containers that run have the volume mounted, so nothing may take its place."""

    name: str
    holders: tuple[str, ...]


class VolumeHasNoHistory(NotSupported):
    """A volume whose files are not in a directory of ours."""

    name: str
    reason: str


class VolumeSnapshotNotFound(NotFound):
    """A volume has no snapshot of this name."""

    volume: str
    snapshot: str


class VolumeSnapshotExists(AlreadyExists):
    """A volume has a snapshot of this name."""

    volume: str
    snapshot: str


class VolumeDriverNotFound(NotFound):
    """No driver or plugin of this name is here."""

    name: str
    driver: str
