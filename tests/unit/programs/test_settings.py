"""The daemon's flags and configuration file."""

import json
from pathlib import Path

import pytest

from wherry.programs.settings import (
    DEFAULT_LOG_OPTIONS,
    DEFAULT_SOCKET,
    DOCKER_SOCKET,
    Settings,
    SettingsError,
    parse_settings,
)


def parsed(*arguments: str) -> Settings:
    """Settings of a command line, without the host's own configuration file."""
    return parse_settings(arguments, "1")


def test_defaults() -> None:
    """Without flags: our socket, our roots, rotated logs."""
    settings = parsed()
    assert settings.hosts == (DEFAULT_SOCKET,)
    assert settings.log_options == DEFAULT_LOG_OPTIONS


def test_repeated_and_short_flags() -> None:
    """-H repeats, -p and -D are short forms."""
    settings = parsed("-H", "unix:///a", "--host", "unix:///b", "-p", "/x", "-D")
    assert settings.hosts == ("unix:///a", "unix:///b")
    assert settings.pid_file == "/x"
    assert settings.is_debug


def test_docker_socket_is_one_more_host() -> None:
    """`--docker-socket` serves Docker's path too."""
    assert parsed("--docker-socket").hosts == (DEFAULT_SOCKET, DOCKER_SOCKET)


def test_log_options_override_the_default_ones() -> None:
    """An option of the user's wins, the other defaults stay."""
    settings = parsed("--log-opt", "max-size=-1")
    assert settings.log_options == {"max-size": "-1", "max-file": "3"}


def test_file_gives_what_flags_do_not(tmp_path: Path) -> None:
    """Keys are the flags' names, plural where they repeat."""
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"data-root": "/d", "hosts": ["unix:///h"], "init": True}))
    settings = parsed("--config-file", str(file))
    assert (settings.data_root, settings.hosts, settings.runs_init) == (
        "/d",
        ("unix:///h",),
        True,
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"nope": 1, "zap": 2}, "don't match any configuration option: nope, zap"),
        ({"debug": "yes"}, "debug must be true or false"),
        ({"hosts": "unix:///x"}, "hosts must be a list of texts"),
        ({"data-root": 7}, "data-root must be a text"),
        ({"log-driver": "syslog"}, "log-driver 'syslog' is not there"),
        ({"default-shm-size": "x"}, "default-shm-size: invalid size"),
        ([], "must hold an object"),
    ],
)
def test_bad_files_name_the_key(tmp_path: Path, content: object, sentence: str) -> None:
    """One sentence that names the key and the value."""
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match=sentence):
        parsed("--config-file", str(file))


def test_flag_and_file_may_not_disagree(tmp_path: Path) -> None:
    """The same directive in both places is refused, as dockerd does."""
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"data-root": "/d"}))
    with pytest.raises(SettingsError, match="both as a flag and in the configuration file"):
        parsed("--config-file", str(file), "--data-root", "/e")


def test_a_named_file_must_be_there() -> None:
    """A configuration file that was asked for and is missing is an error."""
    with pytest.raises(SettingsError, match="No such file"):
        parsed("--config-file", "/nowhere/daemon.json")


@pytest.mark.parametrize("host", ["/run/x.sock", "http://x", "ssh://y"])
def test_hosts_have_a_scheme(host: str) -> None:
    """Only what can be listened on."""
    with pytest.raises(SettingsError, match="must start with"):
        parsed("-H", host)
