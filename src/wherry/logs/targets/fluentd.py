"""The options of the driver `fluentd`."""

import re
from collections.abc import Mapping

from wherry.kit.byte_sizes import parse_size
from wherry.kit.durations import read_duration
from wherry.kit.values import dataclass
from wherry.logs.option_words import URL, flag, host_and_port

OPTIONS = frozenset({
    "fluentd-address", "fluentd-async", "fluentd-async-connect",
    "fluentd-async-reconnect-interval", "fluentd-buffer-limit", "fluentd-max-retries",
    "fluentd-read-timeout", "fluentd-request-ack", "fluentd-retry-wait",
    "fluentd-sub-second-precision", "fluentd-write-timeout",
})  # fmt: skip
_DURATION = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+|0")
# What fluent-logger-golang takes a zero for.
_LIBRARY_BUFFER, _LIBRARY_RETRY_WAIT_S, _LIBRARY_TRIES = 8192, 0.5, 13
_FOR_EVER = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FluentdTarget:
    """A forward input."""

    scheme: str
    host: str
    port: int
    path: str
    is_async: bool
    """Whether a container may start while the receiver can't be reached."""
    wants_ack: bool
    is_precise: bool
    """Whether times have nanoseconds."""
    most_events: int | None
    """How many may wait (only with `is_async`); None: as many as there is room for."""
    retry_wait_s: float
    """The unit of the pauses between two tries."""
    most_tries: int
    """So many tries, and what was to be sent is given up."""
    write_timeout_s: float | None
    read_timeout_s: float | None
    """How long an acknowledgement is waited for. None, here and above: our own time."""
    renew_after_s: float | None
    """The age at which a connection is made anew (only with `is_async`)."""


def parse_fluentd(options: Mapping[str, str]) -> FluentdTarget:
    """Raises: ValueError."""
    scheme, host, port, path = _address(options.get("fluentd-address", ""))
    limit = options.get("fluentd-buffer-limit")
    most_events = (parse_size(limit) or _LIBRARY_BUFFER) if limit else None
    retries = options.get("fluentd-max-retries", "")
    if retries and not (retries.isascii() and retries.isdigit()):
        raise ValueError(f'strconv.ParseUint: parsing "{retries}": invalid syntax')
    retry_wait_s = _seconds(options, "fluentd-retry-wait", unset=1.0)
    is_async = flag(options, "fluentd-async") or flag(options, "fluentd-async-connect")
    renew_after_s = _renewal(options)
    return FluentdTarget(
        scheme=scheme,
        host=host,
        port=port,
        path=path,
        is_async=is_async,
        wants_ack=flag(options, "fluentd-request-ack"),
        is_precise=flag(options, "fluentd-sub-second-precision"),
        most_events=most_events if is_async else None,
        retry_wait_s=max(retry_wait_s, 0) or _LIBRARY_RETRY_WAIT_S,
        most_tries=(int(retries) or _LIBRARY_TRIES) if retries else _FOR_EVER,
        write_timeout_s=_timeout(options, "fluentd-write-timeout"),
        read_timeout_s=_timeout(options, "fluentd-read-timeout"),
        renew_after_s=renew_after_s if is_async else None,
    )


def _seconds(options: Mapping[str, str], name: str, *, unset: float) -> float:
    text = options.get(name, "")
    if text and not _DURATION.fullmatch(text):
        raise ValueError(f'time: invalid duration "{text}"')
    return read_duration(text) / 1e9 if text else unset


def _timeout(options: Mapping[str, str], name: str) -> float | None:
    try:
        seconds = _seconds(options, name, unset=0)
    except ValueError as error:
        raise ValueError(f"invalid value for {name}: value must be a duration: {error}") from None
    if seconds < 0:
        sentence = "value must be a duration that is non-negative"
        raise ValueError(f"invalid value for {name}: {sentence}")
    return seconds or None


def _renewal(options: Mapping[str, str]) -> float | None:
    name = "fluentd-async-reconnect-interval"
    try:
        seconds = _seconds(options, name, unset=0)
    except ValueError as error:
        raise ValueError(f"invalid value for {name}: {error}") from None
    if seconds and not 0.1 <= seconds <= 10:
        raise ValueError(
            f'invalid value for {name}: value ("{options[name]}") must be between 100ms and 10s'
        )
    return seconds or None


def _address(text: str) -> tuple[str, str, int, str]:
    if not text:
        return "tcp", "127.0.0.1", 24224, ""
    match = URL.fullmatch(text)
    scheme, rest = match.groups() if match else ("tcp", text)
    if scheme in ("unix", "unixgram"):
        return "unix", "", 0, rest
    if scheme != "tcp":
        raise ValueError(f"invalid fluentd-address {text}: unsupported scheme {scheme}")
    try:
        host, port = host_and_port(rest, default=24224)
    except ValueError as error:
        raise ValueError(f"invalid fluentd-address {text}: {error}") from None
    return "tcp", host, port, ""
