"""The shape of a project: each thing's fields, in Compose's order, and what each value becomes.

Two things depend on the order and on what counts as empty: the text of `compose config`, and the
hash by which Compose knows whether a container still is what its service says. So one table
serves both.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wherry.client.documents import Document, Json, document
from wherry.compose.errors import BadValue
from wherry.compose.kinds import (
    AS_IS,
    BOOLEAN,
    BYTES,
    COMMAND,
    COUNT,
    DURATION,
    ENVIRONMENT,
    HEALTH_TEST,
    HOSTS,
    INTEGER,
    NUMBER,
    OCTAL,
    OPTIONAL_BOOLEAN,
    OPTIONAL_DURATION,
    OPTIONAL_INTEGER,
    OPTIONAL_TEXT,
    OPTIONS,
    PAIRS,
    SHOWN_WHEN_FALSE,
    TEXT,
    TEXTS,
    ULIMIT,
    Kind,
    as_is,
    is_none,
)
from wherry.compose.yaml_source import as_text


class Field(NamedTuple):
    """One field of a structure."""

    name: str
    kind: Kind
    is_always_hashed: bool = False


class Structure(NamedTuple):
    """Fields in order; what else is in the mapping are extensions, shown last."""

    fields: Sequence[Field]


def fields(text: str, kinds: Mapping[str, Kind]) -> list[Field]:
    """`name:KIND` words as fields; a name alone is a text; `!` after a name: always hashed."""
    result: list[Field] = []
    for word in text.split():
        name, _, kind = word.partition(":")
        shape = kinds[kind] if kind else TEXT
        result.append(Field(name.rstrip("!"), shape, is_always_hashed=name.endswith("!")))
    return result


def structure(shape: Structure, *, keeps_empty: bool = True) -> Kind:
    """A mapping with fixed fields. `keeps_empty`: an empty one is still there (a pointer)."""
    return Kind(
        lambda value: read_structure(shape, value),
        is_none if keeps_empty else (lambda value: not value),
        lambda value: hashed_structure(shape, value),
    )


def items(kind: Kind) -> Kind:
    """A list of one kind."""
    hashed = kind.hashed or as_is
    return Kind(
        lambda value: _read_items(kind, value) if isinstance(value, list) else [],
        hashed=lambda value: [hashed(each) for each in value] if isinstance(value, list) else [],
    )


def _read_items(kind: Kind, value: Sequence[Json]) -> list[Json]:
    result = []
    for at, each in enumerate(value):
        try:
            result.append(kind.read(each))
        except BadValue as problem:
            raise BadValue(problem.problem, (at, *problem.place)) from None
    return result


def named(kind: Kind) -> Kind:
    """A mapping from names to one kind, sorted; null stays null."""
    hashed = kind.hashed or as_is
    return Kind(
        lambda value: {
            key: None if each is None else kind.read(each)
            for key, each in sorted(document(value).items())
        },
        hashed=lambda value: {
            key: None if each is None else hashed(each) for key, each in document(value).items()
        },
    )


_ABSENT: Document = {"resources": {}, "placement": {}, "ipam": {}, "exec": {"command": None}}
"""What Go's encoder writes for fields that are no pointers; null for any other."""


def read_structure(shape: Structure, value: Json) -> Document:
    """The mapping with its fields in order, empty ones left out, extensions last."""
    given = document(value)
    result: Document = {}
    for field in shape.fields:
        if field.name in given:
            try:
                each = field.kind.read(given[field.name])
            except BadValue as problem:
                raise BadValue(problem.problem, (field.name, *problem.place)) from None
            if not field.kind.is_empty(each):
                result[field.name] = each
    result |= {key: each for key, each in sorted(given.items()) if key.startswith("x-")}
    return result


def hashed_structure(shape: Structure, value: Json) -> Json:
    """As Go's encoder of JSON has it: no extensions, and some fields are always there."""
    if value is None:
        return None
    given = document(value)
    result: Document = {}
    for field in shape.fields:
        if field.name in given:
            each = (field.kind.hashed or as_is)(given[field.name])
            result[field.name] = each
        elif field.is_always_hashed:
            result[field.name] = _ABSENT.get(field.name)
    return result


_K: dict[str, Kind] = {
    "text?": OPTIONAL_TEXT, "int": INTEGER, "int?": OPTIONAL_INTEGER, "number": NUMBER,
    "bool": BOOLEAN, "bool?": OPTIONAL_BOOLEAN, "bytes": BYTES, "time": DURATION,
    "time?": OPTIONAL_DURATION, "octal": OCTAL, "pairs": PAIRS, "env": ENVIRONMENT,
    "texts": TEXTS, "any": AS_IS, "hosts": HOSTS, "count": COUNT, "command": COMMAND,
}  # fmt: skip


def _structure(text: str, extra: Mapping[str, Kind] = {}, *, keeps_empty: bool = True) -> Kind:
    return structure(Structure(fields(text, {**_K, **extra})), keeps_empty=keeps_empty)


_DEVICE_REQUEST = _structure(
    "capabilities:texts driver count:count device_ids:texts options:pairs"
)
_ULIMITS = named(ULIMIT)
_FILE_MOUNT = _structure("source target uid gid mode:octal")
_BUILD = _structure(
    "context dockerfile dockerfile_inline entitlements:texts args:env provenance sbom ssh:ssh "
    "labels:pairs cache_from:texts cache_to:texts no_cache:bool additional_contexts:pairs "
    "pull:bool extra_hosts:hosts isolation network target secrets:secrets shm_size:bytes "
    "tags:texts ulimits:ulimits platforms:texts privileged:bool",
    {
        "ssh": Kind(
            lambda value: [
                key if each is None else f"{key}: {as_text(each)}"
                for key, each in sorted(document(value).items())
            ]
        ),
        "secrets": items(_FILE_MOUNT),
        "ulimits": _ULIMITS,
    },
)
_HOOK = _structure("command!:command user privileged:bool working_dir environment:env")
_WATCH = _structure(
    "path action target exec!:hook include:texts ignore:texts initial_sync:bool", {"hook": _HOOK}
)
_DEVELOP = _structure("watch:watch", {"watch": items(_WATCH)})


def _capitalised(kind: Kind) -> Kind:
    """A structure without names of its own for JSON: Go takes those of its fields."""
    return kind._replace(
        hashed=lambda value: {key.capitalize(): each for key, each in document(value).items()}
    )


_THROTTLE = items(_capitalised(_structure("path rate:bytes")))
_BLKIO = _structure(
    "weight:int weight_device:weights device_read_bps:rates device_read_iops:rates "
    "device_write_bps:rates device_write_iops:rates",
    {"weights": items(_capitalised(_structure("path weight:int"))), "rates": _THROTTLE},
)
_RESOURCE = _structure(
    "cpus:number memory:bytes pids:int devices:devices generic_resources:generic",
    {
        "devices": items(_DEVICE_REQUEST),
        "generic": items(
            _structure("discrete_resource_spec:spec", {"spec": _structure("kind value:int")})
        ),
    },
)
_PLACEMENT = _structure(
    "constraints:texts preferences:p max_replicas_per_node:int",
    {"p": items(_structure("spread"))},
    keeps_empty=False,
)
_UPDATE = _structure(
    "parallelism:int? delay:time failure_action monitor:time max_failure_ratio:number order"
)
_DEPLOY = _structure(
    "mode replicas:int? labels:pairs update_config:update rollback_config:update "
    "resources!:resources restart_policy:restart placement!:placement endpoint_mode",
    {
        "update": _UPDATE,
        "resources": _structure("limits:r reservations:r", {"r": _RESOURCE}, keeps_empty=False),
        "restart": _structure("condition delay:time? max_attempts:int? window:time?"),
        "placement": _PLACEMENT,
    },
)  # fmt: skip
_HEALTH = _structure(
    "test:test timeout:time? interval:time? retries:int? start_period:time? start_interval:time? "
    "disable:bool",
    {"test": HEALTH_TEST},
)
_LOGGING = _structure("driver options:pairs")
_MOUNT = _structure(
    "type source target read_only:bool consistency bind:bind volume:volume tmpfs:tmpfs "
    "image:image",
    {
        "bind": _structure("selinux propagation create_host_path:bool recursive"),
        "volume": _structure("labels:pairs nocopy:bool subpath"),
        "tmpfs": _structure("size:bytes mode:int"),
        "image": _structure("subpath"),
    },
)
_PORT = _structure("name mode host_ip target:int published protocol app_protocol")
_ATTACHMENT = _structure(
    "aliases:texts driver_opts:pairs gw_priority:int interface_name ipv4_address ipv6_address "
    "link_local_ips:texts mac_address priority:int"
)
_DEPENDENCY = _structure("condition restart:bool required:always", {"always": OPTIONAL_BOOLEAN})
_ENV_FILE_FIELDS = _structure("path required:false format", {"false": SHOWN_WHEN_FALSE})


def _hashed_env_file(value: Json) -> Json:
    """Go's encoder writes one that must be there as its path alone."""
    return value if document(value).get("required") is False else document(value).get("path")


_ENV_FILE = _ENV_FILE_FIELDS._replace(hashed=_hashed_env_file)

_SERVICE_KINDS: dict[str, Kind] = {
    "build": _BUILD, "develop": _DEVELOP, "blkio": _BLKIO, "files": items(_FILE_MOUNT),
    "depends": named(_DEPENDENCY), "deploy": _DEPLOY,
    "devices": items(_structure("source target permissions")),
    "env_files": items(_ENV_FILE), "gpus": items(_DEVICE_REQUEST), "health": _HEALTH,
    "logging": _LOGGING, "networks": named(_ATTACHMENT), "ports": items(_PORT),
    "ulimits": _ULIMITS, "mounts": items(_MOUNT), "hooks": items(_HOOK),
    "credentials": _structure("config file registry"),
    "provider": _structure("type options:options", {"options": OPTIONS}),
    "models": named(_structure("endpoint_var model_var")),
}  # fmt: skip
_SERVICE_WORDS = (
    "profiles:texts annotations:pairs attach:bool? build:build develop:develop "
    "blkio_config:blkio cap_add:texts cap_drop:texts cgroup_parent cgroup cpu_count:int "
    "cpu_percent:number cpu_period:int cpu_quota:int cpu_rt_period:int cpu_rt_runtime:int "
    "cpus:number cpuset cpu_shares:int command!:command configs:files container_name "
    "credential_spec:credentials depends_on:depends deploy:deploy device_cgroup_rules:texts "
    "devices:devices dns:texts dns_opt:texts dns_search:texts dockerfile domainname "
    "entrypoint!:command provider:provider environment:env env_file:env_files expose:texts "
    "extends:any external_links:texts extra_hosts:hosts group_add:texts gpus:gpus hostname "
    "healthcheck:health image init:bool? ipc isolation labels:pairs label_file:texts links:texts "
    "logging:logging log_driver log_opt:pairs mem_limit:bytes mem_reservation:bytes "
    "memswap_limit:bytes mem_swappiness:bytes mac_address models:models net network_mode "
    "networks:networks oom_kill_disable:bool oom_score_adj:int pid pids_limit:int platform "
    "ports:ports privileged:bool pull_policy read_only:bool restart runtime scale:int? "
    "secrets:files security_opt:texts shm_size:bytes stdin_open:bool stop_grace_period:time? "
    "stop_signal storage_opt:pairs sysctls:pairs tmpfs:texts tty:bool ulimits:ulimits "
    "use_api_socket:bool user userns_mode uts volume_driver volumes:mounts volumes_from:texts "
    "working_dir post_start:hooks pre_stop:hooks"
)
SERVICE = Structure(fields(_SERVICE_WORDS, {**_K, **_SERVICE_KINDS}))
_POOL = _structure("subnet gateway ip_range aux_addresses:pairs")
_IPAM = Structure(fields("driver config:pools", {"pools": items(_POOL)}))
NETWORK = Structure(
    fields(
        "name driver driver_opts:pairs ipam!:ipam external:bool internal:bool attachable:bool "
        "labels:pairs enable_ipv4:bool? enable_ipv6:bool?",
        {**_K, "ipam": structure(_IPAM, keeps_empty=False)},
    )
)
VOLUME = Structure(fields("name driver driver_opts:pairs external:bool labels:pairs", _K))
FILE = Structure(
    fields(
        "name file environment content external:bool labels:pairs driver driver_opts:pairs "
        "template_driver",
        _K,
    )
)
MODEL = Structure(fields("name model context_size:int runtime_flags:texts", _K))
