"""What an engine has of a project, and of what the project shares with others: one look.

A plan is made of two things, the project and this; both are values, so that a plan can be made,
shown and tested without an engine.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from wherry.client.documents import Document, child, children, document, mapping, number, text
from wherry.client.errors import ApiError
from wherry.compose import labels
from wherry.kit.values import dataclass, field

if TYPE_CHECKING:
    from wherry.client.engine_client import Client

_NOT_FOUND = 404
_HEALTHS = ("healthy", "unhealthy", "starting")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenContainer:
    """A container of a project, as a list of containers has it."""

    identifier: str
    name: str
    service: str
    number: int
    state: str
    """Docker's word: created, running, paused, restarting, exited, dead."""
    labels: Mapping[str, str]
    summary: Document
    """All that the engine said."""

    @property
    def is_one_off(self) -> bool:
        """Whether `run` made it."""
        return self.labels.get(labels.ONE_OFF) == "True"

    @property
    def is_running(self) -> bool:
        """Whether it needs no start."""
        return self.state == "running"

    @property
    def project(self) -> str:
        """The project that it is of."""
        return self.labels.get(labels.PROJECT, "")

    @property
    def health(self) -> str:
        """healthy, unhealthy, starting; empty without a health check."""
        _, _, told = text(self.summary, "Status").rpartition("(")
        word = told.removesuffix(")").removeprefix("health: ")
        return word if self.is_running and word in _HEALTHS else ""

    @property
    def network_ids(self) -> set[str]:
        """The networks that it is on."""
        networks = child(child(self.summary, "NetworkSettings"), "Networks")
        return {text(document(each), "NetworkID") for each in networks.values()}

    @property
    def mounts(self) -> list[Document]:
        """What is mounted in it."""
        return children(self.summary, "Mounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenNetwork:
    """A network of the engine, whoever made it."""

    identifier: str
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenVolume:
    """A volume of the engine, whoever made it."""

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenImage:
    """An image that the engine has."""

    identifier: str
    volumes: frozenset[str] = frozenset()
    """Paths that the image declares to be volumes."""
    tagged_at_s: float = 0.0
    """When it last got its name here; 0 if that isn't known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was seen."""

    containers: list[SeenContainer] = field(default_factory=list)
    networks: list[SeenNetwork] = field(default_factory=list)
    volumes: list[SeenVolume] = field(default_factory=list)
    images: dict[str, SeenImage] = field(default_factory=dict)
    """By the reference that a service names; one that the engine doesn't have is missing."""

    def of_service(self, service: str) -> list[SeenContainer]:
        """The containers of a service, without those of `run`, by number."""
        return [
            each for each in self.containers if each.service == service and not each.is_one_off
        ]


def observe(client: "Client", project: str, images: Iterable[str]) -> Observed:
    """Look at an engine. Raises: as `Transport.request`."""
    return Observed(
        containers=project_containers(client, project),
        networks=all_networks(client),
        volumes=all_volumes(client),
        images=present_images(client, images),
    )


def project_containers(client: "Client", project: str) -> list[SeenContainer]:
    """The containers of a project in any state, those of `run` too, by service and number."""
    filters = {"label": [f"{labels.PROJECT}={project}"]}
    found = (seen(each) for each in client.containers.list(all_states=True, filters=filters))
    return sorted(found, key=lambda each: (each.service, each.number, each.name))


def seen(summary: Document) -> SeenContainer:
    """A container out of a list's entry."""
    kept = mapping(summary, "Labels")
    names = summary.get("Names")
    # A container that others link to has further names, with a slash inside.
    own = [name for name in names if isinstance(name, str) and "/" not in name[1:]] if isinstance(
        names, list
    ) else []  # fmt: skip
    place = kept.get(labels.NUMBER, "")
    return SeenContainer(
        identifier=text(summary, "Id"),
        name=own[0].removeprefix("/") if own else text(summary, "Id")[:12],
        service=kept.get(labels.SERVICE, ""),
        number=int(place) if place.isdigit() else 0,
        state=text(summary, "State"),
        labels=kept,
        summary=summary,
    )


def all_networks(client: "Client") -> list[SeenNetwork]:
    """The networks of an engine."""
    return [
        SeenNetwork(
            identifier=text(each, "Id"), name=text(each, "Name"), labels=mapping(each, "Labels")
        )
        for each in client.networks.list()
    ]


def all_volumes(client: "Client") -> list[SeenVolume]:
    """The volumes of an engine."""
    return [
        SeenVolume(name=text(each, "Name"), labels=mapping(each, "Labels"))
        for each in client.volumes.list()
    ]


def present_images(client: "Client", references: Iterable[str]) -> dict[str, SeenImage]:
    """The images among the references that the engine has."""
    found = {}
    for reference in sorted(set(references)):
        try:
            image = client.images.inspect(reference)
        except ApiError as problem:
            if problem.status != _NOT_FOUND:
                raise
            continue
        declared = child(child(image, "Config"), "Volumes")
        found[reference] = SeenImage(
            identifier=text(image, "Id"),
            volumes=frozenset(declared),
            tagged_at_s=_seconds(text(child(image, "Metadata"), "LastTagTime")),
        )
    return found


def _seconds(timestamp: str) -> float:
    """Seconds since 1970; 0 for Go's zero time and for what is none."""
    from datetime import datetime

    try:
        return max(datetime.fromisoformat(timestamp[:19] + "+00:00").timestamp(), 0.0)
    except ValueError:
        return 0.0


def exit_code(summary: Document) -> int:
    """The exit code in a list's entry, which has it in words alone: `Exited (3) ...`."""
    _, _, rest = text(summary, "Status").partition("(")
    digits = rest.partition(")")[0]
    return int(digits) if digits.isdigit() else number(summary, "ExitCode")
