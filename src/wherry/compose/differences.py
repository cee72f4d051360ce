"""Whether what is there still is what the files say, and if not, in which respect."""

from collections.abc import Collection, Mapping

from wherry.client.documents import Document, child, children, document, flag, text
from wherry.compose import labels
from wherry.compose.application import Application
from wherry.compose.config_hashes import service_hash
from wherry.compose.observing import Observed, SeenContainer
from wherry.compose.service_containers import referred_services, with_references


def difference(
    made: Application,
    service: str,
    container: SeenContainer,
    seen: Observed,
    *,
    network_ids: Mapping[str, str],
    renewed: Collection[str],
) -> str:
    """How a container differs from its service; empty when it is what that says.

    `network_ids` are those of the networks that stay, by key; `renewed` are the services of which
    a container is made anew.
    """
    wanted = made.services[service]
    identifiers: dict[str, str] = {}
    for other in referred_services(wanted):
        found = seen.of_service(other)
        if other in renewed or not found:
            return f"it shares with {other}, which is made anew"
        identifiers[other] = found[0].identifier
    told = container.labels.get(labels.CONFIG_HASH, "")
    if told != service_hash(with_references(wanted, identifiers)):
        return "its configuration has changed"
    image = seen.images.get(made.image_of(service))
    if container.labels.get(labels.IMAGE, "") != (image.identifier if image else ""):
        return "its image has changed"
    if container.is_running:
        for key in child(wanted, "networks"):
            if network_ids.get(key) not in container.network_ids:
                return f"it isn't on network {key}"
    return _missing_volume(made, wanted, container)


def _missing_volume(made: Application, wanted: Document, container: SeenContainer) -> str:
    mounted = {text(each, "Name") for each in container.mounts}
    for each in children(wanted, "volumes"):
        key = text(each, "source")
        if text(each, "type") != "volume" or key not in made.volumes:
            continue
        if text(child(made.volumes, key), "name") not in mounted:
            return f"volume {key} isn't mounted in it"
    return ""


def orphans_of(made: Application, seen: Observed) -> list[SeenContainer]:
    """Containers of services that are not of the project, and ended ones of `run`."""
    return [
        each
        for each in seen.containers
        if (
            each.state in ("exited", "dead")
            if each.is_one_off
            else each.service not in made.known_services
        )
    ]


def diverged_volumes(made: Application, seen: Observed) -> dict[str, str]:
    """Volumes that were made of another text, by key: their names."""
    result = {}
    for key, each in made.volumes.items():
        name = text(document(each), "name")
        for found in seen.volumes:
            told = found.labels.get(labels.CONFIG_HASH)
            if (
                found.name == name
                and not flag(document(each), "external")
                and told is not None
                and told != made.volume_hash(key)
            ):
                result[key] = name
    return result
