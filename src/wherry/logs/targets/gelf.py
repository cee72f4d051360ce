"""The options of the driver `gelf`."""

from collections.abc import Mapping

from wherry.kit.numbers import parse_int, parse_unsigned
from wherry.kit.values import dataclass
from wherry.logs.option_words import transport

OPTIONS = frozenset({
    "gelf-address", "gelf-compression-level", "gelf-compression-type",
    "gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay",
})  # fmt: skip


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
        raise _unknown_value("gelf-compression-type", compression)
    level = _number(options, "gelf-compression-level", 1, lowest=-1, highest=9)
    reconnects, delay_s = (
        _number(options, name, 0, lowest=0, highest=1 << 31) if name in options else None
        for name in ("gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay")
    )
    address = options.get("gelf-address", "")
    if not address:
        raise ValueError("gelf-address is a required parameter")
    scheme, rest = transport(address, "gelf-address should be in form proto://address, got ")
    if scheme not in ("tcp", "udp"):
        raise ValueError("gelf: endpoint needs to be TCP or UDP")
    host, _, port_text = rest.rpartition(":")
    try:
        port = parse_unsigned(port_text, bits=16)
    except ValueError:
        raise ValueError("gelf: please provide gelf-address as proto://host:port") from None
    if scheme == "tcp" and {"gelf-compression-type", "gelf-compression-level"} & options.keys():
        raise ValueError("compression is only supported on UDP")
    return GelfTarget(
        scheme=scheme,
        host=host.strip("[]"),
        port=port,
        compression=compression,
        level=level,
        reconnects=reconnects,
        delay_s=delay_s,
    )


def _number(
    options: Mapping[str, str], name: str, default: int, *, lowest: int, highest: int
) -> int:
    text = options.get(name)
    if text is None:
        return default
    try:
        number = parse_int(text)
    except ValueError:
        raise _unknown_value(name, text) from None
    if not lowest <= number <= highest:
        raise _unknown_value(name, text)
    return number


def _unknown_value(name: str, value: str) -> ValueError:
    return ValueError(f'unknown value "{value}" for log opt "{name}" for gelf log driver')
