"""What `up` and `create` will do: the difference between an application and what was seen.

A pure function. In the plan, everything is made before anything is started, so that a mistake in
one service leaves the others as they are; and what is made, recreated or removed has a reason.

    networks, volumes -> containers -> | -> starts, each after the services that it depends on
"""

from collections.abc import Iterable, Sequence
from enum import Enum, auto

from wherry.client.documents import child, children, document, flag, text, texts
from wherry.compose import labels
from wherry.compose.application import Application, start_order
from wherry.compose.differences import difference, orphans_of
from wherry.compose.errors import ComposeError
from wherry.compose.making import Making
from wherry.compose.observing import Observed, SeenContainer
from wherry.compose.service_containers import referred_services
from wherry.compose.starting import add_starts
from wherry.compose.steps import (
    COMPLETED,
    RUNNING_OR_HEALTHY,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    KeepContainer,
    Plan,
    RecreateContainer,
    RemoveNetwork,
    RemoveVolume,
    awaiting,
    removing,
    stopping,
)
from wherry.kit.values import dataclass


class Recreate(Enum):
    """When a container gives way to a new one."""

    DIVERGED = auto()
    """When it isn't what its service says any more."""
    ALWAYS = auto()
    NEVER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class UpWishes:
    """What the command line says about `up`."""

    targets: Sequence[str] = ()
    """The services that were named; without any, all are."""
    recreate: Recreate = Recreate.DIVERGED
    recreate_dependencies: Recreate = Recreate.DIVERGED
    keeps_volumes: bool = True
    removes_orphans: bool = False
    ignores_orphans: bool = False
    replaced_volumes: frozenset[str] = frozenset()
    """Keys of volumes that may be made anew, and lose what is in them."""
    timeout_s: int | None = None
    starts: bool = True
    waits: bool = False


def plan_up(made: Application, seen: Observed, wishes: UpWishes) -> Plan:
    """Everything from what was seen to what the application says. Raises: ComposeError."""
    _refuse_unbuilt(made)
    planner = _Planner(made, seen, wishes)
    planner.plan_orphans()
    planner.plan_networks()
    planner.plan_volumes()
    for service in start_order(made):
        planner.plan_containers(service)
    if wishes.starts:
        planner.plan_starts()
    return planner.plan


_UNBUILT = ("models", "provider", "use_api_socket")
"""Fields of a service that are Compose's and not ours yet."""


def _refuse_unbuilt(made: Application) -> None:
    for name, service in made.services.items():
        for field in _UNBUILT:
            if service.get(field):
                raise ComposeError(f"services.{name}.{field} is not there yet")


class _Planner:
    """The plan as it grows, and what later parts of it need to know of earlier ones."""

    def __init__(self, made: Application, seen: Observed, wishes: UpWishes) -> None:
        self.plan = Plan()
        self._made = made
        self._seen = seen
        self._wishes = wishes
        self._network_ids: dict[str, str] = {}
        self._renewed: dict[str, str] = {}
        """Services whose containers can't stay, and why."""
        self._names: dict[str, list[str]] = {}
        """The containers that each service will have."""
        self._running: set[str] = set()
        self._new_services: set[str] = set()
        """Services of which a container is made anew."""

    # -- what isn't of the project any more ----------------------------------------------

    def plan_orphans(self) -> None:
        """Containers of services that the files don't have any more."""
        orphans = orphans_of(self._made, self._seen)
        if not orphans or self._wishes.ignores_orphans:
            return
        if not self._wishes.removes_orphans:
            names = " ".join(each.name for each in orphans)
            self.plan.warnings.append(
                f"Found orphan containers ([{names}]) for this project. If you removed or "
                "renamed this service in your compose file, you can run this command with the "
                "--remove-orphans flag to clean it up."
            )
            return
        for each in orphans:
            self._stop_and_remove(each, "no service of the files has it")

    def _stop_and_remove(self, container: SeenContainer, reason: str) -> None:
        stopped = self._stop(container, reason)
        self.plan.add(f"remove {container.name}", removing(container), reason, stopped)

    def _stop(self, container: SeenContainer, reason: str) -> list[str]:
        """The key of the step that stops it, if it runs; planned once."""
        key = f"stop {container.name}"
        if container.is_running and key not in self.plan.keys(key):
            self.plan.add(key, stopping(container, self._wishes.timeout_s), reason)
        return [key]

    # -- networks and volumes ------------------------------------------------------------

    def plan_networks(self) -> None:
        """Make those that are missing; make anew those that were made of another text."""
        for key, each in self._made.networks.items():
            network = document(each)
            name = text(network, "name")
            if flag(network, "external"):
                self._network_ids[key] = self._external_network(name)
            elif (found := self._own_network(key, name)) is not None:
                self._network_ids[key] = found
            else:
                self.plan.add(
                    f"network {key}",
                    CreateNetwork(
                        subjects=(f"Network {name}",), doing="Creating", done="Created", key=key
                    ),
                    "it isn't there",
                    self.plan.keys(f"remove network {key}"),
                )

    def _external_network(self, name: str) -> str:
        found = [each for each in self._seen.networks if name in (each.name, each.identifier)]
        if len(found) > 1:
            raise ComposeError(
                f'multiple networks with name "{name}" were found. '
                "Use network ID as `name` to avoid ambiguity"
            )
        if not found:
            raise ComposeError(f"network {name} declared as external, but could not be found")
        return found[0].identifier

    def _own_network(self, key: str, name: str) -> str | None:
        """The id of a network that can stay; None when one is to be made."""
        found = next((each for each in self._seen.networks if each.name == name), None)
        if found is None:
            return None
        self._warn_of_owner(found.labels.get(labels.PROJECT), f"a network with name {name} exists")
        marked = found.labels.get(labels.NETWORK, "")
        if marked != key:
            raise ComposeError(
                f"network {name} was found but has incorrect label {labels.NETWORK} set to "
                f'"{marked}" (expected: "{key}")'
            )
        told = found.labels.get(labels.CONFIG_HASH, "")
        if not told or told == self._made.network_hash(key):
            return found.identifier
        reason = f"network {name} was made of another configuration"
        users = [
            service for service, each in self._made.services.items()
            if key in child(each, "networks")
        ]  # fmt: skip
        stops = self._renew(users, reason)
        self.plan.add(
            f"remove network {key}",
            RemoveNetwork(
                subjects=(f"Network {name}",),
                doing="Removing",
                done="Removed",
                identifier=found.identifier,
            ),
            "it was made of another configuration",
            stops,
        )
        return None

    def _warn_of_owner(self, owner: str | None, what: str) -> None:
        if owner == self._made.name:
            return
        made_by = f'for project "{self._made.name}"' if owner else "by compose"
        self.plan.warnings.append(
            f"{what} but was not created {made_by}.\n"
            "Set `external: true` to use an existing network"
        )

    def plan_volumes(self) -> None:
        """Make those that are missing, and anew those that may be replaced."""
        for key, each in self._made.volumes.items():
            volume = document(each)
            name = text(volume, "name")
            found = next((each for each in self._seen.volumes if each.name == name), None)
            if found is None and flag(volume, "external"):
                raise ComposeError(f'external volume "{name}" not found')
            if found is not None and not flag(volume, "external"):
                self._warn_of_volume(name, found.labels.get(labels.PROJECT))
            if found is None or key in self._wishes.replaced_volumes:
                self._make_volume(key, name, is_there=found is not None)

    def _warn_of_volume(self, name: str, owner: str | None) -> None:
        if owner == self._made.name:
            return
        reason = (
            f'was created for project "{owner}" (expected "{self._made.name}")'
            if owner
            else "was not created by Docker Compose"
        )
        self.plan.warnings.append(
            f'volume "{name}" already exists but {reason}. '
            "Use `external: true` to use an existing volume"
        )

    def _make_volume(self, key: str, name: str, *, is_there: bool) -> None:
        after: list[str] = []
        if is_there:
            reason = f"volume {name} was made of another configuration"
            after = [self._remove_volume(key, name, reason)]
        self.plan.add(
            f"volume {key}",
            CreateVolume(subjects=(f"Volume {name}",), doing="Creating", done="Created", key=key),
            "it isn't there",
            after,
        )

    def _remove_volume(self, key: str, name: str, reason: str) -> str:
        """A volume goes after the containers that have it, so that these can't go on."""
        removed = []
        for service, each in self._made.services.items():
            if any(text(mount, "source") == key for mount in children(each, "volumes")):
                for container in self._seen.of_service(service):
                    self._stop_and_remove(container, reason)
                    removed.append(f"remove {container.name}")
        return self.plan.add(
            f"remove volume {key}",
            RemoveVolume(subjects=(f"Volume {name}",), doing="Removing", done="Removed",
                         name=name),
            reason,
            removed,
        )  # fmt: skip

    def _renew(self, services: Iterable[str], reason: str) -> list[str]:
        """Stop the containers of services, which will be recreated; the keys of the stops."""
        stops = []
        for service in services:
            self._renewed[service] = reason
            for container in self._seen.of_service(service):
                stops += self._stop(container, reason)
        return stops

    # -- containers ----------------------------------------------------------------------

    def plan_containers(self, service: str) -> None:
        """Keep what can stay, recreate what can't, make what is missing, remove the rest."""
        expected = self._made.scale_of(service)
        gone = set(self.plan.keys("remove "))
        existing = [
            each for each in self._seen.of_service(service) if f"remove {each.name}" not in gone
        ]
        judged = [(each, self._reason_to_recreate(service, each)) for each in existing]
        judged.sort(key=lambda pair: (bool(pair[1]), pair[0].number))
        for container, _reason in judged[expected:]:
            self._stop_and_remove(container, f"there are to be {expected} of {service}")
        names = self._names[service] = []
        for container, reason in judged[:expected]:
            if reason:
                names.append(self._recreate(service, container, reason))
            else:
                names.append(container.name)
                self._keep(container)
        first = max((each.number for each in existing), default=0) + 1
        for place in range(first, first + expected - len(existing)):
            names.append(self._create(service, place))

    def _reason_to_recreate(self, service: str, container: SeenContainer) -> str:
        """Why a container can't stay; empty when it can."""
        wishes, made = self._wishes, self._made
        is_target = not wishes.targets or service in wishes.targets
        rule = wishes.recreate if is_target else wishes.recreate_dependencies
        if rule is Recreate.NEVER:
            return ""
        if rule is Recreate.ALWAYS:
            return "all are to be recreated"
        if service in self._renewed:
            return self._renewed[service]
        return difference(
            made, service, container, self._seen,
            network_ids=self._network_ids, renewed=self._new_services,
        )  # fmt: skip

    def _keep(self, container: SeenContainer) -> None:
        if container.is_running and f"stop {container.name}" not in self.plan.keys("stop "):
            self._running.add(container.name)
            self.plan.add(
                f"keep {container.name}",
                KeepContainer(subjects=(f"Container {container.name}",), doing="", done="Running"),
                "it is what it should be",
            )

    def _recreate(self, service: str, container: SeenContainer, reason: str) -> str:
        making = Making(
            service=service,
            name=self._made.container_name(service, container.number),
            number=container.number,
            replaces=container,
            keeps_volumes=self._wishes.keeps_volumes,
        )
        stops = self._stop_dependents(service, f"{service}, which it follows, is made anew")
        self.plan.add(
            f"create {making.name}",
            RecreateContainer(
                subjects=(f"Container {container.name}",), doing="Recreate", done="Recreated",
                making=making, replaced=container, timeout_s=self._wishes.timeout_s,
            ),
            reason,
            [*self._needs(service, making.name), *stops, f"stop {container.name}"],
        )  # fmt: skip
        self._new_services.add(service)
        return making.name

    def _stop_dependents(self, service: str, reason: str) -> list[str]:
        """Stop what asks to be restarted with a service; it is started again with the rest."""
        stops = []
        for dependent in self._made.dependents(service):
            if flag(self._made.dependencies(dependent)[service], "restart"):
                for container in self._seen.of_service(dependent):
                    stops += self._stop(container, reason)
        return stops

    def _create(self, service: str, place: int) -> str:
        making = Making(
            service=service, name=self._made.container_name(service, place), number=place
        )
        self.plan.add(
            f"create {making.name}",
            CreateContainer(
                subjects=(f"Container {making.name}",), doing="Creating", done="Created",
                making=making,
            ),
            f"there are to be {self._made.scale_of(service)} of {service}",
            self._needs(service, making.name),
        )  # fmt: skip
        self._new_services.add(service)
        return making.name

    def _needs(self, service: str, name: str) -> list[str]:
        """The steps before a container can be made: networks, volumes, namespaces, its name."""
        wanted = self._made.services[service]
        keys = [f"network {key}" for key in child(wanted, "networks")]
        keys += [f"volume {text(each, 'source')}" for each in children(wanted, "volumes")]
        others = referred_services(wanted)
        others |= {link.partition(":")[0] for link in texts(wanted, "links")}
        for other in others:
            keys += [f"create {name}" for name in self._names.get(other, [])]
        return [*keys, f"remove {name}"]

    # -- starts --------------------------------------------------------------------------

    def plan_starts(self) -> None:
        """Start what doesn't run, once everything is made; then wait, if that is asked."""
        add_starts(self.plan, self._made, self._names, self._running, self.plan.keys(""))
        if self._wishes.waits:
            started = self.plan.keys("start ", "keep ")
            for service in self._wishes.targets or self._made.services:
                self.plan.add(
                    f"await {service}",
                    awaiting(service, self._names[service], self._awaited_as(service)),
                    "--wait",
                    started,
                )

    def _awaited_as(self, service: str) -> str:
        """What `--wait` wants of a service: one that others need to have ended may end."""
        conditions = {
            text(self._made.dependencies(dependent)[service], "condition")
            for dependent in self._made.dependents(service)
        }
        return COMPLETED if COMPLETED in conditions else RUNNING_OR_HEALTHY
