"""syslog over udp, tcp, tcp with TLS, and Unix sockets (RFC 3164, RFC 5424, RFC 5425)."""

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from wherry.kit.timestamps import NANOSECONDS
from wherry.logs.receivers.messages import LogSource, Message, Patience
from wherry.logs.receivers.sockets import dial, dial_unix, secured
from wherry.logs.targets.syslog import SyslogTarget, parse_syslog

_INFO, _ERROR = 6, 3
_LOCAL_SOCKETS = ("/dev/log", "/var/run/syslog", "/var/run/log")
_VERSION = 1

Formatter = Callable[[int, Message, LogSource], str]


class SyslogReceiver:
    """A syslog daemon, here or elsewhere."""

    patience = Patience()

    def __init__(self, options: Mapping[str, str], source: LogSource) -> None:
        """Raises: ValueError."""
        self._target = parse_syslog(options)
        self._source = source
        self._format = _FORMATTERS[self._target.format]
        self._counts_bytes = self._target.scheme == "tcp+tls" and "5424" in self._target.format
        self._connection: socket.socket | None = None
        self._is_stream = self._target.scheme in ("tcp", "tcp+tls")

    def open(self) -> None:
        """Connect. Raises: OSError."""
        target = self._target
        match target.scheme:
            case "":
                self._connection, self._is_stream = _dial_local()
            case "unix" | "unixgram":
                self._connection, self._is_stream = _dial_either(target)
            case "udp":
                self._connection = dial("udp", target.host, target.port)
            case _:
                self._connection = _dial_stream(target)

    def send(self, messages: Sequence[Message]) -> None:
        """One packet for each message, or one line. Raises: OSError."""
        if self._connection is None:
            self.open()
        assert self._connection is not None
        packets = [self._packet(each) for each in messages]
        if self._is_stream:
            self._connection.sendall(b"".join(packets))
            return
        for packet in packets:
            # Nobody listens there now: with datagrams that is the sender's luck, not its fault.
            with suppress(ConnectionRefusedError):
                self._connection.send(packet)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _packet(self, message: Message) -> bytes:
        severity = _ERROR if message.is_error else _INFO
        priority = self._target.facility * 8 + severity
        packet = self._format(priority, message, self._source).encode("utf-8", "replace") + b"\n"
        return b"%d %s" % (len(packet), packet) if self._counts_bytes else packet


def _dial_local() -> tuple[socket.socket, bool]:
    for path in _LOCAL_SOCKETS:
        for is_stream in (False, True):
            with suppress(OSError):
                return dial_unix(path, is_stream=is_stream), is_stream
    raise OSError(0, "Unix syslog delivery error")


def _dial_either(target: SyslogTarget) -> tuple[socket.socket, bool]:
    """`unix` may be either kind of socket; `unixgram` is one."""
    if target.scheme == "unixgram":
        return dial_unix(target.path, is_stream=False), False
    try:
        return dial_unix(target.path, is_stream=True), True
    except OSError:
        return dial_unix(target.path, is_stream=False), False


def _dial_stream(target: SyslogTarget) -> socket.socket:
    connection = dial("tcp", target.host, target.port)
    if target.scheme == "tcp":
        return connection
    try:
        return secured(
            connection,
            host=target.host,
            ca_file=target.ca_file,
            certificate_file=target.certificate_file,
            key_file=target.key_file,
            verifies=target.verifies,
        )
    except OSError:
        connection.close()
        raise


# -- formats ---------------------------------------------------------------------------------


def _plain(priority: int, message: Message, source: LogSource) -> str:
    """What the C library's syslog(3) sends to the local daemon."""
    return f"<{priority}>{_stamp(message)} {source.tag}[{os.getpid()}]: {message.text}"


def _rfc3164(priority: int, message: Message, source: LogSource) -> str:
    head = f"<{priority}>{_stamp(message)} {source.hostname} {source.tag}[{os.getpid()}]: "
    return head + message.text


def _rfc5424(priority: int, message: Message, source: LogSource) -> str:
    return _new(priority, _iso(message, ""), message, source)


def _rfc5424micro(priority: int, message: Message, source: LogSource) -> str:
    micros = message.at_ns % NANOSECONDS // 1000
    return _new(priority, _iso(message, f".{micros:06d}"), message, source)


def _new(priority: int, moment: str, message: Message, source: LogSource) -> str:
    head = f"<{priority}>{_VERSION} {moment} {source.hostname} {source.tag} {os.getpid()} "
    return f"{head}{source.tag} - {message.text}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _stamp(message: Message) -> str:
    """`Jan  2 15:04:05`, local time (RFC 3164, 4.1.2)."""
    moment = time.localtime(message.at_ns // NANOSECONDS)
    clock = time.strftime("%H:%M:%S", moment)
    return f"{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:2d} {clock}"


def _iso(message: Message, fraction: str) -> str:
    moment = time.localtime(message.at_ns // NANOSECONDS)
    minutes = moment.tm_gmtoff // 60
    hours, minutes = divmod(abs(minutes), 60)
    sign = "-" if moment.tm_gmtoff < 0 else "+"
    zone = f"{sign}{hours:02d}:{minutes:02d}" if moment.tm_gmtoff else "Z"
    return time.strftime("%Y-%m-%dT%H:%M:%S", moment) + fraction + zone


_FORMATTERS: Mapping[str, Formatter] = {
    "": _plain,
    "rfc3164": _rfc3164,
    "rfc5424": _rfc5424,
    "rfc5424micro": _rfc5424micro,
}
