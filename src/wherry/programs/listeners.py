"""The sockets that clients connect to: Unix, TCP with or without TLS, or an init system's.

Whoever reaches the API is root here. So a Unix socket is for a group, and TCP is for clients with
a certificate (`--tlsverify`), for loopback addresses, or for whoever said `--tls=false`.
"""

import contextlib
import grp
import ipaddress
import logging
import os
import socket
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING

from wherry.kit.numbers import parse_unsigned
from wherry.kit.values import dataclass
from wherry.programs.settings import Settings, SettingsError

if TYPE_CHECKING:
    import ssl

BACKLOG = 512
PLAIN_PORT, TLS_PORT = 2375, 2376
_FIRST_PASSED = 3
"""The first descriptor that an init system passes (sd_listen_fds(3))."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket."""

    host: str
    socket: socket.socket
    tls: "ssl.SSLContext | None" = None


def open_listeners(settings: Settings) -> list[Listener]:
    """A listener for each host; all are closed again if one fails.

    Raises: SettingsError.
    """
    tls = _tls_context(settings)
    opened: list[Listener] = []
    try:
        for host in settings.hosts:
            opened += _open(host, settings, tls)
    except BaseException:
        close_listeners(opened)
        raise
    return opened


def close_listeners(listeners: Iterable[Listener]) -> None:
    """Close, and remove the paths of the Unix sockets."""
    for listener in listeners:
        listener.socket.close()
        scheme, _separator, path = listener.host.partition("://")
        if scheme == "unix":
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _open(host: str, settings: Settings, tls: "ssl.SSLContext | None") -> list[Listener]:
    scheme, _separator, place = host.partition("://")
    match scheme:
        case "unix":
            return [Listener(host, _unix_listener(place, settings.group))]
        case "fd":
            return [Listener(host, each) for each in _passed_listeners(place)]
        case _:
            is_open = settings.uses_tls is False and settings.verifies_clients is None
            return [Listener(host, _tcp_listener(place, tls, is_open=is_open), tls)]


# -- Unix ------------------------------------------------------------------------------------


def _unix_listener(path: str, group: str) -> socket.socket:
    """A stale socket is replaced, one that answers is left alone."""
    if not path.startswith("/"):
        raise SettingsError(f"socket path {path!r} must be absolute")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise SettingsError(f"can't listen on {path}: {error.strerror or error}") from error
    os.chmod(path, 0o660)
    try:
        os.chown(path, 0, _group_id(group))
    except SettingsError:
        listener.close()
        os.unlink(path)
        raise
    listener.listen(BACKLOG)
    return listener


def _group_id(group: str) -> int:
    """Of a name or a number; the default group may be missing. Raises: SettingsError."""
    if not group:
        return 0
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if group.isdigit():
            return int(group)
    if group == Settings.__dataclass_fields__["group"].default:
        _log.warning("could not change group of the socket to %s: group %s not found",
                     group, group)  # fmt: skip
        return 0
    raise SettingsError(f"group {group} not found")


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


# -- an init system's ------------------------------------------------------------------------


def _passed_listeners(place: str) -> list[socket.socket]:
    """`fd://`: all that were passed; `fd://3`: one. Raises: SettingsError."""
    count = int(os.environ.get("LISTEN_FDS", "0") or 0)
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        count = 0
    passed = range(_FIRST_PASSED, _FIRST_PASSED + count)
    if not passed:
        raise SettingsError(
            f"fd://{place}: no sockets found via socket activation: make sure the service was"
            " started by systemd"
        )
    if place and (not place.isdigit() or int(place) not in passed):
        raise SettingsError(f"fd://{place}: failed to find systemd socket activated fd {place}")
    return [socket.socket(fileno=each) for each in ([int(place)] if place else passed)]


# -- TCP -------------------------------------------------------------------------------------


def _tcp_listener(place: str, tls: "ssl.SSLContext | None", *, is_open: bool) -> socket.socket:
    host, number = _authority(place, PLAIN_PORT if tls is None else TLS_PORT)
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        raise SettingsError(f"tcp://{place} is not ADDRESS:PORT") from error
    if tls is None and not address.is_loopback:
        if not is_open:
            raise SettingsError(
                f"tcp://{place}: TCP without TLS is served on loopback addresses only: give"
                " --tlsverify with --tlscacert, --tlscert and --tlskey, or say --tls=false to let"
                " everybody who reaches this port be root on this machine"
            )
        _log.warning("API.open host=tcp://%s: whoever reaches it is root on this machine", place)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(address), number))
    except OSError as error:
        listener.close()
        raise SettingsError(f"can't listen on tcp://{place}: {error.strerror}") from error
    listener.listen(BACKLOG)
    return listener


def _authority(place: str, default_port: int) -> tuple[str, int]:
    """Host and port of `1.2.3.4:5`, `[::1]:5`, `:5` or `1.2.3.4`. Raises: SettingsError."""
    if place.endswith("]") or ":" not in place:
        host, port = place, str(default_port)
    else:
        host, _separator, port = place.rpartition(":")
    try:
        return host.strip("[]") or "127.0.0.1", parse_unsigned(port, bits=16)
    except ValueError as error:
        raise SettingsError(f"tcp://{place} is not ADDRESS:PORT") from error


# -- TLS -------------------------------------------------------------------------------------


def _tls_context(settings: Settings) -> "ssl.SSLContext | None":
    """What the server shows and asks for; None where nobody asked for TLS.

    As in dockerd: `--tlsverify`, even when it is false, implies TLS, and TLS verifies its
    clients unless that is false.
    """
    verifies = settings.verifies_clients
    if verifies is None and os.environ.get("DOCKER_TLS_VERIFY"):
        verifies = True
    if not settings.uses_tls and verifies is None:
        return None
    import ssl  # Most daemons serve no TLS.

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate = settings.tls_certificate or _default_file("cert.pem")
    key = settings.tls_key or _default_file("key.pem")
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f'could not load X509 key pair (cert: "{certificate}", key: "{key}"):'
            f" {error.strerror or error}"
        ) from error
    if verifies is False:
        return context
    authority = settings.tls_ca or _default_file("ca.pem")
    try:
        context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f'could not read CA certificate "{authority}": {error.strerror or error}'
        ) from error
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _default_file(name: str) -> str:
    directory = os.environ.get("DOCKER_CERT_PATH") or os.environ.get("DOCKER_CONFIG")
    return os.path.join(directory or os.path.expanduser("~/.docker"), name)
