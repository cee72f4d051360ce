"""One side of a TLS connection without any I/O, which can end its two directions apart.

A hijacked connection (attach, exec) needs that: the end of a container's input is not the end of
its output. asyncio's and ssl's own streams take the peer's close_notify for the end of both.

    plain  --send-->      +------------+  --outgoing-->  the peer
    plain  <--receive--   | TlsSession |  <--receive--   the peer
                          +------------+
"""

import ssl
from contextlib import suppress

_READ_BYTES = 64 * 1024


class TlsSession:
    """Encrypts and decrypts. What is sent before the handshake is over waits for its end."""

    def __init__(
        self, context: ssl.SSLContext, *, is_server: bool, server_name: str | None = None
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=is_server, server_hostname=server_name
        )
        self._unsent = b""
        self._closes_write = False
        self.is_established = False
        """Whether the handshake is over."""
        self.is_read_closed = False
        """Whether the peer has said that it sends no more."""

    def begin(self) -> None:
        """Take the first step of the handshake; a client's has something to send."""
        self._shake_hands()

    def receive(self, data: bytes) -> bytes:
        """Take what came from the peer (nothing: its end); the plain text in it.

        Raises: ssl.SSLError for a peer that breaks the protocol or that isn't trusted.
        """
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        if not self.is_established:
            self._shake_hands()
        return self._read() if self.is_established else b""

    def send(self, plain: bytes) -> None:
        """Encrypt bytes for the peer. Raises: ssl.SSLError."""
        self._unsent += plain
        self._flush()

    def close_write(self) -> None:
        """Say that no more comes from this side; the other side may go on."""
        self._closes_write = True
        self._flush()

    def outgoing(self) -> bytes:
        """What is to be sent to the peer now."""
        return self._outgoing.read()

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.is_established = True
        self._flush()

    def _read(self) -> bytes:
        pieces = []
        while not self.is_read_closed:
            try:
                piece = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                piece = b""
            if not piece:
                self.is_read_closed = True
            pieces.append(piece)
        return b"".join(pieces)

    def _flush(self) -> None:
        if not self.is_established:
            return
        if self._unsent:
            unsent, self._unsent = self._unsent, b""
            self._tls.write(unsent)
        if self._closes_write:
            self._closes_write = False
            # The alert is written; that the peer's has yet to come is no failure.
            with suppress(ssl.SSLWantReadError, ssl.SSLSyscallError):
                self._tls.unwrap()
