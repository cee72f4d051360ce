"""`userns-remap`: containers in user namespaces, where root is nobody of the host's.

Files keep the owners that they have in images: the container's view of its layers and volumes
goes through idmapped mounts, so that one copy serves with and without a mapping. What is bound
from the host keeps the host's owners, as with Docker.
"""

from wherry.kit.values import dataclass
from wherry.model.containers import ContainerSpec
from wherry.model.errors import InvalidValue
from wherry.model.networks import NetworkModeKind
from wherry.oci.runtime_spec import IdMapping


@dataclass(frozen=True, slots=True, kw_only=True)
class RemappedIds:
    """Which ids of the host the container's ids are."""

    uids: tuple[IdMapping, ...]
    gids: tuple[IdMapping, ...]

    @property
    def root(self) -> tuple[int, int]:
        """Who the container's root is on the host: user and group."""
        return self.uids[0].host_id, self.gids[0].host_id

    def on_host(self, uid: int, gid: int) -> tuple[int, int]:
        """Who somebody of the container is on the host. Raises: InvalidValue for nobody."""
        return _on_host(self.uids, uid), _on_host(self.gids, gid)


def _on_host(mapping: tuple[IdMapping, ...], number: int) -> int:
    for each in mapping:
        if each.container_id <= number < each.container_id + each.size:
            return each.host_id + number - each.container_id
    raise InvalidValue(f"no id of the user namespace's mapping is {number} in the container")


def is_remapped(spec: ContainerSpec, ids: RemappedIds | None) -> bool:
    """Whether a container has a user namespace of its own: where ids are mapped, by default."""
    return ids is not None and spec.namespaces.user != "host"


def check_remapping(spec: ContainerSpec, ids: RemappedIds | None) -> None:
    """Refuse what a user namespace can't give. Raises: InvalidValue with Docker's text."""
    if not is_remapped(spec, ids):
        return
    if spec.security.is_privileged:
        raise InvalidValue(
            "privileged mode is incompatible with user namespaces.  You must run the container in"
            " the host namespace when running privileged mode"
        )
    if spec.network.mode.kind is NetworkModeKind.HOST:
        raise InvalidValue(
            "cannot share the host's network namespace when user namespaces are enabled"
        )
    if spec.namespaces.pid == "host":
        raise InvalidValue("cannot share the host PID namespace when user namespaces are enabled")
