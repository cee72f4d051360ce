"""The key `builder` of the configuration file, in dockerd's words.

    {"gc": {"enabled": true, "defaultKeepStorage": "10GB",
            "policy": [{"keepStorage": "5GB", "filter": ["unused-for=48h"]}]},
     "entitlements": {"security-insecure": false}}

`keepStorage` is the older word for `reservedSpace`. Names are read in any case, as Go reads them.
"""

from collections.abc import Mapping, Sequence

from wherry.engine.build_cache import matching
from wherry.kit.values import dataclass, field
from wherry.model.builds import CachePrune, CacheUpkeep
from wherry.model.errors import InvalidValue
from wherry.programs.daemon_values import read_bytes, read_switch, read_texts

_ENTITLEMENTS = {"network-host": "network.host", "security-insecure": "security.insecure"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderValue:
    """What an operator decides about builds."""

    upkeep: CacheUpkeep = field(default_factory=CacheUpkeep)
    refused_entitlements: frozenset[str] = frozenset()
    """What RUN is not granted, whatever a client allows."""


def read_builder(key: str, value: object) -> BuilderValue:
    """The whole key. Raises: ValueError."""
    given = _members(key, value, "gc", "entitlements")
    allowed = _members(f"{key}.entitlements", given.get("entitlements", {}), *_ENTITLEMENTS)
    return BuilderValue(
        upkeep=_upkeep(f"{key}.gc", given.get("gc", {})),
        refused_entitlements=frozenset(
            _ENTITLEMENTS[name]
            for name, is_allowed in allowed.items()
            if not read_switch(f"{key}.entitlements.{name}", is_allowed)
        ),
    )


def _upkeep(key: str, value: object) -> CacheUpkeep:
    given = _members(key, value, "enabled", "policy", *_limit_names("default"))
    policy = given.get("policy", [])
    if not isinstance(policy, list):
        raise ValueError(f"{key}.policy: {policy!r} is not a list of rules")
    reserved, most, free = _limits(key, given, "default")
    return CacheUpkeep(
        is_on=read_switch(f"{key}.enabled", given.get("enabled", True)),
        rules=tuple(_rule(f"{key}.policy[{n}]", each) for n, each in enumerate(policy)),
        reserved_bytes=reserved,
        most_bytes=most,
        least_free_bytes=free,
    )


def _rule(key: str, value: object) -> CachePrune:
    given = _members(key, value, "all", "filter", *_limit_names(""))
    reserved, most, free = _limits(key, given, "")
    filters: dict[str, tuple[str, ...]] = {}
    for text in _filter_texts(f"{key}.filter", given.get("filter", [])):
        name, _equals, wanted = text.partition("=")
        name = name.strip().lower()
        filters[name] = (*filters.get(name, ()), wanted.strip())
    try:
        matching(filters, now_ns=0)
    except InvalidValue as problem:
        raise ValueError(f"{key}.filter: {problem}") from problem
    return CachePrune(
        takes_all=read_switch(f"{key}.all", given.get("all", False)),
        filters=filters,
        reserved_bytes=reserved,
        most_bytes=most,
        least_free_bytes=free,
    )


def _filter_texts(key: str, value: object) -> Sequence[str]:
    """A list of `name=value`, or the older object: `{"unused-for": {"48h": true}}`."""
    if isinstance(value, dict) and all(isinstance(each, dict) for each in value.values()):
        return [f"{name}={wanted}" for name, values in value.items() for wanted in values]
    return read_texts(key, value)


def _limit_names(prefix: str) -> Sequence[str]:
    names = ("keepstorage", "reservedspace", "maxusedspace", "minfreespace")
    return [prefix + each for each in names]


def _limits(key: str, given: Mapping[str, object], prefix: str) -> tuple[int, int, int]:
    kept, *others = (
        read_bytes(f"{key}.{name}", given[name]) if name in given else 0
        for name in _limit_names(prefix)
    )
    reserved, most, free = others
    return reserved or kept, most, free


def _members(key: str, value: object, *names: str) -> Mapping[str, object]:
    """The members of an object, by names in lower case. Raises: ValueError for another one."""
    if not isinstance(value, dict):
        raise ValueError(f"{key}: {value!r} is not an object")
    for name in value:
        if name.lower() not in names:
            raise ValueError(f"{key} has no field {name}")
    return {name.lower(): each for name, each in value.items()}
