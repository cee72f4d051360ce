"""journald's native protocol (systemd.io, "Native Journal Protocol")."""

import os
import socket
from array import array
from collections.abc import Mapping, Sequence

from wherry.kit.timestamps import rfc3339_nano
from wherry.logs.receivers.messages import LogSource, Message, Patience, ReceiverRefused

_SOCKET = "/run/systemd/journal/socket"
_INFO, _ERROR = "6", "3"
_EMSGSIZE, _ENOBUFS = 90, 105


class JournaldReceiver:
    """The journal of this host."""

    patience = Patience()

    def __init__(self, _options: Mapping[str, str], source: LogSource) -> None:
        self._fields = {
            "CONTAINER_ID": source.container_id[:12],
            "CONTAINER_ID_FULL": source.container_id,
            "CONTAINER_NAME": source.container_name,
            "CONTAINER_TAG": source.tag,
            "IMAGE_NAME": source.image_name,
            "SYSLOG_IDENTIFIER": source.tag,
        }
        for name, value in source.attributes.items():
            self._fields[field_name(name)] = value
        self._connection: socket.socket | None = None

    def open(self) -> None:
        """See that there is a journal. Raises: ReceiverRefused."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            connection.connect(_SOCKET)
        except OSError as error:
            connection.close()
            raise ReceiverRefused("journald is not enabled on this host") from error
        self._connection = connection

    def send(self, messages: Sequence[Message]) -> None:
        """One datagram for each. Raises: OSError, ReceiverRefused."""
        if self._connection is None:
            self.open()
        assert self._connection is not None
        for message in messages:
            entry = self._entry(message)
            try:
                self._connection.send(entry)
            except OSError as error:
                if error.errno not in (_EMSGSIZE, _ENOBUFS):
                    raise
                _send_sealed(self._connection, entry)

    def close(self) -> None:
        """Close the socket."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _entry(self, message: Message) -> bytes:
        fields = self._fields | {
            "MESSAGE": message.text,
            "PRIORITY": _ERROR if message.is_error else _INFO,
            "SYSLOG_TIMESTAMP": rfc3339_nano(message.at_ns),
        }
        if message.partial is not None and not message.partial.is_last:
            fields["CONTAINER_PARTIAL_MESSAGE"] = "true"
        return b"".join(_field(name, value) for name, value in fields.items())


def field_name(name: str) -> str:
    """Upper case, digits and underscores, none of these at the beginning."""
    spelled = "".join(each.upper() if each.isascii() and each.isalnum() else "_" for each in name)
    return spelled.lstrip("_")


def _field(name: str, value: str) -> bytes:
    content = value.encode("utf-8", "replace")
    if b"\n" not in content:
        return name.encode() + b"=" + content + b"\n"
    return name.encode() + b"\n" + len(content).to_bytes(8, "little") + content + b"\n"


def _send_sealed(connection: socket.socket, entry: bytes) -> None:
    """An entry that no datagram can hold goes in memory that nobody can change any more."""
    import fcntl

    memory = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(memory, entry)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [memory]))]
        connection.sendmsg([], rights)
    finally:
        os.close(memory)
