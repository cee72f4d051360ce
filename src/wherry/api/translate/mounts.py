"""Mounts: `-v` texts, `--mount` objects and `--tmpfs` options, both ways."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn, assert_never

from wherry.model.containers import BindMount, MountSpec, TmpfsMount
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.wire import container_config as shapes
from wherry.wire.containers import MountPoint

DEFAULT_PROPAGATION = "rprivate"

_ACCESS = frozenset({"ro", "rw"})
_RELABELLING = frozenset({"z", "Z"})
_PROPAGATION = frozenset({"shared", "rshared", "slave", "rslave", "private", "rprivate"})
_CONSISTENCY = frozenset({"consistent", "cached", "delegated", "default"})
_COPYING = frozenset({"nocopy"})
_MODE_KINDS = (_ACCESS, _RELABELLING, _PROPAGATION, _CONSISTENCY, _COPYING)
"""Of each kind a mode names at most one. Relabelling and consistency do nothing here, as in
Docker on a host without SELinux, and on Linux."""

_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


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


def _from_text(text: str) -> BindMount:
    """`source:target[:mode]`, as docker's volume parser for Linux reads it."""
    source, target, mode = _split(text)
    words = _mode_words(mode)
    if not source.startswith("/"):
        _refuse_volume(text, source, target)
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


def _refuse_volume(text: str, name: str, target: str) -> NoReturn:
    problem = _target_problem(target)
    if problem:
        raise _bad_text(text, f'invalid mount config for type "volume": {problem}')
    if name and not _VOLUME_NAME.fullmatch(name):
        raise InvalidValue(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, '
            "use absolute path"
        )
    raise FeatureMissing(f"volumes ({text!r}); a bind mount begins with a slash")


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
    if problem and mount.Type in ("bind", "tmpfs"):
        raise _bad_object(mount, problem)
    match mount.Type:
        case "bind":
            return _bind(mount)
        case "tmpfs":
            return _tmpfs(mount)
        case "volume" | "image" | "cluster" | "npipe":
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
    if options.ReadOnlyNonRecursive or options.ReadOnlyForceRecursive:
        raise FeatureMissing("a choice of how deep a bind mount is read-only (BindOptions)")
    return BindMount(
        source=mount.Source,
        target=mount.Target,
        is_read_only=mount.ReadOnly,
        propagation=options.Propagation or DEFAULT_PROPAGATION,
        creates_source=options.CreateMountpoint,
        is_recursive=not options.NonRecursive,
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
    texts = [each.written_as for each in mounts if isinstance(each, BindMount) and each.written_as]
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
                if mount.written_as is None:
                    yield _bind_object(mount)
            case TmpfsMount():
                if mount.from_mount_flag:
                    yield _tmpfs_object(mount)
            case _ as never:
                assert_never(never)


def _bind_object(mount: BindMount) -> shapes.Mount:
    options = shapes.BindShape(
        Propagation="" if mount.propagation == DEFAULT_PROPAGATION else mount.propagation,
        NonRecursive=not mount.is_recursive,
        CreateMountpoint=mount.creates_source,
    )
    return shapes.Mount(
        Type="bind",
        Source=mount.source,
        Target=mount.target,
        ReadOnly=mount.is_read_only,
        BindOptions=None if options == shapes.BindShape() else options,
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
        case _ as never:
            assert_never(never)


def _mode_of(text: str | None) -> str:
    parts = text.split(":") if text else []
    return parts[2] if len(parts) == 3 else ""
