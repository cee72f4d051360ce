"""Which mounts a container gets, in which order, with which options.

The defaults come first. A user's mount at the place of a default one replaces it, and a mount
at /dev replaces everything below it. Then come the engine's files and the user's mounts,
shallow ones before deep ones, so that none hides another.
"""

import posixpath
from collections.abc import Iterator, Sequence
from typing import assert_never

from wherry.kit.values import replace
from wherry.model.containers import (
    BindMount,
    ContainerSpec,
    ImageMount,
    MountSpec,
    Security,
    TmpfsMount,
    VolumeMount,
)
from wherry.model.errors import HostLacks, InvalidValue
from wherry.oci.runtime_spec import Mount
from wherry.specgen import defaults
from wherry.specgen.host import HostFacts
from wherry.specgen.remapping import is_remapped

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_KEPT_WRITABLE = frozenset({"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"})
"""Default mounts that `--read-only` leaves alone."""
_RECURSIVE_READ_ONLY_SINCE = (5, 12)
"""mount_setattr(2) with AT_RECURSIVE."""


def container_mounts(
    spec: ContainerSpec, engine_files: Sequence[BindMount], shm_source: str, host: HostFacts
) -> tuple[Mount, ...]:
    """All mounts below the root, in order.

    `engine_files` are the files of the engine's own; a user's mount at the same place wins.
    `shm_source` is the directory that becomes /dev/shm when the ipc namespace is shared; empty
    for a new one.

    Raises: InvalidValue for options or places that a mount can't have.
    """
    wanted = list(spec.mounts)
    _check_targets(wanted)
    taken = {_clean(each.target) for each in wanted}
    if shm_source and "/dev/shm" not in taken:
        wanted.append(BindMount(source=shm_source, target="/dev/shm"))
    wanted += [
        _as_read_only(each) if spec.is_rootfs_read_only else each
        for each in engine_files
        if each.target not in taken
    ]
    wanted.sort(key=lambda each: _clean(each.target).count("/"))

    replaced = {_clean(each.target) for each in wanted}
    chosen = [_default_mount(each, spec) for each in _kept_defaults(replaced, spec)]
    of_engine = {each.target for each in engine_files}
    is_mapped = is_remapped(spec, host.remapped)
    chosen += [
        _with_mapped_owners(mount)
        if is_mapped and (_has_image_owners(each) or each.target in of_engine - taken)
        else mount
        for each, mount in ((each, _mount(each, host)) for each in wanted)
    ]
    return tuple(chosen)


def _has_image_owners(wish: MountSpec) -> bool:
    """Whether files are written as images have them; others are the host's."""
    return isinstance(wish, VolumeMount | ImageMount) or (
        isinstance(wish, BindMount) and wish.is_of_engine
    )


def _with_mapped_owners(mount: Mount) -> Mount:
    """Its files belong to whom they belong to in images, inside the container's user namespace."""
    return replace(mount, options=(*mount.options, "idmap"))


def rootfs_propagation(mounts: Sequence[MountSpec]) -> str:
    """How mounts reach the container's root: as far as its most open bind needs it."""
    wanted = {each.propagation for each in mounts if isinstance(each, BindMount)}
    if wanted & {"shared", "rshared"}:
        return "shared"
    if wanted & {"slave", "rslave"}:
        return "rslave"
    return ""


def _check_targets(mounts: Sequence[MountSpec]) -> None:
    """Refuse places that can't be mounted on. Raises: InvalidValue."""
    seen = set()
    for each in mounts:
        target = _clean(each.target)
        if target == "/":
            raise InvalidValue("invalid specification: destination can't be '/'")
        if not target.startswith("/"):
            raise InvalidValue(f"invalid mount path: '{each.target}' mount path must be absolute")
        if target in seen:
            raise InvalidValue(f"Duplicate mount point: {target}")
        seen.add(target)


def _clean(path: str) -> str:
    """The path as it will be used, without `..`, doubled or trailing slashes."""
    return "/" + posixpath.normpath(path).lstrip("/") if path.startswith("/") else path


def _kept_defaults(replaced: set[str], spec: ContainerSpec) -> Iterator[Mount]:
    for mount in defaults.MOUNTS:
        place = mount.destination
        if place in replaced or ("/dev" in replaced and place.startswith("/dev/")):
            continue
        if place == "/dev/shm" and spec.namespaces.ipc == "none":
            continue
        yield mount


def _default_mount(mount: Mount, spec: ContainerSpec) -> Mount:
    options = mount.options
    if mount.destination == "/dev/shm":
        options = (*options, f"size={spec.shm_bytes or defaults.SHM_BYTES}")
    if _is_writable_sys(mount.destination, spec.security):
        options = tuple(each for each in options if each != "ro")
    elif (
        spec.is_rootfs_read_only
        and mount.destination not in _KEPT_WRITABLE
        and "ro" not in options
    ):
        options = (*options, "ro")
    return Mount(
        destination=mount.destination, type=mount.type, source=mount.source, options=options
    )


def _is_writable_sys(place: str, security: Security) -> bool:
    """Whether a mount of the kernel's own settings may be written to."""
    if place == "/sys/fs/cgroup" and security.has_writable_cgroups is not None:
        return security.has_writable_cgroups
    return security.is_privileged and place.startswith("/sys")


def _as_read_only(bind: BindMount) -> BindMount:
    return BindMount(source=bind.source, target=bind.target, is_read_only=True)


def _mount(wanted: MountSpec, host: HostFacts) -> Mount:
    match wanted:
        case BindMount():
            return Mount(
                destination=_clean(wanted.target),
                type="bind",
                source=wanted.source,
                options=_bind_options(wanted, host),
            )
        case VolumeMount():
            return Mount(
                destination=_clean(wanted.target),
                type="bind",
                source=wanted.source,
                options=_volume_options(wanted, host),
            )
        case TmpfsMount():
            return Mount(
                destination=_clean(wanted.target),
                type="tmpfs",
                source="tmpfs",
                options=tmpfs_options(wanted),
            )
        case ImageMount():
            return _image_mount(wanted)
        case _ as never:
            assert_never(never)


def _image_mount(image: ImageMount) -> Mount:
    """Its layers, stacked where the container is made; one directory needs no stack."""
    subpath = (f"x-wherry.subpath={image.subpath}",) if image.subpath else ()
    if len(image.layers) == 1:
        return Mount(
            destination=_clean(image.target),
            type="bind",
            source=image.layers[0],
            options=("bind", "ro", "rprivate", *subpath),
        )
    return Mount(
        destination=_clean(image.target),
        type="overlay",
        source="overlay",
        options=("ro", f"lowerdir={':'.join(image.layers)}", *subpath),
    )


def _bind_options(bind: BindMount, host: HostFacts) -> tuple[str, ...]:
    propagation = bind.propagation or "rprivate"
    if propagation not in PROPAGATIONS:
        raise InvalidValue(
            f'invalid mount config for type "bind": invalid propagation mode: {propagation}'
        )
    options = ["rbind" if bind.is_recursive else "bind"]
    if bind.is_read_only:
        reaches_below = bind.is_recursive and not bind.spares_submounts
        word = _read_only_word(host) if reaches_below else "ro"
        if bind.must_reach_submounts and word != "rro":
            raise HostLacks(
                f"a recursively read-only mount of {bind.target}", "mount_setattr of Linux 5.12"
            )
        options.append(word)
    options.append(propagation)
    return tuple(options)


def _volume_options(volume: VolumeMount, host: HostFacts) -> tuple[str, ...]:
    options = ["rbind"]
    if volume.is_read_only:
        options.append(_read_only_word(host))
    options.append(volume.propagation or "rprivate")
    if volume.subpath:
        options.append(f"x-wherry.subpath={volume.subpath}")
    return tuple(options)


def _read_only_word(host: HostFacts) -> str:
    """`rro` reaches the mounts below as well, where the kernel can."""
    return "rro" if host.kernel_version >= _RECURSIVE_READ_ONLY_SINCE else "ro"


# -- tmpfs -----------------------------------------------------------------------------------

_TMPFS_DEFAULTS = ("noexec", "nosuid", "nodev", "rprivate")
_TMPFS_VALUES = frozenset({"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"})
_FLAG_PAIRS = (
    ("ro", "rw"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("noexec", "exec"),
    ("sync", "async"),
    ("dirsync",),
    ("mand", "nomand"),
    ("noatime", "atime"),
    ("nodiratime", "diratime"),
    ("relatime", "norelatime"),
    ("strictatime", "nostrictatime"),
    (*PROPAGATIONS, "unbindable", "runbindable"),
)
_FLAG_GROUPS = {option: group for group, options in enumerate(_FLAG_PAIRS) for option in options}
"""Options of one group exclude each other: the last one counts."""
_SUFFIXES = (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10))


def tmpfs_options(tmpfs: TmpfsMount) -> tuple[str, ...]:
    """The options of a temporary file system: Docker's defaults, then what the user wrote.

    Raises: InvalidValue with Docker's text.
    """
    written = [*_TMPFS_DEFAULTS]
    if tmpfs.mode is not None:
        written.append(f"mode={tmpfs.mode:o}")
    if tmpfs.size_bytes:
        written.append(f"size={_size(tmpfs.size_bytes)}")
    if tmpfs.options:
        written += tmpfs.options.split(",")
    return _last_ones_count(written)


def _last_ones_count(written: Sequence[str]) -> tuple[str, ...]:
    seen: set[int | str] = set()
    kept: list[str] = []
    for option in reversed(written):
        if option == "defaults":
            continue
        key: int | str
        if option in _FLAG_GROUPS:
            key = _FLAG_GROUPS[option]
        else:
            key, equals, _ = option.partition("=")
            if not equals or key not in _TMPFS_VALUES:
                parts = " ".join(f'"{part}"' for part in option.split("=", 1))
                raise InvalidValue(f"invalid tmpfs option [{parts}]")
        if key not in seen:
            seen.add(key)
            kept.append(option)
    return tuple(reversed(kept))


def _size(size_bytes: int) -> str:
    for suffix, unit in _SUFFIXES:
        if size_bytes % unit == 0:
            return f"{size_bytes // unit}{suffix}"
    return str(size_bytes)
