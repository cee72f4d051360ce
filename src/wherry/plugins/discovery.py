"""Where plugins say that they are (docs.docker.com/engine/extend/plugin_api, "Plugin discovery").

    /run/docker/plugins/NAME.sock          a Unix socket; or NAME/NAME.sock
    /etc/docker/plugins/NAME.spec          an address: unix:///path or tcp://host:port
    /etc/docker/plugins/NAME.json          {"Name", "Addr", "TLSConfig": {...}}

A socket is looked for first, so that a plugin that runs here wins over one that is described.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from wherry.kit.values import dataclass

SOCKET_DIRECTORIES = ("/run/docker/plugins",)
SPEC_DIRECTORIES = ("/etc/docker/plugins", "/usr/lib/docker/plugins")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginAddress:
    """How to reach a plugin."""

    name: str
    address: str
    """`unix:///path` or `tcp://host:port`."""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    uses_tls: bool = False
    is_verified: bool = True


class _Tls(msgspec.Struct):
    """`TLSConfig` of a description."""

    CAFile: str = ""
    CertFile: str = ""
    KeyFile: str = ""
    InsecureSkipVerify: bool = False


class _Description(msgspec.Struct):
    """A `.json`."""

    Addr: str = ""
    TLSConfig: _Tls | None = None


def find(
    name: str,
    sockets: Sequence[str] = SOCKET_DIRECTORIES,
    specs: Sequence[str] = SPEC_DIRECTORIES,
) -> PluginAddress | None:
    """The plugin of a name; None when nobody has it. Raises: ValueError for a bad description."""
    if not name or "/" in name or name.startswith("."):
        return None
    for directory in sockets:
        for path in (f"{directory}/{name}.sock", f"{directory}/{name}/{name}.sock"):
            if _is_socket(path):
                return PluginAddress(name=name, address=f"unix://{path}")
    for directory in specs:
        for place in (Path(directory), Path(directory, name)):
            if (spec := place / f"{name}.spec").is_file():
                return _read_spec(name, spec)
            if (description := place / f"{name}.json").is_file():
                return _read_description(name, description)
    return None


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _read_spec(name: str, path: Path) -> PluginAddress:
    return PluginAddress(name=name, address=_checked(path, path.read_text().strip()))


def _read_description(name: str, path: Path) -> PluginAddress:
    try:
        described = msgspec.json.decode(path.read_bytes(), type=_Description)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is no description of a plugin: {error}") from error
    tls = described.TLSConfig or _Tls()
    return PluginAddress(
        name=name,
        address=_checked(path, described.Addr),
        ca_file=tls.CAFile,
        certificate_file=tls.CertFile,
        key_file=tls.KeyFile,
        uses_tls=described.TLSConfig is not None,
        is_verified=not tls.InsecureSkipVerify,
    )


def _checked(path: Path, address: str) -> str:
    if not address.startswith(("unix:///", "tcp://")):
        raise ValueError(f"{path}: address {address!r} must begin with unix:/// or tcp://")
    return address
