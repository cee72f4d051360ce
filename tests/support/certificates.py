"""Certificates for TLS tests: an authority, a server's, a client's, and a stranger's client."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """The paths of a set that belongs together, as Docker's clients name them."""

    directory: Path
    """Of the client: ca.pem, cert.pem, key.pem."""
    server: Path
    """Of the server, with the same names."""


def make_certificates(directory: Path, *addresses: str) -> Certificates:
    """An authority, and what it signed for a server at these addresses and for a client."""
    directory.mkdir(parents=True, exist_ok=True)
    authority, authority_key = directory / "authority.pem", directory / "authority-key.pem"
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-days", "2", "-subj", "/CN=authority of a test"),
        *("-keyout", str(authority_key), "-out", str(authority)),
    )
    for name in ("server", "client"):
        place = directory / name
        place.mkdir()
        request, extension = place / "request.pem", place / "extension"
        usage = "serverAuth" if name == "server" else "clientAuth"
        names = ",".join(["DNS:localhost", *(f"IP:{each}" for each in addresses)])
        extension.write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", str(place / "key.pem"), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(authority)),
            *("-CAkey", str(authority_key), "-CAcreateserial", "-days", "2"),
            *("-extfile", str(extension), "-out", str(place / "cert.pem")),
        )
        (place / "ca.pem").write_bytes(authority.read_bytes())
    return Certificates(directory=directory / "client", server=directory / "server")


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
