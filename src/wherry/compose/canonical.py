"""Each thing in its one long form: after this nobody asks whether `ports` has strings in it."""

from collections.abc import Callable

from wherry.client.documents import Document, Json, document
from wherry.compose.errors import ComposeError
from wherry.compose.short_forms import parse_device, parse_ports, parse_volume
from wherry.compose.tree_paths import PathTable
from wherry.compose.yaml_source import Path, as_text

Transformer = Callable[[Json, Path], Json]


def canonical(value: Document, *, keeps_unreadable: bool = False) -> Document:
    """A new document in long forms.

    `keeps_unreadable` leaves what can't be read (a port that is a variable still) as it is.

    Raises: ComposeError naming the place.
    """

    def walk(each: Json, path: Path) -> Json:
        transformer = _TRANSFORMERS.at(path)
        if transformer is not None:
            try:
                each = transformer(each, path)
            except ComposeError as problem:
                if not keeps_unreadable:
                    raise ComposeError(f"{problem}") from None
        if isinstance(each, dict):
            return {key: walk(inner, (*path, key)) for key, inner in each.items()}
        if isinstance(each, list):
            return [walk(inner, (*path, "[]")) for inner in each]
        return each

    return document(walk(value, ()))


def _ports(value: Json, path: Path) -> Json:
    result: list[Json] = []
    for each in value if isinstance(value, list) else []:
        if isinstance(each, dict):
            port = dict(each)
            if "published" in port and not isinstance(port["published"], str):
                port["published"] = as_text(port["published"])
            result.append(port)
        else:
            result += parse_ports(as_text(each))
    return result


def _volume(value: Json, path: Path) -> Json:
    if isinstance(value, str):
        return parse_volume(value)
    return value


def _device(value: Json, path: Path) -> Json:
    return parse_device(value) if isinstance(value, str) else value


def _file_mount(value: Json, path: Path) -> Json:
    return {"source": value} if isinstance(value, str) else value


def _string_list(value: Json, path: Path) -> Json:
    return [value] if isinstance(value, str) else value


def _keyed(key: str) -> Transformer:
    def transformed(value: Json, _path: Path) -> Json:
        return {key: value} if isinstance(value, str) else value

    return transformed


def _depends_on(value: Json, path: Path) -> Json:
    if isinstance(value, list):
        return {
            as_text(each): {"condition": "service_started", "required": True} for each in value
        }
    return {
        key: {"condition": "service_started", "required": True, **document(each)}
        for key, each in document(value).items()
    }


def _env_file(value: Json, path: Path) -> Json:
    entries = value if isinstance(value, list) else [value]
    return [
        {"path": each, "required": True} if isinstance(each, str)
        else {"required": True, **document(each)}
        for each in entries
    ]  # fmt: skip


def _names(value: Json, path: Path) -> Json:
    if isinstance(value, list):
        return {as_text(each): None for each in value}
    return value


def _gpus(value: Json, path: Path) -> Json:
    return [{"count": "all"}] if value == "all" else value


def _ulimit(value: Json, path: Path) -> Json:
    return {"single": value} if isinstance(value, int) else value


def _external(value: Json, path: Path) -> Json:
    """`external: {name: x}` is the older form of two keys."""
    resource = document(value)
    external = resource.get("external")
    if not isinstance(external, dict):
        return value
    name = external.get("name")
    if name is None:
        return {**resource, "external": True}
    if "name" in resource and resource["name"] != name:
        place = ".".join(path)
        raise ComposeError(f"{place}: name and external.name conflict; only use name")
    return {**resource, "external": True, "name": name}


def _key_values(value: Json, path: Path) -> Json:
    if isinstance(value, list):
        pairs = (as_text(each).partition("=") for each in value)
        return {key: each for key, _, each in pairs}
    return value


def _ssh(value: Json, path: Path) -> Json:
    if value is True:
        return {"default": None}
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list):
        pairs = (as_text(each).partition("=") for each in value)
        return {key: each if equals else None for key, equals, each in pairs}
    return value


def _watch(value: Json, path: Path) -> Json:
    result: list[Json] = []
    for each in value if isinstance(value, list) else []:
        places = document(each).get("path")
        for place in places if isinstance(places, list) else [places]:
            result.append({**document(each), "path": place})
    return result


_TRANSFORMERS: PathTable[Transformer] = PathTable(
    {
        "services.*.build": _keyed("context"),
        "services.*.build.additional_contexts": _key_values,
        "services.*.build.secrets.*": _file_mount,
        "services.*.build.ssh": _ssh,
        "services.*.build.ulimits.*": _ulimit,
        "services.*.configs.*": _file_mount,
        "services.*.depends_on": _depends_on,
        "services.*.develop.watch": _watch,
        "services.*.devices.*": _device,
        "services.*.dns": _string_list,
        "services.*.env_file": _env_file,
        "services.*.extends": _keyed("service"),
        "services.*.gpus": _gpus,
        "services.*.label_file": _string_list,
        "services.*.models": _names,
        "services.*.networks": _names,
        "services.*.ports": _ports,
        "services.*.secrets.*": _file_mount,
        "services.*.ulimits.*": _ulimit,
        "services.*.volumes.*": _volume,
        "volumes.*": _external,
        "networks.*": _external,
        "secrets.*": _external,
        "configs.*": _external,
        "include.*": _keyed("path"),
    }
)


def with_defaults(value: Json, path: Path = ()) -> Json:
    """The document with what is not said and always meant."""
    default = _DEFAULTS.at(path)
    if default is not None:
        value = default(document(value))
    if isinstance(value, dict):
        return {key: with_defaults(each, (*path, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [with_defaults(each, (*path, "[]")) for each in value]
    return value


def _device_request(value: Document) -> Json:
    if "count" not in value and "device_ids" not in value:
        return {**value, "count": "all"}
    return value


_DEFAULTS: PathTable[Callable[[Document], Json]] = PathTable(
    {
        "services.*.build": lambda value: {"context": ".", **value},
        "services.*.ports.*": lambda value: {"mode": "ingress", "protocol": "tcp", **value},
        "services.*.secrets.*": lambda value: {
            "target": f"/run/secrets/{as_text(value.get('source'))}",
            **value,
        },
        "services.*.deploy.resources.reservations.devices.*": _device_request,
        "services.*.gpus.*": _device_request,
    }
)
