"""The sockets that clients connect to."""

import contextlib
import grp
import ipaddress
import os
import socket
import stat
from collections.abc import Sequence

from wherry.kit.numbers import parse_unsigned
from wherry.programs.settings import SettingsError

BACKLOG = 512


def open_listener(host: str, group: str) -> socket.socket:
    """A listening socket for `unix://PATH` or `tcp://ADDRESS:PORT`.

    A stale Unix socket is replaced, one that answers is left alone. TCP without TLS is for
    loopback only: whoever reaches the API is root here.

    Raises: SettingsError.
    """
    scheme, _separator, place = host.partition("://")
    if scheme == "unix":
        return _unix_listener(place, group)
    if scheme == "tcp":
        return _tcp_listener(place)
    raise SettingsError(f"host {host!r}: sockets passed by an init system are not there yet")


def close_listeners(hosts: Sequence[str], listeners: Sequence[socket.socket]) -> None:
    """Close, and remove the paths of the Unix sockets."""
    for listener in listeners:
        listener.close()
    for host in hosts:
        scheme, _separator, path = host.partition("://")
        if scheme == "unix":
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _unix_listener(path: str, group: str) -> socket.socket:
    if not path.startswith("/"):
        raise SettingsError(f"socket path {path!r} must be absolute")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError as error:
        raise SettingsError(f"can't listen on {path}: {error.strerror or error}") from error
    os.chmod(path, 0o660)
    with contextlib.suppress(KeyError):
        os.chown(path, 0, grp.getgrnam(group).gr_gid)
    listener.listen(BACKLOG)
    return listener


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise SettingsError(f"{path} is there and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            os.unlink(path)
            return
    raise SettingsError(f"another daemon answers on {path}")


def _tcp_listener(place: str) -> socket.socket:
    address, _separator, port = place.rpartition(":")
    address = address.strip("[]") or "127.0.0.1"
    try:
        number = parse_unsigned(port, bits=16)
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    except ValueError as error:
        raise SettingsError(f"tcp://{place} is not ADDRESS:PORT") from error
    if not ipaddress.ip_address(address).is_loopback:
        raise SettingsError(
            f"tcp://{place}: TLS is not there yet, so TCP is served on loopback addresses only"
        )
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, number))
    except OSError as error:
        raise SettingsError(f"can't listen on tcp://{place}: {error.strerror}") from error
    listener.listen(BACKLOG)
    return listener
