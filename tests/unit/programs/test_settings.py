"""The daemon's flags and configuration file."""

import json
import subprocess
from pathlib import Path

import pytest

from wherry.model.builds import CachePrune, CacheUpkeep
from wherry.programs.daemon_options import ABSENT, BY_KEY, BY_NAME, HONOURED, OPTIONS, VOID
from wherry.programs.reloading import reload_attributes, taken_over
from wherry.programs.settings import (
    DEFAULT_LOG_OPTIONS,
    DEFAULT_SOCKET,
    DOCKER_PID_FILE,
    DOCKER_SOCKET,
    Settings,
    SettingsError,
    Told,
    parse_settings,
)


def parsed(*arguments: str) -> Settings:
    """Settings of a command line, without the host's own configuration file."""
    return parse_settings(arguments, "1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file."""
    return tmp_path / "daemon.json"


def of_file(file: Path, content: object, *arguments: str) -> Settings:
    """Settings of a file with this content."""
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return parsed("--config-file", str(file), *arguments)


def test_defaults() -> None:
    """Without flags: our socket, our roots, rotated logs."""
    settings = parsed()
    assert settings.hosts == (DEFAULT_SOCKET,)
    assert settings.log_options == DEFAULT_LOG_OPTIONS


def test_called_dockerd() -> None:
    """By that name, it is where dockerd would be."""
    settings = parse_settings([], "1", program="dockerd")
    assert (settings.hosts, settings.pid_file) == ((DOCKER_SOCKET,), DOCKER_PID_FILE)
    assert settings.config_file == "/etc/docker/daemon.json"


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


def test_every_flag_of_dockerd_is_known() -> None:
    """Debian's dockerd tells its flags: each has a row, and so a meaning or a refusal."""
    told = subprocess.run(["dockerd", "--help"], capture_output=True, text=True, check=True)
    words = (line.split("--", 1)[1].split()[0] for line in told.stdout.splitlines()
             if line.lstrip().startswith("-"))  # fmt: skip
    own = {"help", "version", "config-file", "validate"}
    missing = {word for word in words if word not in BY_NAME} - own
    assert not missing, "no row in daemon_options"


def test_every_honoured_option_decides_a_setting() -> None:
    """A row that is honoured names a field, and every row has a name of some kind."""
    fields = Settings.__dataclass_fields__
    assert [option for option in HONOURED if option.field not in fields] == []
    assert all(option.name or option.key for option in OPTIONS)
    assert len(BY_NAME) + len(BY_KEY) == len(
        [o for o in OPTIONS if o.name] + [o for o in OPTIONS if o.key]
    )


@pytest.mark.parametrize("option", VOID, ids=lambda option: option.name or option.key)
def test_options_without_meaning_are_told(option: object, file: Path) -> None:
    """Accepted, and one line says why nothing comes of it."""
    row = next(each for each in VOID if each is option)
    values = {"": True, "int": 3, "list": ["x"]}
    if row.name:
        flag = f"--{row.name}" + ("" if not row.kind.label else "=7")
        settings = parsed(flag)
        assert settings.warnings == (f"--{row.name} has no meaning here: {row.reason}",)
    if row.key:
        settings = of_file(file, {row.key: values.get(row.kind.label, "x")})
        assert settings.warnings == (f"{row.key} has no meaning here: {row.reason}",)


@pytest.mark.parametrize(
    "option", [row for row in ABSENT if row.name], ids=lambda option: option.name
)
def test_absent_options_are_refused_by_name(option: object) -> None:
    """What is asked for and not there is named; what asks for nothing passes."""
    row = next(each for each in ABSENT if each is option)
    if not row.kind.label:
        flag = f"--{row.name}={str(row.neutral != (True,)).lower()}"
    else:
        flag = f"--{row.name}=77"
    with pytest.raises(SettingsError, match=f"--{row.name}"):
        parsed(flag)
    for neutral in row.neutral:
        shown = str(neutral).lower() if isinstance(neutral, bool) else neutral
        assert parsed(f"--{row.name}={shown}") == parsed()


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--firewall-backend=iptables", "iptables is not there, only nftables"),
        ("--bridge-accept-fwmark=some", "some is not MARK or MARK/MASK of 32 bits"),
        ("--bridge-accept-fwmark=1/", "1/ is not MARK or MARK/MASK"),
        ("--bridge-accept-fwmark=0x1ffffffff", "is not MARK or MARK/MASK"),
        ("--bridge-accept-fwmark=4294967296", "is not MARK or MARK/MASK"),
    ],
)
def test_words_about_the_packet_filter_that_are_none(flag: str, told: str) -> None:
    """One sentence that says what would do."""
    with pytest.raises(SettingsError, match=told):
        parsed(flag)


def test_words_about_the_packet_filter() -> None:
    """The one backend, and marks in one form."""
    assert parsed("--firewall-backend=nftables") == parsed()
    for given, kept in (("1", "0x1/0xffffffff"), ("0x10/240", "0x10/0xf0")):
        assert parsed(f"--bridge-accept-fwmark={given}").accepted_mark == kept


def test_file_gives_what_flags_do_not(file: Path) -> None:
    """Keys are the flags' names, plural where they repeat."""
    settings = of_file(file, {"data-root": "/d", "hosts": ["unix:///h"], "init": True})
    assert (settings.data_root, settings.hosts, settings.runs_init) == (
        "/d",
        ("unix:///h",),
        True,
    )


def test_values_of_every_shape(file: Path) -> None:
    """Sizes, ulimits in both forms, addresses, proxies in their group."""
    settings = of_file(
        file,
        {
            "default-shm-size": "128M",
            "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 10, "Hard": 20}},
            "dns": ["10.0.0.1"],
            "proxies": {"http-proxy": "http://p:1"},
            "features": {"buildkit": True},
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
        },
        "--host-gateway-ip",
        "10.9.9.9",
    )
    assert settings.shm_bytes == 128 << 20
    assert settings.ulimits == (("nofile", 10, 20),)
    assert (settings.dns, settings.host_gateway) == (("10.0.0.1",), "10.9.9.9")
    assert (settings.http_proxy, settings.features) == ("http://p:1", {"buildkit": True})
    assert parsed("--default-ulimit", "nproc=5").ulimits == (("nproc", 5, 5),)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"nope": 1, "zap": 2}, "don't match any configuration option: nope, zap"),
        ({"proxies": {"ftp-proxy": "x"}}, "configuration option: ftp-proxy"),
        ({"debug": "yes"}, "debug must be true or false, not 'yes'"),
        ({"hosts": "unix:///x"}, "hosts must be a list of texts"),
        ({"data-root": 7}, "data-root must be a text"),
        ({"max-concurrent-downloads": "3"}, "max-concurrent-downloads must be a whole number"),
        ({"max-concurrent-uploads": -1}, "invalid max concurrent uploads: -1"),
        ({"log-driver": "nowhere"}, "log-driver 'nowhere' is not there"),
        ({"log-opts": {"max-size": 5}}, "log-opts must be an object of texts"),
        ({"log-level": "loud"}, "invalid logging level: loud"),
        ({"log-format": "xml"}, "invalid log format: xml"),
        ({"default-shm-size": "x"}, "default-shm-size: invalid size"),
        ({"default-shm-size": -1}, "default-shm-size -1 is not a size"),
        ({"default-ipc-mode": "host"}, 'IPC mode "host" is not supported as default value'),
        ({"default-cgroupns-mode": "x"}, r"invalid default cgroup namespace \(x\)"),
        ({"default-ulimits": {"nofile": 5}}, "default-ulimits.nofile must be an object"),
        ({"default-ulimits": {"x": {"Soft": 1, "Hard": 2}}}, "invalid ulimit type: x"),
        (
            {"default-ulimits": {"nofile": {"Soft": 3, "Hard": 2}}},
            "soft limit must be less than or equal to hard limit: 3 > 2",
        ),
        ({"labels": ["x"]}, "bad attribute format: x"),
        ({"labels": ["a=1", "a=2"]}, "conflict labels for a=2 and a=1"),
        ({"dns": ["x"]}, "dns: IP address is not correctly formatted: x"),
        ({"default-gateway": "fd00::1"}, "default-gateway: fd00::1 is not an IPv4 address"),
        ({"ip": "nowhere"}, "ip: IP address is not correctly formatted: nowhere"),
        ({"mtu": 7}, "mtu: 7 is not between 68 and 65535"),
        ({"iptables": False}, "iptables and ip6tables must say the same"),
        ({"default-network-opts": {"bridge": 7}}, "default-network-opts.bridge"),
        ({"features": {"x": 1}}, "features.x must be true or false"),
        ({"exec-opts": ["x"]}, r"invalid exec-opt \(x\): must be formatted 'opt=value'"),
        ({"exec-opts": ["native.cgroupdriver=systemd"]}, "systemd is not there yet"),
        ({"exec-opts": ["a=b"]}, "unknown option: 'a'"),
        ({"seccomp-profile": "/nowhere"}, r"opening seccomp profile \(/nowhere\) failed"),
        ({"oom-score-adjust": 2000}, "not between -1000 and 1000"),
        ({"api-cors-header": "*"}, "use a reverse proxy"),
        ({"storage-driver": "zfs"}, r"prerequisites .* \(wrong filesystem\?\): zfs"),
        ({"storage-driver": "aufs"}, "the aufs storage-driver has been deprecated and removed"),
        (
            {"storage-driver": "devicemapper", "storage-opts": ["dm.colour=red"]},
            "devmapper: Unknown option dm.colour",
        ),
        (
            {"storage-driver": "devicemapper", "storage-opts": ["dm.basesize=much"]},
            "dm.basesize: invalid size: 'much'",
        ),
        (
            {"storage-driver": "devicemapper", "storage-opts": ["dm.fs=ntfs"]},
            "devmapper: Unsupported filesystem type ntfs",
        ),
        ({"storage-opts": ["dm.fs=ext4"]}, "overlay2: unknown option dm.fs"),
        ({"storage-opts": ["dm.fs"]}, "'dm.fs' is not name=value"),
        ({"storage-driver": "nonsense"}, "driver not supported: nonsense"),
        ([], "must hold an object"),
        ("{", "is not JSON"),
    ],
)
def test_bad_files_name_the_key(file: Path, content: object, sentence: str) -> None:
    """One sentence that names the key and the value."""
    with pytest.raises(SettingsError, match=sentence):
        of_file(file, content)


def test_flag_and_file_may_not_disagree(file: Path) -> None:
    """The same directive in both places is refused, in dockerd's words."""
    words = r"both as a flag and in the configuration file: labels: \(from flag: \[a=1\], from"
    with pytest.raises(SettingsError, match=words):
        of_file(file, {"labels": ["b=2"]}, "--label", "a=1")


def test_a_named_file_must_be_there() -> None:
    """A configuration file that was asked for and is missing is an error."""
    with pytest.raises(SettingsError, match="No such file"):
        parsed("--config-file", "/nowhere/daemon.json")


def test_an_empty_file_says_nothing(file: Path) -> None:
    """As in dockerd."""
    assert of_file(file, "  \n").hosts == (DEFAULT_SOCKET,)


@pytest.mark.parametrize("host", ["/run/x.sock", "http://x", "ssh://y"])
def test_hosts_have_a_scheme(host: str) -> None:
    """Only what can be listened on."""
    with pytest.raises(SettingsError, match="must start with"):
        parsed("-H", host)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["-H"], "flag needs an argument"),
        (["--debug=maybe"], 'invalid argument "maybe" for "-D, --debug" flag'),
        (["start"], "accepts no arguments"),
    ],
)
def test_bad_command_lines(arguments: list[str], sentence: str) -> None:
    """In pflag's words."""
    with pytest.raises(SettingsError, match=sentence):
        parsed(*arguments)


def test_validate_tells(file: Path) -> None:
    """A good configuration is told, a bad one refused, and nothing starts."""
    with pytest.raises(Told, match="configuration OK"):
        of_file(file, {"debug": True}, "--validate")
    with pytest.raises(SettingsError, match="debug must be"):
        of_file(file, {"debug": 1}, "--validate")


def test_reload_takes_what_may_change(file: Path) -> None:
    """Labels follow the file, roots don't, and a key that went keeps its value."""
    first = of_file(file, {"labels": ["a=1"], "debug": True, "max-concurrent-downloads": 7})
    second = of_file(file, {"labels": ["a=2"], "data-root": "/other"})
    now = taken_over(first, second)
    assert (now.labels, now.data_root, now.is_debug) == (("a=2",), first.data_root, True)
    assert now.concurrent_downloads == 3
    told = reload_attributes(now)
    assert (told["labels"], told["debug"], told["features"]) == ('["a=2"]', "true", "map[]")


def test_runtimes_of_flags_and_of_the_file(file: Path) -> None:
    """`--add-runtime name=path` and the file's objects add up."""
    file.write_text('{"runtimes": {"mine": {"path": "/opt/runc", "runtimeArgs": ["--debug"]}}}')
    settings = parsed(
        *("--config-file", str(file), "--add-runtime", "more=/opt/crun"),
        *("--default-runtime", "mine"),
    )
    assert settings.runtimes == {"mine": ("/opt/runc", "--debug"), "more": ("/opt/crun",)}
    assert settings.default_runtime == "mine"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--add-runtime", "mine"], "'mine' is not name=path"),
        (["--add-runtime", "wherry=/x"], "runtime name 'wherry' is reserved"),
        (["--add-runtime", "mine="], r"runtimes\[mine\]: a path must be configured"),
        (["--default-runtime", "gone"], "specified default runtime 'gone' does not exist"),
    ],
)
def test_runtimes_that_can_not_be(arguments: list[str], problem: str) -> None:
    """Each with the name of what is wrong."""
    with pytest.raises(SettingsError, match=problem):
        parsed(*arguments)


def test_the_builder_is_told_how_much_it_may_keep(file: Path) -> None:
    """Limits, rules with filters in both forms, and what RUN is never granted."""
    builder = of_file(file, {
        "builder": {
            "gc": {
                "defaultKeepStorage": "10GB",
                "policy": [
                    {"keepStorage": "1GB", "filter": ["unused-for=48h", "type=source.local"]},
                    {"all": True, "maxUsedSpace": "2GB", "Filter": {"until": {"1h": True}}},
                ],
            },
            "Entitlements": {"security-insecure": False, "network-host": True},
        }
    }).builder  # fmt: skip
    assert builder.refused_entitlements == {"security.insecure"}
    assert builder.upkeep == CacheUpkeep(
        reserved_bytes=10 << 30,
        rules=(
            CachePrune(
                reserved_bytes=1 << 30,
                filters={"unused-for": ("48h",), "type": ("source.local",)},
            ),
            CachePrune(takes_all=True, most_bytes=2 << 30, filters={"until": ("1h",)}),
        ),
    )


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"gc": {"enabled": "yes"}}, "builder.gc.enabled"),
        ({"gc": {"policy": [{"filter": ["colour=red"]}]}}, "builder.gc.policy.0..filter.*colour"),
        ({"gc": {"policy": [{"filter": ["until=soon"]}]}}, "policy.0..filter.*duration"),
        ({"gc": {"defaultKeepStorage": "much"}}, "builder.gc.defaultkeepstorage"),
        ({"gc": {"keep": 1}}, "builder.gc has no field keep"),
        ({"entitlements": []}, "builder.entitlements"),
        ([], "builder"),
    ],
)
def test_wrong_settings_of_the_builder_are_named(
    file: Path, value: object, complaint: str
) -> None:
    """Each with its place in the file."""
    with pytest.raises(SettingsError, match=complaint):
        of_file(file, {"builder": value})
