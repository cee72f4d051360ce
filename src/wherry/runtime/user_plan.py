"""What a container in a user namespace needs done with the host's rights, and idmapped mounts.

Its process has no rights over anything of the host's: the root and the sources of bind mounts
are cloned for it beforehand, namespaces that it joins are joined before it gives up the host's
rights, and so are the kernel parameters and file systems of those.
"""

from collections.abc import Iterator

from wherry.linux.id_maps import IdMap
from wherry.oci.runtime_spec import IdMapping, Linux, Mount, RuntimeSpec
from wherry.operations.files.held_mounts import HoldFilesystem, MapTree
from wherry.operations.files.mounts import CloneTree
from wherry.operations.plan import Operation, Plan
from wherry.operations.processes.identity import SetGroups, SetUser
from wherry.operations.processes.namespaces import JoinNamespace
from wherry.operations.processes.user_namespaces import (
    USER,
    ForkInUserNamespace,
    MakeUserNamespace,
    OpenUserNamespace,
    RaiseHardLimit,
)
from wherry.runtime.device_plan import sysctls_of_joined
from wherry.runtime.mount_options import PlanRefused, mount_words
from wherry.runtime.mount_plan import INIT_IN_CONTAINER, held_layers, held_source, is_of_layers
from wherry.runtime.namespace_plan import joined_namespaces
from wherry.runtime.subject import Subject

_FILESYSTEM_OF = {"net": "sysfs", "ipc": "mqueue", "pid": "proc"}
"""The file system that shows a namespace: only who owns the namespace may mount it."""


def has_user_namespace(spec: RuntimeSpec) -> bool:
    """Whether the container is in a user namespace of its own, or one that it joins."""
    return any(each.type == "user" for each in spec.linux.namespaces)


def user_namespace(linux: Linux) -> Iterator[Operation]:
    """Hold the container's user namespace. Raises: PlanRefused."""
    wanted = next((each for each in linux.namespaces if each.type == "user"), None)
    has_maps = bool(linux.uid_mappings or linux.gid_mappings)
    if wanted is None:
        if has_maps:
            raise PlanRefused("user namespace mappings specified, but no user namespace")
        return
    if wanted.path:
        networks = (each.path for each in linux.namespaces if each.type == "network")
        # Who joins the owner of a network made it, and knows its maps.
        if has_maps and wanted.path not in networks:
            raise PlanRefused("a user namespace that is joined has its id mappings already")
        yield OpenUserNamespace(path=wanted.path, why="linux.namespaces joins it")
        return
    for what, mappings in (("uid", linux.uid_mappings), ("gid", linux.gid_mappings)):
        _require_root(what, mappings)
    yield MakeUserNamespace(
        name=USER,
        uid_map=id_map(linux.uid_mappings),
        gid_map=id_map(linux.gid_mappings),
        why="root of the container is nobody on the host (--userns, userns-remap)",
    )


def held_mounts(subject: Subject) -> Iterator[Operation]:
    """Clone with the host's rights what the container's process can't reach or map.

    The root is another's: `root_plan.held_root`.
    Raises: PlanRefused.
    """
    spec = subject.spec
    is_remote = has_user_namespace(spec)
    for mount in spec.mounts:
        words = mount_words(mount)
        if words.id_map and is_remote and is_of_layers(mount):
            yield held_layers(mount, USER)
            continue
        if words.id_map and not words.is_bind:
            raise PlanRefused(f"mount {mount.destination}: only bind mounts can be idmapped")
        if words.is_bind and (is_remote or words.id_map):
            yield held_source(mount, "a bind mount is made with the host's rights")
        if words.id_map:
            yield from _mapped(mount, is_remote=is_remote, is_recursive=words.id_map == "ridmap")
    if is_remote and subject.init_binary:
        yield CloneTree(
            source=subject.init_binary,
            destination=INIT_IN_CONTAINER,
            is_recursive=False,
            why="--init",
        )


def user_fork(subject: Subject, cgroup: str) -> Operation:
    """The fork of a container that is in a user namespace. Raises: PlanRefused."""
    first = tuple(_with_the_hosts_rights(subject))
    made = tuple(
        each.type for each in subject.spec.linux.namespaces if each.type == "pid" and not each.path
    )
    return ForkInUserNamespace(
        cgroup=cgroup,
        namespaces=made,
        first=first,
        first_steps=tuple(each.describe() for each in first),
        why="the container's process 1 is a child of the shim, born in the user namespace",
    )


def become_its_root() -> Plan:
    """Leave the host's user 0, which has no place in the user namespace."""
    why = "files are made by root of the container"
    return SetGroups(groups=(), why=why), SetUser(uid=0, gid=0, why=why)


def id_map(mappings: tuple[IdMapping, ...]) -> IdMap:
    """Mappings as the kernel's file has them."""
    return tuple((each.container_id, each.host_id, each.size) for each in mappings)


def _require_root(what: str, mappings: tuple[IdMapping, ...]) -> None:
    if not mappings:
        raise PlanRefused(f"user namespaces enabled, but no {what} mapping found")
    if not any(each.container_id == 0 and each.size for each in mappings):
        raise PlanRefused(f"linux.{what}Mappings: {what} 0 of the container is not mapped")


def _mapped(mount: Mount, *, is_remote: bool, is_recursive: bool) -> Iterator[Operation]:
    if bool(mount.uid_mappings) != bool(mount.gid_mappings):
        raise PlanRefused(f"mount {mount.destination}: uidMappings and gidMappings go together")
    name = USER
    if mount.uid_mappings:
        name = f"id-map:{mount.destination}"
        yield MakeUserNamespace(
            name=name,
            uid_map=id_map(mount.uid_mappings),
            gid_map=id_map(mount.gid_mappings),
            why=f"the map of the mount {mount.destination}",
        )
    elif not is_remote:
        raise PlanRefused(
            f"mount {mount.destination}: idmap without mappings needs a user namespace"
        )
    yield MapTree(
        destination=mount.destination,
        user_namespace=name,
        is_recursive=is_recursive,
        why="uidMappings and gidMappings of the mount",
    )


def _with_the_hosts_rights(subject: Subject) -> Iterator[Operation]:
    spec = subject.spec
    joined = {file: path for file, path in joined_namespaces(spec) if file != "user"}
    for file, path in joined.items():
        if file not in ("pid", "time"):
            yield JoinNamespace(
                namespace=file, path=path, why="joined before the host's rights are given up"
            )
    mounted = {each.type for each in spec.mounts}
    for file in joined:
        filesystem = _FILESYSTEM_OF.get(file)
        if filesystem in mounted and filesystem is not None and file != "pid":
            yield HoldFilesystem(
                filesystem=filesystem, why=f"it shows the joined {file} namespace"
            )
    yield from sysctls_of_joined(spec)
    for limit in spec.process.rlimits:
        yield RaiseHardLimit(name=limit.type, hard=limit.hard, why=f"--ulimit, {limit.type}")
