"""TLS without I/O: handshake, both directions, and the end of each by itself."""

import ssl
from pathlib import Path

import pytest

from support.certificates import Certificates, make_certificates
from wherry.kit.tls_session import TlsSession


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One set for this module."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


def sessions(certificates: Certificates) -> tuple[TlsSession, TlsSession]:
    """A client and a server that trust each other."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.server / "cert.pem", certificates.server / "key.pem")
    server.load_verify_locations(certificates.server / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(certificates.directory / "ca.pem"))
    client.load_cert_chain(certificates.directory / "cert.pem", certificates.directory / "key.pem")
    return (
        TlsSession(client, is_server=False, server_name="localhost"),
        TlsSession(server, is_server=True),
    )


def exchange(near: TlsSession, far: TlsSession) -> tuple[bytes, bytes]:
    """Carry bytes until nothing is left to carry; what each received."""
    to_near, to_far = b"", b""
    while True:
        forth, back = near.outgoing(), far.outgoing()
        if not forth and not back:
            return to_near, to_far
        to_far += far.receive(forth) if forth else b""
        to_near += near.receive(back) if back else b""


def test_what_is_sent_early_waits_for_the_handshake(certificates: Certificates) -> None:
    """Both sides may send at once; it arrives when there is a key."""
    client, server = sessions(certificates)
    client.begin()
    client.send(b"request")
    server.send(b"greeting")
    assert exchange(client, server) == (b"greeting", b"request")


def test_one_direction_ends_and_the_other_goes_on(certificates: Certificates) -> None:
    """After the client's last word the server still has much to say."""
    client, server = sessions(certificates)
    client.begin()
    exchange(client, server)
    client.send(b"last")
    client.close_write()
    assert exchange(client, server) == (b"", b"last")
    assert server.is_read_closed
    assert not client.is_read_closed
    answer = b"x" * 300_000
    server.send(answer)
    assert exchange(client, server) == (answer, b"")
    server.close_write()
    exchange(client, server)
    assert client.is_read_closed


def test_an_end_without_a_word_is_an_end(certificates: Certificates, tmp_path: Path) -> None:
    """A peer that vanishes ends its direction."""
    client, server = sessions(certificates)
    client.begin()
    exchange(client, server)
    assert server.receive(b"") == b""
    assert server.is_read_closed
