"""Variables of a document: every string is substituted, and becomes what its place wants."""

from collections.abc import Callable
from functools import partial

from wherry.client.documents import Json
from wherry.compose.errors import ComposeError
from wherry.compose.kinds import read_boolean
from wherry.compose.tree_paths import PathTable
from wherry.compose.variables import InvalidTemplate, Lookup, substitute
from wherry.compose.yaml_source import Path


def interpolate(
    value: Json,
    lookup: Lookup,
    *,
    on_unset: Callable[[str], None],
    warn: Callable[[str], None],
) -> Json:
    """A new document without variables. Raises: ComposeError naming the place."""

    def walk(each: Json, path: Path) -> Json:
        if isinstance(each, dict):
            return {key: walk(inner, (*path, key)) for key, inner in each.items()}
        if isinstance(each, list):
            return [walk(inner, (*path, "[]")) for inner in each]
        if isinstance(each, str):
            result = _string(each, path, lookup, on_unset)
            if isinstance(result, bool) and each.lower() in _OLD_TRUTHS:
                right = "true" if result else "false"
                warn(f'"{each}" for boolean is not supported by YAML 1.2, please use `{right}`')
            return result
        return each

    return walk(value, ())


def _string(text: str, path: Path, lookup: Lookup, on_unset: Callable[[str], None]) -> Json:
    place = ".".join(path)
    try:
        result = substitute(text, lookup, on_unset=on_unset)
    except InvalidTemplate:
        raise ComposeError(
            f"invalid interpolation format for {place}.\n"
            f"You may need to escape any $ with another $.\n{text}"
        ) from None
    except ComposeError as problem:
        raise ComposeError(f"error while interpolating {place}: {problem}") from None
    cast = _CASTS.at(path)
    if cast is None:
        return result
    try:
        return cast(result)
    except ValueError as problem:
        raise ComposeError(
            f"error while interpolating {place}: failed to cast to expected type: {problem}"
        ) from None


def _to_int(text: str, *, function: str = "Atoi") -> Json:
    """A whole number; `function` is what Go names where it is none."""
    try:
        if not text.isascii() or "_" in text or text != text.strip():
            raise ValueError
        return int(text)
    except ValueError:
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax') from None


_to_long = partial(_to_int, function="ParseInt")


def _to_float(text: str) -> Json:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": invalid syntax') from None


_OLD_TRUTHS = frozenset({"yes", "y", "on", "no", "n", "off"})
"""What YAML 1.1 read as booleans."""

_INTEGERS = (
    "configs.*.mode cpu_period cpu_quota deploy.replicas deploy.update_config.parallelism "
    "deploy.rollback_config.parallelism deploy.restart_policy.max_attempts "
    "deploy.placement.max_replicas_per_node healthcheck.retries ports.*.target scale "
    "secrets.*.mode ulimits.* ulimits.*.hard ulimits.*.soft"
)
_LONG_INTEGERS = "cpu_count cpu_rt_period cpu_rt_runtime cpu_shares oom_score_adj pids_limit"
"""Those that Go reads with another function, which its complaint names."""
_FLOATS = (
    "cpu_percent cpus deploy.update_config.max_failure_ratio "
    "deploy.rollback_config.max_failure_ratio"
)
_BOOLEANS = (
    "init healthcheck.disable oom_kill_disable privileged read_only stdin_open tty "
    "volumes.*.read_only volumes.*.bind.create_host_path volumes.*.volume.nocopy"
)
_TOP_BOOLEANS = (
    "networks.*.external networks.*.internal networks.*.attachable volumes.*.external "
    "secrets.*.external configs.*.external networks.*.enable_ipv6 networks.*.enable_ipv4"
)
_MODES = frozenset(("services.*.configs.*.mode", "services.*.secrets.*.mode"))


def _casts() -> dict[str, Callable[[str], Json]]:
    result: dict[str, Callable[[str], Json]] = {}
    for names, cast in (
        (_INTEGERS, _to_int),
        (_LONG_INTEGERS, _to_long),
        (_FLOATS, _to_float),
        (_BOOLEANS, read_boolean),
    ):
        result |= {f"services.*.{name}": cast for name in names.split()}
    result |= dict.fromkeys(_TOP_BOOLEANS.split(), read_boolean)
    return {place: cast for place, cast in result.items() if place not in _MODES}


_CASTS = PathTable(_casts())
