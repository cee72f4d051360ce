"""Where an engine listens: `unix:///run/wherry.sock` or `tcp://host:port`."""

import re
from typing import NamedTuple

from wherry.client.errors import InvalidEndpoint

DEFAULT_SOCKET = "/run/wherry.sock"
DEFAULT_TCP_PORT = 2375

_AUTHORITY = r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^/:\[\]]*)(?::(?P<port>[0-9]{1,5}))?(?P<path>/.*)?"


class Endpoint(NamedTuple):
    """An engine's address; `socket_path` is set for Unix sockets, host and port for TCP."""

    address: str
    socket_path: str = ""
    host: str = ""
    port: int = 0

    @property
    def is_unix(self) -> bool:
        """Whether it is a socket in the file system."""
        return bool(self.socket_path)


def parse_endpoint(address: str) -> Endpoint:
    """Read an address as `-H` and DOCKER_HOST take it; a bare host means TCP.

    Raises: InvalidEndpoint.
    """
    text = address.strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _tcp_endpoint(address, text)
    if scheme == "unix":
        path = rest or DEFAULT_SOCKET
        return Endpoint(address=f"unix://{path}", socket_path=path)
    if scheme == "tcp":
        return _tcp_endpoint(address, rest)
    if scheme in ("ssh", "npipe", "fd", "http", "https"):
        raise InvalidEndpoint(f"{scheme}:// endpoints are not there yet: {address}")
    raise InvalidEndpoint(f"invalid bind address format: {address}")


def default_endpoint() -> Endpoint:
    """The socket of this machine's own engine."""
    return Endpoint(address=f"unix://{DEFAULT_SOCKET}", socket_path=DEFAULT_SOCKET)


def _tcp_endpoint(address: str, authority: str) -> Endpoint:
    match = re.fullmatch(_AUTHORITY, authority)
    if match is None:
        raise InvalidEndpoint(f"invalid bind address format: {address}")
    host = match.group("host").strip("[]") or "localhost"
    port = int(match.group("port") or DEFAULT_TCP_PORT)
    if not 0 < port < 65536:
        raise InvalidEndpoint(f"invalid bind address format: {address}")
    shown = f"[{host}]" if ":" in host else host
    return Endpoint(address=f"tcp://{shown}:{port}", host=host, port=port)
