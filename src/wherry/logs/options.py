"""The drivers that exist, the options that they take, and Docker's refusals of others."""

import re
from collections.abc import Callable, Mapping

from wherry.kit.byte_sizes import parse_size
from wherry.kit.values import dataclass, field
from wherry.logs.option_words import flag
from wherry.logs.rotation import Rotation
from wherry.logs.targets import fluentd, gelf, splunk, syslog

DRIVERS = (
    "fluentd", "gelf", "journald", "json-file", "local", "none", "splunk", "syslog",
)  # fmt: skip
PLUGIN = "plugin"
"""What drivers that are not ours are called among our own processes."""
REMOTE_DRIVERS = frozenset({"fluentd", "gelf", "journald", "splunk", "syslog", PLUGIN})
"""Those whose receiver is fed by a logger from the local file."""

DEFAULT_RING_BYTES = 1 << 20
"""How far a receiver may lag behind in mode `non-blocking`."""

_ATTRIBUTES = frozenset({"env", "env-regex", "labels", "labels-regex", "tag"})
_ROTATION = frozenset({"max-size", "max-file", "compress"})
_GENERAL = frozenset({
    "mode", "max-buffer-size",
    "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress",
})  # fmt: skip


_KNOWN: Mapping[str, frozenset[str]] = {
    "json-file": _ATTRIBUTES | _ROTATION,
    "local": _ROTATION,
    "journald": _ATTRIBUTES,
    "syslog": _ATTRIBUTES | syslog.OPTIONS,
    "gelf": _ATTRIBUTES | gelf.OPTIONS,
    "fluentd": _ATTRIBUTES | fluentd.OPTIONS,
    "splunk": _ATTRIBUTES | splunk.OPTIONS,
}  # fmt: skip

_PARSERS: Mapping[str, Callable[[Mapping[str, str]], object]] = {
    "json-file": Rotation.from_options,
    "local": Rotation.of_local,
    "syslog": syslog.parse_syslog,
    "gelf": gelf.parse_gelf,
    "fluentd": fluentd.parse_fluentd,
}
"""Checked when a container is created. What splunk needs is checked when it starts, as in
Docker."""


def validate(driver: str, options: Mapping[str, str]) -> None:
    """Refuse what could not be done.

    Raises: ValueError with Docker's sentence.
    """
    if driver == "none":
        return
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise ValueError(f"logger: logging mode not supported: {mode}")
    ring_bytes(options)
    known = _KNOWN.get(driver)
    if known is None:
        raise ValueError(f"logger: no log driver named '{driver}' is registered")
    for name in options:
        if name not in known and name not in _GENERAL:
            raise ValueError(_unknown_option(driver, name))
    for name in ("labels-regex", "env-regex"):
        try:
            re.compile(options.get(name, ""))
        except re.error as error:
            raise ValueError(f"error parsing regexp: {error}: `{options[name]}`") from None
    if "fluentd-async" in options and "fluentd-async-connect" in options:
        raise ValueError(
            "conflicting options: cannot specify both 'fluentd-async' and 'fluentd-async-connect'"
        )
    if driver in REMOTE_DRIVERS:
        Rotation.of_cache(options)
        flag(options, "cache-disabled")
    parse = _PARSERS.get(driver)
    if parse is not None:
        parse(options)


def _unknown_option(driver: str, name: str) -> str:
    match driver:
        case "gelf":
            return f'unknown log opt "{name}" for gelf log driver'
        case "local":
            return f"unknown log opt '{name}' for log driver local"
        case _:
            return f"unknown log opt '{name}' for {driver} log driver"


def ring_bytes(options: Mapping[str, str]) -> int | None:
    """How far a receiver may lag behind; None: as far as there are files. Raises: ValueError."""
    is_non_blocking = options.get("mode") == "non-blocking"
    size = options.get("max-buffer-size")
    if size is None:
        return DEFAULT_RING_BYTES if is_non_blocking else None
    if not is_non_blocking:
        raise ValueError(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
        )
    try:
        return parse_size(size)
    except ValueError as error:
        raise ValueError(f"error parsing option max-buffer-size: {error}") from None


def kept_as(driver: str) -> str:
    """How a container's log is kept here; an empty name stays the default."""
    return driver if not driver or driver in DRIVERS else PLUGIN


def is_readable(driver: str, options: Mapping[str, str]) -> bool:
    """Whether `logs` can show what a container wrote."""
    driver = kept_as(driver)
    return driver != "none" and not (driver in REMOTE_DRIVERS and flag(options, "cache-disabled"))


def extra_attributes(
    options: Mapping[str, str], *, labels: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """The labels and environment variables that go with every line, sorted by name."""
    found: dict[str, str] = {}
    for option, values in (("labels", labels), ("env", environment)):
        names = [name for name in options.get(option, "").split(",") if name in values]
        pattern = options.get(f"{option}-regex", "")
        if pattern:
            names += [name for name in values if re.search(pattern, name)]
        found.update((name, values[name]) for name in names)
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTarget:
    """Where one container's output goes; it crosses the shim protocol."""

    driver: str = "json-file"
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Put into every record, and shown by `logs --details`."""
