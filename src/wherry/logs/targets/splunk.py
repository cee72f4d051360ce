"""The options of the driver `splunk`."""

import re
from collections.abc import Mapping

from wherry.kit.values import dataclass
from wherry.logs.option_words import flag

OPTIONS = frozenset({
    "splunk-caname", "splunk-capath", "splunk-format", "splunk-gzip", "splunk-gzip-level",
    "splunk-index", "splunk-insecureskipverify", "splunk-source", "splunk-sourcetype",
    "splunk-token", "splunk-url", "splunk-verify-connection",
})  # fmt: skip


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
