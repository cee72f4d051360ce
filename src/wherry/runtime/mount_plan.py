"""The mounts of a container, in the order of the specification."""

import os
import re
from collections.abc import Iterator

from wherry.linux.cgroups import CgroupLayout
from wherry.oci.runtime_spec import Mount
from wherry.operations.files.foreign_trees import CloneForeignTree
from wherry.operations.files.layer_mounts import HoldLayers
from wherry.operations.files.mounts import BindMount, CloneTree, MountFilesystem, RemountReadOnly
from wherry.operations.files.nodes import MakeLink
from wherry.operations.plan import Operation
from wherry.runtime.machine import Machine
from wherry.runtime.mount_options import mount_words
from wherry.runtime.subject import Subject, cgroup_directories_of

_FOREIGN_TREE = re.compile(r"/proc/([0-9]{1,10})/root(/.+)")
"""How a bind mount's source names a directory of another container."""

_LABELLED = frozenset({"tmpfs", "devpts", "mqueue"})
"""File systems without labels of their own: `mountLabel` is all that they have."""

INIT_IN_CONTAINER = "/sbin/docker-init"
"""Where Docker shows `--init`'s program."""


def mounts_of(subject: Subject, machine: Machine) -> Iterator[Operation]:
    """The mounts of the specification, then the init program's. Raises: PlanRefused."""
    for mount in subject.spec.mounts:
        if mount.type == "cgroup":
            yield from _cgroup_mounts(subject, mount, machine.layout)
        else:
            yield from mount_operations(mount, subject.spec.linux.mount_label)
    if subject.init_binary:
        yield BindMount(
            source=subject.init_binary,
            destination=INIT_IN_CONTAINER,
            attributes=("ro",),
            propagation="rprivate",
            why="--init",
        )


def is_foreign(mount: Mount) -> bool:
    """Whether a bind mount's source is a directory of another container."""
    return _FOREIGN_TREE.fullmatch(mount.source) is not None


def held_source(mount: Mount, why: str) -> Operation:
    """Clone a bind mount's source ahead of its mount."""
    foreign = _FOREIGN_TREE.fullmatch(mount.source)
    if foreign is not None:
        return CloneForeignTree(
            pid=int(foreign[1]),
            path=foreign[2],
            destination=mount.destination,
            why="--ipc container:... shares it",
        )
    words = mount_words(mount)
    return CloneTree(
        source=mount.source,
        destination=mount.destination,
        is_recursive=words.is_recursive,
        subpath=words.subpath,
        why=why,
    )


def is_of_layers(mount: Mount) -> bool:
    """Whether a mount is a stack of layers to which nobody writes."""
    if mount.type != "overlay":
        return False
    names = {name for name, _value in mount_words(mount).options}
    return "lowerdir" in names and "upperdir" not in names


def held_layers(mount: Mount, user_namespace: str = "") -> Operation:
    """Stack the layers of a mount ahead of it."""
    words = mount_words(mount)
    return HoldLayers(
        lower=tuple((dict(words.options)["lowerdir"] or "").split(":")),
        destination=mount.destination,
        subpath=words.subpath,
        user_namespace=user_namespace,
        why="--mount type=image",
    )


def mount_operations(mount: Mount, label: str = "") -> Iterator[Operation]:
    """What makes one mount; `label` is for file systems that have none. Raises: PlanRefused."""
    words = mount_words(mount)
    if is_of_layers(mount):
        if not words.id_map:
            yield held_layers(mount)
        yield BindMount(
            source="layers",
            destination=mount.destination,
            attributes=words.attributes,
            propagation="rprivate",
            why="--mount type=image",
        )
    elif not words.is_bind:
        context = (("context", label),) if label and mount.type in _LABELLED else ()
        yield MountFilesystem(
            filesystem=mount.type,
            destination=mount.destination,
            source=mount.source,
            attributes=words.attributes,
            options=(*words.options, *context),
            copies_up=words.copies_up,
            why=_why_mounted(mount),
        )
    else:
        yield BindMount(
            source=mount.source,
            destination=mount.destination,
            subpath=words.subpath,
            is_recursive=words.is_recursive,
            attributes=words.attributes,
            recursive_attributes=words.recursive_attributes,
            propagation=words.propagation,
            why=_why_mounted(mount),
        )


_REASONS = {
    "/proc": "default: the container sees its own processes",
    "/dev": "default: a /dev of its own, with a few harmless devices",
    "/dev/pts": "default: terminals of its own",
    "/sys": "default: the kernel's objects, read-only",
    "/dev/mqueue": "default: POSIX message queues of its own ipc namespace",
    "/dev/shm": "default: POSIX shared memory (--shm-size)",
    "/etc/hosts": "the engine writes it: names and addresses of the container",
    "/etc/hostname": "the engine writes it: --hostname",
    "/etc/resolv.conf": "the engine writes it: --dns, or the host's",
}


def _why_mounted(mount: Mount) -> str:
    reason = _REASONS.get(mount.destination)
    if reason is not None:
        return reason
    if mount.type == "tmpfs":
        return f"--tmpfs {mount.destination}"
    return f"-v {mount.source}:{mount.destination} (or --mount)"


def _cgroup_mounts(subject: Subject, mount: Mount, layout: CgroupLayout) -> Iterator[Operation]:
    """Version 2: the tree as the cgroup namespace shows it. Version 1: each hierarchy's own
    directory below a small tmpfs, as other runtimes show them."""
    words = mount_words(mount)
    why = "default: the container sees its own limits and can't change them"
    top = mount.destination
    if layout.is_unified:
        yield MountFilesystem(
            filesystem="cgroup2", destination=top, attributes=words.attributes, why=why
        )
        return
    writable = tuple(each for each in words.attributes if each != "ro")
    yield MountFilesystem(
        filesystem="tmpfs",
        destination=top,
        attributes=writable,
        options=(("mode", "755"),),
        why=why,
    )
    found = cgroup_directories_of(subject.spec, subject.container_id, layout)
    for hierarchy, directory in found:
        if hierarchy.version == 2:
            continue
        name = os.path.basename(hierarchy.mount_point)
        yield BindMount(
            source=directory, destination=f"{top}/{name}", attributes=words.attributes, why=why
        )
        for controller in hierarchy.controllers:
            if len(hierarchy.controllers) > 1 and controller != name:
                yield MakeLink(path=f"{top}/{controller}", points_to=name, why=why)
    if "ro" in words.attributes:
        yield RemountReadOnly(destination=top, why=why)
