"""What the engine asks of networking for one container, and what it gets."""

from typing import Protocol

from wherry.kit.values import dataclass, field
from wherry.linux.id_maps import IdMap
from wherry.model.containers import NetworkSpec
from wherry.model.ids import ContainerId
from wherry.model.networks import EndpointStatus
from wherry.operations import journal as journals
from wherry.operations.plan import Journal


class NamespaceJobs(Protocol):
    """Work inside network namespaces, done by somebody who may enter them."""

    async def make_network_namespace(
        self, path: str, id_maps: tuple[IdMap, IdMap]
    ) -> tuple[int, list[journals.Line]]:
        """Make a namespace that stays at a path; with id maps, owned by a user namespace.

        Returns a NETLINK_ROUTE socket opened inside, which the caller closes, and the journal
        entries of what was done.
        """
        ...

    async def open_netlink(self, path: str) -> int:
        """A NETLINK_ROUTE socket inside an existing namespace; the caller closes it."""
        ...

    async def open_socket(self, path: str, *, family: int, kind: int, protocol: int = 0) -> int:
        """A socket (socket(2)) inside an existing namespace; the caller closes it."""
        ...

    async def open_resolver_sockets(
        self, path: str
    ) -> tuple[tuple[int, ...], list[journals.Line]]:
        """Sockets for a name server inside an existing namespace, where 127.0.0.11:53 leads.

        A UDP socket and a TCP socket that listens; the caller closes them.
        """
        ...

    async def set_sysctl(
        self, path: str, name: str, value: str, *, why: str
    ) -> list[journals.Line]:
        """Set a `net/...` sysctl inside an existing namespace; the journal of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """The network of a container: its namespace, its endpoints, and the files that go with it."""

    namespace_path: str
    """Empty: the host's own namespace."""
    endpoints: tuple[EndpointStatus, ...]
    hosts_path: str
    resolv_conf_path: str
    hostname_path: str
    journal: Journal = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachRequest:
    """A container that is about to start, as far as its network is concerned."""

    container_id: ContainerId
    container_name: str
    """Without a leading slash."""
    hostname: str
    domainname: str = ""
    network: NetworkSpec
    """With the image's exposed ports merged in."""
    files_directory: str
    """Exists; hosts, resolv.conf and hostname are written there."""
    id_maps: tuple[IdMap, IdMap] = ((), ())
    """Of users and groups: the user namespace that the container and its network are to have;
    empty: the host's."""
    joined: Sandbox | None = None
    """The sandbox of the other container in `container:ID` mode."""
