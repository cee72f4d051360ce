"""Several files, one document: what a later file says is laid over what earlier ones said.

Mappings are merged key by key, sequences are appended, scalars replaced. Some places have rules
of their own: a command is replaced, pairs may be written as a list or as a mapping, and in
some lists entries have an identity (a port, a mount's target), so that a later entry takes the
place of an earlier one.
"""

from collections.abc import Callable

from wherry.client.documents import Document, Json, document
from wherry.compose.errors import ComposeError
from wherry.compose.short_forms import parse_volume
from wherry.compose.tree_paths import PathTable
from wherry.compose.yaml_source import Path, as_text

Merger = Callable[[Json, Json, Path], Json]


def merge(below: Document, above: Document) -> Document:
    """A new document. Raises: ComposeError when kinds of values don't fit."""
    return document(_merge(below, above, ()))


def _merge(below: Json, above: Json, path: Path) -> Json:
    if below is None or above is None:
        return below if above is None else above
    special = _SPECIAL.at(path)
    if special is not None:
        return special(below, above, path)
    return _plainly(below, above, path)


def _plainly(below: Json, above: Json, path: Path) -> Json:
    if isinstance(below, dict):
        if not isinstance(above, dict):
            raise ComposeError(f"cannot override {'.'.join(path)}")
        result = dict(below)
        for key, value in above.items():
            is_new = key not in below or key.startswith("x-")
            result[key] = value if is_new else _merge(below[key], value, (*path, key))
        return result
    if isinstance(below, list):
        if not isinstance(above, list):
            raise ComposeError(f"cannot override {'.'.join(path)}")
        return [*below, *above]
    return above


def _replaced(_below: Json, above: Json, _path: Path) -> Json:
    return above


def as_sequence(value: Json) -> list[Json]:
    """Pairs as a list of `key=value`; a lone string as a list of one."""
    if isinstance(value, dict):
        pairs: list[Json] = [
            key if each is None else f"{key}={as_text(each)}" for key, each in value.items()
        ]
        return sorted(pairs, key=str)
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _in_sequence(below: Json, above: Json, _path: Path) -> Json:
    return [*as_sequence(below), *as_sequence(above)]


def _extra_hosts(below: Json, above: Json, _path: Path) -> Json:
    result = as_sequence(below)
    return [*result, *(each for each in as_sequence(above) if each not in result)]


def _logging(below: Json, above: Json, path: Path) -> Json:
    """Options are merged only for the same driver."""
    old, new = document(below), document(above)
    if "driver" not in old or "driver" not in new or old["driver"] == new["driver"]:
        return _plainly(old, new, path)
    return new


def _build(below: Json, above: Json, path: Path) -> Json:
    def long(value: Json) -> Json:
        return {"context": value} if isinstance(value, str) else value

    return _plainly(long(below), long(above), path)


def _named(default: Json) -> Merger:
    """A list of names, or a mapping from names."""

    def long(value: Json) -> Json:
        if isinstance(value, list):
            return {as_text(each): default for each in value}
        return value

    def merged(below: Json, above: Json, path: Path) -> Json:
        return _plainly(long(below), long(above), path)

    return merged


def _ulimit(below: Json, above: Json, path: Path) -> Json:
    if isinstance(below, dict) and isinstance(above, dict):
        return _plainly(below, above, path)
    return above


def _ipam_pools(below: Json, above: Json, path: Path) -> Json:
    """Pools of the same subnet are one."""
    result = list(below) if isinstance(below, list) else []
    for pool in above if isinstance(above, list) else []:
        subnet = document(pool).get("subnet")
        for at, old in enumerate(result):
            if document(old).get("subnet") == subnet:
                result[at] = _plainly(old, pool, path)
                break
        else:
            result.append(pool)
    return result


_PAIRS = (
    "networks.*.labels volumes.*.labels services.*.annotations services.*.build.args "
    "services.*.build.additional_contexts services.*.build.labels services.*.deploy.labels "
    "services.*.dns services.*.dns_opt services.*.dns_search services.*.env_file "
    "services.*.label_file services.*.environment services.*.labels services.*.sysctls "
    "services.*.tmpfs services.*.volumes.*.volume.labels"
)
_DEPENDENCY: Document = {"condition": "service_started", "required": True}
_SPECIAL: PathTable[Merger] = PathTable(
    {
        **dict.fromkeys(_PAIRS.split(), _in_sequence),
        "networks.*.ipam.config": _ipam_pools,
        "services.*.build": _build,
        "services.*.build.extra_hosts": _extra_hosts,
        "services.*.extra_hosts": _extra_hosts,
        "services.*.command": _replaced,
        "services.*.entrypoint": _replaced,
        "services.*.healthcheck.test": _replaced,
        "services.*.depends_on": _named(_DEPENDENCY),
        "services.*.networks": _named(None),
        "services.*.models": _named(None),
        "services.*.logging": _logging,
        "services.*.ulimits.*": _ulimit,
    }
)


def without(value: Json, place: Path) -> Json:
    """The document without what is at a place, if anything is."""
    if not place or not isinstance(value, dict) or place[0] not in value:
        return value
    if len(place) == 1:
        return {key: each for key, each in value.items() if key != place[0]}
    return {**value, place[0]: without(value[place[0]], place[1:])}


def unique(value: Json, path: Path = ()) -> Json:
    """The document with one entry for each identity in its lists. Raises: ComposeError."""
    if isinstance(value, dict):
        return {key: unique(each, (*path, key)) for key, each in value.items()}
    if isinstance(value, list):
        identity = _IDENTITIES.at(path)
        if identity is None:
            return value
        found: dict[str, Json] = {}
        for each in value:
            found[identity(each)] = each
        return list(found.values())
    return value


def _key_identity(value: Json) -> str:
    return as_text(value).partition("=")[0]


def _volume_identity(value: Json) -> str:
    if isinstance(value, str):
        return as_text(parse_volume(value).get("target"))
    return as_text(document(value).get("target"))


def _device_identity(value: Json) -> str:
    if isinstance(value, str):
        parts = value.split(":")
        return parts[1] if len(parts) > 1 else parts[0]
    return as_text(document(value).get("target"))


def _file_identity(folder: str) -> Callable[[Json], str]:
    def identity(value: Json) -> str:
        if isinstance(value, str):
            return f"{folder}/{value}"
        target = document(value).get("target")
        return as_text(target) if target else f"{folder}/{as_text(document(value).get('source'))}"

    return identity


def _port_identity(value: Json) -> str:
    if not isinstance(value, dict):
        return as_text(value)
    host = value.get("host_ip") or "0.0.0.0"
    protocol = value.get("protocol") or "tcp"
    return f"{host}:{as_text(value.get('published'))}:{value.get('target')}/{protocol}"


def _env_file_identity(value: Json) -> str:
    return as_text(value.get("path")) if isinstance(value, dict) else as_text(value)


_KEYED = (
    "networks.*.labels services.*.annotations services.*.build.args "
    "services.*.build.additional_contexts services.*.build.platform services.*.build.tags "
    "services.*.build.labels services.*.cap_add services.*.cap_drop services.*.deploy.labels "
    "services.*.dns services.*.dns_opt services.*.dns_search services.*.environment "
    "services.*.expose services.*.labels services.*.links services.*.networks.*.aliases "
    "services.*.networks.*.link_local_ips services.*.profiles services.*.sysctls "
    "services.*.tmpfs"
)
_IDENTITIES: PathTable[Callable[[Json], str]] = PathTable(
    {
        **dict.fromkeys(_KEYED.split(), _key_identity),
        "services.*.env_file": _env_file_identity,
        "services.*.volumes": _volume_identity,
        "services.*.devices": _device_identity,
        "services.*.configs": _file_identity(""),
        "services.*.secrets": _file_identity("/run/secrets"),
        "services.*.ports": _port_identity,
    }
)
