"""The options of the drivers whose receiver is elsewhere, and Docker's refusals of wrong ones."""

import os
import re
from collections.abc import Mapping

from wherry.kit.byte_sizes import parse_size
from wherry.kit.durations import read_duration
from wherry.kit.numbers import parse_int
from wherry.kit.values import dataclass

_URL = re.compile(r"([a-z+]+)://(.*)", re.DOTALL)
_TRANSPORTS = ("tcp", "tcp+tls", "udp", "unix", "unixgram")
_FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp",
)  # fmt: skip
_LOCAL_FACILITY = 16
_SYSLOG_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
_DURATION = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+|0")
# What fluent-logger-golang takes a zero for.
_LIBRARY_BUFFER, _LIBRARY_RETRY_WAIT_S, _LIBRARY_TRIES = 8192, 0.5, 13
_FOR_EVER = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogTarget:
    """Where and how to say it."""

    scheme: str
    """Empty: the local daemon."""
    host: str
    port: int
    path: str
    facility: int
    format: str
    ca_file: str
    certificate_file: str
    key_file: str
    verifies: bool


def parse_syslog(options: Mapping[str, str]) -> SyslogTarget:
    """Raises: ValueError."""
    scheme, host, port, path = _syslog_address(options.get("syslog-address", ""))
    format_ = options.get("syslog-format", "")
    if format_ not in _SYSLOG_FORMATS:
        raise ValueError("Invalid syslog format")
    return SyslogTarget(
        scheme=scheme,
        host=host,
        port=port,
        path=path,
        facility=_facility(options.get("syslog-facility", "")),
        format=format_,
        ca_file=options.get("syslog-tls-ca-cert", ""),
        certificate_file=options.get("syslog-tls-cert", ""),
        key_file=options.get("syslog-tls-key", ""),
        # As in Docker the option counts by being there, whatever its value.
        verifies="syslog-tls-skip-verify" not in options,
    )


def _syslog_address(text: str) -> tuple[str, str, int, str]:
    if not text:
        return "", "", 0, ""
    scheme, rest = _transport(text, "syslog-address should be in form proto://address, got ")
    if scheme in ("unix", "unixgram"):
        if not os.path.exists(rest):
            raise ValueError(f"stat {rest}: no such file or directory")
        return scheme, "", 0, rest
    host, port = _host_and_port(rest, default=514)
    return scheme, host, port, ""


def _facility(text: str) -> int:
    if not text:
        return _FACILITIES.index("daemon")
    if text in _FACILITIES:
        return _FACILITIES.index(text)
    if re.fullmatch(r"local[0-7]", text):
        return _LOCAL_FACILITY + int(text[-1])
    if re.fullmatch(r"[0-9]{1,2}", text) and int(text) <= 23:
        return int(text)
    raise ValueError("invalid syslog facility")


@dataclass(frozen=True, slots=True, kw_only=True)
class GelfTarget:
    """A GELF input."""

    scheme: str
    host: str
    port: int
    compression: str
    level: int
    reconnects: int | None
    """How often one batch is tried again, over tcp; None: for ever."""
    delay_s: int | None
    """Between two tries; None: ours."""


def parse_gelf(options: Mapping[str, str]) -> GelfTarget:
    """Raises: ValueError."""
    compression = options.get("gelf-compression-type", "gzip")
    if compression not in ("gzip", "zlib", "none"):
        raise _unknown_gelf_value("gelf-compression-type", compression)
    level = _gelf_number(options, "gelf-compression-level", 1, lowest=-1, highest=9)
    reconnects, delay_s = (
        _gelf_number(options, name, 0, lowest=0, highest=1 << 31) if name in options else None
        for name in ("gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay")
    )
    address = options.get("gelf-address", "")
    if not address:
        raise ValueError("gelf-address is a required parameter")
    scheme, rest = _transport(address, "gelf-address should be in form proto://address, got ")
    if scheme not in ("tcp", "udp"):
        raise ValueError("gelf: endpoint needs to be TCP or UDP")
    host, separator, port = rest.rpartition(":")
    if not separator or not port.isdigit():
        raise ValueError("gelf: please provide gelf-address as proto://host:port")
    if scheme == "tcp" and {"gelf-compression-type", "gelf-compression-level"} & options.keys():
        raise ValueError("compression is only supported on UDP")
    return GelfTarget(
        scheme=scheme,
        host=host.strip("[]"),
        port=int(port),
        compression=compression,
        level=level,
        reconnects=reconnects,
        delay_s=delay_s,
    )


def _gelf_number(
    options: Mapping[str, str], name: str, default: int, *, lowest: int, highest: int
) -> int:
    text = options.get(name)
    if text is None:
        return default
    try:
        number = parse_int(text)
    except ValueError:
        raise _unknown_gelf_value(name, text) from None
    if not lowest <= number <= highest:
        raise _unknown_gelf_value(name, text)
    return number


def _unknown_gelf_value(name: str, value: str) -> ValueError:
    return ValueError(f'unknown value "{value}" for log opt "{name}" for gelf log driver')


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
    scheme, host, port, path = _fluentd_address(options.get("fluentd-address", ""))
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


def _fluentd_address(text: str) -> tuple[str, str, int, str]:
    if not text:
        return "tcp", "127.0.0.1", 24224, ""
    match = _URL.fullmatch(text)
    scheme, rest = match.groups() if match else ("tcp", text)
    if scheme in ("unix", "unixgram"):
        return "unix", "", 0, rest
    if scheme != "tcp":
        raise ValueError(f"invalid fluentd-address {text}: unsupported scheme {scheme}")
    try:
        host, port = _host_and_port(rest, default=24224)
    except ValueError as error:
        raise ValueError(f"invalid fluentd-address {text}: {error}") from None
    return "tcp", host, port, ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplunkTarget:
    """An HTTP event collector."""

    scheme: str
    host: str
    port: int
    token: str
    source: str
    source_type: str
    index: str
    format: str
    ca_file: str
    ca_name: str
    verifies: bool
    verifies_connection: bool
    is_compressed: bool
    level: int


def parse_splunk(options: Mapping[str, str]) -> SplunkTarget:
    """Raises: ValueError."""
    for name in ("splunk-url", "splunk-token"):
        if name not in options:
            raise ValueError(f"splunk: {name} is expected")
    match = re.fullmatch(
        r"(https?)://(\[[^]/]+\]|[^/:?#]+)(?::([0-9]+))?/?", options["splunk-url"]
    )
    if match is None:
        raise ValueError("splunk: expected format scheme://dns_name_or_ip:port for splunk-url")
    scheme, host, port = match.groups()
    format_ = options.get("splunk-format", "inline")
    if format_ not in ("inline", "json", "raw"):
        raise ValueError(
            f"unknown format specified {format_}, supported formats are inline, json and raw"
        )
    level = options.get("splunk-gzip-level", "-1")
    if not re.fullmatch(r"-1|[0-9]", level):
        raise ValueError(
            f"not supported level '{level}' for splunk-gzip-level (supported values between -1 "
            "and 9)"
        )
    return SplunkTarget(
        scheme=scheme,
        host=host.strip("[]"),
        port=int(port or (443 if scheme == "https" else 80)),
        token=options["splunk-token"],
        source=options.get("splunk-source", ""),
        source_type=options.get("splunk-sourcetype", ""),
        index=options.get("splunk-index", ""),
        format=format_,
        ca_file=options.get("splunk-capath", ""),
        ca_name=options.get("splunk-caname", ""),
        verifies=not flag(options, "splunk-insecureskipverify"),
        verifies_connection=flag(options, "splunk-verify-connection", default=True),
        is_compressed=flag(options, "splunk-gzip"),
        level=int(level),
    )


def flag(options: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """A truth value as Go reads it. Raises: ValueError."""
    text = options.get(name, "")
    if not text:
        return default
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _transport(text: str, complaint: str) -> tuple[str, str]:
    match = _URL.fullmatch(text)
    if match is None or match.group(1) not in _TRANSPORTS:
        raise ValueError(f"{complaint}{text}")
    return match.group(1), match.group(2)


def _host_and_port(text: str, *, default: int) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^]]+\]|[^:]*)(?::([0-9]{1,5}))?", text.rstrip("/"))
    if match is None:
        raise ValueError(f"address {text}: invalid port")
    host, port = match.groups()
    number = int(port) if port else default
    if number > 65535:
        raise ValueError(f"address {number}: invalid port")
    return host.strip("[]") or "localhost", number
