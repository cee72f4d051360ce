"""From a specification to plans: pure, so that a golden file can hold what would happen.

The work of a start is divided in three. The *parent plan* is done by the caller (the shim):
cgroups, limits, and a fork. The *child plan* is done by the new process: namespaces, root,
mounts, devices, masks, pivot, working directory. Then the child has looked up who it is to be
in the image's own files, and the *last plan* gives up privileges, in the order that
capabilities(7) and seccomp(2) require.
"""

import os
from collections.abc import Iterator

from wherry.linux.cgroups import CgroupLayout, Hierarchy
from wherry.operations.files.masks import MaskPath, ProtectPath
from wherry.operations.files.mounts import RemountReadOnly
from wherry.operations.files.nodes import EnterDirectory, MakeDirectory
from wherry.operations.files.roots import MoveRoot, PivotRoot, SetPropagation
from wherry.operations.plan import Operation, Plan
from wherry.operations.processes.cgroups import EnableControllers, EnterCgroups, MakeCgroup
from wherry.operations.processes.hooks import AwaitRuntimeHooks
from wherry.operations.processes.identity import SetUmask
from wherry.operations.processes.process import Fork, JoinSessionKeyring, NewSession, SetDumpable
from wherry.runtime.attending import ContainerFacts, hook_operations, state_json
from wherry.runtime.device_plan import device_nodes, sysctls_of
from wherry.runtime.limits import device_operation, limit_operations
from wherry.runtime.machine import Machine
from wherry.runtime.mount_options import mount_words
from wherry.runtime.mount_plan import held_source, is_foreign, mounts_of
from wherry.runtime.namespace_plan import (
    check_namespaces,
    namespaces_for_children,
    own_namespaces,
)
from wherry.runtime.privilege_plan import (
    confinement,
    label_files,
    late_confinement,
    oom_score,
    require_selinux,
)
from wherry.runtime.refusals import refuse_unbuilt
from wherry.runtime.root_plan import held_root, own_root
from wherry.runtime.subject import (
    Subject,
    cgroup_directories_of,
    root_target,
)
from wherry.runtime.user_plan import (
    become_its_root,
    has_user_namespace,
    held_mounts,
    user_fork,
    user_namespace,
)

_V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids", "hugetlb", "rdma")


def parent_plan(subject: Subject, machine: Machine) -> Plan:
    """Cgroups, limits, namespaces for the next child, and the fork. Raises: PlanRefused."""
    return tuple(_parent_operations(subject, machine))


def _parent_operations(subject: Subject, machine: Machine) -> Iterator[Operation]:
    spec, layout = subject.spec, machine.layout
    check_namespaces(spec.linux)
    if subject.rootfs is not None:
        yield MakeDirectory(
            path=root_target(subject), why="the root is mounted here, inside the namespace only"
        )
    directories = cgroup_directories_of(spec, subject.container_id, layout)
    if layout.is_unified and layout.unified is not None:
        yield from _enabled_controllers(subject, layout.unified)
    for hierarchy, directory in directories:
        yield MakeCgroup(
            path=directory,
            inherits=_inherited(hierarchy),
            why=f"every container has its own cgroup for {_controllers(hierarchy)}",
        )
    by_controller = _by_controller(directories)
    yield from limit_operations(spec.linux.resources, by_controller, layout)
    devices = device_operation(spec.linux.resources, by_controller)
    if devices is not None:
        yield devices
    is_remote = has_user_namespace(spec)
    # Before the pid namespace, which would end with the first process that is born in it.
    yield from user_namespace(spec.linux)
    yield from held_root(subject, is_remote=is_remote)
    yield from held_mounts(subject)
    yield from namespaces_for_children(spec, machine, is_born_elsewhere=is_remote)
    if is_remote:
        yield user_fork(subject, by_controller.get("", ""))
        return
    yield Fork(
        cgroup=by_controller.get("", ""),
        why="the container's process 1 is a child of the shim, parked until start",
    )


def _enabled_controllers(subject: Subject, unified: Hierarchy) -> Iterator[Operation]:
    """Each cgroup above the container's must pass the controllers on (cgroup-v2.rst)."""
    controllers = tuple(each for each in _V2_CONTROLLERS if each in unified.controllers)
    path = os.path.normpath(f"/{subject.spec.linux.cgroups_path or subject.container_id}")
    parts = os.path.dirname(path).strip("/").split("/")
    above = [unified.mount_point]
    above += [f"{unified.mount_point}/{'/'.join(parts[:end])}" for end in range(1, len(parts) + 1)]
    for directory in dict.fromkeys(each.rstrip("/") for each in above):
        yield EnableControllers(
            path=directory,
            controllers=controllers,
            why="version 2 passes no controller on by itself",
        )


def _by_controller(directories: tuple[tuple[Hierarchy, str], ...]) -> dict[str, str]:
    """The directory that has a controller; "" is the version 2 tree itself."""
    found = {}
    for hierarchy, directory in directories:
        if hierarchy.version == 2:
            found[""] = directory
        for controller in hierarchy.controllers:
            found.setdefault(controller, directory)
    return found


def _inherited(hierarchy: Hierarchy) -> tuple[str, ...]:
    if hierarchy.version == 1 and "cpuset" in hierarchy.controllers:
        return ("cpuset.cpus", "cpuset.mems")
    return ()


def _controllers(hierarchy: Hierarchy) -> str:
    if hierarchy.version == 2:
        return "the version 2 tree (cgroup.kill, cgroup.freeze)"
    return ", ".join(hierarchy.controllers)


def child_plan(subject: Subject, machine: Machine) -> Plan:
    """From a forked process to one that sees only the container. Raises: PlanRefused."""
    return tuple(_child_operations(subject, machine))


def _child_operations(subject: Subject, machine: Machine) -> Iterator[Operation]:
    spec = subject.spec
    refuse_unbuilt(spec)
    yield SetDumpable(
        is_dumpable=False, why="processes of a shared pid namespace must not look into the engine"
    )
    has_hooks = bool(spec.hooks.create_container or spec.hooks.start_container)
    yield from confinement(spec.process, machine, is_later=has_hooks)
    yield SetUmask(
        mask=0,
        is_passing=True,
        why="nodes and directories get the permissions that they are given",
    )
    entered = _entered_files(subject, machine.layout)
    if entered:
        yield EnterCgroups(files=entered, why="limits hold from here on, also for the mounts")
    yield NewSession(why="the program leads a session of its own")
    if subject.has_own_keyring:
        yield JoinSessionKeyring(
            name=f"_ses.{subject.container_id}",
            why="keys of the engine's session must not be found from the container",
        )
    if spec.process.oom_score_adj is not None:
        yield oom_score(spec.process.oom_score_adj)
    if spec.linux.mount_label:
        require_selinux(machine)
    yield from label_files(spec.process, machine)
    is_remote = has_user_namespace(spec)
    yield from own_namespaces(spec, has_joined=is_remote)
    yield from _root(subject, is_remote=is_remote)
    if is_remote:
        yield from become_its_root()
    yield from mounts_of(subject, machine)
    yield from device_nodes(subject, machine, makes_nodes=not is_remote)
    yield from sysctls_of(spec, has_set_joined=is_remote)
    for path in spec.linux.masked_paths:
        yield MaskPath(path=path, why="default: it tells or controls too much of the host")
    for path in spec.linux.readonly_paths:
        yield ProtectPath(path=path, why="default: the host's settings can't be changed here")
    yield from _hooks_before_the_pivot(subject)
    if spec.root.readonly:
        yield RemountReadOnly(destination="/", why="--read-only")
    change = MoveRoot if subject.moves_root else PivotRoot
    yield change(why="the container must not see or reach the host's files")
    if spec.linux.rootfs_propagation:
        yield SetPropagation(
            path="/",
            propagation=spec.linux.rootfs_propagation,
            why="a bind mount asks for this propagation (bind-propagation=...)",
        )
    yield EnterDirectory(path=spec.process.cwd, why=f"--workdir or WORKDIR {spec.process.cwd}")


def _hooks_before_the_pivot(subject: Subject) -> Iterator[Operation]:
    """Those of the host's namespaces, run by the parent, then those of the container's."""
    hooks = subject.spec.hooks
    if hooks.prestart or hooks.create_runtime:
        yield AwaitRuntimeHooks(why="hooks.prestart and hooks.createRuntime")
    state = state_json(
        ContainerFacts(
            container_id=subject.container_id,
            bundle=subject.bundle,
            annotations=subject.spec.annotations,
        ),
        "creating",
    )
    yield from hook_operations("createContainer", hooks.create_container, state)
    if hooks.create_container and not hooks.start_container:
        yield from late_confinement(subject.spec.process)


def _entered_files(subject: Subject, layout: CgroupLayout) -> tuple[str, ...]:
    found = cgroup_directories_of(subject.spec, subject.container_id, layout)
    return tuple(f"{directory}/tasks" for hierarchy, directory in found if hierarchy.version == 1)


def _root(subject: Subject, *, is_remote: bool) -> Iterator[Operation]:
    if not is_remote:
        yield from _trees_held_by_the_child(subject)
    yield SetPropagation(
        path="/", propagation="rslave", why="mounts made in the container must not reach the host"
    )
    yield from own_root(subject, is_remote=is_remote)


def _trees_held_by_the_child(subject: Subject) -> Iterator[Operation]:
    for mount in subject.spec.mounts:
        words = mount_words(mount)
        is_peer = words.propagation.endswith("shared")
        if words.is_bind and not words.id_map and (is_peer or is_foreign(mount)):
            yield held_source(mount, f"bind-propagation={words.propagation} asks for it")
