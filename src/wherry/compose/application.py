"""What is to run: the services that somebody asked for, and all that they name, in long forms."""

from collections.abc import Mapping, Sequence

from wherry.client.documents import Document, child, document, number, text
from wherry.compose.config_hashes import structure_hash
from wherry.compose.errors import ComposeError
from wherry.compose.project import Project
from wherry.compose.shapes import NETWORK, VOLUME
from wherry.kit.values import dataclass, field

Services = dict[str, Document]


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A project's part that a command is about; every document has its values in their shapes."""

    name: str
    directory: str
    files: Sequence[str]
    env_files: Sequence[str]
    environment: Mapping[str, str]
    services: Services
    known_services: frozenset[str]
    """All services of the files, enabled or not: whose containers are no orphans."""
    networks: Document = field(default_factory=dict)
    volumes: Document = field(default_factory=dict)
    secrets: Document = field(default_factory=dict)
    configs: Document = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    """As of the project."""
    separator: str = "-"
    """Between the parts of a container's name; an underscore with `--compatibility`."""

    def image_of(self, service: str) -> str:
        """The reference of a service's image, which has a name of ours when it is built."""
        return text(self.services[service], "image") or self.joined(self.name, service)

    def joined(self, *parts: str) -> str:
        """A name made of parts."""
        return self.separator.join(parts)

    def container_name(self, service: str, place: int) -> str:
        """The name of a service's container."""
        own = text(self.services[service], "container_name")
        return own or self.joined(self.name, service, str(place))

    def dependencies(self, service: str) -> dict[str, Document]:
        """What a service depends on, of what is here: each with condition, restart, required."""
        wanted = child(self.services[service], "depends_on")
        return {name: document(each) for name, each in wanted.items() if name in self.services}

    def dependents(self, service: str) -> list[str]:
        """The services that depend on one."""
        return [name for name in self.services if service in self.dependencies(name)]

    def images(self) -> set[str]:
        """The references of all images."""
        return {self.image_of(name) for name in self.services}

    def scale_of(self, service: str) -> int:
        """How many containers a service has."""
        return scale_of(self.services[service])

    def network_hash(self, key: str) -> str:
        """What a network's label says of the text that it was made from."""
        return structure_hash(NETWORK, child(self.networks, key))

    def volume_hash(self, key: str) -> str:
        """What a volume's label says of the text that it was made from."""
        volume = child(self.volumes, key)
        named = {"name": text(volume, "name"), "driver": text(volume, "driver") or "local"}
        return structure_hash(VOLUME, {**volume, **named})


def scale_of(service: Document) -> int:
    """How many containers a service has: `scale`, `deploy.replicas`, or one."""
    if "scale" in service:
        return number(service, "scale")
    deploy = child(service, "deploy")
    return number(deploy, "replicas") if "replicas" in deploy else 1


def application(
    project: Project,
    targets: Sequence[str] = (),
    *,
    scales: Mapping[str, int] | None = None,
    with_dependencies: bool = True,
    keeps_unused: bool = False,
) -> Application:
    """The part of a project that some services need; all that are enabled, without any.

    Raises: ComposeError.
    """
    typed = project.typed(targets, keeps_unused=keeps_unused)
    services = {name: document(each) for name, each in child(typed, "services").items()}
    if targets and not with_dependencies:
        services = {name: each for name, each in services.items() if name in targets}
    for name, count in (scales or {}).items():
        if name not in services:
            raise ComposeError(f"no such service: {name}")
        services[name] = {**services[name], "scale": count}
    made = Application(
        name=project.name,
        directory=project.directory,
        files=project.files,
        env_files=project.env_files,
        environment=project.environment,
        services=services,
        known_services=frozenset(project.all_services),
        networks=child(typed, "networks"),
        volumes=child(typed, "volumes"),
        secrets=child(typed, "secrets"),
        configs=child(typed, "configs"),
        proxies=project.proxies,
    )
    _check(made)
    return made


def _check(made: Application) -> None:
    """What the format allows and nobody can run."""
    names: dict[str, str] = {}
    for name, service in made.services.items():
        own = text(service, "container_name")
        if not own:
            continue
        if scale_of(service) > 1:
            raise ComposeError(
                f'WARNING: The "{name}" service is using the custom container name "{own}". '
                "Docker requires each container to have a unique name. Remove the custom name "
                "to scale the service.\n"
            )
        if own in names:
            raise ComposeError(
                f'services.{name}: container name "{own}" is already in use by '
                f'"services.{names[own]}": invalid compose project'
            )
        names[own] = name


def start_order(made: Application) -> list[str]:
    """The services, each after what it depends on. Cycles were refused when it was read."""
    result: list[str] = []

    def add(name: str) -> None:
        if name in result:
            return
        for other in made.dependencies(name):
            add(other)
        result.append(name)

    for name in made.services:
        add(name)
    return result
