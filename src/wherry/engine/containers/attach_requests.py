"""What networks are told of a container: its wishes, completed by the engine's settings."""

from wherry.engine.containers.live import LiveContainers
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.values import dataclass, replace
from wherry.linux.id_maps import IdMap
from wherry.model.containers import Container, NetworkSpec
from wherry.model.errors.containers import JoinedContainerNotRunning
from wherry.model.networks import NetworkModeKind
from wherry.networks import HOST_GATEWAY, AttachRequest, Sandbox
from wherry.specgen import HostFacts, is_remapped


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDefaults:
    """What the engine's settings say at each start where the container says nothing."""

    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    host_gateway: str = ""
    """The address behind `host-gateway`; empty: the gateway of the default bridge."""

    def completed(self, wish: NetworkSpec) -> NetworkSpec:
        """The wish, completed."""
        hosts = wish.extra_hosts
        if self.host_gateway:
            hosts = tuple(
                f"{each.removesuffix(HOST_GATEWAY)}{self.host_gateway}"
                if each.endswith(f":{HOST_GATEWAY}")
                else each
                for each in hosts
            )
        return replace(
            wish,
            dns=wish.dns or self.dns,
            dns_options=wish.dns_options or self.dns_options,
            dns_search=wish.dns_search or self.dns_search,
            extra_hosts=hosts,
        )


class AttachRequests:
    """Makes them, for a start and for changes while a container runs."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        live: LiveContainers,
        paths: ContainerPaths,
        host: HostFacts,
        defaults: NetworkDefaults,
    ) -> None:
        self._records = records
        self._live = live
        self._paths = paths
        self._host = host
        self._defaults = defaults

    def use(self, defaults: NetworkDefaults) -> None:
        """From now on; containers that run keep what they were started with."""
        self._defaults = defaults

    def of(self, container: Container) -> AttachRequest:
        """The container as networks know it. Raises: JoinedContainerNotRunning."""
        mode = container.spec.network.mode
        joined: Sandbox | None = None
        if mode.kind is NetworkModeKind.CONTAINER:
            other = self._records.find(mode.reference)
            joined = self._live.sandbox(other.id)
            if joined is None:
                raise JoinedContainerNotRunning(other.id)
        return replace(self.of_running(container), joined=joined)

    def of_running(self, container: Container) -> AttachRequest:
        """The same for one that runs already, in whichever namespace."""
        return AttachRequest(
            container_id=container.id,
            container_name=container.name,
            hostname=container.spec.hostname,
            domainname=container.spec.domainname,
            network=self._defaults.completed(container.spec.network),
            files_directory=self._paths.record_directory(container.id),
            id_maps=self._id_maps(container),
        )

    def _id_maps(self, container: Container) -> tuple[IdMap, IdMap]:
        ids = self._host.remapped
        if ids is None or not is_remapped(container.spec, ids):
            return (), ()
        users, groups = (
            tuple((each.container_id, each.host_id, each.size) for each in mappings)
            for mappings in (ids.uids, ids.gids)
        )
        return users, groups
