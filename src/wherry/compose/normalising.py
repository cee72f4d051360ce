"""What a project means without saying it: the default network, names, dependencies."""

import posixpath
from collections.abc import Mapping

from wherry.client.documents import Document, Json, child, document, texts
from wherry.compose.yaml_source import as_text

_NAMESPACES = ("network_mode", "ipc", "pid", "uts", "cgroup")
RESOURCES = ("networks", "volumes", "configs", "secrets")


def normalise(value: Document, environment: Mapping[str, str]) -> Document:
    """A new document in which what is implied is said."""
    services = {
        name: _service(document(each), environment)
        for name, each in child(value, "services").items()
    }
    result: Document = {**value, "services": dict(services)}
    is_default_used = any("default" in child(each, "networks") for each in services.values())
    networks = child(value, "networks")
    if is_default_used and "default" not in networks:
        result["networks"] = {**networks, "default": None}
    project = as_text(value.get("name"))
    for kind in RESOURCES:
        if kind in result:
            result[kind] = {
                key: _named(key, document(each), project)
                for key, each in document(result[kind]).items()
            }
    return result


def _named(key: str, resource: Document, project: str) -> Document:
    if resource.get("name"):
        return resource
    return {**resource, "name": key if resource.get("external") is True else f"{project}_{key}"}


def _service(service: Document, environment: Mapping[str, str]) -> Document:
    result = dict(service)
    if result.get("pull_policy") == "if_not_present":
        result["pull_policy"] = "missing"
    if "provider" not in result and "network_mode" not in result and not result.get("networks"):
        result["networks"] = {"default": None}
    if "build" in result:
        result["build"] = _build(child(result, "build"), environment)
    if "environment" in result:
        result["environment"] = resolved_pairs(result["environment"], environment)
    if volumes := result.get("volumes"):
        result["volumes"] = [_with_clean_target(each) for each in _list(volumes)]
    dependencies = {**_implied_dependencies(result), **child(result, "depends_on")}
    if dependencies:
        result["depends_on"] = dependencies
    return result


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _build(build: Document, environment: Mapping[str, str]) -> Document:
    result: Document = {"context": ".", **build}
    if "dockerfile" not in result and "dockerfile_inline" not in result:
        result["dockerfile"] = "Dockerfile"
    if "args" in result:
        args = document(resolved_pairs(result["args"], environment))
        result["args"] = {key: each for key, each in args.items() if each is not None}
    return result


def _with_clean_target(value: Json) -> Json:
    volume = document(value)
    target = volume.get("target")
    if isinstance(target, str) and target:
        return {**volume, "target": posixpath.normpath(target).replace("//", "/", 1)}
    return value


def resolved_pairs(value: Json, environment: Mapping[str, str]) -> Json:
    """Pairs as a mapping; a name without a value takes the environment's, if it has one."""
    if isinstance(value, list):
        split = (as_text(each).partition("=") for each in value)
        pairs: Document = {key: text if equals else None for key, equals, text in split}
    else:
        pairs = {
            key: None if each is None else as_text(each) for key, each in document(value).items()
        }
    return {key: environment.get(key) if each is None else each for key, each in pairs.items()}


def _implied_dependencies(service: Document) -> Document:
    """Links, shared namespaces and mounts of other services."""
    result: Document = {}
    for source in texts(service, "volumes_from"):
        if not source.startswith("container:"):
            result[source.partition(":")[0]] = _dependency(restart=False)
    for namespace in _NAMESPACES:
        kind, colon, name = as_text(service.get(namespace)).partition(":")
        if kind == "service" and colon:
            result[name] = _dependency(restart=True)
    for link in texts(service, "links"):
        result[link.partition(":")[0]] = _dependency(restart=True)
    return result


def _dependency(*, restart: bool) -> Document:
    return {"condition": "service_started", "restart": restart, "required": True}


def allowed_name(name: str) -> str:
    """A project's name, from one with characters that it may not have."""
    kept = (each for each in name.lower() if each.isascii() and (each.isalnum() or each in "_-"))
    return "".join(kept).lstrip("_-")
