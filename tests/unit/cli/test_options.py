"""From the flags of run to the request: every flag has its place, every mistake its sentence."""

import json
from pathlib import Path

import pytest

from wherry.cli.failures import CommandFailed
from wherry.cli.flags import FlagError, parse
from wherry.cli.options import container_config
from wherry.cli.options.container_config import create_request
from wherry.cli.options.container_flags import CONTAINER_FLAGS
from wherry.cli.options.environment import EnvironmentFileError, environment
from wherry.cli.options.mounts import parse_mount
from wherry.cli.options.ports import parse_publish
from wherry.client.documents import Document, child

HANDLED_BY_CREATE = {"pod", "cidfile", "name", "platform", "pull", "quiet"}
"""Flags that create reads itself: they are no part of the container's configuration."""


def request(*arguments: str) -> Document:
    """The request of a command line."""
    parsed = parse([*arguments, "busybox", "true"], CONTAINER_FLAGS, interspersed=False)
    return create_request(parsed)


EXAMPLES = {
    "add-host": "a:1.2.3.4", "annotation": "a=b", "attach": "stdout", "blkio-weight": "100",
    "blkio-weight-device": "/dev/x:100", "cap-add": "ALL", "cap-drop": "ALL",
    "cgroup-parent": "/p",
    "cgroupns": "host", "cpu-period": "1", "cpu-quota": "1",
    "cpu-rt-period": "1", "cpu-rt-runtime": "1", "cpu-shares": "1", "cpus": "1.5",
    "cpuset-cpus": "0", "cpuset-mems": "0", "device": "/dev/null",
    "device-cgroup-rule": "c 1:3 r",
    "device-read-bps": "/dev/x:1m", "device-read-iops": "/dev/x:1",
    "device-write-bps": "/dev/x:1",
    "device-write-iops": "/dev/x:1", "dns": "1.1.1.1", "dns-opt": "x", "dns-option": "x",
    "dns-search": "a.b", "domainname": "d", "entrypoint": "e", "env": "A=b", "expose": "80",
    "gpus": "all",
    "group-add": "g", "health-cmd": "c", "health-interval": "1s", "health-retries": "2",
    "health-start-interval": "1s", "health-start-period": "1s", "health-timeout": "1s",
    "hostname": "h", "init": "", "interactive": "",
    "ip": "10.0.0.2", "ip6": "::2", "ipc": "host", "isolation": "default", "kernel-memory": "5m",
    "label": "a=b", "link": "a:b", "link-local-ip": "169.254.1.1", "log-driver": "none",
    "log-opt": "a=b", "mac-address": "02:00:00:00:00:01", "memory": "64m",
    "memory-reservation": "32m", "memory-swap": "-1", "memory-swappiness": "5",
    "mount": "type=tmpfs,dst=/x", "net": "host", "net-alias": "x", "network": "host",
    "network-alias": "x", "no-healthcheck": "", "oom-kill-disable": "", "oom-score-adj": "5",
    "pid": "host", "pids-limit": "5", "privileged": "", "publish": "80:80", "publish-all": "",
    "read-only": "", "restart": "always", "rm": "", "runtime": "r",
    "security-opt": "no-new-privileges", "shm-size": "1m", "stop-signal": "INT",
    "stop-timeout": "3", "storage-opt": "a=b", "sysctl": "net.a=b", "tmpfs": "/t", "tty": "",
    "ulimit": "nofile=5", "user": "u", "userns": "host", "uts": "host", "volume": "/a:/b",
    "volume-driver": "v", "volumes-from": "c", "workdir": "/w",
}  # fmt: skip
OF_WINDOWS = {"cpu-count": "1", "cpu-percent": "1", "io-maxbandwidth": "1m", "io-maxiops": "5"}
REFUSED = {"use-api-socket": "", "disable-content-trust": "false"}


def test_every_flag_is_accounted_for() -> None:
    """No flag is accepted and ignored: each changes the request, is refused, or is create's."""
    names = {flag.name for flag in CONTAINER_FLAGS}
    files = {"env-file", "label-file"}
    assert names == set(EXAMPLES) | set(REFUSED) | HANDLED_BY_CREATE | files | set(OF_WINDOWS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_flag_changes_the_request(name: str) -> None:
    """What a flag says arrives in the request."""
    value = EXAMPLES[name]
    others = ("--network=own",) if name in ("net-alias", "network-alias") else ()
    plain = request(*others)
    assert request(*others, f"--{name}={value}" if value else f"--{name}") != plain


@pytest.mark.parametrize("name", OF_WINDOWS)
def test_flags_of_windows(name: str) -> None:
    """As in Docker's client, the command ends there."""
    with pytest.raises(CommandFailed, match=f'"--{name}" is only supported on a Docker daemon'):
        request(f"--{name}={OF_WINDOWS[name]}")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_missing_is_said(name: str) -> None:
    """A flag that cannot be honoured ends the command."""
    value = REFUSED[name]
    with pytest.raises(ValueError, match="not there yet"):
        request(f"--{name}={value}" if value else f"--{name}")


def test_limits_arrive_in_the_apis_units() -> None:
    """Bytes, billionths of a CPU, and plain numbers."""
    host = child(request("-m", "64m", "--cpus", "1.5", "--pids-limit", "-1"), "HostConfig")
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (67108864, 1500000000, -1)


def test_streams_follow_docker() -> None:
    """-i attaches stdin and closes it with the client; -a chooses."""
    config = request("-i")
    assert (config["AttachStdin"], config["OpenStdin"], config["StdinOnce"]) == (True, True, True)
    chosen = request("-i", "-a", "STDERR")
    assert (chosen["AttachStdin"], chosen["AttachStdout"], chosen["AttachStderr"]) == (
        False, False, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "bindings"),
    [
        ("80", ["80/tcp::"]),
        ("8080:80/udp", ["80/udp::8080"]),
        ("127.0.0.1:8080:80", ["80/tcp:127.0.0.1:8080"]),
        ("127.0.0.1::80", ["80/tcp:127.0.0.1:"]),
        ("[::1]:80:80", ["80/tcp:::1:80"]),
        ("90-91:80-81", ["80/tcp::90", "81/tcp::91"]),
        ("90-99:80", ["80/tcp::90-99"]),
        ("80-81", ["80/tcp::", "81/tcp::"]),
        ("published=8080,target=80,protocol=udp", ["80/udp::8080"]),
        ("80/SCTP", ["80/sctp::"]),
    ],
)
def test_published_ports(text: str, bindings: list[str]) -> None:
    """The grammar of -p."""
    found = [f"{each.key}:{each.host_address}:{each.host_port}" for each in parse_publish(text)]
    assert found == bindings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("99999:80", "invalid hostPort: 99999"),
        ("80:x", "invalid containerPort: x"),
        ("80-82:80-81", "invalid ranges specified for container and host Ports: 80-81 and 80-82"),
        ("80/foo", "invalid proto: foo"),
        ("300.1.1.1:1:1", "invalid IP address: 300.1.1.1"),
        ("", "no port specified: <empty>"),
        ("9-1:80", "invalid hostPort: 9-1"),
    ],
)
def test_bad_ports(text: str, problem: str) -> None:
    """Docker's sentences."""
    with pytest.raises(ValueError) as caught:
        parse_publish(text)
    assert str(caught.value) == problem


def test_mounts() -> None:
    """The keys of --mount, their short forms, and switches without a value."""
    assert parse_mount("type=bind,src=/a,dst=/b,ro,bind-propagation=rslave") == {
        "Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True,
        "BindOptions": {"Propagation": "rslave"},
    }  # fmt: skip
    assert parse_mount("dst=/b,volume-opt=a=b,volume-opt=c=d") == {
        "Type": "volume", "Target": "/b",
        "VolumeOptions": {"DriverConfig": {"Options": {"a": "b", "c": "d"}}},
    }  # fmt: skip
    temporary = parse_mount("type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=1770")
    assert temporary["TmpfsOptions"] == {"SizeBytes": 67108864, "Mode": 0o1770}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("type=bind,src", "invalid field 'src' must be a key=value pair"),
        ("type=bind,src=/a", "target is required"),
        ("type=bind,src=/a,dst=/b,colour=red", "unexpected key 'colour' in 'colour=red'"),
        ("type=bind,dst=/b,tmpfs-size=1", "cannot mix 'tmpfs-*' options with mount type 'bind'"),
        ("dst=/b,readonly=maybe", "invalid value for readonly: maybe"),
        ("dst=/b,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
    ],
)
def test_bad_mounts(text: str, problem: str) -> None:
    """Docker's sentences."""
    with pytest.raises(ValueError) as caught:
        parse_mount(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--rm", "--restart", "always"), "cannot specify both --restart and --rm"),
        (("--restart", "on-failure:x"), "maximum retry count must be an integer"),
        (("--pid", "x"), "--pid: invalid PID mode"),
        (("--memory-swappiness", "200"), "Valid memory swappiness range is 0-100"),
        (("--no-healthcheck", "--health-cmd", "x"), "conflicts with --health-"),
        (("--log-driver", "none", "--log-opt", "a=b"), "invalid logging opts for driver none"),
        (("--security-opt", "x"), 'Invalid --security-opt: "x"'),
        (("--network", "a", "--network", "a"), "is specified multiple times"),
        (("--network", "name=n,alias=a", "--network-alias", "b"), "cannot specify both"),
        (("--network", "host", "--network-alias", "b"), "only supported for user-defined"),
        (("--mac-address", "zz"), "zz is not a valid mac address"),
        (("--storage-opt", "size"), "invalid storage option"),
        (("-v", "ab:"), "invalid spec: ab:: empty section between colons"),
    ],
)
def test_conflicts(arguments: tuple[str, ...], problem: str) -> None:
    """Options that contradict each other are told before anything is created."""
    with pytest.raises(ValueError, match=problem):
        request(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ulimit", "x"),
        ("--cpus", "x"),
        ("--add-host", "x"),
        ("-a", "x"),
        ("-e", "=x"),
        ("--dns", "x"),
        ("--memory-swap", "-2"),
    ],
)
def test_values_are_checked_as_they_are_read(arguments: tuple[str, ...]) -> None:
    """A bad value is a mistake of the command line."""
    with pytest.raises(FlagError, match="invalid argument"):
        request(*arguments)


def test_environment_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments and blank lines are skipped; a bare name takes our own value or is dropped."""
    monkeypatch.setenv("OURS", "here")
    monkeypatch.delenv("NOBODYS", raising=False)
    path = tmp_path / "env"
    path.write_text("# comment\n\nA=b=c\n  B=\nOURS\nNOBODYS\n")
    assert list(environment([str(path)], ["Z=1"])) == ["A=b=c", "B=", "OURS=here", "Z=1"]


@pytest.mark.parametrize("line", ["=x", "a b=c"])
def test_bad_environment_files(tmp_path: Path, line: str) -> None:
    """A line that names no variable is an error."""
    path = tmp_path / "env"
    path.write_text(line)
    with pytest.raises(EnvironmentFileError):
        list(environment([str(path)], []))


def test_a_seccomp_profile_travels_as_its_content(tmp_path: Path) -> None:
    """The engine may be elsewhere, so the file is read here."""
    path = tmp_path / "profile.json"
    path.write_text('{ "defaultAction":\n "SCMP_ACT_ALLOW" }')
    host = child(request("--security-opt", f"seccomp={path}"), "HostConfig")
    options = host["SecurityOpt"]
    assert isinstance(options, list)
    assert json.loads(str(options[0]).removeprefix("seccomp=")) == {
        "defaultAction": "SCMP_ACT_ALLOW"
    }


def test_several_networks_have_an_endpoint_each() -> None:
    """The first is the mode; each gets what is said of it."""
    config = request("--network", "name=a,alias=x,ip=10.0.0.2", "--network", "b")
    endpoints = child(child(config, "NetworkingConfig"), "EndpointsConfig")
    assert child(config, "HostConfig")["NetworkMode"] == "a"
    assert endpoints == {
        "a": {"Aliases": ["x"], "IPAMConfig": {"IPv4Address": "10.0.0.2"}},
        "b": {},
    }
    assert container_config.streams_of(parse([], CONTAINER_FLAGS)) == (False, True, True)
