"""Which machines answer for a name."""

from pathlib import Path

import pytest

from wherry.model.errors import StateUnreadable
from wherry.registry import Capability, RegistrySettings


def settings(directory: Path, **values: object) -> RegistrySettings:
    """Settings that look for certificates in a directory of the test's."""
    return RegistrySettings(certificate_directories=(str(directory),), **values)  # type: ignore[arg-type]


def test_docker_hub_has_another_host(tmp_path: Path) -> None:
    """The name is docker.io, the machine is not."""
    (host,) = settings(tmp_path).hosts("docker.io")
    assert host.url == "https://registry-1.docker.io/v2"
    assert not host.is_insecure


def test_where_repositories_are_searched(tmp_path: Path) -> None:
    """Docker Hub's index is a machine of its own; no mirror is asked."""
    made = settings(tmp_path, hub_mirrors=("https://mirror.example",))
    assert made.index("docker.io").url == "https://index.docker.io/v1"
    assert made.index("a.example").url == "https://a.example/v1"


def test_mirrors_come_first(tmp_path: Path) -> None:
    """A list of mirrors is for Docker Hub, a map for any registry."""
    made = settings(
        tmp_path,
        hub_mirrors=("https://mirror.example",),
        mirrors={"quay.example": ("http://127.0.0.1:5000/cache/",)},
    )
    assert [each.url for each in made.hosts("docker.io")] == [
        "https://mirror.example/v2",
        "https://registry-1.docker.io/v2",
    ]
    mirror, origin = made.hosts("quay.example")
    assert (mirror.url, mirror.is_mirror) == ("http://127.0.0.1:5000/cache/v2", True)
    assert Capability.PUSH not in mirror.capabilities
    assert (origin.url, origin.is_mirror) == ("https://quay.example/v2", False)


@pytest.mark.parametrize(
    ("domain", "insecure"),
    [
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("127.9.9.9:5000", True),
        ("[::1]:5000", True),
        ("10.1.2.3:5000", True),
        ("named.example:5000", True),
        ("named.example:5001", False),
        ("whole.example:99", True),
        ("11.1.2.3", False),
        ("localhost.example", False),
    ],
)
def test_who_is_insecure(tmp_path: Path, domain: str, insecure: bool) -> None:
    """Loopback, listed hosts, and addresses in listed networks; nobody else."""
    made = settings(tmp_path, insecure=("10.0.0.0/8", "named.example:5000", "whole.example"))
    assert made.hosts(domain)[0].is_insecure is insecure
    assert made.hosts(domain)[0].trust.skips_verification is insecure


def test_hosts_toml_decides(tmp_path: Path) -> None:
    """containerd's file: hosts in its order, then the server, each with its own trust."""
    home = tmp_path / "example.com:5000"
    home.mkdir()
    (home / "hosts.toml").write_text(
        """
server = "https://real.example"
ca = "own.crt"

[host."https://mirror.example/team"]
capabilities = ["pull", "resolve"]
skip_verify = true
client = [["a.cert", "a.key"]]
[host."https://mirror.example/team".header]
x-team = ["blue"]

[host."http://plain.example:5000/v2"]
override_path = true
"""
    )
    first, second, last = settings(tmp_path).hosts("example.com:5000")
    assert first.url == "https://mirror.example/team/v2"
    assert first.capabilities == {Capability.PULL, Capability.RESOLVE}
    assert first.trust.skips_verification
    assert first.trust.client_pairs == ((str(home / "a.cert"), str(home / "a.key")),)
    assert first.headers == (("x-team", "blue"),)
    assert (second.url, second.is_insecure) == ("http://plain.example:5000/v2", True)
    assert last.url == "https://real.example/v2"
    assert last.trust.authorities == (str(home / "own.crt"),)


@pytest.mark.parametrize("text", ["not toml [", 'server = 5\n[host."x"]\n', '[host."ftp://x"]\n'])
def test_a_bad_hosts_toml_is_named(tmp_path: Path, text: str) -> None:
    """The file and what is wrong with it."""
    (tmp_path / "a.example").mkdir()
    path = tmp_path / "a.example" / "hosts.toml"
    path.write_text(text)
    with pytest.raises(StateUnreadable) as caught:
        settings(tmp_path).hosts("a.example")
    assert caught.value.place == str(path)


def test_certificates_of_certs_d(tmp_path: Path) -> None:
    """Authorities by .crt, client certificates by .cert and .key; a missing key is told."""
    home = tmp_path / "a.example"
    home.mkdir()
    for name in ("ca.crt", "us.cert", "us.key"):
        (home / name).write_text("")
    trust = settings(tmp_path).hosts("a.example")[0].trust
    assert trust.authorities == (str(home / "ca.crt"),)
    assert trust.client_pairs == ((str(home / "us.cert"), str(home / "us.key")),)
    (home / "us.key").unlink()
    with pytest.raises(StateUnreadable, match="missing key"):
        settings(tmp_path).hosts("a.example")
