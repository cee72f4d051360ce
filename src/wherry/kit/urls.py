"""URLs and addresses as they are told to people: in messages, step names and lists."""

import re

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"']+@")


def without_credentials(text: str) -> str:
    """A text whose URLs name nobody's password."""
    return _CREDENTIALS.sub("xxxxx:xxxxx@", text) if "://" in text else text


def with_port(host: str, port: object) -> str:
    """A host, by name or address, and a port (or a range of them); IPv6 in brackets (RFC 3986)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
