"""Mounts as objects, as `--mount` asks for them, both ways. The sentences are Docker's."""

from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

from wherry.api.translate.mount_targets import (
    DEFAULT_PROPAGATION,
    PROPAGATIONS,
    RELABELLED,
    target_problem,
)
from wherry.model.containers import BindMount, ImageMount, MountSpec, TmpfsMount, VolumeMount
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.wire import container_config as shapes

_OWN_OPTIONS = {
    "bind": "BindOptions",
    "image": "ImageOptions",
    "tmpfs": "TmpfsOptions",
    "volume": "VolumeOptions",
}
_TMPFS_WORDS = frozenset({"exec", "noexec"})


def from_object(mount: shapes.Mount) -> MountSpec:
    """A wish. Raises: InvalidValue, FeatureMissing."""
    if mount.Type in _OWN_OPTIONS:
        _check_fields(mount)
    match mount.Type:
        case "bind":
            return _bind(mount)
        case "tmpfs":
            return _tmpfs(mount)
        case "volume":
            return _volume(mount)
        case "image":
            return _image(mount)
        case "cluster" | "npipe":
            raise FeatureMissing(f"mounts of type {mount.Type}")
        case _:
            raise _bad_object(mount, "mount type unknown")


def _check_fields(mount: shapes.Mount) -> None:
    """A place, and no options but those of its type. Raises: InvalidValue."""
    if problem := target_problem(mount.Target):
        raise _bad_object(mount, problem)
    for others in sorted(set(_OWN_OPTIONS.values()) - {_OWN_OPTIONS[mount.Type]}):
        if getattr(mount, others) is not None:
            raise _bad_object(mount, f"field {others} must not be specified")


def _bind(mount: shapes.Mount) -> BindMount:
    if not mount.Source:
        raise _bad_object(mount, "field Source must not be empty")
    if not mount.Source.startswith("/"):
        raise _bad_object(
            mount, f"invalid mount path: '{mount.Source}' mount path must be absolute"
        )
    options = mount.BindOptions or shapes.BindShape()
    if options.Propagation and options.Propagation not in PROPAGATIONS:
        raise _bad_object(mount, f"invalid propagation mode: {options.Propagation}")
    _check_depth(mount, options)
    return BindMount(
        source=mount.Source,
        target=mount.Target,
        is_read_only=mount.ReadOnly,
        propagation=options.Propagation or DEFAULT_PROPAGATION,
        creates_source=options.CreateMountpoint,
        is_recursive=not options.NonRecursive,
        spares_submounts=options.ReadOnlyNonRecursive,
        must_reach_submounts=options.ReadOnlyForceRecursive,
    )


def _check_depth(mount: shapes.Mount, options: shapes.BindShape) -> None:
    """How deep it is read-only, where it is. Raises: InvalidValue."""
    chosen = [
        name for name in ("ReadOnlyNonRecursive", "ReadOnlyForceRecursive")
        if getattr(options, name)
    ]  # fmt: skip
    if len(chosen) > 1:
        raise _bad_object(mount, f"{' and '.join(chosen)} exclude each other")
    for name in chosen:
        if not mount.ReadOnly:
            raise _bad_object(mount, f"{name} needs ReadOnly")
        if options.NonRecursive:
            raise _bad_object(mount, f"{name} and NonRecursive exclude each other")
    if options.ReadOnlyForceRecursive and options.Propagation not in ("", "rprivate"):
        raise _bad_object(
            mount, f"ReadOnlyForceRecursive needs propagation rprivate, not {options.Propagation}"
        )


def _volume(mount: shapes.Mount) -> VolumeMount:
    options = mount.VolumeOptions or shapes.VolumeShape()
    driver = options.DriverConfig or shapes.DriverShape()
    if not mount.Source and mount.ReadOnly:
        raise _bad_object(mount, "must not set ReadOnly mode when using anonymous volumes")
    if not mount.Source and options.Subpath:
        raise _bad_object(mount, "must not set Subpath when using anonymous volumes")
    _check_subpath(mount, options.Subpath, "volume")
    return VolumeMount(
        name=mount.Source,
        target=mount.Target,
        driver=driver.Name,
        is_read_only=mount.ReadOnly,
        is_anonymous=not mount.Source,
        copies_image=not options.NoCopy,
        subpath=options.Subpath,
        labels=options.Labels or {},
        options=driver.Options or {},
        mode=RELABELLED,
        from_mount_flag=True,
    )


def _tmpfs(mount: shapes.Mount) -> TmpfsMount:
    if mount.Source:
        raise _bad_object(mount, "field Source must not be specified")
    options = mount.TmpfsOptions or shapes.TmpfsShape()
    if options.SizeBytes < 0:
        raise _bad_object(mount, "size must not be negative")
    words = [_tmpfs_word(mount, each) for each in options.Options or ()]
    return TmpfsMount(
        target=mount.Target,
        size_bytes=options.SizeBytes,
        mode=options.Mode or None,
        options=",".join([*words, "ro"] if mount.ReadOnly else words),
        from_mount_flag=True,
    )


def _tmpfs_word(mount: shapes.Mount, option: Sequence[str]) -> str:
    if not 1 <= len(option) <= 2:
        raise _bad_object(mount, "invalid option array length")
    if option[0] not in _TMPFS_WORDS:
        raise _bad_object(mount, f"invalid option: {option[0]}")
    return "=".join(option)


def _image(mount: shapes.Mount) -> ImageMount:
    if not mount.Source:
        raise _bad_object(mount, "field Source must not be empty")
    subpath = mount.ImageOptions.Subpath if mount.ImageOptions else ""
    _check_subpath(mount, subpath, "image")
    return ImageMount(reference=mount.Source, target=mount.Target, subpath=subpath)


def _check_subpath(mount: shapes.Mount, subpath: str, whole: str) -> None:
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise _bad_object(mount, f"subpath must be a relative path within the {whole}")


def _bad_object(mount: shapes.Mount, problem: str) -> InvalidValue:
    return InvalidValue(f'invalid mount config for type "{mount.Type}": {problem}')


# -- back ------------------------------------------------------------------------------------


def mount_objects(mounts: Iterable[MountSpec]) -> Iterator[shapes.Mount]:
    """HostConfig.Mounts."""
    for mount in mounts:
        match mount:
            case BindMount():
                if mount.written_as is None and not mount.is_inherited:
                    yield _bind_object(mount)
            case VolumeMount():
                if mount.from_mount_flag:
                    yield _volume_object(mount)
            case TmpfsMount():
                if mount.from_mount_flag:
                    yield _tmpfs_object(mount)
            case ImageMount():
                yield _image_object(mount)
            case _ as never:
                assert_never(never)


def _bind_object(mount: BindMount) -> shapes.Mount:
    options = shapes.BindShape(
        Propagation="" if mount.propagation == DEFAULT_PROPAGATION else mount.propagation,
        NonRecursive=not mount.is_recursive,
        ReadOnlyNonRecursive=mount.spares_submounts,
        ReadOnlyForceRecursive=mount.must_reach_submounts,
        CreateMountpoint=mount.creates_source,
    )
    return shapes.Mount(
        Type="bind",
        Source=mount.source,
        Target=mount.target,
        ReadOnly=mount.is_read_only,
        BindOptions=None if options == shapes.BindShape() else options,
    )


def _volume_object(mount: VolumeMount) -> shapes.Mount:
    driver = shapes.DriverShape(
        Name="" if not mount.options and mount.driver == "local" else mount.driver,
        Options=dict(mount.options) or None,
    )
    options = shapes.VolumeShape(
        NoCopy=not mount.copies_image,
        Labels=dict(mount.labels) or None,
        Subpath=mount.subpath,
        DriverConfig=None if driver == shapes.DriverShape() else driver,
    )
    return shapes.Mount(
        Type="volume",
        Source="" if mount.is_anonymous else mount.name,
        Target=mount.target,
        ReadOnly=mount.is_read_only,
        VolumeOptions=None if options == shapes.VolumeShape() else options,
    )


def _tmpfs_object(mount: TmpfsMount) -> shapes.Mount:
    words = mount.options.split(",") if mount.options else []
    options = shapes.TmpfsShape(
        SizeBytes=mount.size_bytes,
        Mode=mount.mode or 0,
        Options=[word.split("=", 1) for word in words if word != "ro"] or None,
    )
    return shapes.Mount(
        Type="tmpfs",
        Target=mount.target,
        ReadOnly="ro" in words,
        TmpfsOptions=None if options == shapes.TmpfsShape() else options,
    )


def _image_object(mount: ImageMount) -> shapes.Mount:
    options = shapes.ImageShape(Subpath=mount.subpath)
    return shapes.Mount(
        Type="image",
        Source=mount.reference,
        Target=mount.target,
        ImageOptions=None if options == shapes.ImageShape() else options,
    )
