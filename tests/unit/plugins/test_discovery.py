"""Where a plugin is looked for, and what of its description is believed."""

import json
import socket
from pathlib import Path

import pytest

from wherry.model.errors.plugins import PluginFailed, PluginNotFound
from wherry.plugins import PluginHost
from wherry.plugins.discovery import PluginAddress, find


def found(directory: Path, name: str = "it") -> PluginAddress | None:
    """What is found when everything is in one directory."""
    return find(name, [str(directory)], [str(directory)])


@pytest.mark.parametrize("place", ["it.sock", "it/it.sock"])
def test_a_socket_wins(tmp_path: Path, place: str) -> None:
    """It is found in both places, and before a description of the same name."""
    (tmp_path / "it").mkdir()
    (tmp_path / "it.spec").write_text("tcp://127.0.0.1:1\n")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / place))
        address = found(tmp_path)
    assert address is not None
    assert address.address == f"unix://{tmp_path / place}"


def test_a_spec_is_an_address(tmp_path: Path) -> None:
    """The whole text of the file, without the end of the line."""
    (tmp_path / "it.spec").write_text("unix:///run/it.sock\n")
    assert found(tmp_path) == PluginAddress(name="it", address="unix:///run/it.sock")


def test_a_description_may_want_tls(tmp_path: Path) -> None:
    """With the files of its certificates."""
    described = {
        "Name": "it",
        "Addr": "tcp://127.0.0.1:8080",
        "TLSConfig": {"InsecureSkipVerify": True, "CAFile": "ca", "CertFile": "c", "KeyFile": "k"},
    }
    (tmp_path / "it.json").write_text(json.dumps(described))
    assert found(tmp_path) == PluginAddress(
        name="it",
        address="tcp://127.0.0.1:8080",
        ca_file="ca",
        certificate_file="c",
        key_file="k",
        uses_tls=True,
        is_verified=False,
    )


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("it.spec", "http://x", "address 'http://x' must begin with unix:/// or tcp://"),
        ("it.json", "{", "is no description of a plugin"),
        ("it.json", "[]", "Expected `object`"),
        ("it.json", "{}", "address '' must begin with"),
    ],
)
def test_bad_descriptions(tmp_path: Path, file: str, text: str, sentence: str) -> None:
    """One sentence that names the file and the value."""
    (tmp_path / file).write_text(text)
    with pytest.raises(PluginFailed) as failed:
        PluginHost([str(tmp_path)], [str(tmp_path)]).get("it", "VolumeDriver")
    assert str(tmp_path / file) in failed.value.complaint
    assert sentence in failed.value.complaint


@pytest.mark.parametrize("name", ["nobody", "", "../it", ".hidden"])
def test_nobody_has_the_name(tmp_path: Path, name: str) -> None:
    """Nor is a name a path."""
    (tmp_path / "it.spec").write_text("unix:///run/it.sock")
    with pytest.raises(PluginNotFound):
        PluginHost([], [str(tmp_path / "sub"), str(tmp_path)]).get(name, "VolumeDriver")
