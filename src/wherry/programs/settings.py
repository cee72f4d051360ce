"""The daemon's settings: dockerd's flags, and the same words in a configuration file.

`daemon_options` has the words. Flags are checked first, then the file; a word in both places is
refused, as the operator can't have meant both. A file that is read again (SIGHUP) is checked
against the flags of the start in the same way.
"""

import json
from collections.abc import Mapping, Sequence

from wherry.cli.flags import STRING, SWITCH, Flag, FlagError, HelpWanted, flag_lines, parse
from wherry.kit.values import dataclass, field, replace
from wherry.logs.options import DRIVERS
from wherry.programs.builder_values import BuilderValue
from wherry.programs.daemon_options import BY_KEY, BY_NAME, OPTIONS, Option
from wherry.programs.daemon_values import (
    DEFAULT_LOG_OPTIONS,
    MirrorValue,
    PoolValue,
    UlimitValue,
    check_choice,
    check_runtime,
)
from wherry.snapshots import refuse_driver

DEFAULT_SOCKET = "unix:///run/wherry.sock"
DOCKER_SOCKET = "unix:///var/run/docker.sock"
DEFAULT_CONFIG_FILE = "/etc/wherry/daemon.json"
DOCKER_CONFIG_FILE = "/etc/docker/daemon.json"
DOCKER_PID_FILE = "/var/run/docker.pid"

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
LOG_FORMATS = ("text", "json")
SCHEMES = ("unix://", "tcp://", "fd://")


class SettingsError(Exception):
    """A flag or a key of the configuration file that can't be used."""


class Told(Exception):
    """All that was asked for is a text: `--help`, `--version`, `--validate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator can decide, decided once."""

    hosts: tuple[str, ...] = (DEFAULT_SOCKET,)
    group: str = "docker"
    data_root: str = "/var/lib/wherry"
    exec_root: str = "/run/wherry"
    pid_file: str = "/run/wherry.pid"
    oom_score_adjust: int = -500
    uses_tls: bool | None = None
    """None: nothing was said, so that TCP is for loopback addresses only."""
    verifies_clients: bool | None = None
    """None: as `uses_tls`."""
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    bridge: str = ""
    bip: str = ""
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    default_gateway_v6: str = ""
    has_ipv6: bool = False
    may_meet: bool = True
    host_address: str = ""
    is_masqueraded: bool = True
    forwards: bool = True
    filters_ipv4: bool = True
    """Whether the engine has a table of the packet filter, which is one for both families."""
    filters_ipv6: bool = True
    mtu: int = 0
    allows_direct_routing: bool = False
    takes_down: bool = False
    """Nothing is served: what networks have in the kernel is taken away (`--take-down`)."""
    firewall_backend: str = "nftables"
    """There is no other; empty in no case."""
    accepted_mark: str = ""
    """With its mask, as numbers: `0x1/0xff`."""
    network_options: dict[str, dict[str, str]] = field(default_factory=dict)
    """Options of new networks, by driver."""
    address_pools: tuple[PoolValue, ...] = ()
    """Where networks without a subnet are; empty: Docker's pools."""
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    host_gateway: str = ""
    """Empty: the gateway of the default bridge."""
    log_driver: str = "json-file"
    log_retention_days: int = 7
    """How long the logs of removed containers are kept; zero: not at all."""
    log_options: dict[str, str] = field(default_factory=lambda: dict(DEFAULT_LOG_OPTIONS))
    storage_driver: str = "overlay2"
    storage_options: dict[str, str] = field(default_factory=dict)
    """What the driver is told of itself, as `dm.basesize`."""
    default_runtime: str = "wherry"
    runtimes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Path and arguments of OCI runtimes, by the name that containers ask for."""
    cgroup_parent: str = ""
    exec_options: tuple[str, ...] = ()
    cgroup_namespace: str = ""
    """Empty: `private` on cgroup v2, `host` on v1."""
    ipc_namespace: str = "private"
    userns_remap: str = ""
    """Whose subordinate ids containers have: `default`, `user`, `user:group`; empty: nobody's."""
    shm_bytes: int = 64 << 20
    ulimits: tuple[UlimitValue, ...] = ()
    runs_init: bool = False
    init_path: str = "/usr/bin/tini-static"
    no_new_privileges: bool = False
    seccomp_profile: str = ""
    """Empty or `builtin`: ours; `unconfined`; or the path of a profile."""
    labels: tuple[str, ...] = ()
    registry_mirrors: tuple[MirrorValue, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    concurrent_downloads: int = 3
    concurrent_uploads: int = 5
    download_attempts: int = 5
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    builder: BuilderValue = field(default_factory=BuilderValue)
    features: dict[str, bool] = field(default_factory=dict)
    is_experimental: bool = False
    shutdown_timeout_s: int = 15
    """What was said, for the `reload` event: a daemon that stops leaves containers running."""
    log_level: str = "info"
    log_format: str = "text"
    is_debug: bool = False
    warnings: tuple[str, ...] = ()
    """One line for each option that has no meaning here."""
    config_file: str = DEFAULT_CONFIG_FILE
    keys_in_file: frozenset[str] = frozenset()
    """What the configuration file said something about."""

    @property
    def hub_mirrors(self) -> tuple[str, ...]:
        """The mirrors of Docker Hub, which are all that Docker knows of."""
        return tuple(url for registry, url in self.registry_mirrors if registry == "docker.io")


_OWN_FLAGS = (
    Flag("config-file", STRING, "Daemon configuration file"),
    Flag("docker-socket", SWITCH, f"Also serve {DOCKER_SOCKET}"),
    Flag("take-down", SWITCH, "Take away bridges and the packet filter's rules, and exit"),
    Flag("validate", SWITCH, "Validate daemon configuration and exit"),
    Flag("version", SWITCH, "Print version information and quit", short="v"),
)
_FLAGS = (*(option.flag for option in OPTIONS if option.name), *_OWN_FLAGS)


def parse_settings(
    arguments: Sequence[str], version: str, *, program: str = "wherryd"
) -> Settings:
    """Settings of a command line and of the configuration file that it names.

    Called `dockerd`, it has dockerd's socket, pid file and configuration file by default.

    Raises: SettingsError with one sentence; Told for `--help`, `--version` and `--validate`.
    """
    try:
        given = parse(arguments, _FLAGS)
    except HelpWanted:
        raise Told(_help(program)) from None
    except FlagError as problem:
        raise SettingsError(f"{problem}\nSee '{program} --help'.") from None
    if given.is_on("version"):
        raise Told(f"Wherry version {version}")
    if given.arguments:
        raise SettingsError(f"\"{program}\" accepts no arguments.\nSee '{program} --help'.")
    is_dockerd = program == "dockerd"
    default_path = DOCKER_CONFIG_FILE if is_dockerd else DEFAULT_CONFIG_FILE
    path = given.text("config-file") or default_path
    from_flags = {name: value for name, value in given.values.items() if name in BY_NAME}
    from_file = _read_file(path, must_exist=given.was_given("config-file"))
    _refuse_conflicts(from_flags, from_file)
    base = Settings(config_file=path, keys_in_file=frozenset(from_file))
    if is_dockerd:
        base = replace(base, hosts=(DOCKER_SOCKET,), pid_file=DOCKER_PID_FILE)
    settings = _settings(base, from_flags, from_file)
    if given.is_on("docker-socket"):
        settings = replace(settings, hosts=(*settings.hosts, DOCKER_SOCKET))
    if given.is_on("validate"):
        raise Told("configuration OK")
    return replace(settings, takes_down=given.is_on("take-down"))


def _help(program: str) -> str:
    head = (f"Usage:  {program} [OPTIONS]", "", "The engine of Wherry.", "", "Options:")
    return "\n".join((*head, *flag_lines(_FLAGS, width=100)))


# -- the file --------------------------------------------------------------------------------


def _read_file(path: str, *, must_exist: bool) -> dict[str, object]:
    """The keys of the configuration file, each a known one. Raises: SettingsError."""
    try:
        with open(path, "rb") as file:
            content = file.read().removeprefix(b"\xef\xbb\xbf").strip()
    except FileNotFoundError:
        if not must_exist:
            return {}
        raise SettingsError(_unusable(path, "No such file or directory")) from None
    except OSError as error:
        raise SettingsError(_unusable(path, error.strerror or str(error))) from error
    if not content:
        return {}
    try:
        document = json.loads(content)
    except ValueError as error:
        raise SettingsError(_unusable(path, f"it is not JSON: {error}")) from error
    if not isinstance(document, dict):
        raise SettingsError(_unusable(path, f"it must hold an object, not {document!r:.40}"))
    keys = _flattened(document)
    unknown = sorted(keys.keys() - BY_KEY.keys())
    if unknown:
        raise SettingsError(
            _unusable(
                path,
                "the following directives don't match any configuration option: "
                + ", ".join(unknown),
            )
        )
    return keys


def _unusable(path: str, reason: str) -> str:
    return f"unable to configure the Wherry daemon with file {path}: {reason}"


def _flattened(document: Mapping[str, object]) -> dict[str, object]:
    """`{"proxies": {"http-proxy": ...}}`, the one group of keys, taken apart."""
    keys = dict(document)
    proxies = keys.pop("proxies", None)
    if isinstance(proxies, dict):
        keys.update(proxies)
    elif proxies is not None:
        keys["proxies"] = proxies
    return keys


def _refuse_conflicts(flags: Mapping[str, object], file: Mapping[str, object]) -> None:
    """Raises: SettingsError for what is both a flag and in the file; runtimes add up."""
    both = [
        f"{option.key}: (from flag: {_shown(flags[option.name])}, from file: "
        f"{_shown(file[option.key])})"
        for option in OPTIONS
        if option.name in flags and option.key in file and option.key != "runtimes"
    ]
    if both:
        raise SettingsError(
            "the following directives are specified both as a flag and in the configuration"
            f" file: {', '.join(both)}"
        )


def _shown(value: object) -> str:
    """A value as Go prints it."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return f"[{' '.join(_shown(each) for each in value)}]"
        case dict():
            inner = (f"{key}:{_shown(each)}" for key, each in sorted(value.items()))
            return f"map[{' '.join(inner)}]"
        case _:
            return str(value)


# -- from words to settings ------------------------------------------------------------------


def _settings(base: Settings, flags: Mapping[str, object], file: Mapping[str, object]) -> Settings:
    """Settings of raw values, each checked and named when it is wrong. Raises: SettingsError."""
    values: dict[str, object] = {}
    warnings: list[str] = []
    said = [(BY_NAME[name], f"--{name}", value) for name, value in flags.items()]
    said += [(BY_KEY[key], key, value) for key, value in file.items()]
    for option, word, raw in said:
        try:
            value = option.read(option.key or option.name, raw)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        if option.reason:
            warnings.append(f"{word} has no meaning here: {option.reason}")
        elif not option.field:
            _refuse_absent(option, word, value)
        if option.key == "runtimes":
            known = values.setdefault(option.field, {})
            assert isinstance(known, dict)
            assert isinstance(value, dict)
            known.update(value)
        elif option.field:
            values[option.field] = value
    made = replace(base, warnings=tuple(warnings), **values)  # type: ignore[arg-type]
    try:
        return _checked(made)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _refuse_absent(option: Option, word: str, value: object) -> None:
    if value in option.neutral or value in ("", (), []):
        return
    if option.name == "api-cors-header":
        raise SettingsError(
            f'DEPRECATED: "{word}" has been removed; use a reverse proxy if you need CORS headers'
        )
    raise SettingsError(f"{word} {_shown(value)} is not there yet: {option.usage}")


def _checked(settings: Settings) -> Settings:
    """What holds between settings, or of words out of a list. Raises: ValueError."""
    check_choice("log-driver", settings.log_driver, DRIVERS)
    if settings.log_level not in LOG_LEVELS:
        raise ValueError(f"invalid logging level: {settings.log_level}")
    if settings.log_format not in LOG_FORMATS:
        raise ValueError(f"invalid log format: {settings.log_format}")
    check_runtime(settings.default_runtime, settings.runtimes)
    if settings.filters_ipv4 is not settings.filters_ipv6:
        raise ValueError(
            "iptables and ip6tables must say the same: one table of the packet filter is for both"
        )
    refuse_driver(settings.storage_driver, settings.storage_options)
    if settings.ipc_namespace not in ("private", "shareable"):
        raise ValueError(
            f'IPC mode "{settings.ipc_namespace}" is not supported as default value;'
            ' use "shareable" or "private"'
        )
    if settings.cgroup_namespace not in ("", "private", "host"):
        raise ValueError(
            f"invalid default cgroup namespace ({settings.cgroup_namespace}):"
            ' use "host" or "private"'
        )
    if not -1000 <= settings.oom_score_adjust <= 1000:
        raise ValueError(
            f"oom-score-adjust {settings.oom_score_adjust} is not between -1000 and 1000"
        )
    if settings.shm_bytes <= 0:
        raise ValueError(f"default-shm-size {settings.shm_bytes} is not a size")
    seccomp_profile_text(settings)
    for host in settings.hosts:
        if not host.startswith(SCHEMES):
            raise ValueError(f"host {host!r} must start with {', '.join(SCHEMES)}")
    return settings if settings.hosts else replace(settings, hosts=(DEFAULT_SOCKET,))


def seccomp_profile_text(settings: Settings) -> str:
    """The default profile of containers, as `Security.seccomp` has it. Raises: ValueError."""
    path = settings.seccomp_profile
    if path in ("", "builtin"):
        return ""
    if path == "unconfined":
        return path
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        json.loads(text)
    except OSError as error:
        raise ValueError(f"opening seccomp profile ({path}) failed: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"seccomp-profile {path} is not JSON: {error}") from error
    return text
