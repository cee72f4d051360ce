"""Flags of `run` and `create` that no other chapter of the tests has, by both clients.

docs/run-flags.md lists every flag of the stock client with its test; tests/house checks that.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemon import Engine, Ran
from support.waiting import wait_until

Run = Callable[..., Ran]


@pytest.fixture(params=["docker", "wherry"])
def client(request: pytest.FixtureRequest, engine: Engine) -> Run:
    """One client after the other."""
    run: Run = engine.docker if request.param == "docker" else engine.wherry
    return run


def said(ran: Ran) -> str:
    """What a client printed; anything but success is a failure."""
    assert ran.returncode == 0, ran
    return ran.stdout.strip()


# -- names and identity ----------------------------------------------------------------------


def test_hostname_and_domainname(client: Run) -> None:
    """`--hostname` and `--domainname`: the container's own names, and a line of its hosts."""
    look = "hostname; cat /proc/sys/kernel/domainname; grep web /etc/hosts"
    told = said(
        client("run", "--rm", "--hostname", "web", "--domainname", "example.test", "busybox",
               "sh", "-c", look)
    )  # fmt: skip
    name, domain, line = told.splitlines()
    assert (name, domain) == ("web", "example.test")
    assert line.split()[1:] == ["web.example.test", "web"]


PASSWD = "adduser -D -u 1234 maid 2>/dev/null; addgroup -g 77 staff 2>/dev/null"


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ("daemon", "uid=1 gid=1"),
        ("1", "uid=1 gid=1"),
        ("1:0", "uid=1 gid=0"),
        ("daemon:mail", "uid=1 gid=8"),
        ("4321", "uid=4321 gid=0"),
        ("4321:8765", "uid=4321 gid=8765"),
        (":mail", "uid=0 gid=8"),
        ("1:mail", "uid=1 gid=8"),
    ],
)
def test_user_in_every_form(client: Run, user: str, identity: str) -> None:
    """`--user` by names and numbers, of the image's files or not in them."""
    ran = client("run", "--rm", "--user", user, "busybox", "sh", "-c",
                 'echo "uid=$(id -u) gid=$(id -g)"')  # fmt: skip
    assert said(ran) == identity


@pytest.mark.parametrize("user", ["nosuch", "0:nosuch", "-5", "4294967296"])
def test_users_that_are_not_there(client: Run, user: str) -> None:
    """A user or group that can't be found is named, and nothing starts."""
    ran = client("run", "--rm", "--user", user, "busybox", "true")
    assert ran.returncode in (125, 126)
    assert "unable to find" in ran.stderr or "nvalid" in ran.stderr, ran.stderr


def test_group_add(client: Run) -> None:
    """`--group-add` by name and by number."""
    told = said(client("run", "--rm", "--user", "1", "--group-add", "mail", "--group-add", "555",
                       "busybox", "id", "-G"))  # fmt: skip
    assert set(told.split()) >= {"1", "8", "555"}


# -- environment, labels, files of the client -------------------------------------------------


def test_env_and_env_file(client: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--env` wins over `--env-file`; a bare name takes the client's own value."""
    file = tmp_path / "env"
    file.write_text("# a comment\nONE=file\nTWO=file two\nTAKEN\n\nNOTHERE\n")
    monkeypatch.setenv("TAKEN", "from here")
    told = said(client("run", "--rm", "--env-file", str(file), "--env", "ONE=flag", "-e", "TAKEN",
                       "busybox", "env"))  # fmt: skip
    lines = told.splitlines()
    assert {"ONE=flag", "TWO=file two", "TAKEN=from here"} <= set(lines)
    assert not any(line.startswith("NOTHERE") for line in lines)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("A B=1\n", "contains whitespaces"), ("=1\n", "no variable name on line '=1'")],
)
def test_bad_env_files(client: Run, tmp_path: Path, content: str, sentence: str) -> None:
    """The line that can't be read is named."""
    file = tmp_path / "env"
    file.write_text(content)
    ran = client("run", "--rm", "--env-file", str(file), "busybox", "true")
    assert ran.returncode == 125
    assert sentence in ran.stderr


def test_labels(client: Run, engine: Engine, tmp_path: Path) -> None:
    """`--label` wins over `--label-file`."""
    file = tmp_path / "labels"
    file.write_text("a=file\nb=file\nc\n")
    said(client("create", "--name", "tagged", "--label-file", str(file), "--label", "a=flag",
                "-l", "d", "busybox"))  # fmt: skip
    labels = engine.inspect("tagged")["Config"]["Labels"]
    assert labels == {"a": "flag", "b": "file", "d": ""}


def test_cidfile(client: Run, engine: Engine, tmp_path: Path) -> None:
    """`--cidfile` gets the id; one that is there already ends the command before it begins."""
    file = tmp_path / "cid"
    identifier = said(client("run", "-d", "--cidfile", str(file), "busybox", "true"))
    assert file.read_text() == identifier
    again = client("run", "--cidfile", str(file), "busybox", "true")
    assert again.returncode == 125
    assert "container ID file found" in again.stderr
    assert len(engine.api("GET", "/containers/json?all=1").json) == 1


def test_annotation(client: Run, engine: Engine) -> None:
    """`--annotation` is kept, and handed to the runtime."""
    said(client("run", "-d", "--name", "noted", "--annotation", "org.example=yes", "busybox",
                "sleep", "99"))  # fmt: skip
    shown = engine.inspect("noted")
    assert shown["HostConfig"]["Annotations"] == {"org.example": "yes"}
    if (engine.exec_root / "containers").is_dir():
        bundle = engine.exec_root / "containers" / shown["Id"] / "config.json"
        config = json.loads(engine.machine.run("cat", str(bundle)).stdout)
        assert config["annotations"]["org.example"] == "yes"


# -- the image -------------------------------------------------------------------------------


def test_platform(client: Run) -> None:
    """`--platform` of the image passes; another one is not found here."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    assert (
        said(client("run", "--rm", "--platform", f"linux/{machine}", "busybox", "echo", "x"))
        == "x"
    )
    ran = client("run", "--rm", "--pull", "never", "--platform", "linux/s390x", "busybox", "true")
    assert ran.returncode == 125
    ran = client("run", "--rm", "--pull", "never", "--platform", "a/b/c/d", "busybox", "true")
    assert ran.returncode == 125


@pytest.mark.stock_differs  # no registry answers, and dockerd says so in its own words
def test_pull_policies(client: Run) -> None:
    """`--pull never` asks nobody, `missing` only for what is missing, `always` for everything."""
    assert said(client("run", "--rm", "--pull", "never", "busybox", "echo", "here")) == "here"
    assert said(client("run", "--rm", "--pull", "missing", "busybox", "echo", "here")) == "here"
    never = client("run", "--rm", "--pull", "never", "nosuch:1", "true")
    assert never.returncode == 125
    assert "No such image: nosuch:1" in never.stderr
    assert client("run", "--rm", "--pull", "always", "busybox", "true").returncode == 125
    bad = client("run", "--rm", "--pull", "sometimes", "busybox", "true")
    assert bad.returncode == 125
    assert 'must be one of "always", "missing" or "never"' in bad.stderr


def test_quiet(client: Run) -> None:
    """`--quiet` says nothing of an image that has to be pulled first."""
    loud = client("run", "--rm", "nosuch.invalid/x:1", "true")
    assert "Unable to find image 'nosuch.invalid/x:1' locally" in loud.stderr
    quiet = client("run", "--rm", "--quiet", "nosuch.invalid/x:1", "true")
    assert quiet.returncode == 125
    assert "Unable to find image" not in quiet.stderr


def test_disable_content_trust(client: Run) -> None:
    """`--disable-content-trust` is the default."""
    assert said(client("run", "--rm", "--disable-content-trust", "busybox", "echo", "x")) == "x"


# -- streams ---------------------------------------------------------------------------------


def test_attach(client: Run) -> None:
    """`--attach` chooses the streams that come back."""
    both = ("busybox", "sh", "-c", "echo out; echo err >&2")
    only_errors = client("run", "--rm", "--attach", "stderr", *both)
    assert (only_errors.stdout, only_errors.stderr) == ("", "err\n")
    only_output = client("run", "--rm", "-a", "STDOUT", *both)
    assert (only_output.stdout, only_output.stderr) == ("out\n", "")
    bad = client("run", "--rm", "--attach", "stdmiddle", *both)
    assert bad.returncode == 125
    assert "valid streams are STDIN, STDOUT and STDERR" in bad.stderr


def test_interactive(client: Run) -> None:
    """`--interactive` hands stdin on to its end."""
    ran = client("run", "--rm", "--interactive", "busybox", "cat", stdin="typed\n")
    assert said(ran) == "typed"


def test_detach(client: Run, engine: Engine) -> None:
    """`--detach` prints the id and leaves it running."""
    identifier = said(client("run", "--detach", "busybox", "sleep", "99"))
    assert engine.inspect(identifier)["State"]["Running"]


def test_workdir_and_entrypoint(client: Run) -> None:
    """`--workdir` is made where it is missing; `--entrypoint` takes the arguments."""
    told = said(client("run", "--rm", "--workdir", "/made/here", "--entrypoint", "pwd", "busybox"))
    assert told == "/made/here"
    ran = client("run", "--rm", "--workdir", "relative", "busybox", "pwd")
    assert ran.returncode == 125
    assert "it needs to be an absolute path" in ran.stderr


@pytest.mark.parametrize("program", ["docker", "wherry"])
def test_sig_proxy(engine: Engine, program: str) -> None:
    """`--sig-proxy=false` keeps a signal from the container; by default it arrives."""
    command = {
        "docker": ["docker"],
        "wherry": [sys.executable, "-P", "-m", "wherry.programs.wherry", "--no-autostart"],
    }[program]
    for flag, ends in (("--sig-proxy=true", True), ("--sig-proxy=false", False)):
        name = f"signalled-{ends}"
        script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done"
        attached = subprocess.Popen(
            [*command, "run", flag, "--name", name, "busybox", "sh", "-c", script],
            stdout=subprocess.PIPE,
            env=engine.environment,
        )
        assert attached.stdout is not None
        assert attached.stdout.readline() == b"ready\n"
        attached.send_signal(signal.SIGTERM)
        if ends:
            assert attached.wait(20) == 5
        else:
            engine.docker_ok("exec", name, "true")
            attached.kill()
            attached.wait()
            assert engine.inspect(name)["State"]["Running"]
        attached.stdout.close()


# -- networks --------------------------------------------------------------------------------


def test_dns_options(client: Run) -> None:
    """`--dns`, `--dns-search` and `--dns-option` make resolv.conf."""
    flags = ("--dns", "10.0.0.7", "--dns-search", "a.test", "--dns-option", "ndots:3")
    told = said(client("run", "--rm", *flags, "busybox", "cat", "/etc/resolv.conf"))
    lines = [line for line in told.splitlines() if not line.startswith("#")]
    assert {"nameserver 10.0.0.7", "search a.test", "options ndots:3"} <= set(lines)


def test_mac_address(client: Run) -> None:
    """`--mac-address` is the interface's."""
    wish = "92:d0:c6:0a:29:33"
    look = ("busybox", "cat", "/sys/class/net/eth0/address")
    assert said(client("run", "--rm", "--mac-address", wish, *look)) == wish
    bad = client("run", "--rm", "--mac-address", "hello", *look)
    assert bad.returncode == 125
    assert "hello" in bad.stderr
    assert "not a valid mac address" in bad.stderr.lower() or "invalid MAC" in bad.stderr


def test_expose(client: Run, engine: Engine) -> None:
    """`--expose` takes ports and ranges; `--publish-all` publishes them."""
    said(client("run", "-d", "--name", "open", "--expose", "81", "--expose", "90-91/udp", "-P",
                "busybox", "sleep", "99"))  # fmt: skip
    shown = engine.inspect("open")
    assert set(shown["Config"]["ExposedPorts"]) == {"81/tcp", "90/udp", "91/udp"}
    assert all(shown["NetworkSettings"]["Ports"][port] for port in ("81/tcp", "90/udp", "91/udp"))
    bad = client("run", "--expose", "99-1", "busybox", "true")
    assert bad.returncode == 125


def test_link(client: Run, engine: Engine) -> None:
    """`--link` on the default bridge: hosts, variables, a new address, and `rm --link`."""
    said(client("run", "-d", "--name", "db", "--expose", "6379", "-e", "SECRET=x", "busybox",
                "sleep", "99"))  # fmt: skip
    probe = ("--health-cmd", "test $STORE_NAME = /web/store", "--health-interval", "200ms")
    said(client("run", "-d", "--name", "web", *probe, "--link", "db:store", "busybox",
                "sleep", "99"))  # fmt: skip
    address = engine.inspect("db")["NetworkSettings"]["IPAddress"]
    number = engine.inspect("db")["Id"][:12]
    hosts = engine.docker_ok("exec", "web", "cat", "/etc/hosts")
    assert f"{address}\tstore {number} db" in hosts
    assert engine.docker_ok("exec", "web", "ping", "-c1", "-W2", "store")
    variables = said(client("exec", "web", "env")).splitlines()
    assert {
        "STORE_NAME=/web/store", f"STORE_PORT=tcp://{address}:6379",
        f"STORE_PORT_6379_TCP_ADDR={address}", "STORE_PORT_6379_TCP_PROTO=tcp",
        "STORE_ENV_SECRET=x",
    } <= set(variables)  # fmt: skip
    health = "{{.State.Health.Status}}"
    wait_until(
        "a probe sees the variables too",
        lambda: engine.docker_ok("inspect", "-f", health, "web") == "healthy",
    )
    assert engine.inspect("web")["HostConfig"]["Links"] == ["/db:/web/store"]
    whole = said(client("ps", "--no-trunc", "--format", "{{.Names}}")).splitlines()
    short = said(client("ps", "--format", "{{.Names}}")).splitlines()
    assert (whole, short) == (["web", "db,web/store"], ["web", "db"])
    assert said(client("ps", "--filter", "name=web/store", "--format", "{{.Names}}")) == "db"

    engine.docker_ok("stop", "-t", "0", "db")
    engine.docker_ok("run", "-d", "--name", "squatter", "busybox", "sleep", "99")
    engine.docker_ok("start", "db")
    moved = engine.inspect("db")["NetworkSettings"]["IPAddress"]
    hosts = engine.docker_ok("exec", "web", "cat", "/etc/hosts")
    assert f"{moved}\tstore {number} db" in hosts
    assert hosts.count("store") == 1

    engine.docker_ok("stop", "-t", "0", "db", "web")
    refused = client("start", "web")
    assert refused.returncode == 1
    assert "Cannot link to a non running container: /db AS /web/store" in refused.stderr
    said(client("rm", "--link", "/web/store"))
    said(client("start", "web"))
    assert engine.inspect("web")["HostConfig"]["Links"] is None


def test_link_on_a_network_of_a_users(client: Run, engine: Engine) -> None:
    """There it is a name that the container alone may use, with `run` and with `connect`."""
    said(client("network", "create", "blue"))
    on_blue = ("-d", "--network", "blue")
    said(client("run", *on_blue, "--name", "db", "busybox", "sleep", "99"))
    said(client("run", *on_blue, "--name", "web", "--link", "db:store", "busybox", "sleep", "99"))
    said(client("run", "-d", "--name", "late", "busybox", "sleep", "99"))
    said(client("network", "connect", "--link", "db:Later", "blue", "late"))
    try:
        for name, alias in (("web", "store"), ("late", "later")):
            assert engine.docker("exec", name, "ping", "-c1", "-W2", alias).returncode == 0
        assert engine.docker("exec", "db", "ping", "-c1", "-W2", "store").returncode != 0
        shown = engine.inspect("web")
        assert shown["HostConfig"]["Links"] is None
        assert shown["NetworkSettings"]["Networks"]["blue"]["Links"] == ["db:store"]
        said(client("restart", "-t", "0", "db"))
        assert engine.docker("exec", "web", "ping", "-c1", "-W2", "store").returncode == 0
    finally:
        engine.remove_all_containers()
        client("network", "rm", "blue")


def test_bad_links(client: Run) -> None:
    """A container that is not there, and networks that know no links."""
    ran = client("run", "--rm", "--link", "nosuch", "busybox", "true")
    assert ran.returncode == 125
    assert "could not get container for nosuch" in ran.stderr
    ran = client("run", "--rm", "--network", "host", "--link", "nosuch", "busybox", "true")
    assert ran.returncode == 125
    assert "can't be used with links" in ran.stderr


# -- what other systems have -----------------------------------------------------------------


def test_isolation(client: Run) -> None:
    """`--isolation` has one value here."""
    assert said(client("run", "--rm", "--isolation", "default", "busybox", "echo", "x")) == "x"
    ran = client("run", "--rm", "--isolation", "hyperv", "busybox", "true")
    assert ran.returncode == 125
    assert "linux only supports 'default'" in ran.stderr


def test_windows_only_flags(client: Run) -> None:
    """`--cpu-count`, `--cpu-percent`, `--io-maxbandwidth`, `--io-maxiops` are told apart."""
    for flag, value in (("--cpu-count", "2"), ("--cpu-percent", "10"),
                        ("--io-maxbandwidth", "1m"), ("--io-maxiops", "10")):  # fmt: skip
        ran = client("run", "--rm", flag, value, "busybox", "echo", "x")
        assert ran.returncode == 1
        assert ran.stderr.startswith(f'"{flag}" is only supported on a Docker daemon running on')


def test_kernel_memory(client: Run) -> None:
    """`--kernel-memory` went away with API 1.42, and counts for nothing."""
    assert said(client("run", "--rm", "--kernel-memory", "50m", "busybox", "echo", "x")) == "x"


@pytest.mark.stock_differs  # dockerd 20.10 has other words, and CI's file systems vary
def test_storage_opt(client: Run) -> None:
    """`--storage-opt` needs a file system with project quotas; what it is told is named."""
    ran = client("run", "--rm", "--storage-opt", "size=1G", "busybox", "true")
    assert ran.returncode == 125
    assert "--storage-opt is supported only for overlay over xfs with 'pquota'" in ran.stderr
    ran = client("run", "--rm", "--storage-opt", "colour=red", "busybox", "true")
    assert ran.returncode == 125
    assert "colour" in ran.stderr


# -- sharing ---------------------------------------------------------------------------------


def test_ipc_pid_uts(client: Run, engine: Engine) -> None:
    """`--ipc`, `--pid` and `--uts`: of the host, and of another container."""
    engine.docker_ok(
        "run", "-d", "--name", "first", "--ipc", "shareable", "busybox", "sleep", "77"
    )
    look = "readlink /proc/self/ns/ipc; ps | grep -c 'sleep 77'"
    ipc = engine.docker_ok("exec", "first", "readlink", "/proc/self/ns/ipc")
    told = said(client("run", "--rm", "--ipc", "container:first", "--pid", "container:first",
                       "busybox", "sh", "-c", look)).split()  # fmt: skip
    assert told[0] == ipc
    assert int(told[1]) >= 1
    host = engine.machine.run("readlink", "/proc/self/ns/uts").stdout.strip()
    shared = said(
        client("run", "--rm", "--uts", "host", "busybox", "readlink", "/proc/self/ns/uts")
    )
    assert shared == host
    bad = client("run", "--rm", "--pid", "nonsense", "busybox", "true")
    assert bad.returncode == 125


def test_sysctl(client: Run) -> None:
    """`--sysctl` of the container's own namespaces."""
    told = said(client("run", "--rm", "--sysctl", "net.ipv4.ip_forward=0", "--sysctl",
                       "kernel.msgmax=9999", "busybox", "sh", "-c",
                       "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax"))  # fmt: skip
    assert told.split() == ["0", "9999"]
    bad = client("run", "--rm", "--sysctl", "kernel.hostname=x", "busybox", "true")
    assert bad.returncode in (125, 126)


def test_stop_timeout(client: Run, engine: Engine) -> None:
    """`--stop-timeout` is how long `stop` waits."""
    said(client("run", "-d", "--name", "deaf", "--stop-timeout", "1", "busybox", "sh", "-c",
                "trap '' TERM; while :; do sleep 0.1; done"))  # fmt: skip
    assert engine.inspect("deaf")["Config"]["StopTimeout"] == 1
    began = time.monotonic()
    engine.docker_ok("stop", "deaf")
    assert time.monotonic() - began < 8
    wait_until("it has ended", lambda: engine.inspect("deaf")["State"]["ExitCode"] == 137)
