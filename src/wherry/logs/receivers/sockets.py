"""Connections to receivers, and what goes wrong with them in the words of Go's `net`."""

import os
import socket

from wherry.kit.urls import with_port

DIAL_TIMEOUT_S = 5.0
SEND_TIMEOUT_S = 5.0
"""A receiver that takes nothing for so long is taken for gone."""


def dial(protocol: str, host: str, port: int) -> socket.socket:
    """A connected `tcp` or `udp` socket. Raises: OSError with Go's sentence."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    where = f"{protocol} {with_port(host, port)}"
    try:
        found = socket.getaddrinfo(host, port, type=kind)
    except OSError as error:
        raise OSError(error.errno, f"dial {protocol}: lookup {host}: no such host") from error
    problem: OSError | None = None
    for family, _kind, number, _name, address in found:
        connection = socket.socket(family, kind, number)
        connection.settimeout(DIAL_TIMEOUT_S)
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            problem = error
            continue
        connection.settimeout(SEND_TIMEOUT_S)
        return connection
    raise OSError(problem.errno if problem else 0, f"dial {where}: {_cause(problem)}")


def dial_unix(path: str, *, is_stream: bool) -> socket.socket:
    """A connected Unix socket. Raises: OSError with Go's sentence."""
    kind = socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM
    connection = socket.socket(socket.AF_UNIX, kind)
    connection.settimeout(DIAL_TIMEOUT_S)
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        name = "unix" if is_stream else "unixgram"
        raise OSError(error.errno, f"dial {name} {path}: {_cause(error)}") from error
    connection.settimeout(SEND_TIMEOUT_S)
    return connection


def secured(
    connection: socket.socket,
    *,
    host: str,
    ca_file: str = "",
    certificate_file: str = "",
    key_file: str = "",
    verifies: bool = True,
) -> socket.socket:
    """The connection under TLS. Raises: OSError."""
    # Here, because only loggers that need it should pay for it.
    import ssl

    context = ssl.create_default_context(cafile=ca_file or None)
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate_file or key_file:
        context.load_cert_chain(certificate_file, key_file or None)
    return context.wrap_socket(connection, server_hostname=host)


def problem_text(error: Exception) -> str:
    """What a person is told of a failure."""
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error) or type(error).__name__


def _cause(error: OSError | None) -> str:
    if isinstance(error, TimeoutError) and not error.errno:
        return "i/o timeout"
    if error is None or not error.errno:
        return "connect: no address"
    return f"connect: {os.strerror(error.errno).lower()}"
