"""What `down`, `stop` and `rm` will do: the way back, last first.

A service is stopped after those that depend on it. What a project was is known from its files;
where there are none, the labels of what is there say as much as is needed (`recalled`).
"""

import re
from collections.abc import Iterable, Sequence

from wherry.client.documents import Document, child, document, flag, text
from wherry.compose import labels
from wherry.compose.application import Application
from wherry.compose.differences import orphans_of
from wherry.compose.observing import Observed, SeenContainer
from wherry.compose.steps import (
    Plan,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    removing,
    stopping,
)
from wherry.kit.values import dataclass

_ANONYMOUS = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownWishes:
    """What the command line says about `down`."""

    targets: Sequence[str] = ()
    removes_orphans: bool = False
    removes_volumes: bool = False
    images: str = ""
    """`all`, `local` (those that the files give no name), or nothing."""
    timeout_s: int | None = None


def plan_down(made: Application, seen: Observed, wishes: DownWishes) -> Plan:
    """Stop and remove the containers, then what they used; what others use stays.

    What somebody has begun with `run` is no part of the services: it goes with the orphans.
    """
    plan = Plan()
    chosen = set(wishes.targets or made.services)
    orphans = orphans_of(made, seen) if wishes.removes_orphans else []
    ending = [
        each
        for each in seen.containers
        if each in orphans
        or (each.service in chosen and (wishes.removes_orphans or not each.is_one_off))
    ]
    for each in in_reverse(made, ending):
        stop = plan.add(
            f"stop {each.name}",
            stopping(each, wishes.timeout_s),
            "down",
            [f"remove {name}" for name in _dependents(made, ending, each)],
        )
        removal = removing(each, with_volumes=wishes.removes_volumes)
        plan.add(f"remove {each.name}", removal, "down", [stop])
    gone = plan.keys("remove ")
    _plan_networks(plan, made, seen, gone)
    if wishes.removes_volumes:
        _plan_volumes(plan, made, seen, ending, gone)
    if wishes.images:
        _plan_images(plan, made, seen, gone, only_unnamed=wishes.images == "local")
    return plan


def plan_stop(
    made: Application, containers: Sequence[SeenContainer], timeout_s: int | None = None
) -> Plan:
    """Stop containers, each after those that depend on it."""
    plan = Plan()
    for each in in_reverse(made, containers):
        plan.add(
            f"stop {each.name}",
            stopping(each, timeout_s),
            "stop",
            [f"stop {name}" for name in _dependents(made, containers, each)],
        )
    return plan


def plan_remove(containers: Iterable[SeenContainer], *, with_volumes: bool) -> Plan:
    """Remove stopped containers."""
    plan = Plan()
    for each in containers:
        plan.add(f"remove {each.name}", removing(each, with_volumes=with_volumes), "rm")
    return plan


def in_reverse(made: Application, containers: Iterable[SeenContainer]) -> list[SeenContainer]:
    """Containers, those first on which nobody depends."""
    depths: dict[str, int] = {}

    def depth(service: str) -> int:
        if service not in depths:
            depths[service] = 0
            depths[service] = max(
                (1 + depth(each) for each in made.dependents(service)), default=0
            )
        return depths[service]

    return sorted(containers, key=lambda each: depth(each.service))


def _dependents(
    made: Application, containers: Iterable[SeenContainer], of: SeenContainer
) -> list[str]:
    names = made.dependents(of.service)
    return [each.name for each in containers if each.service in names]


def _plan_networks(plan: Plan, made: Application, seen: Observed, after: list[str]) -> None:
    for key, each in made.networks.items():
        if flag(document(each), "external"):
            continue
        for found in seen.networks:
            is_own = found.labels.get(labels.PROJECT) == made.name
            if is_own and found.labels.get(labels.NETWORK) == key:
                action = RemoveNetwork(
                    subjects=(f"Network {found.name}",), doing="Removing", done="Removed",
                    identifier=found.identifier,
                )  # fmt: skip
                plan.add(f"network {found.identifier}", action, "down", after)


def _inherited(ending: Iterable[SeenContainer]) -> list[str]:
    """Anonymous volumes that went on from replaced containers.

    The engine takes them for named ones, since the new container was given their names.
    """
    return [
        text(mount, "Name")
        for each in ending
        if labels.REPLACES in each.labels
        for mount in each.mounts
        if text(mount, "Type") == "volume" and _ANONYMOUS.fullmatch(text(mount, "Name"))
    ]


def _plan_volumes(
    plan: Plan,
    made: Application,
    seen: Observed,
    ending: Iterable[SeenContainer],
    after: list[str],
) -> None:
    there = {each.name for each in seen.volumes}
    own = [
        text(document(each), "name")
        for each in made.volumes.values()
        if not flag(document(each), "external")
    ]
    for name in [*own, *_inherited(ending)]:
        if name in there:
            action = RemoveVolume(
                subjects=(f"Volume {name}",), doing="Removing", done="Removed", name=name
            )
            plan.add(f"volume {name}", action, "down --volumes", after)


def _plan_images(
    plan: Plan, made: Application, seen: Observed, after: list[str], *, only_unnamed: bool
) -> None:
    for service in made.services:
        reference = made.image_of(service)
        is_named = bool(text(made.services[service], "image"))
        if reference in seen.images and not (is_named and only_unnamed):
            action = RemoveImage(
                subjects=(f"Image {reference}",), doing="Removing", done="Removed",
                reference=reference,
            )  # fmt: skip
            if f"image {reference}" not in plan.keys("image "):
                plan.add(f"image {reference}", action, "down --rmi", after)


def recalled(name: str, seen: Observed) -> Application:
    """A project without its files, as the labels of what is there remember it."""
    services: dict[str, Document] = {}
    for each in seen.containers:
        service = services.setdefault(each.service, {"image": text(each.summary, "Image")})
        told = each.labels.get(labels.DEPENDENCIES, "")
        wanted = child(service, "depends_on")
        for part in filter(None, told.split(",")):
            other, condition, restart = (*part.split(":"), "", "")[:3]
            wanted[other] = {"condition": condition, "restart": restart == "true"}
        service["depends_on"] = wanted
    return Application(
        name=name,
        directory="",
        files=[],
        env_files=[],
        environment={},
        services=services,
        known_services=frozenset(services),
        networks={
            each.labels[labels.NETWORK]: {"name": each.name}
            for each in seen.networks
            if each.labels.get(labels.PROJECT) == name and labels.NETWORK in each.labels
        },
        volumes={
            each.labels[labels.VOLUME]: {"name": each.name}
            for each in seen.volumes
            if each.labels.get(labels.PROJECT) == name and labels.VOLUME in each.labels
        },
    )
