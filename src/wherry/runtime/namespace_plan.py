"""The namespaces of a container: made, joined, named."""

from collections.abc import Iterator

from wherry.oci.runtime_spec import Linux, RuntimeSpec
from wherry.operations.plan import Operation
from wherry.operations.processes.namespaces import (
    JoinNamespace,
    SetDomainname,
    SetHostname,
    SetTimeOffset,
    Unshare,
    UnshareForChildren,
)
from wherry.runtime.machine import Machine
from wherry.runtime.mount_options import PlanRefused

_FILES = {
    "mount": "mnt", "network": "net", "pid": "pid", "ipc": "ipc", "uts": "uts", "time": "time",
    "cgroup": "cgroup", "user": "user",
}  # fmt: skip
"""By the specification's word, the name of the file in /proc/PID/ns."""

_FOR_CHILDREN = ("pid", "time")
_CLOCKS = ("monotonic", "boottime")


def check_namespaces(linux: Linux) -> None:
    """Refuse namespaces that are unknown, named twice, or missing. Raises: PlanRefused."""
    seen = set()
    for each in linux.namespaces:
        if each.type not in _FILES:
            raise PlanRefused(f"namespaces of type {each.type} are not supported")
        if each.type in seen:
            raise PlanRefused(f"linux.namespaces has {each.type} twice")
        seen.add(each.type)
    if "mount" not in seen:
        raise PlanRefused("a container needs a mount namespace of its own")


def joined_namespaces(spec: RuntimeSpec) -> Iterator[tuple[str, str]]:
    """Those that exist, by their kernel's names, with their paths; the mount namespace last.

    From inside of that one the other paths would lead elsewhere.
    """
    joined = [(_FILES[each.type], each.path) for each in spec.linux.namespaces if each.path]
    yield from sorted(joined, key=lambda each: each[0] == "mnt")


def namespaces_for_children(
    spec: RuntimeSpec, machine: Machine, *, is_born_elsewhere: bool
) -> Iterator[Operation]:
    """Pid and time namespaces, which the next child is born in. Raises: PlanRefused.

    `is_born_elsewhere`: a new pid namespace is made at the fork itself, inside of a user
    namespace.
    """
    made = []
    for namespace in spec.linux.namespaces:
        if namespace.type not in _FOR_CHILDREN:
            continue
        if namespace.path:
            yield JoinNamespace(
                namespace=namespace.type,
                path=namespace.path,
                why=f"--{namespace.type} container:... shares that namespace",
            )
        elif namespace.type == "pid":
            made += [] if is_born_elsewhere else ["pid"]
        elif machine.has_time_namespaces:
            made.append("time")
    if made:
        yield UnshareForChildren(
            namespaces=tuple(made),
            why=f"default: every container has its own {' and '.join(made)} namespace",
        )
    yield from _time_offsets(spec.linux, has_own_clock="time" in made)


def _time_offsets(linux: Linux, *, has_own_clock: bool) -> Iterator[Operation]:
    if linux.time_offsets and not has_own_clock:
        raise PlanRefused("linux.timeOffsets needs a new time namespace")
    for clock, offset in sorted(linux.time_offsets.items()):
        if clock not in _CLOCKS:
            raise PlanRefused(f"linux.timeOffsets: no clock {clock!r}")
        yield SetTimeOffset(
            clock=clock, secs=offset.secs, nanosecs=offset.nanosecs, why="linux.timeOffsets"
        )


def own_namespaces(spec: RuntimeSpec, *, has_joined: bool) -> Iterator[Operation]:
    """The others, which the process itself leaves and enters. Raises: PlanRefused.

    `has_joined`: those that exist have been entered on the way, before a user namespace was.
    """
    made = [
        _FILES[each.type]
        for each in spec.linux.namespaces
        if not each.path and each.type not in (*_FOR_CHILDREN, "user")
    ]
    joined = [each for each in joined_namespaces(spec) if each[0] not in _FOR_CHILDREN]
    if not has_joined:
        for file, path in joined:
            yield JoinNamespace(namespace=file, path=path, why=_joins(file))
    if made:
        yield Unshare(
            namespaces=tuple(made),
            why=f"default: every container has its own {', '.join(made)} namespaces",
        )
    if spec.hostname and "uts" in made:
        yield SetHostname(name=spec.hostname, why="--hostname, or the short id of the container")
    if spec.domainname and "uts" in made:
        yield SetDomainname(name=spec.domainname, why="--domainname")


def _joins(file: str) -> str:
    if file == "net":
        return "the engine made and connected this network namespace before"
    return f"--{file} container:... shares that namespace"
