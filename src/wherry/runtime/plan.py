"""From a specification to plans: pure, so that a golden file can hold what would happen.

The work of a start is divided in three. The *parent plan* is done by the caller (the shim):
cgroups, limits, and a fork. The *child plan* is done by the new process: namespaces, root,
mounts, devices, masks, pivot, working directory. Then the child has looked up who it is to be
in the image's own files, and the *last plan* gives up privileges, in the order that
capabilities(7) and seccomp(2) require.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from wherry.linux.cgroups import CgroupLayout, Hierarchy
from wherry.oci.runtime_spec import Capabilities, Device, Mount, Process, RootfsMount, RuntimeSpec
from wherry.operations.cgroups import EnableControllers, EnterCgroups, MakeCgroup
from wherry.operations.files import EnterDirectory, MakeDevice, MakeDirectory, MakeLink
from wherry.operations.foreign_trees import CloneForeignTree
from wherry.operations.identity import (
    LimitBoundingSet,
    LoadSeccomp,
    SetCapabilities,
    SetGroups,
    SetNoNewPrivileges,
    SetUmask,
    SetUser,
)
from wherry.operations.mounts import (
    BindMount,
    BindRoot,
    CloneTree,
    MaskPath,
    MountFilesystem,
    MountOverlay,
    PivotRoot,
    ProtectPath,
    RemountReadOnly,
    SetPropagation,
)
from wherry.operations.namespaces import (
    JoinContainer,
    JoinNamespace,
    SetDomainname,
    SetHostname,
    Unshare,
    UnshareForChildren,
)
from wherry.operations.plan import Operation, Plan
from wherry.operations.process import (
    AttachStdio,
    AttachTerminal,
    BindConsole,
    CloseDescriptors,
    Execve,
    Fork,
    NewSession,
    OpenTerminal,
    SetDumpable,
    SetOomScore,
    SetRlimit,
)
from wherry.operations.sysctls import HoldProcfs, SetSysctl, parameter_path
from wherry.runtime.accounts import Identity
from wherry.runtime.limits import device_operation, limit_operations
from wherry.runtime.machine import Machine
from wherry.runtime.mount_options import PlanRefused, mount_words

INIT_IN_CONTAINER = "/sbin/docker-init"
"""Where Docker shows `--init`'s program."""

DEFAULT_UMASK = 0o022

_NAMESPACE_FILES = {
    "mount": "mnt", "network": "net", "pid": "pid", "ipc": "ipc", "uts": "uts", "time": "time",
    "cgroup": "cgroup", "user": "user",
}  # fmt: skip
_FOR_CHILDREN = ("pid", "time")
_FOREIGN_TREE = re.compile(r"/proc/([0-9]{1,10})/root(/.+)")
"""How a bind mount's source names a directory of another container."""
_DEFAULT_DEVICES = tuple(
    Device(path=f"/dev/{name}", type="c", major=major, minor=minor)
    for name, major, minor in (
        ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9),
        ("tty", 5, 0),
    )
)  # fmt: skip
_LINKS = (
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
)
_IPC_SYSCTLS = frozenset(
    {
        "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
        "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", "kernel.msg_next_id",
        "kernel.sem_next_id", "kernel.shm_next_id",
    }
)  # fmt: skip
_V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "pids")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a container's plans are made from."""

    container_id: str
    bundle: str
    spec: RuntimeSpec
    rootfs: RootfsMount | None
    init_binary: str
    seccomp_program: bytes
    """Empty: unconfined."""
    makes_terminal: bool


# -- the parent's half -------------------------------------------------------------------------


def parent_plan(subject: Subject, machine: Machine) -> Plan:
    """Cgroups, limits, namespaces for the next child, and the fork. Raises: PlanRefused."""
    return tuple(_parent_operations(subject, machine))


def _parent_operations(subject: Subject, machine: Machine) -> Iterator[Operation]:
    spec, layout = subject.spec, machine.layout
    yield MakeDirectory(
        path=_root_target(subject), why="the root is mounted here, inside the namespace only"
    )
    directories = cgroup_directories_of(subject, layout)
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
    yield from _namespaces_for_children(spec, machine)
    yield Fork(
        cgroup=by_controller.get("", ""),
        why="the container's process 1 is a child of the shim, parked until start",
    )


def cgroup_directories_of(
    subject: Subject, layout: CgroupLayout
) -> tuple[tuple[Hierarchy, str], ...]:
    """The container's directory in each hierarchy."""
    path = "/" + os.path.normpath(
        f"/{subject.spec.linux.cgroups_path or subject.container_id}"
    ).lstrip("/")
    if path == "/":
        raise PlanRefused("cgroupsPath must not be the root of the hierarchies")
    return tuple((each, f"{each.mount_point}{path}") for each in layout.hierarchies())


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


def _namespaces_for_children(spec: RuntimeSpec, machine: Machine) -> Iterator[Operation]:
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
        elif namespace.type != "time" or machine.has_time_namespaces:
            made.append(namespace.type)
    if made:
        yield UnshareForChildren(
            namespaces=tuple(made),
            why=f"default: every container has its own {' and '.join(made)} namespace",
        )


# -- the child's half --------------------------------------------------------------------------


def child_plan(subject: Subject, machine: Machine) -> Plan:
    """From a forked process to one that sees only the container. Raises: PlanRefused."""
    return tuple(_child_operations(subject, machine))


def _child_operations(subject: Subject, machine: Machine) -> Iterator[Operation]:
    spec = subject.spec
    _refuse_labels(spec.process)
    if spec.linux.mount_label:
        raise PlanRefused("SELinux labels of mounts are not supported")
    yield SetDumpable(
        is_dumpable=False, why="processes of a shared pid namespace must not look into the engine"
    )
    yield SetUmask(mask=0, why="nodes and directories get the permissions that they are given")
    entered = _entered_files(subject, machine.layout)
    if entered:
        yield EnterCgroups(files=entered, why="limits hold from here on, also for the mounts")
    yield NewSession(why="the program leads a session of its own")
    if spec.process.oom_score_adj is not None:
        yield _oom_score(spec.process.oom_score_adj)
    yield from _own_namespaces(spec)
    yield from _root(subject)
    yield from _mounts(subject, machine)
    yield from _devices(subject, machine)
    yield from _sysctls(spec)
    for path in spec.linux.masked_paths:
        yield MaskPath(path=path, why="default: it tells or controls too much of the host")
    for path in spec.linux.readonly_paths:
        yield ProtectPath(path=path, why="default: the host's settings can't be changed here")
    if spec.root.readonly:
        yield RemountReadOnly(destination="/", why="--read-only")
    yield PivotRoot(why="the container must not see or reach the host's files")
    if spec.linux.rootfs_propagation:
        yield SetPropagation(
            path="/",
            propagation=spec.linux.rootfs_propagation,
            why="a bind mount asks for this propagation (bind-propagation=...)",
        )
    yield EnterDirectory(path=spec.process.cwd, why=f"--workdir or WORKDIR {spec.process.cwd}")


def _entered_files(subject: Subject, layout: CgroupLayout) -> tuple[str, ...]:
    return tuple(
        f"{directory}/tasks"
        for hierarchy, directory in cgroup_directories_of(subject, layout)
        if hierarchy.version == 1
    )


def _oom_score(adjustment: int) -> Operation:
    return SetOomScore(
        adjustment=adjustment, why="--oom-score-adj; the engine's own is not inherited"
    )


def _own_namespaces(spec: RuntimeSpec) -> Iterator[Operation]:
    made = []
    for namespace in spec.linux.namespaces:
        file = _NAMESPACE_FILES.get(namespace.type)
        if file is None or file == "user":
            raise PlanRefused(f"namespaces of type {namespace.type} are not supported")
        if file in _FOR_CHILDREN:
            continue
        if namespace.path:
            yield JoinNamespace(namespace=file, path=namespace.path, why=_joins(namespace.type))
        else:
            made.append(file)
    if "mnt" not in made:
        raise PlanRefused("a container needs a mount namespace of its own")
    yield Unshare(
        namespaces=tuple(made),
        why=f"default: every container has its own {', '.join(made)} namespaces",
    )
    if spec.hostname and "uts" in made:
        yield SetHostname(name=spec.hostname, why="--hostname, or the short id of the container")
    if spec.domainname and "uts" in made:
        yield SetDomainname(name=spec.domainname, why="--domainname")


def _joins(kind: str) -> str:
    if kind == "network":
        return "the engine made and connected this network namespace before"
    return f"--{kind} container:... shares that namespace"


def _root_target(subject: Subject) -> str:
    return f"{subject.bundle}/rootfs"


def _root(subject: Subject) -> Iterator[Operation]:
    for mount in subject.spec.mounts:
        words = mount_words(mount)
        foreign = _FOREIGN_TREE.fullmatch(mount.source) if words.is_bind else None
        if foreign is not None:
            yield CloneForeignTree(
                pid=int(foreign[1]), path=foreign[2], why="--ipc container:... shares it"
            )
        elif words.is_bind and words.propagation.endswith("shared"):
            yield CloneTree(
                source=mount.source,
                is_recursive=words.is_recursive,
                why=f"bind-propagation={words.propagation} of {mount.destination}",
            )
    yield SetPropagation(
        path="/", propagation="rslave", why="mounts made in the container must not reach the host"
    )
    rootfs, target = subject.rootfs, _root_target(subject)
    match rootfs:
        case None:
            source = os.path.join(subject.bundle, subject.spec.root.path)
            yield BindRoot(source=source, target=target, why=f"root.path {source}")
        case RootfsMount(type="bind"):
            yield BindRoot(
                source=os.path.join(rootfs.directory, rootfs.source),
                target=target,
                why="the snapshot driver has the whole root in one directory",
            )
        case RootfsMount(type="overlay"):
            yield MountOverlay(
                directory=rootfs.directory,
                lower=rootfs.lower,
                upper=rootfs.upper,
                work=rootfs.work,
                target=target,
                why="the image's layers are shared and read-only, changes go to the upper one",
            )
        case _:
            raise PlanRefused(f"a root of type {rootfs.type} can't be mounted")


# -- mounts ------------------------------------------------------------------------------------


def _mounts(subject: Subject, machine: Machine) -> Iterator[Operation]:
    for mount in subject.spec.mounts:
        if mount.type == "cgroup":
            yield from _cgroup_mounts(subject, mount, machine.layout)
        else:
            yield _mount(mount)
    if subject.init_binary:
        yield BindMount(
            source=subject.init_binary,
            destination=INIT_IN_CONTAINER,
            attributes=("ro",),
            propagation="rprivate",
            why="--init",
        )


def _mount(mount: Mount) -> Operation:
    words = mount_words(mount)
    if not words.is_bind:
        return MountFilesystem(
            filesystem=mount.type,
            destination=mount.destination,
            source=mount.source,
            attributes=words.attributes,
            options=words.options,
            why=_why_mounted(mount),
        )
    return BindMount(
        source=mount.source,
        destination=mount.destination,
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
    for hierarchy, directory in cgroup_directories_of(subject, layout):
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


# -- devices and kernel parameters -------------------------------------------------------------


def _devices(subject: Subject, machine: Machine) -> Iterator[Operation]:
    spec = subject.spec
    if not _has_host_dev(spec):
        devices = {each.path: each for each in (*_DEFAULT_DEVICES, *spec.linux.devices)}
        default = {each.path for each in _DEFAULT_DEVICES}
        for device in devices.values():
            yield MakeDevice(
                path=device.path,
                type=device.type,
                major=device.major,
                minor=device.minor,
                mode=device.file_mode,
                uid=device.uid,
                gid=device.gid,
                why="default: every container has it"
                if device.path in default
                else f"--device {device.path} (or --privileged)",
            )
        core = (("/dev/core", "/proc/kcore"),) if machine.has_kcore else ()
        for path, points_to in (*_LINKS, *core):
            yield MakeLink(path=path, points_to=points_to, why="default: as on every Linux")
    if subject.makes_terminal:
        yield _terminal(spec.process)
        yield BindConsole(why="--tty: messages for the console go to the terminal")


def _has_host_dev(spec: RuntimeSpec) -> bool:
    """Whether a bind mount is all of /dev: then nothing is made in it."""
    return any(each.destination == "/dev" and mount_words(each).is_bind for each in spec.mounts)


def _terminal(process: Process) -> Operation:
    return OpenTerminal(rows=process.console_height, columns=process.console_width, why="--tty")


def _sysctls(spec: RuntimeSpec) -> Iterator[Operation]:
    if not spec.linux.sysctl:
        return
    own = {each.type for each in spec.linux.namespaces if not each.path}
    joined = {each.type for each in spec.linux.namespaces if each.path}
    yield HoldProcfs(why="--sysctl: no mount of the container can stand in its way")
    for name, value in sorted(spec.linux.sysctl.items()):
        _require_namespaced(name, own, joined)
        if not value.isascii() or "\0" in value:
            raise PlanRefused(f"sysctl {name}: the value must be plain text")
        yield SetSysctl(name=name, value=value, why=f"--sysctl {name}={value}")


def _require_namespaced(name: str, own: set[str], joined: set[str]) -> None:
    """Refuse a parameter that is the host's, or a namespace's that is shared with it.

    Raises: PlanRefused.
    """
    try:
        words = parameter_path(name).split("/")
    except ValueError as error:
        raise PlanRefused(f"sysctl {name!r} is not a kernel parameter") from error
    dotted = ".".join(words)
    if words[0] == "net" and len(words) > 1:
        needed = "network"
    elif dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue."):
        needed = "ipc"
    elif dotted == "kernel.domainname":
        needed = "uts"
    else:
        raise PlanRefused(f"sysctl {name} is not in a separate kernel namespace")
    if needed not in own | (joined if needed == "network" else set()):
        raise PlanRefused(f"sysctl {name} is not allowed in the host's {needed} namespace")


# -- privileges --------------------------------------------------------------------------------


def last_plan(
    process: Process,
    identity: Identity,
    seccomp_program: bytes,
    machine: Machine,
    *,
    terminal: bool,
) -> Plan:
    """Descriptors, limits, then privileges given up for good, of a container's process.

    Without no_new_privs a filter needs CAP_SYS_ADMIN, so it is loaded before capabilities go;
    with it, as late as possible, so that it need not allow what happens here.
    """
    return tuple(_last_operations(process, identity, seccomp_program, machine, terminal))


def _last_operations(
    process: Process, identity: Identity, program: bytes, machine: Machine, terminal: bool
) -> Iterator[Operation]:
    if terminal:
        yield AttachTerminal(why="--tty")
    else:
        yield AttachStdio(why="the shim reads what the program writes, for logs and attach")
    for limit in process.rlimits:
        option = f"--ulimit {limit.type.removeprefix('RLIMIT_').lower()}={limit.soft}:{limit.hard}"
        yield SetRlimit(name=limit.type, soft=limit.soft, hard=limit.hard, why=option)
    seccomp = LoadSeccomp(
        program=program,
        size_bytes=len(program),
        why="default: only the system calls that containers need (--security-opt seccomp=...)",
    )
    if process.no_new_privileges:
        yield SetNoNewPrivileges(why="--security-opt no-new-privileges")
    elif program:
        yield seccomp
    capabilities = process.capabilities or Capabilities()
    yield LimitBoundingSet(
        kept=capabilities.bounding,
        last=machine.last_capability,
        why="default: 14 capabilities (--cap-add, --cap-drop, --privileged)",
    )
    yield SetGroups(groups=identity.groups, why="the user's groups in the image, and --group-add")
    yield SetUser(
        uid=identity.uid, gid=identity.gid, why="--user or USER; root of the container otherwise"
    )
    yield SetCapabilities(
        effective=capabilities.effective,
        permitted=capabilities.permitted,
        inheritable=capabilities.inheritable,
        ambient=capabilities.ambient,
        why="the same set; none is effective for a user other than root",
    )
    umask = process.user.umask
    yield SetUmask(
        mask=DEFAULT_UMASK if umask is None else umask, why="default: others may read new files"
    )
    if process.no_new_privileges and program:
        yield seccomp
    yield CloseDescriptors(why="no descriptor of the host may be reachable from the container")


def execve_operation(
    program: str, args: tuple[str, ...], environment: tuple[str, ...], home: str
) -> Execve:
    """The last step: HOME is added when the image and the user left it out."""
    if not any(each.startswith("HOME=") for each in environment):
        environment = (*environment, f"HOME={home}")
    return Execve(
        program=program, args=args, environment=environment, why="the container's command"
    )


# -- one more process --------------------------------------------------------------------------


def join_parent_plan(cgroup_paths: tuple[str, ...], layout: CgroupLayout) -> Plan:
    """The fork of an exec, into the container's version 2 cgroup when there is one."""
    unified = next((path for path in cgroup_paths if _is_unified(path, layout)), "")
    return (Fork(cgroup=unified, why="exec: one more process of the container"),)


def join_child_plan(
    init_pid: int, cgroup_paths: tuple[str, ...], layout: CgroupLayout, process: Process
) -> Plan:
    """From a forked process to one in the container's cgroups and namespaces.

    Raises: PlanRefused.
    """
    return tuple(_join_operations(init_pid, cgroup_paths, layout, process))


def _join_operations(
    init_pid: int, cgroup_paths: tuple[str, ...], layout: CgroupLayout, process: Process
) -> Iterator[Operation]:
    _refuse_labels(process)
    yield SetDumpable(is_dumpable=False, why="processes of the container must not look into it")
    files = tuple(f"{path}/tasks" for path in cgroup_paths if not _is_unified(path, layout))
    if files:
        yield EnterCgroups(files=files, why="exec: the container's limits hold for it too")
    yield NewSession(why="the program leads a session of its own")
    if process.oom_score_adj is not None:
        yield _oom_score(process.oom_score_adj)
    yield JoinContainer(
        init_pid=init_pid,
        namespaces=("cgroup", "ipc", "uts", "net", "mnt"),
        why="exec: inside the container (pid and time follow from the fork)",
    )
    if process.terminal:
        yield _terminal(process)
    yield EnterDirectory(path=process.cwd, makes=False, why=f"--workdir or WORKDIR {process.cwd}")


def _is_unified(cgroup: str, layout: CgroupLayout) -> bool:
    return layout.unified is not None and cgroup.startswith(f"{layout.unified.mount_point}/")


def _refuse_labels(process: Process) -> None:
    """No security module is spoken to yet, and a label that is not set must not be promised."""
    if process.apparmor_profile:
        raise PlanRefused("AppArmor profiles are not supported")
    if process.selinux_label:
        raise PlanRefused("SELinux labels are not supported")
