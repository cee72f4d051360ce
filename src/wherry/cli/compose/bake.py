"""The builds of a project as buildx's bake would do them (`compose build --print`)."""

import os
from collections.abc import Sequence

from wherry.cli.builds.contexts import is_remote
from wherry.cli.compose.building import (
    allowed_of,
    arguments_of,
    attests_of,
    build_of,
    labels_of,
)
from wherry.cli.flags import Parsed
from wherry.client.documents import (
    Document,
    Json,
    as_json,
    child,
    children,
    flag,
    number,
    text,
    texts,
)
from wherry.compose import Application, build_order, size_of

_SERVICE = "service:"


def bake_file(made: Application, parsed: Parsed) -> Document:
    """A target for each service that is built, and the group of them all; empty for none."""
    services = build_order(made)
    if not services:
        return {}
    targets: Document = {_named(each): _target(made, parsed, each) for each in sorted(services)}
    return {"group": {"default": {"targets": list[Json](targets)}}, "target": targets}


def _named(service: str) -> str:
    """A target's name, which may have no dots."""
    return service.replace(".", "_")


def _target(made: Application, parsed: Parsed, service: str) -> Document:
    wanted = build_of(made, parsed, service)
    platforms = texts(wanted, "platforms") or [text(made.services[service], "platform")]
    arguments = {key: value for key, value in arguments_of(made, parsed, wanted).items()
                 if value is not None}  # fmt: skip
    target: Document = {
        "context": text(wanted, "context"),
        "contexts": {
            name: f"target:{_named(place.removeprefix(_SERVICE))}"
            if (place := str(each)).startswith(_SERVICE)
            else place
            for name, each in sorted(child(wanted, "additional_contexts").items())
        },
        "dockerfile": _dockerfile(wanted),
        "dockerfile-inline": text(wanted, "dockerfile_inline"),
        "args": dict(sorted(arguments.items())),
        "labels": dict(sorted(labels_of(made, service, wanted).items())),
        "tags": as_json([*texts(wanted, "tags"), made.image_of(service)]),
        "cache-from": as_json(texts(wanted, "cache_from")),
        "cache-to": as_json(texts(wanted, "cache_to")),
        "target": text(wanted, "target"),
        "secret": as_json(_secrets(made, wanted)),
        "ssh": as_json([each if "=" in each else f"{each}=" for each in texts(wanted, "ssh")]),
        "platforms": as_json([each for each in platforms if each]),
        "pull": flag(wanted, "pull") or parsed.is_on("pull"),
        "no-cache": flag(wanted, "no_cache") or parsed.is_on("no-cache"),
        "network": text(wanted, "network"),
        "shm-size": str(size_of(wanted, "shm_size") or ""),
        "ulimits": as_json(_ulimits(child(wanted, "ulimits"))),
        "entitlements": as_json(allowed_of(wanted)),
        "extra-hosts": dict(each.partition("=")[::2] for each in texts(wanted, "extra_hosts")),
        "output": [_output(made, parsed, service, platforms)],
        "attest": as_json(_attests(wanted)),
    }
    return {key: value for key, value in target.items() if value}


def _dockerfile(wanted: Document) -> str:
    place, dockerfile = text(wanted, "context"), text(wanted, "dockerfile")
    if "dockerfile_inline" in wanted:
        return ""
    return dockerfile if is_remote(place) else os.path.normpath(os.path.join(place, dockerfile))


def _secrets(made: Application, wanted: Document) -> list[str]:
    """As `--secret` has them, each with the place where its value is found."""
    found = []
    for each in children(wanted, "secrets"):
        source = text(each, "source")
        name, defined = text(each, "target") or source, child(made.secrets, source)
        variable, path = text(defined, "environment"), text(defined, "file")
        place = f"type=env,env={variable}" if variable else f"type=file,src={path}"
        found.append(f"id={name},{place}")
    return found


def _ulimits(wanted: Document) -> list[str]:
    return [
        f"{name}={number(each, 'soft')}:{number(each, 'hard')}"
        if isinstance(each, dict)
        else f"{name}={each}"
        for name, each in wanted.items()
    ]


def _attests(wanted: Document) -> list[str]:
    return [form for form in attests_of(wanted).values() if not form.endswith("disabled=true")]


def _output(made: Application, parsed: Parsed, service: str, platforms: Sequence[str]) -> str:
    is_pushed = parsed.is_on("push") and bool(text(made.services[service], "image"))
    if len(platforms) > 1:
        return f"type=image,push={str(is_pushed).lower()}"
    return "type=registry" if is_pushed else "type=docker"
