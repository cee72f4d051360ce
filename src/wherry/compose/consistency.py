"""What a schema can't say: references that lead nowhere, and pairs that contradict each other."""

from wherry.client.documents import Document, child, children, document, text
from wherry.compose.errors import ComposeError

_INVALID = "invalid compose project"


def check_values(value: Document) -> None:
    """Resources and services on their own. Raises: ComposeError."""
    for name, each in child(value, "services").items():
        _check_service(f"services.{name}", document(each))
    for kind in ("networks", "volumes"):
        for name, each in child(value, kind).items():
            _check_external(f"{kind}.{name}", document(each))
    for kind in ("configs", "secrets"):
        for name, each in child(value, kind).items():
            _check_file(kind, name, document(each))


_TARGETS = {
    "ports": "service ports {} is missing a target port",
    "volumes": "service volume {} is missing a mount target",
    "devices": "service device {} is missing a mount target",
}


def _check_service(place: str, service: Document) -> None:
    for kind, complaint in _TARGETS.items():
        for at, each in enumerate(children(service, kind)):
            if not each.get("target"):
                raise ComposeError(complaint.format(f"{place}.{kind}.[{at}]"))
    for field, count in (
        ("scale", service.get("scale")),
        ("deploy.replicas", child(service, "deploy").get("replicas")),
    ):
        if isinstance(count, int) and count < 0:
            raise ComposeError(f"{place}.{field}: must be greater than or equal to 0")


def _check_external(place: str, resource: Document) -> None:
    if resource.get("external") is not True:
        return
    for key in sorted(resource):
        if key not in ("name", "external") and not key.startswith("x-"):
            raise ComposeError(f'{place}: conflicting parameters "external" and "{key}" specified')


def _check_file(kind: str, name: str, resource: Document) -> None:
    """A config or a secret comes from one place."""
    if resource.get("external") is True:
        return
    sources = [key for key in ("file", "environment", "content", "driver") if resource.get(key)]
    if len(sources) > 1:
        raise ComposeError(
            f"{kind}.{name}: file|environment|content attributes are mutually exclusive"
        )
    if not sources:
        wanted = "file|environment|content" if kind == "configs" else "file|environment"
        raise ComposeError(f"{kind}.{name}: one of {wanted} must be set")


def check_consistency(value: Document) -> None:
    """References between the parts of a project. Raises: ComposeError."""
    services = child(value, "services")
    names: dict[str, str] = {}
    for name, each in sorted(services.items()):
        service = document(each)
        _check_source(name, service)
        _check_networks(name, service, value)
        _check_dependencies(name, service, services)
        _check_files(name, service, value)
        _check_models(name, service, value)
        _check_limits(name, service)
        _check_watches(name, service)
        if container := text(service, "container_name"):
            if container in names:
                raise ComposeError(
                    f'services.{name}: container name "{container}" is already in use by '
                    f"service {names[container]}: {_INVALID}"
                )
            names[container] = name
    _check_cycles(services)


def _check_source(name: str, service: Document) -> None:
    if not service.get("image") and "build" not in service and "provider" not in service:
        raise ComposeError(
            f'service "{name}" has neither an image nor a build context specified: {_INVALID}'
        )
    if "build" in service:
        build = child(service, "build")
        if build.get("dockerfile_inline") and build.get("dockerfile"):
            raise ComposeError(
                f'service "{name}" declares mutualy exclusive dockerfile and '
                f"dockerfile_inline: {_INVALID}"
            )


def _check_networks(name: str, service: Document, value: Document) -> None:
    mode, attached = text(service, "network_mode"), child(service, "networks")
    if mode and attached:
        raise ComposeError(
            f"service {name} declares mutually exclusive `network_mode` and `networks`: {_INVALID}"
        )
    for network in sorted(attached):
        if network not in child(value, "networks"):
            raise ComposeError(
                f'service "{name}" refers to undefined network {network}: {_INVALID}'
            )


def _check_dependencies(name: str, service: Document, services: Document) -> None:
    for other, each in sorted(child(service, "depends_on").items()):
        if other not in services and document(each).get("required") is not False:
            raise ComposeError(
                f'service "{name}" depends on undefined service "{other}": {_INVALID}'
            )


def _check_files(name: str, service: Document, value: Document) -> None:
    for volume in children(service, "volumes"):
        source = text(volume, "source")
        if volume.get("type") == "bind" and not source:
            raise ComposeError(
                'invalid mount config for type "bind": field Source must not be empty'
            )
        if volume.get("type") == "volume" and source and source not in child(value, "volumes"):
            raise ComposeError(f'service "{name}" refers to undefined volume {source}: {_INVALID}')
    for kind in ("configs", "secrets"):
        for each in children(service, kind):
            source = text(each, "source")
            if source not in child(value, kind):
                raise ComposeError(
                    f'service "{name}" refers to undefined {kind[:-1]} {source}: {_INVALID}'
                )


def _check_models(name: str, service: Document, value: Document) -> None:
    for model in sorted(child(service, "models")):
        if model not in child(value, "models"):
            raise ComposeError(f'service "{name}" refers to undefined model {model}: {_INVALID}')


def _check_watches(name: str, service: Document) -> None:
    for watch in children(child(service, "develop"), "watch"):
        if watch.get("action") not in ("rebuild", "restart") and not watch.get("target"):
            raise ComposeError(
                f"services.{name}.develop.watch: target is required for non-rebuild actions: "
                f"{_INVALID}"
            )


def _check_limits(name: str, service: Document) -> None:
    """Two places say the same thing: they must not say different things."""
    limits = child(child(child(service, "deploy"), "resources"), "limits")
    reserved = child(child(child(service, "deploy"), "resources"), "reservations")
    replicas = child(service, "deploy").get("replicas")
    pairs = (
        ("scale", service.get("scale"), "deploy.replicas", replicas),
        ("cpus", service.get("cpus"), "deploy.resources.limits.cpus", limits.get("cpus")),
        ("mem_limit", service.get("mem_limit"), "deploy.resources.limits.memory",
         limits.get("memory")),
        ("mem_reservation", service.get("mem_reservation"),
         "deploy.resources.reservations.memory", reserved.get("memory")),
        ("pids_limit", service.get("pids_limit"), "deploy.resources.limits.pids",
         limits.get("pids")),
    )  # fmt: skip
    for one, first, other, second in pairs:
        if first is not None and second is not None and _plain(first) != _plain(second):
            raise ComposeError(
                f"services.{name}: can't set distinct values on '{one}' and '{other}': {_INVALID}"
            )


def _plain(value: object) -> str:
    shown = str(value)
    try:
        return str(float(shown))
    except ValueError:
        from wherry.kit.byte_sizes import parse_size

        try:
            return str(float(parse_size(shown)))
        except ValueError:
            return shown


def _check_cycles(services: Document) -> None:
    done: set[str] = set()

    def visit(name: str, chain: tuple[str, ...]) -> None:
        if name in chain:
            shown = " -> ".join((*chain[chain.index(name) :], name))
            raise ComposeError(f"dependency cycle detected: {shown}")
        if name in done:
            return
        for other in sorted(child(document(services.get(name)), "depends_on")):
            if other in services:
                visit(other, (*chain, name))
        done.add(name)

    for name in sorted(services):
        visit(name, ())
