"""Mounts: `-v` texts, `--mount` objects and `--tmpfs` options, both ways."""

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from wherry.model.containers import BindMount, ImageMount, MountSpec, TmpfsMount, VolumeMount
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.wire import container_config as shapes
from wherry.wire.containers import MountPoint

DEFAULT_PROPAGATION = "rprivate"
_RELABELLED = "z"
"""The mode that Docker shows of a volume that was named without one."""

_ACCESS = frozenset({"ro", "rw"})
_RELABELLING = frozenset({"z", "Z"})
_PROPAGATION = frozenset({"shared", "rshared", "slave", "rslave", "private", "rprivate"})
_CONSISTENCY = frozenset({"consistent", "cached", "delegated", "default"})
_COPYING = frozenset({"nocopy"})
_MODE_KINDS = (_ACCESS, _RELABELLING, _PROPAGATION, _CONSISTENCY, _COPYING)
"""Of each kind a mode names at most one. Relabelling and consistency do nothing here, as in
Docker on a host without SELinux, and on Linux."""


def to_mounts(host: shapes.HostShape) -> tuple[MountSpec, ...]:
    """All mounts that a request asks for.

    Raises: InvalidValue, FeatureMissing.
    """
    return (
        *(_from_text(text) for text in host.Binds or ()),
        *(_from_object(mount) for mount in host.Mounts or ()),
        *(_from_tmpfs(target, options) for target, options in (host.Tmpfs or {}).items()),
    )


# -- `-v` ------------------------------------------------------------------------------------


def to_declared_volumes(config: shapes.Config) -> tuple[str, ...]:
    """The places of anonymous volumes (`-v /path`). Raises: InvalidValue."""
    for target in config.Volumes or {}:
        if problem := _target_problem(target):
            raise _bad_text(target, f'invalid mount config for type "volume": {problem}')
    return tuple(sorted(config.Volumes or {}))


def _from_text(text: str) -> BindMount | VolumeMount:
    """`source:target[:mode]`, as docker's volume parser for Linux reads it."""
    source, target, mode = _split(text)
    words = _mode_words(mode)
    if not source.startswith("/"):
        return _volume_from_text(text, source, target, mode)
    if "nocopy" in words:
        raise _bad_text(text, 'invalid mount config for type "bind": '
                     "field VolumeOptions must not be specified")  # fmt: skip
    problem = _target_problem(target)
    if problem:
        raise _bad_text(text, f'invalid mount config for type "bind": {problem}')
    return BindMount(
        source=source,
        target=target,
        is_read_only="ro" in words,
        propagation=next((word for word in words if word in _PROPAGATION), DEFAULT_PROPAGATION),
        creates_source=True,
        written_as=text,
    )


def _split(text: str) -> tuple[str, str, str]:
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise _bad_text(text)
    match parts:
        case [target]:
            return "", target, ""
        case [target, mode] if mode and _is_mode(mode):
            return "", target, mode
        case [source, target]:
            return source, target, ""
        case [source, target, mode]:
            if not _is_mode(mode):
                raise InvalidValue(f"invalid mode: {mode}")
            return source, target, mode
        case _:
            raise _bad_text(text)


def _is_mode(mode: str) -> bool:
    words = _mode_words(mode)
    if len(set(words)) != len(words):
        return False
    counts = [sum(word in kind for word in words) for kind in _MODE_KINDS]
    return sum(counts) == len(words) and all(count <= 1 for count in counts)


def _mode_words(mode: str) -> list[str]:
    return mode.split(",") if mode else []


def _volume_from_text(text: str, name: str, target: str, mode: str) -> VolumeMount:
    problem = _target_problem(target)
    if problem:
        raise _bad_text(text, f'invalid mount config for type "volume": {problem}')
    words = _mode_words(mode)
    if _PROPAGATION & set(words):
        raise _bad_text(text, 'invalid mount config for type "volume": '
                     "field BindOptions must not be specified")  # fmt: skip
    return VolumeMount(
        name=name,
        target=target,
        is_read_only="ro" in words,
        copies_image="nocopy" not in words,
        mode=mode or _RELABELLED,
        written_as=text,
    )


def _bad_text(text: str, problem: str = "") -> InvalidValue:
    reason = f": {problem}" if problem else ""
    return InvalidValue(f"invalid volume specification: '{text}'{reason}")


def _target_problem(target: str) -> str:
    if not target:
        return "field Target must not be empty"
    if not target.startswith("/"):
        return f"invalid mount path: '{target}' mount path must be absolute"
    if not target.strip("/"):
        return "invalid specification: destination can't be '/'"
    return ""


# -- `--mount` -------------------------------------------------------------------------------


def _from_object(mount: shapes.Mount) -> MountSpec:
    problem = _target_problem(mount.Target)
    if problem and mount.Type in ("bind", "image", "tmpfs", "volume"):
        raise _bad_object(mount, problem)
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


def _bind(mount: shapes.Mount) -> BindMount:
    if not mount.Source:
        raise _bad_object(mount, "field Source must not be empty")
    if not mount.Source.startswith("/"):
        raise _bad_object(
            mount, f"invalid mount path: '{mount.Source}' mount path must be absolute"
        )
    if mount.VolumeOptions is not None:
        raise _bad_object(mount, "field VolumeOptions must not be specified")
    options = mount.BindOptions or shapes.BindShape()
    if options.Propagation and options.Propagation not in _PROPAGATION:
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
    if mount.BindOptions is not None:
        raise _bad_object(mount, "field BindOptions must not be specified")
    if mount.TmpfsOptions is not None:
        raise _bad_object(mount, "field TmpfsOptions must not be specified")
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
        mode=_RELABELLED,
        from_mount_flag=True,
    )


def _tmpfs(mount: shapes.Mount) -> TmpfsMount:
    if mount.Source:
        raise _bad_object(mount, "field Source must not be specified")
    if mount.BindOptions is not None:
        raise _bad_object(mount, "field BindOptions must not be specified")
    options = mount.TmpfsOptions or shapes.TmpfsShape()
    if options.SizeBytes < 0:
        raise _bad_object(mount, "size must not be negative")
    words = ["=".join(pair) for pair in options.Options or ()]
    return TmpfsMount(
        target=mount.Target,
        size_bytes=options.SizeBytes,
        mode=options.Mode or None,
        options=",".join([*words, "ro"] if mount.ReadOnly else words),
        from_mount_flag=True,
    )


def _image(mount: shapes.Mount) -> ImageMount:
    if mount.BindOptions is not None:
        raise _bad_object(mount, "field BindOptions must not be specified")
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


def _from_tmpfs(target: str, options: str) -> TmpfsMount:
    problem = _target_problem(target)
    if problem:
        raise InvalidValue(problem)
    return TmpfsMount(target=target, options=options)


# -- back ------------------------------------------------------------------------------------


def bind_texts(mounts: Iterable[MountSpec]) -> list[str] | None:
    """HostConfig.Binds."""
    texts = [
        each.written_as
        for each in mounts
        if isinstance(each, BindMount | VolumeMount) and each.written_as
    ]
    return texts or None


def tmpfs_texts(mounts: Iterable[MountSpec]) -> Mapping[str, str]:
    """HostConfig.Tmpfs."""
    return {
        each.target: each.options
        for each in mounts
        if isinstance(each, TmpfsMount) and not each.from_mount_flag
    }


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
                Mode=_mode_of(mount.written_as),
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


def _mode_of(text: str | None) -> str:
    parts = text.split(":") if text else []
    return parts[2] if len(parts) == 3 else ""
