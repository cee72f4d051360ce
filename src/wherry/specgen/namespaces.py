"""Which namespaces a container has of its own, shares with the host, or joins."""

from wherry.kit.values import dataclass
from wherry.model.containers import ContainerSpec
from wherry.model.errors import InvalidValue
from wherry.model.networks import NetworkModeKind
from wherry.oci.runtime_spec import Namespace
from wherry.specgen import defaults
from wherry.specgen.host import HostFacts
from wherry.specgen.remapping import is_remapped

CONTAINER_PREFIX = "container:"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedPaths:
    """Where another container's namespaces are, for the modes `container:ID`; else empty."""

    pid: str = ""
    ipc: str = ""
    shm: str = ""
    """The other container's /dev/shm, which goes with its ipc namespace."""


@dataclass(frozen=True, slots=True)
class _Modes:
    """The modes that a kind of namespace knows, and Docker's word for it in messages."""

    word: str
    names: tuple[str, ...]
    can_join: bool = False


_MODES = {
    "pid": _Modes("PID mode", ("", "private", "host"), can_join=True),
    "ipc": _Modes("IPC mode", ("", "private", "shareable", "none", "host"), can_join=True),
    "uts": _Modes("UTS mode", ("", "host")),
    "cgroup": _Modes("cgroup namespace mode", ("", "private", "host")),
    "user": _Modes("USER mode", ("", "host")),
}


def check_modes(spec: ContainerSpec) -> None:
    """Refuse modes that do not exist. Raises: InvalidValue with Docker's text."""
    wanted = spec.namespaces
    for kind, mode in (
        ("pid", wanted.pid),
        ("ipc", wanted.ipc),
        ("uts", wanted.uts),
        ("cgroup", wanted.cgroup),
        ("user", wanted.user),
    ):
        modes = _MODES[kind]
        joins = modes.can_join and mode.startswith(CONTAINER_PREFIX) and mode != CONTAINER_PREFIX
        if mode not in modes.names and not joins:
            raise InvalidValue(f"invalid {modes.word}: {mode}")


def container_namespaces(
    spec: ContainerSpec, *, network_path: str, joined: JoinedPaths, host: HostFacts
) -> tuple[Namespace, ...]:
    """The namespaces to make or, with a path, to join; what is left out is the host's.

    `network_path` names the network namespace that is ready. Empty makes one with nothing but
    a loopback, unless the container is on the host's network, or on that of another container
    which is.
    """
    wanted = spec.namespaces
    paths = {"network": network_path, "pid": joined.pid, "ipc": joined.ipc}
    kind_of_network = spec.network.mode.kind
    joins_host = kind_of_network is NetworkModeKind.CONTAINER and not network_path
    of_host = {
        "network": kind_of_network is NetworkModeKind.HOST or joins_host,
        "time": not host.has_time_namespace,
        "uts": wanted.uts == "host",
        "pid": wanted.pid == "host",
        "ipc": wanted.ipc == "host",
    }
    chosen = [
        Namespace(type=kind, path=paths.get(kind, ""))
        for kind in defaults.NAMESPACES
        if not of_host.get(kind)
    ]
    if is_remapped(spec, host.remapped):
        # With a network of its own, it is the user namespace that owns that.
        is_joining = kind_of_network is NetworkModeKind.CONTAINER
        chosen.insert(0, Namespace(type="user", path="" if is_joining else network_path))
    if _owns_cgroup_namespace(spec, host):
        chosen.append(Namespace(type="cgroup"))
    return tuple(chosen)


def _owns_cgroup_namespace(spec: ContainerSpec, host: HostFacts) -> bool:
    mode = spec.namespaces.cgroup or ("private" if host.cgroup_version == 2 else "host")
    return mode == "private"
