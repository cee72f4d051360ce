"""The options of the driver `syslog`."""

import os
import re
from collections.abc import Mapping

from wherry.kit.values import dataclass
from wherry.logs.option_words import host_and_port, transport

OPTIONS = frozenset({
    "syslog-address", "syslog-facility", "syslog-format", "syslog-tls-ca-cert",
    "syslog-tls-cert", "syslog-tls-key", "syslog-tls-skip-verify",
})  # fmt: skip
_FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp",
)  # fmt: skip
_LOCAL_FACILITY = 16
_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")


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
    scheme, host, port, path = _address(options.get("syslog-address", ""))
    format_ = options.get("syslog-format", "")
    if format_ not in _FORMATS:
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


def _address(text: str) -> tuple[str, str, int, str]:
    if not text:
        return "", "", 0, ""
    scheme, rest = transport(text, "syslog-address should be in form proto://address, got ")
    if scheme in ("unix", "unixgram"):
        if not os.path.exists(rest):
            raise ValueError(f"stat {rest}: no such file or directory")
        return scheme, "", 0, rest
    host, port = host_and_port(rest, default=514)
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
