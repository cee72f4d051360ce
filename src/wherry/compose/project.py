"""A project: services, networks, volumes, configs and secrets, as the files mean them."""

from collections.abc import Iterable, Mapping

from wherry.client.documents import Document, child, children, document, text, texts
from wherry.compose.errors import BadValue, ComposeError
from wherry.compose.shapes import FILE, MODEL, NETWORK, SERVICE, VOLUME, read_structure
from wherry.kit.values import dataclass, field, replace

_RESOURCES = {"networks": NETWORK, "volumes": VOLUME, "secrets": FILE, "configs": FILE,
              "models": MODEL}  # fmt: skip
SHAPES = {"services": SERVICE, **_RESOURCES}
"""The shape of each thing in a section of a project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What some files mean together. `document` is canonical and keeps all services."""

    name: str
    directory: str
    files: list[str]
    document: Document
    environment: Mapping[str, str]
    profiles: list[str]
    env_files: list[str] = field(default_factory=list)
    """The files that `--env-file` named, as it named them."""
    proxies: Mapping[str, str] = field(default_factory=dict)
    """Variables that containers and builds have where a service does not name them itself."""

    def with_document(self, value: Document) -> "Project":
        """The same project with another document."""
        return replace(self, document=value)

    @property
    def all_services(self) -> dict[str, Document]:
        """Every service, by name, enabled or not."""
        found = child(self.document, "services")
        return {name: document(found[name]) for name in sorted(found)}

    def services(self, targets: Iterable[str] = ()) -> dict[str, Document]:
        """The services that the profiles enable; with targets: these, and what they need.

        Raises: ComposeError when a target or a needed service isn't there.
        """
        everything = self.all_services
        wanted = list(targets)
        for name in wanted:
            if name not in everything:
                raise ComposeError(f"no such service: {name}")
        enabled = {name for name, service in everything.items() if self._is_enabled(service)}
        if wanted:
            chosen: set[str] = set()
            self._add_needed(wanted, everything, chosen)
        else:
            chosen = enabled
        for name in sorted(chosen):
            for other, each in child(everything[name], "depends_on").items():
                is_required = document(each).get("required") is not False
                if is_required and other not in chosen and other in everything:
                    raise ComposeError(
                        f'service "{name}" depends on undefined service "{other}": '
                        "invalid compose project"
                    )
        return {name: everything[name] for name in sorted(chosen)}

    def _is_enabled(self, service: Document) -> bool:
        profiles = texts(service, "profiles")
        return not profiles or "*" in self.profiles or any(p in self.profiles for p in profiles)

    def _add_needed(
        self, names: Iterable[str], everything: dict[str, Document], chosen: set[str]
    ) -> None:
        for name in names:
            if name in chosen or name not in everything:
                continue
            chosen.add(name)
            self._add_needed(child(everything[name], "depends_on"), everything, chosen)

    def typed(self, targets: Iterable[str] = (), *, keeps_unused: bool = False) -> Document:
        """The project in Compose's order, values in their shapes, without what nobody uses."""
        services = self.services(targets)
        shown: Document = {"name": self.name, "services": {}}
        shown["services"] = {
            name: _service(name, each, set(services)) for name, each in services.items()
        }
        for kind, shape in _RESOURCES.items():
            used = _used(kind, services)
            found = {
                key: read_structure(shape, each)
                for key, each in sorted(child(self.document, kind).items())
                if keeps_unused or key in used
            }
            if found:
                shown[kind] = dict(found)
        shown |= {key: each for key, each in sorted(self.document.items()) if key.startswith("x-")}
        return shown


def _service(name: str, service: Document, present: set[str]) -> Document:
    depends = {
        other: each for other, each in child(service, "depends_on").items() if other in present
    }
    trimmed = {key: each for key, each in service.items() if key != "depends_on"}
    if depends:
        trimmed["depends_on"] = depends
    try:
        return read_structure(SERVICE, trimmed)
    except BadValue as problem:
        place = f"services[{name}]{problem.shown_place()}"
        raise ComposeError(
            f"decoding failed due to the following error(s):\n\n'{place}' {problem}"
        ) from None


def _used(kind: str, services: dict[str, Document]) -> set[str]:
    """The resources of a kind that the services name."""
    used: set[str] = set()
    for service in services.values():
        if kind in ("networks", "models"):
            used |= set(child(service, kind))
        elif kind == "volumes":
            used |= {
                text(each, "source")
                for each in children(service, "volumes")
                if each.get("type") == "volume"
            }
        else:
            used |= {text(each, "source") for each in children(service, kind)}
            used |= {text(each, "source") for each in children(child(service, "build"), kind)}
    return used
