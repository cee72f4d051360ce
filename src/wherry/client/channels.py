"""Connected sockets to an engine that is behind TLS or at the other end of an ssh session.

What the caller gets is a plain Unix socket in both cases, whose two directions end apart. For
TLS, a thread carries bytes between that and the network; for ssh, the ssh process does:

    caller <--socketpair--> thread <==TLS==> engine
    caller <--socketpair--> ssh ....> wherry system dial-stdio <----> engine
"""

import os
import select
import socket
import ssl
import subprocess
import threading
from contextlib import suppress

from wherry.client.endpoint import Endpoint, TlsFiles
from wherry.client.errors import ProtocolError
from wherry.kit.tls_session import TlsSession

_READ_BYTES = 64 * 1024


def open_tls(channel: socket.socket, host: str, files: TlsFiles) -> socket.socket:
    """A socket that speaks plainly with whoever is behind the TLS of `channel`.

    Raises: OSError; ProtocolError for certificates that can't be used or aren't trusted.
    """
    try:
        session = TlsSession(_context(files), is_server=False, server_name=host)
        early = _shake_hands(session, channel)
    except ssl.SSLError as problem:
        reason = getattr(problem, "verify_message", "") or problem.reason or str(problem)
        raise ProtocolError(
            f"TLS with {host}: certificate or protocol refused: {reason}"
        ) from None
    near, far = socket.socketpair()
    far.sendall(early)
    threading.Thread(target=_carry, args=(session, channel, far), daemon=True).start()
    return near


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if files.skips_verification:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif files.authority:
        context = ssl.create_default_context(cafile=files.authority)
    if files.certificate or files.key:
        context.load_cert_chain(files.certificate, files.key or None)
    return context


def _shake_hands(session: TlsSession, channel: socket.socket) -> bytes:
    plain = b""
    session.begin()
    while not session.is_established:
        channel.sendall(session.outgoing())
        data = channel.recv(_READ_BYTES)
        if not data:
            raise ConnectionResetError("the engine closed the connection: does it speak TLS?")
        plain = session.receive(data)
    channel.sendall(session.outgoing())
    return plain


def _carry(session: TlsSession, channel: socket.socket, far: socket.socket) -> None:
    """Carry bytes both ways until both have ended, or one side is gone."""
    reading = {channel, far}
    with channel, far, suppress(OSError):
        while reading:
            ready, _, _ = select.select(list(reading), [], [])
            if channel in ready:
                far.sendall(session.receive(channel.recv(_READ_BYTES)))
                if session.is_read_closed:
                    reading.discard(channel)
                    far.shutdown(socket.SHUT_WR)
            if far in ready:
                data = far.recv(_READ_BYTES)
                if data:
                    session.send(data)
                else:
                    reading.discard(far)
                    session.close_write()
            channel.sendall(session.outgoing())


def open_ssh(endpoint: Endpoint) -> socket.socket:
    """A socket that ends at the engine of another machine. Raises: OSError.

    ssh keeps the terminal, so that it can ask for a password or say why it failed.
    """
    near, far = socket.socketpair()
    environment = {**os.environ, "SSH_ASKPASS_REQUIRE": "prefer"}
    with far:
        end = far.fileno()
        command = ["ssh", *endpoint.ssh_arguments]
        subprocess.Popen(command, stdin=end, stdout=end, env=environment)
    return near
