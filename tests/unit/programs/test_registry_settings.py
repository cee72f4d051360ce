"""Registries in the daemon's settings."""

from pathlib import Path

import pytest

from wherry.programs.defaults import registry_settings
from wherry.programs.settings import SettingsError, parse_settings


def test_mirrors_of_the_hub_and_of_others(tmp_path: Path) -> None:
    """A list is for Docker Hub, a map for every registry; a flag may name the registry."""
    file = tmp_path / "daemon.json"
    file.write_text(
        '{"registry-mirrors": {"quay.example": ["http://a.example", "http://b.example"]}}'
    )
    settings = parse_settings(["--config-file", str(file)], "1")
    hosts = registry_settings(settings).hosts("quay.example")
    assert [each.url for each in hosts] == [
        "http://a.example/v2", "http://b.example/v2", "https://quay.example/v2",
    ]  # fmt: skip
    assert settings.hub_mirrors == ()
    flags = ("--registry-mirror", "https://hub.example", "--registry-mirror", "q=http://c.example")
    settings = parse_settings([*flags, "--config-file", str(_empty(tmp_path))], "1")
    assert settings.hub_mirrors == ("https://hub.example/",)
    assert registry_settings(settings).hosts("q")[0].url == "http://c.example/v2"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('"registry-mirrors": ["ftp://mirror.example"]',
         'invalid mirror: unsupported scheme "ftp" in "ftp://mirror.example"'),
        ('"registry-mirrors": ["mirror.example"]', "invalid mirror: no scheme specified for"),
        ('"registry-mirrors": ["https://a:b@mirror.example"]',
         "username/password not allowed in URI"),
        ('"registry-mirrors": ["https://mirror.example/?x=1"]', "query, or fragment at end of"),
        ('"registry-mirrors": {"quay.io": "https://mirror.example"}', "registry-mirrors.quay.io"),
        ('"max-download-attempts": 0', "invalid max download attempts: 0"),
        ('"max-concurrent-uploads": -1', "invalid max concurrent uploads: -1"),
    ],
)  # fmt: skip
def test_what_can_not_be(tmp_path: Path, line: str, told: str) -> None:
    """One sentence that names the value."""
    file = tmp_path / "daemon.json"
    file.write_text(f"{{{line}}}")
    with pytest.raises(SettingsError, match=r"\S") as problem:
        parse_settings(["--config-file", str(file)], "1")
    assert told in str(problem.value)


def _empty(place: Path) -> Path:
    path = place / "empty.json"
    path.write_text("{}")
    return path
