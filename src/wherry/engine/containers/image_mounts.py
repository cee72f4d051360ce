"""Other images in a container (`--mount type=image`): which, and what keeps their layers.

A snapshot of each stands on the image's layers as the container's own stands on its image's: so
no prune takes them, and the image itself may lose its name or be removed meanwhile. Nobody
writes to it. It is named after the container and goes with it.
"""

from collections.abc import Iterator

import msgspec

from wherry.images import ImageStore
from wherry.kit.values import replace
from wherry.model.containers import Container, ContainerSpec, ImageMount, MountSpec
from wherry.model.errors import InvalidValue
from wherry.model.errors.images import ImageNotFound
from wherry.model.ids import ChainId, ContainerId, SnapshotKey
from wherry.snapshots import Snapshots


def check_images(spec: ContainerSpec, images: ImageStore) -> None:
    """Refuse a mount of an image that is not here.

    Not as a 404: to a client that would be the container's image, which it would go and fetch.
    Raises: InvalidValue, AmbiguousReference.
    """
    for mount in _wishes(spec):
        _chain(mount, images)


def mount_images(
    spec: ContainerSpec, owner: ContainerId, images: ImageStore, snapshots: Snapshots
) -> ContainerSpec:
    """Make the snapshots, and note where their layers are. Blocking.

    Raises: as `check_images`, StepFailed.
    """
    mounts: list[MountSpec] = []
    for number, mount in enumerate(spec.mounts):
        if not isinstance(mount, ImageMount):
            mounts.append(mount)
            continue
        key = SnapshotKey(f"{owner}-image-{number}")
        why = f"--mount source={mount.reference}"
        layers = snapshots.view(key, _chain(mount, images), why=why)
        mounts.append(msgspec.structs.replace(mount, snapshot=key, layers=layers))
    return replace(spec, mounts=tuple(mounts))


def snapshots_of(container: Container) -> Iterator[SnapshotKey]:
    """Its own, and those of the images that are mounted in it."""
    yield SnapshotKey(container.id)
    yield from (SnapshotKey(each.snapshot) for each in _wishes(container.spec) if each.snapshot)


def _wishes(spec: ContainerSpec) -> Iterator[ImageMount]:
    return (each for each in spec.mounts if isinstance(each, ImageMount))


def _chain(mount: ImageMount, images: ImageStore) -> ChainId | None:
    try:
        return images.resolve(mount.reference).chain_id
    except ImageNotFound as error:
        raise InvalidValue(f"No such image: {error.reference}") from error
