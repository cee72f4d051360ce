"""All mounts of a container: from the three ways of asking for them, and as they are shown."""

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from wherry.api.translate import mount_objects, mount_texts
from wherry.api.translate.mount_targets import DEFAULT_PROPAGATION, target_problem
from wherry.model.containers import BindMount, ImageMount, MountSpec, TmpfsMount, VolumeMount
from wherry.model.errors import InvalidValue
from wherry.wire import container_config as shapes
from wherry.wire.containers import MountPoint


def to_mounts(host: shapes.HostShape) -> tuple[MountSpec, ...]:
    """All mounts that a request asks for.

    Raises: InvalidValue, FeatureMissing.
    """
    return (
        *(mount_texts.from_text(text) for text in host.Binds or ()),
        *(mount_objects.from_object(mount) for mount in host.Mounts or ()),
        *(_from_tmpfs(target, options) for target, options in (host.Tmpfs or {}).items()),
    )


def _from_tmpfs(target: str, options: str) -> TmpfsMount:
    problem = target_problem(target)
    if problem:
        raise InvalidValue(problem)
    return TmpfsMount(target=target, options=options)


def tmpfs_texts(mounts: Iterable[MountSpec]) -> Mapping[str, str]:
    """HostConfig.Tmpfs."""
    return {
        each.target: each.options
        for each in mounts
        if isinstance(each, TmpfsMount) and not each.from_mount_flag
    }


def mount_points(mounts: Iterable[MountSpec]) -> list[MountPoint]:
    """The Mounts of inspection and lists; `--tmpfs` isn't among them, as in Docker."""
    return [point for mount in mounts for point in _mount_point(mount)]


def _mount_point(mount: MountSpec) -> Iterator[MountPoint]:
    match mount:
        case BindMount():
            yield MountPoint(
                Type="bind",
                Source=mount.source,
                Destination=mount.target,
                Mode=mount_texts.mode_of(mount.written_as),
                RW=not mount.is_read_only,
                Propagation=mount.propagation,
            )
        case VolumeMount():
            yield MountPoint(
                Type="volume",
                Name=mount.name,
                Source=mount.source,
                Destination=mount.target,
                Driver=mount.driver,
                Mode=mount.mode,
                RW=not mount.is_read_only,
                Propagation=mount.propagation,
            )
        case TmpfsMount():
            if mount.from_mount_flag:
                yield MountPoint(
                    Type="tmpfs",
                    Source="",
                    Destination=mount.target,
                    Mode="",
                    RW="ro" not in mount.options.split(","),
                    Propagation="",
                )
        case ImageMount():
            yield MountPoint(
                Type="image",
                Name=mount.reference,
                Source=mount.layers[0] if mount.layers else "",
                Destination=mount.target,
                Mode="",
                RW=False,
                Propagation=DEFAULT_PROPAGATION,
            )
        case _ as never:
            assert_never(never)
