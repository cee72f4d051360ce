"""The daemon's settings: dockerd's flags, and the same words in a configuration file."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from wherry.kit.byte_sizes import parse_size

DEFAULT_SOCKET = "unix:///run/wherry.sock"
DOCKER_SOCKET = "unix:///var/run/docker.sock"
DEFAULT_CONFIG_FILE = "/etc/wherry/daemon.json"
DEFAULT_LOG_OPTIONS = {"max-size": "20m", "max-file": "3"}
"""Three files of 20 MB: a forgotten container does not fill the disk."""

LOG_DRIVERS = ("json-file", "none")
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")


class SettingsError(Exception):
    """A flag or a key of the configuration file that can't be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator can decide, decided once."""

    hosts: tuple[str, ...] = (DEFAULT_SOCKET,)
    group: str = "docker"
    data_root: str = "/var/lib/wherry"
    exec_root: str = "/run/wherry"
    pid_file: str = "/run/wherry.pid"
    bridge: str = ""
    bip: str = ""
    log_driver: str = "json-file"
    log_options: dict[str, str] = field(default_factory=lambda: dict(DEFAULT_LOG_OPTIONS))
    storage_driver: str = "overlay2"
    labels: tuple[str, ...] = ()
    runs_init: bool = False
    init_path: str = "/usr/bin/tini-static"
    shm_bytes: int = 64 << 20
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    log_level: str = "info"
    is_debug: bool = False


@dataclass(frozen=True, slots=True)
class _Flag:
    """One setting as dockerd spells it."""

    name: str
    """Of the flag, and with an `s` when it repeats, of the key in the file."""
    field: str
    help: str
    short: str = ""
    repeats: bool = False
    is_switch: bool = False

    @property
    def key(self) -> str:
        """Its name in the configuration file."""
        plurals = {"host": "hosts", "label": "labels", "log-opt": "log-opts"}
        plurals |= {"registry-mirror": "registry-mirrors"}
        plurals |= {"insecure-registry": "insecure-registries"}
        return plurals.get(self.name, self.name)


FLAGS = (
    _Flag("host", "hosts", "Daemon socket(s) to connect to", short="H", repeats=True),
    _Flag("group", "group", "Group for the unix socket", short="G"),
    _Flag("data-root", "data_root", "Root directory of persistent state"),
    _Flag("exec-root", "exec_root", "Root directory for execution state files"),
    _Flag("pidfile", "pid_file", "Path to use for daemon PID file", short="p"),
    _Flag("bridge", "bridge", "Attach containers to a network bridge", short="b"),
    _Flag("bip", "bip", "Specify network bridge IP"),
    _Flag("log-driver", "log_driver", "Default driver for container logs"),
    _Flag("log-opt", "log_options", "Default log driver options", repeats=True),
    _Flag("storage-driver", "storage_driver", "Storage driver to use", short="s"),
    _Flag("label", "labels", "Set key=value labels to the daemon", repeats=True),
    _Flag("init", "runs_init", "Run an init in the container", is_switch=True),
    _Flag("init-path", "init_path", "Path to the init binary"),
    _Flag("default-shm-size", "shm_bytes", "Default shm size for containers"),
    _Flag("registry-mirror", "registry_mirrors", "Preferred registry mirror", repeats=True),
    _Flag(
        "insecure-registry",
        "insecure_registries",
        "Enable insecure registry communication",
        repeats=True,
    ),
    _Flag("log-level", "log_level", "Set the logging level", short="l"),
    _Flag("debug", "is_debug", "Enable debug mode", short="D", is_switch=True),
)


def parse_settings(arguments: Sequence[str], version: str) -> Settings:
    """Settings of a command line and of the configuration file that it names.

    Raises: SettingsError with one sentence. Exits for `--help` and `--version`.
    """
    parser = _parser(version)
    given = vars(parser.parse_args(list(arguments)))
    path = given.pop("config_file") or DEFAULT_CONFIG_FILE
    also_docker = given.pop("docker_socket")
    from_flags = {name: value for name, value in given.items() if value is not None}
    from_file = _read_file(path, must_exist=path != DEFAULT_CONFIG_FILE)
    both = sorted(from_flags.keys() & from_file.keys())
    if both:
        keys = ", ".join(each.key for each in FLAGS if each.field in both)
        raise SettingsError(
            "the following directives are specified both as a flag and in the configuration"
            f" file: {keys}"
        )
    settings = _settings({**from_file, **from_flags})
    if also_docker:
        return _with_host(settings, DOCKER_SOCKET)
    return settings


def _parser(version: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wherryd", description="The engine of Wherry.", allow_abbrev=False
    )
    parser.add_argument("-v", "--version", action="version", version=f"Wherry version {version}")
    parser.add_argument("--config-file", default="", help="Daemon configuration file")
    parser.add_argument("--docker-socket", action="store_true", help=f"Also serve {DOCKER_SOCKET}")
    for flag in FLAGS:
        names = [f"--{flag.name}"] + ([f"-{flag.short}"] if flag.short else [])
        if flag.is_switch:
            parser.add_argument(
                *names, dest=flag.field, action="store_true", default=None, help=flag.help
            )
        else:
            action = "append" if flag.repeats else "store"
            parser.add_argument(
                *names, dest=flag.field, action=action, default=None, help=flag.help
            )
    return parser


def _read_file(path: str, *, must_exist: bool) -> dict[str, object]:
    """The keys of the configuration file, by field name."""
    if not must_exist and not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise SettingsError(f"configuration file {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"configuration file {path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"configuration file {path} must hold an object")
    fields = {flag.key: flag.field for flag in FLAGS}
    unknown = sorted(content.keys() - fields.keys())
    if unknown:
        raise SettingsError(
            f"the following directives don't match any configuration option: {', '.join(unknown)}"
        )
    return {fields[key]: value for key, value in content.items()}


def _settings(values: dict[str, object]) -> Settings:
    """Settings of raw values, each checked and named when it is wrong."""
    checked: dict[str, object] = {}
    for flag in FLAGS:
        if flag.field not in values:
            continue
        value = values[flag.field]
        checked[flag.field] = _checked(flag, value)
    settings = Settings(**checked)  # type: ignore[arg-type]
    _check_choice("log-driver", settings.log_driver, LOG_DRIVERS)
    _check_choice("log-level", settings.log_level, LOG_LEVELS)
    _check_choice("storage-driver", settings.storage_driver, ("overlay2",))
    for host in settings.hosts:
        if not host.startswith(("unix://", "tcp://", "fd://")):
            raise SettingsError(f"host {host!r} must start with unix:// or tcp://")
    return settings


def _checked(flag: _Flag, value: object) -> object:
    if flag.is_switch:
        if not isinstance(value, bool):
            raise SettingsError(f"{flag.key} must be true or false, not {value!r}")
        return value
    if flag.name == "log-opt":
        pairs = value if isinstance(value, dict) else _pairs(flag, value)
        return {**DEFAULT_LOG_OPTIONS, **pairs}
    if flag.repeats:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise SettingsError(f"{flag.key} must be a list of texts, not {value!r}")
        return tuple(value)
    if flag.name == "default-shm-size":
        try:
            return parse_size(str(value))
        except ValueError as error:
            raise SettingsError(f"{flag.key}: {error}") from error
    if not isinstance(value, str):
        raise SettingsError(f"{flag.key} must be a text, not {value!r}")
    return value


def _pairs(flag: _Flag, value: object) -> dict[str, str]:
    pairs = {}
    for each in value if isinstance(value, list) else ():
        name, separator, content = str(each).partition("=")
        if not separator:
            raise SettingsError(f"{flag.key}: {each!r} is not name=value")
        pairs[name] = content
    return pairs


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise SettingsError(f"{name} {value!r} is not there: choose from {', '.join(choices)}")


def _with_host(settings: Settings, host: str) -> Settings:
    return replace(settings, hosts=(*settings.hosts, host))
