"""Devices, links, the terminal, and kernel parameters of a container."""

from collections.abc import Iterator

from wherry.oci.runtime_spec import Device, Process, RuntimeSpec
from wherry.operations.files.mounts import BindMount
from wherry.operations.files.nodes import MakeDevice, MakeLink
from wherry.operations.plan import Operation
from wherry.operations.processes.sysctls import HoldProcfs, SetSysctl, parameter_path
from wherry.operations.processes.terminals import BindConsole, OpenTerminal
from wherry.runtime.machine import Machine
from wherry.runtime.mount_options import PlanRefused, mount_words
from wherry.runtime.subject import Subject

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


def device_nodes(subject: Subject, machine: Machine, *, makes_nodes: bool) -> Iterator[Operation]:
    """Nodes and links in /dev, unless it is the host's, and the terminal.

    `makes_nodes`: where mknod(2) is not allowed, the host's own nodes are bound.
    """
    spec = subject.spec
    if not _has_host_dev(spec):
        devices = {each.path: each for each in (*_DEFAULT_DEVICES, *spec.linux.devices)}
        default = {each.path for each in _DEFAULT_DEVICES}
        for device in devices.values():
            is_default = device.path in default
            why = (
                "default: every container has it"
                if is_default
                else f"--device {device.path} (or --privileged)"
            )
            if makes_nodes:
                yield _node(device, why)
            else:
                yield BindMount(source=device.path, destination=device.path, why=why)
        core = (("/dev/core", "/proc/kcore"),) if machine.has_kcore else ()
        for path, points_to in (*_LINKS, *core):
            yield MakeLink(path=path, points_to=points_to, why="default: as on every Linux")
    if subject.makes_terminal:
        yield terminal_of(spec.process)
        yield BindConsole(why="--tty: messages for the console go to the terminal")


def _node(device: Device, why: str) -> Operation:
    return MakeDevice(
        path=device.path,
        type=device.type,
        major=device.major,
        minor=device.minor,
        mode=device.file_mode,
        uid=device.uid,
        gid=device.gid,
        why=why,
    )


def _has_host_dev(spec: RuntimeSpec) -> bool:
    """Whether a bind mount is all of /dev: then nothing is made in it."""
    return any(each.destination == "/dev" and mount_words(each).is_bind for each in spec.mounts)


def terminal_of(process: Process) -> Operation:
    """The terminal that a process asks for."""
    size = process.console_size
    return OpenTerminal(rows=size.height, columns=size.width, why="--tty")


def sysctls_of(spec: RuntimeSpec, *, has_set_joined: bool = False) -> Iterator[Operation]:
    """Kernel parameters of the container's namespaces. Raises: PlanRefused.

    `has_set_joined`: those of namespaces that it joined have been set on the way.
    """
    own, joined = _owned_and_joined(spec)
    wanted = [
        (name, value)
        for name, value in sorted(spec.linux.sysctl.items())
        if not has_set_joined or _namespace_of(name) not in joined
    ]
    if not wanted:
        return
    yield HoldProcfs(why="no mount of the container can stand in the way of kernel parameters")
    yield from _settings(wanted, own, joined)


def sysctls_of_joined(spec: RuntimeSpec) -> Iterator[Operation]:
    """Kernel parameters of namespaces that are joined. Raises: PlanRefused."""
    own, joined = _owned_and_joined(spec)
    wanted = [
        (name, value)
        for name, value in sorted(spec.linux.sysctl.items())
        if _namespace_of(name) in joined
    ]
    yield from _settings(wanted, own, joined)


def _owned_and_joined(spec: RuntimeSpec) -> tuple[set[str], set[str]]:
    own = {each.type for each in spec.linux.namespaces if not each.path}
    return own, {each.type for each in spec.linux.namespaces if each.path}


def _settings(
    wanted: list[tuple[str, str]], own: set[str], joined: set[str]
) -> Iterator[Operation]:
    for name, value in wanted:
        _require_namespaced(name, own, joined)
        if not value.isascii() or "\0" in value:
            raise PlanRefused(f"sysctl {name}: the value must be plain text")
        yield SetSysctl(name=name, value=value, why=_why_set(name, value))


def _why_set(name: str, value: str) -> str:
    match name, value:
        case "net.ipv4.ip_unprivileged_port_start", "0":
            return "default: low ports need no capability, they are the container's own"
        case "net.ipv4.ping_group_range", "0 2147483647":
            return "default: everybody may ping"
        case _:
            return f"--sysctl {name}={value}"


def _require_namespaced(name: str, own: set[str], joined: set[str]) -> None:
    """Refuse a parameter that is the host's, or a namespace's that is shared with it.

    Raises: PlanRefused.
    """
    needed = _namespace_of(name)
    if not needed:
        raise PlanRefused(f"sysctl {name} is not in a separate kernel namespace")
    if needed not in own | (joined if needed == "network" else set()):
        raise PlanRefused(f"sysctl {name} is not allowed in the host's {needed} namespace")


def _namespace_of(name: str) -> str:
    """The namespace that a parameter belongs to; empty for the host's. Raises: PlanRefused."""
    try:
        words = parameter_path(name).split("/")
    except ValueError as error:
        raise PlanRefused(f"sysctl {name!r} is not a kernel parameter") from error
    dotted = ".".join(words)
    if words[0] == "net" and len(words) > 1:
        return "network"
    if dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue."):
        return "ipc"
    return "uts" if dotted == "kernel.domainname" else ""
