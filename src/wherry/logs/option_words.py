"""Words that the options of several log drivers share, and Go's refusals of wrong ones."""

import re
from collections.abc import Mapping

URL = re.compile(r"([a-z+]+)://(.*)", re.DOTALL)
_TRANSPORTS = ("tcp", "tcp+tls", "udp", "unix", "unixgram")


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


def transport(text: str, complaint: str) -> tuple[str, str]:
    """Scheme and rest of an address. Raises: ValueError, the complaint with the address."""
    match = URL.fullmatch(text)
    if match is None or match.group(1) not in _TRANSPORTS:
        raise ValueError(f"{complaint}{text}")
    return match.group(1), match.group(2)


def host_and_port(text: str, *, default: int) -> tuple[str, int]:
    """`host:port`, `[::1]:port` or either alone. Raises: ValueError."""
    match = re.fullmatch(r"(\[[^]]+\]|[^:]*)(?::([0-9]{1,5}))?", text.rstrip("/"))
    if match is None:
        raise ValueError(f"address {text}: invalid port")
    host, port = match.groups()
    number = int(port) if port else default
    if number > 65535:
        raise ValueError(f"address {number}: invalid port")
    return host.strip("[]") or "localhost", number
