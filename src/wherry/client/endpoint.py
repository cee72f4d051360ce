"""Where an engine listens: `unix:///run/wherry.sock`, `tcp://host:port`, `ssh://user@host`."""

import re
from typing import NamedTuple

from wherry.client.errors import InvalidEndpoint
from wherry.kit.urls import with_port

DEFAULT_SOCKET = "/run/wherry.sock"
DEFAULT_TCP_PORT, DEFAULT_TLS_PORT = 2375, 2376

_AUTHORITY = r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^/:\[\]]*)(?::(?P<port>[0-9]{1,5}))?(?P<path>/.*)?"


class TlsFiles(NamedTuple):
    """The files that make a TLS connection; an empty path: none."""

    authority: str = ""
    certificate: str = ""
    key: str = ""
    skips_verification: bool = False


class Endpoint(NamedTuple):
    """An engine's address; `socket_path` is set for Unix sockets, host and port for TCP."""

    address: str
    socket_path: str = ""
    host: str = ""
    port: int = 0
    tls: TlsFiles | None = None
    ssh_arguments: tuple[str, ...] = ()
    """What ssh is run with; empty: not by ssh."""

    @property
    def is_unix(self) -> bool:
        """Whether it is a socket in the file system."""
        return bool(self.socket_path)


def parse_endpoint(address: str, tls: TlsFiles | None = None) -> Endpoint:
    """Read an address as `-H` and DOCKER_HOST take it; a bare host means TCP.

    Raises: InvalidEndpoint.
    """
    text = address.strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _tcp_endpoint(address, text, tls)
    if scheme == "unix":
        path = rest or DEFAULT_SOCKET
        return Endpoint(address=f"unix://{path}", socket_path=path)
    if scheme == "tcp":
        return _tcp_endpoint(address, rest, tls)
    if scheme == "ssh":
        return _ssh_endpoint(address, rest)
    if scheme in ("npipe", "fd", "http", "https"):
        raise InvalidEndpoint(f"{scheme}:// endpoints are not there yet: {address}")
    raise InvalidEndpoint(f"invalid bind address format: {address}")


def default_endpoint() -> Endpoint:
    """The socket of this machine's own engine."""
    return Endpoint(address=f"unix://{DEFAULT_SOCKET}", socket_path=DEFAULT_SOCKET)


def _ssh_endpoint(address: str, place: str) -> Endpoint:
    """`user@host:port/path/of/the/socket`, all but the host optional."""
    authority, slash, path = place.partition("/")
    user, at, host = authority.rpartition("@")
    match = re.fullmatch(_AUTHORITY, host)
    if match is None or not match.group("host"):
        raise InvalidEndpoint(f"ssh host connection is not valid: no host specified: {address}")
    if ":" in user:
        raise InvalidEndpoint(
            "ssh host connection is not valid: plain-text password is not supported"
        )
    name = match.group("host").strip("[]")
    if name.startswith("-") or user.startswith("-"):
        raise InvalidEndpoint(f"ssh host connection is not valid: {address}")
    words = ["-o", "ConnectTimeout=30", "-T"]
    words += ["-l", user] if at and user else []
    words += ["-p", match.group("port")] if match.group("port") else []
    words += ["--", name, "wherry"]
    words += ["--host", f"unix://{slash}{path}"] if path else []
    return Endpoint(address=address, ssh_arguments=(*words, "system", "dial-stdio"))


def _tcp_endpoint(address: str, authority: str, tls: TlsFiles | None) -> Endpoint:
    match = re.fullmatch(_AUTHORITY, authority)
    if match is None:
        raise InvalidEndpoint(f"invalid bind address format: {address}")
    host = match.group("host").strip("[]") or "localhost"
    default_port = DEFAULT_TCP_PORT if tls is None else DEFAULT_TLS_PORT
    port = int(match.group("port") or default_port)
    if not 0 < port < 65536:
        raise InvalidEndpoint(f"invalid bind address format: {address}")
    return Endpoint(address=f"tcp://{with_port(host, port)}", host=host, port=port, tls=tls)
