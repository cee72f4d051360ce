"""How a container's root comes together: what its snapshot's kind means for who does what.

    bind             one directory has it whole: bound in the container's mount namespace
    overlay          a stack of layers, mounted there by the kernel
    fuse-overlayfs   a stack that a program serves: made outside, where the program lives,
                     held, and attached there
    device           a file system on a block device, which the host has: likewise

In a user namespace nobody has the rights to mount any of them: all are made outside.
"""

import os
from collections.abc import Iterator

from wherry.oci.runtime_spec import Linux, RootfsMount, RuntimeSpec
from wherry.operations.files.held_mounts import AttachRoot, HoldDevice, HoldOverlay, MapTree
from wherry.operations.files.held_roots import HoldFuseOverlay
from wherry.operations.files.mounts import CloneTree
from wherry.operations.files.roots import BindRoot, MountOverlay
from wherry.operations.plan import Operation
from wherry.operations.processes.user_namespaces import USER
from wherry.runtime.mount_options import PlanRefused
from wherry.runtime.subject import Subject, root_source, root_target
from wherry.runtime.user_plan import id_map

_HELD = ("fuse-overlayfs", "device")
"""Kinds that are made outside of the container's mount namespace."""
_STACKED = "the image's layers are shared and read-only, changes go to the upper one"


def held_root(subject: Subject, *, is_remote: bool) -> Iterator[Operation]:
    """What is made of the root outside, with the host's rights; `is_remote`: all of it."""
    rootfs, spec = subject.rootfs, subject.spec
    if rootfs is not None and rootfs.type in _HELD:
        yield from _held(rootfs, linux=spec.linux if rootfs.maps_owners else None)
    elif is_remote:
        yield from _held_with_the_hosts_rights(subject)


def own_root(subject: Subject, *, is_remote: bool) -> Iterator[Operation]:
    """What the container's process does, in its mount namespace. Raises: PlanRefused."""
    rootfs, target = subject.rootfs, root_target(subject)
    if is_remote:
        yield AttachRoot(target=target, why="it was made with the host's rights")
    elif rootfs is None:
        source = root_source(subject)
        yield BindRoot(source=source, target=target, why=f"root.path {source}")
    elif rootfs.type in _HELD:
        yield AttachRoot(target=target, why="it was made where the program that serves it lives")
    else:
        yield _mounted(rootfs, target, "")


def whole_root(rootfs: RootfsMount, target: str, why: str = "") -> Iterator[Operation]:
    """The root, for who has the host's rights and a mount namespace apart. Raises: PlanRefused."""
    if rootfs.type in _HELD:
        yield from _held(rootfs, why)
        yield AttachRoot(target=target, why=why or _STACKED)
    else:
        yield _mounted(rootfs, target, why)


def _mounted(rootfs: RootfsMount, target: str, why: str) -> Operation:
    match rootfs.type:
        case "bind":
            return BindRoot(
                source=os.path.join(rootfs.directory, rootfs.source),
                target=target,
                why=why or "the snapshot driver has the whole root in one directory",
            )
        case "overlay":
            return MountOverlay(
                directory=rootfs.directory,
                lower=rootfs.lower,
                upper=rootfs.upper,
                work=rootfs.work,
                target=target,
                why=why or _STACKED,
            )
        case _:
            raise PlanRefused(f"a root of type {rootfs.type} can't be mounted")


def _held(rootfs: RootfsMount, why: str = "", linux: Linux | None = None) -> Iterator[Operation]:
    """`linux` has the maps, where owners are to be shown through them."""
    if rootfs.type == "device":
        yield HoldDevice(
            device=rootfs.source,
            filesystem=rootfs.filesystem,
            why=why or "the snapshot is a device, whose blocks are shared until they are written",
        )
        if linux is not None:
            yield _mapped_root()
        return
    yield HoldFuseOverlay(
        directory=rootfs.directory,
        lower=rootfs.lower,
        upper=rootfs.upper,
        work=rootfs.work,
        uid_map=id_map(linux.uid_mappings) if linux else (),
        gid_map=id_map(linux.gid_mappings) if linux else (),
        why=why or _STACKED,
    )


def _held_with_the_hosts_rights(subject: Subject) -> Iterator[Operation]:
    rootfs, spec = subject.rootfs, subject.spec
    match rootfs:
        case RootfsMount(type="overlay"):
            yield HoldOverlay(
                directory=rootfs.directory,
                lower=rootfs.lower,
                upper=rootfs.upper,
                work=rootfs.work,
                target=root_target(subject),
                user_namespace=USER if rootfs.maps_owners else "",
                owner=_root_on_host(spec) if rootfs.maps_owners else (0, 0),
                why=_STACKED,
            )
        case _:
            source = root_source(subject)
            yield CloneTree(
                source=source, destination="/", is_recursive=True, why=f"the root is {source}"
            )
            if rootfs is not None and rootfs.maps_owners:
                yield _mapped_root()


def _mapped_root() -> Operation:
    return MapTree(
        destination="/",
        user_namespace=USER,
        why="the snapshot's files have the owners that the image gives them",
    )


def _root_on_host(spec: RuntimeSpec) -> tuple[int, int]:
    """Who the container's root is on the host."""
    uid, gid = (
        next(each.host_id for each in mappings if each.container_id == 0)
        for mappings in (spec.linux.uid_mappings, spec.linux.gid_mappings)
    )
    return uid, gid
