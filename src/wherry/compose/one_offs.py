"""A service as `run` starts it once: its configuration with what the command line says instead."""

import os
from collections.abc import Mapping, Sequence

from wherry.client.documents import Document, Json, as_json, child, children, texts
from wherry.compose.canonical import with_defaults
from wherry.compose.errors import ComposeError
from wherry.compose.shapes import SERVICE, read_structure
from wherry.compose.short_forms import parse_ports, parse_volume
from wherry.kit.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWishes:
    """What the command line says about one run."""

    command: Sequence[str] = ()
    entrypoint: Sequence[str] | None = None
    environment: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    published: Sequence[str] = ()
    volumes: Sequence[str] = ()
    added_capabilities: Sequence[str] = ()
    dropped_capabilities: Sequence[str] = ()
    user: str = ""
    working_directory: str = ""
    name: str = ""
    has_terminal: bool = False
    opens_stdin: bool = False
    has_service_ports: bool = False


def one_off_service(service: Document, wishes: RunWishes) -> Document:
    """The typed service of a run. Raises: ComposeError for a port or volume without sense."""
    result: Document = {**service, "tty": wishes.has_terminal, "stdin_open": wishes.opens_stdin}
    for gone in ("restart", "container_name", "scale"):
        result.pop(gone, None)
    if "deploy" in result:
        kept = child(result, "deploy")
        result["deploy"] = {k: v for k, v in kept.items() if k not in ("restart_policy",)}
    if not wishes.has_service_ports:
        result.pop("ports", None)
    if wishes.entrypoint is not None:
        result["entrypoint"] = as_json(wishes.entrypoint)
        result["command"] = []
    if wishes.command:
        result["command"] = as_json(wishes.command)
    told = {
        "user": wishes.user,
        "working_dir": wishes.working_directory,
        "container_name": wishes.name,
    }
    result |= {name: value for name, value in told.items() if value}
    result["environment"] = {**child(service, "environment"), **wishes.environment}
    result["labels"] = {**child(service, "labels"), **wishes.labels}
    result["cap_add"] = [*texts(service, "cap_add"), *wishes.added_capabilities]
    result["cap_drop"] = [*texts(service, "cap_drop"), *wishes.dropped_capabilities]
    result["ports"] = [*children(result, "ports"), *_ports(wishes.published)]
    result["volumes"] = _volumes(children(service, "volumes"), wishes.volumes)
    return read_structure(SERVICE, result)


def _ports(published: Sequence[str]) -> list[Json]:
    return [
        with_defaults(each, ("services", "run", "ports", "[]"))
        for text in published
        for each in parse_ports(text)
    ]


def _volumes(own: list[Document], wanted: Sequence[str]) -> list[Json]:
    """The service's volumes; one of the command line takes the place of one at its target."""
    added: dict[Json, Document] = {}
    for text in wanted:
        volume = parse_volume(text)
        source = volume.get("source")
        if volume.get("type") == "bind" and isinstance(source, str):
            volume = {**volume, "source": os.path.abspath(os.path.expanduser(source))}
        if not volume.get("target"):
            raise ComposeError(f"invalid volume: {text}")
        added[volume.get("target")] = volume
    return [*(each for each in own if each.get("target") not in added), *added.values()]
