"""Image configurations of other engines."""

import json

import pytest

from wherry.images.documents import image_config, moment, parse_exposed, read_document
from wherry.model.errors.images import ArchiveRefused
from wherry.model.errors.registries import SystemUnusable
from wherry.model.networks import Port

DIFF_ID = "sha256:" + "a" * 64


def document(**members: object) -> bytes:
    """A small configuration with some members of its own."""
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]},
        }
        | members
    ).encode()


def test_dockers_configuration_is_understood() -> None:
    """What Docker writes, with nulls and with members that only it knows."""
    content = document(
        created="2024-05-06T07:08:09.5Z",
        config={
            "Cmd": ["sh"],
            "Entrypoint": None,
            "Env": ["A=1"],
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "Volumes": {"/v": {}},
            "Labels": {"l": "1"},
            "WorkingDir": "/w",
            "User": "1",
            "StopSignal": "9",
            "Shell": ["/bin/bash", "-c"],
            "OnBuild": None,
            "Healthcheck": {"Test": ["NONE"]},
            "ArgsEscaped": True,
        },
        history=[{"created_by": "x", "empty_layer": True}, {"created": "2024-05-06T07:08:09Z"}],
        container_config=None,
    )
    read = read_document(content)
    config = image_config(read.config)
    assert (config.command, config.entrypoint) == (("sh",), None)
    assert config.exposed_ports == (Port(53, "udp"), Port(80, "tcp"))
    assert (config.volumes, config.labels, config.shell) == (
        ("/v",),
        {"l": "1"},
        ("/bin/bash", "-c"),
    )
    assert read.diff_ids == (DIFF_ID,)
    assert [each.empty_layer for each in read.history] == [True, False]
    assert moment(read.created) == 1_714_979_289_500_000_000


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "Expecting value"),
        (b"[]", "expected an object"),
        (b'{"created": NaN}', "NaN"),
        (b'{"a":' * 100_000, "nested"),
        (document(size=10**19).replace(b"1" + b"0" * 19, b"1" * 5000), "digit"),
        (document(config={"Env": "A=1"}), "config.Env"),
        (document(config={"Env": [1]}), "config.Env[0]"),
        (document(config={"ExposedPorts": {"x": {}}}), "invalid containerPort: x"),
        (document(rootfs={"diff_ids": ["sha256:../../x"]}), "rootfs.diff_ids"),
        (document(rootfs={"type": "squash"}), "rootfs.type"),
    ],
)
def test_hostile_ones_are_refused(content: bytes, word: str) -> None:
    """One clear sentence, whatever the JSON holds."""
    with pytest.raises(ArchiveRefused) as caught:
        read_document(content)
    assert word in caught.value.problem


def test_of_another_system() -> None:
    """An image for another operating system is told apart from one that is damaged."""
    with pytest.raises(SystemUnusable) as caught:
        read_document(document(os="windows"))
    assert caught.value.system == "windows"


def test_ports_and_times() -> None:
    """Ranges are written out; Go's zero time is none."""
    assert parse_exposed("80-82/UDP") == tuple(Port(number, "udp") for number in (80, 81, 82))
    assert moment("0001-01-01T00:00:00Z") is None
    assert moment("yesterday") is None
