"""What the engine says where neither the user of `create` nor the image does."""

import os

from wherry.engine.containers.joined import joined_container, mode_by_id, network_mode_by_id
from wherry.engine.containers.planned_endpoints import with_all_wishes
from wherry.engine.records import ContainerRecords
from wherry.engine.runtimes import RuntimeTable
from wherry.kit.random_ids import short_id
from wherry.kit.values import dataclass, field, replace
from wherry.model.containers import ContainerSpec, LogSpec, Namespaces, NetworkSpec, Security
from wherry.model.ids import ContainerId
from wherry.model.limits import Limits, Ulimit
from wherry.model.networks import NetworkModeKind
from wherry.networks import Networks
from wherry.specgen import HostFacts, container_apparmor


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDefaults:
    """What the engine's settings say where the user says nothing."""

    log: LogSpec
    runs_init: bool = False
    shm_bytes: int = 64 << 20
    ipc: str = "private"
    cgroup: str = ""
    """Namespace mode; empty: a namespace of its own only where cgroups are of version 2."""
    ulimits: tuple[Ulimit, ...] = ()
    no_new_privileges: bool = False
    seccomp: str = ""
    """As `Security.seccomp`."""
    runtimes: RuntimeTable = field(default_factory=RuntimeTable)


class EngineDefaults:
    """Completes the wish for a container by the engine's settings and the host's nature."""

    def __init__(
        self,
        defaults: CreateDefaults,
        *,
        records: ContainerRecords,
        networks: Networks,
        host: HostFacts,
    ) -> None:
        self._defaults = defaults
        self._records = records
        self._networks = networks
        self._host = host

    def use(self, defaults: CreateDefaults) -> None:
        """From now on; containers that exist keep what they were created with."""
        self._defaults = defaults

    def completed(self, spec: ContainerSpec, container_id: ContainerId) -> ContainerSpec:
        """The wish with everything decided. Raises: InvalidValue, ConnectionRefused."""
        return replace(
            spec,
            hostname=spec.hostname or self._hostname(spec.network, container_id),
            namespaces=self._namespaces(spec.namespaces),
            limits=self._limits(spec.limits),
            security=self._security(spec.security),
            network=replace(
                with_all_wishes(spec.network, self._networks),
                mode=network_mode_by_id(spec.network.mode, self._records),
            ),
            log=self._log_for(spec.log),
            runs_init=self._runs_init(spec.runs_init),
            shm_bytes=spec.shm_bytes or self._defaults.shm_bytes,
            runtime=self._defaults.runtimes.resolve(spec.runtime),
        )

    def _hostname(self, network: NetworkSpec, container_id: ContainerId) -> str:
        """A container that shares a network has the name of whoever has that network."""
        match network.mode.kind:
            case NetworkModeKind.HOST:
                return os.uname().nodename
            case NetworkModeKind.CONTAINER:
                joined = joined_container(network.mode.reference, self._records)
                return joined.spec.hostname if joined else short_id(container_id)
            case _:
                return short_id(container_id)

    def _namespaces(self, wish: Namespaces) -> Namespaces:
        cgroup = self._defaults.cgroup or ("host" if self._host.cgroup_version == 1 else "private")
        return replace(
            wish,
            pid=mode_by_id(wish.pid, self._records),
            ipc=mode_by_id(wish.ipc or self._defaults.ipc, self._records),
            cgroup=wish.cgroup or cgroup,
        )

    def _limits(self, wish: Limits) -> Limits:
        """The wish, and the engine's ulimits of other names."""
        named = {each.name for each in wish.ulimits}
        others = tuple(each for each in self._defaults.ulimits if each.name not in named)
        return replace(wish, ulimits=wish.ulimits + others)

    def _security(self, wish: Security) -> Security:
        """What the user said nothing about is as the engine says; privileges stay whole."""
        says_privileges = any(each.startswith("no-new-privileges") for each in wish.options)
        return replace(
            wish,
            no_new_privileges=wish.no_new_privileges
            or (self._defaults.no_new_privileges and not says_privileges),
            apparmor=container_apparmor(wish, self._host),
            seccomp=wish.seccomp or ("" if wish.is_privileged else self._defaults.seccomp),
        )

    def _runs_init(self, wish: bool | None) -> bool | None:
        return True if wish is None and self._defaults.runs_init else wish

    def _log_for(self, wish: LogSpec) -> LogSpec:
        default = self._defaults.log
        if wish.driver and wish.driver != default.driver:
            return wish
        return LogSpec(driver=default.driver, options={**default.options, **wish.options})
