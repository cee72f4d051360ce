"""The job that puts a container's files together for the daemon (`operations.views`).

A container that runs is asked for its own mounts, from inside its namespace: its overlay must
not be mounted a second time. One that does not run gets a root from its layers: one to write to,
or one that only shows them, so that it may be started meanwhile.

What is mounted in it is what the user mounted: not /proc, /sys or /dev, which are the kernel's.
"""

import os
import stat
from collections.abc import Iterator, Sequence

from wherry.kit.messages import Message
from wherry.oci.runtime_json import ROOTFS
from wherry.oci.runtime_spec import RootfsMount
from wherry.operations.files.foreign_trees import CloneForeignTree
from wherry.operations.files.mounts import BindMount
from wherry.operations.files.roots import SetPropagation
from wherry.operations.files.views import VIEW, AttachTree, DetachTree, MakeMountPoint, UnmountRoot
from wherry.operations.plan import Hands, Journal, Operation, OperationFailed, Plan, execute
from wherry.operations.processes.namespaces import JoinNamespace, Unshare
from wherry.runtime.root_plan import whole_root
from wherry.shim.protocol import VIEW_MOUNT, ViewMount

_WHY = "somebody outside looks at the container's files"


def open_view(message: Message) -> tuple[Message, tuple[int, ...]]:
    """Answer with a descriptor of a container's files. Raises: OSError; KeyError; ValueError."""
    mounts = [VIEW_MOUNT.from_json(each, "mounts") for each in message["mounts"]]
    target = message["target"]
    hands, journal = Hands(), Journal()
    try:
        execute(_private_namespace(), hands, journal)
        try:
            if message["rootfs"] is None:
                plan = running_view(message["pid"], mounts, target)
            else:
                rootfs = ROOTFS.from_json(message["rootfs"], "rootfs")
                plan = stopped_view(rootfs, mounts, target, writes=message["writes"])
            execute(plan, hands, journal)
        finally:
            execute(_way_back(), hands, journal)
        return {}, (hands.give(VIEW),)
    except OperationFailed as failed:
        raise OSError(getattr(failed.cause, "errno", 0) or 0, str(failed)) from failed
    finally:
        hands.close()


def running_view(pid: int, mounts: Sequence[ViewMount], target: str) -> Plan:
    """The files of a container that runs, as it sees them. `pid` is its first process."""
    places = [each.destination for each in _outer_first(mounts)]
    return (
        CloneForeignTree(why=_WHY, pid=pid, path="/", destination="/"),
        *(
            CloneForeignTree(why=_WHY, pid=pid, path=place, destination=place, is_recursive=True)
            for place in places
        ),
        AttachTree(why=_WHY, destination="/", target=target),
        *(
            BindMount(why=_WHY, source=place, destination=place, propagation="rprivate")
            for place in places
        ),
        DetachTree(why=_WHY),
    )


def stopped_view(
    rootfs: RootfsMount, mounts: Sequence[ViewMount], target: str, *, writes: bool
) -> Plan:
    """The files of a container that does not run; with `writes` they can be changed."""
    return tuple(_stopped_view(rootfs, _outer_first(mounts), target, writes=writes))


def _stopped_view(
    rootfs: RootfsMount, mounts: Sequence[ViewMount], target: str, *, writes: bool
) -> Iterator[Operation]:
    if writes or mounts:
        yield from whole_root(rootfs, target, _WHY)
    if not writes:
        if mounts:
            for each in mounts:
                yield MakeMountPoint(
                    why=f"{each.source} is mounted there",
                    destination=each.destination,
                    is_directory=_is_directory(each),
                )
            yield UnmountRoot(target=target, why="the container may start while it is looked at")
        yield from whole_root(_read_only(rootfs), target, _WHY)
    for each in mounts:
        yield BindMount(
            why=_WHY,
            source=each.source,
            subpath=each.subpath,
            destination=each.destination,
            is_recursive=not each.subpath,
            attributes=("ro",) if each.is_read_only else (),
            propagation="rprivate",
        )
    yield DetachTree(why=_WHY)


def _is_directory(mount: ViewMount) -> bool:
    """A hint for a mount point only: the mount itself looks again."""
    path = f"{mount.source}/{mount.subpath}" if mount.subpath else mount.source
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return True


def _read_only(rootfs: RootfsMount) -> RootfsMount:
    """The same files, through a mount that nobody writes to."""
    if not rootfs.upper:
        return rootfs
    if not rootfs.lower:
        return RootfsMount(type="bind", directory=rootfs.directory, source=rootfs.upper)
    return RootfsMount(
        type=rootfs.type, directory=rootfs.directory, lower=(rootfs.upper, *rootfs.lower)
    )


def _private_namespace() -> Plan:
    return (
        Unshare(why="what is mounted for a view is seen by nobody else", namespaces=("mnt",)),
        SetPropagation(path="/", propagation="rprivate", why="nor given back to the host"),
    )


def _way_back() -> Plan:
    return (
        JoinNamespace(
            why="the process that makes views has other work to do",
            namespace="mnt",
            path=f"/proc/{os.getppid()}/ns/mnt",
        ),
    )


def _outer_first(mounts: Sequence[ViewMount]) -> list[ViewMount]:
    return sorted(mounts, key=lambda each: each.destination.rstrip("/").count("/"))
