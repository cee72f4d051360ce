"""The daemon by its flags and its file: TLS, several hosts, defaults, reload, refusals."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Certificates, make_certificates
from support.daemon import Engine
from support.machine import HOST_ADDRESS
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs
PROGRAM = (sys.executable, "-P", "-m", "wherry.programs.wherryd")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """For a server at the machine's own address."""
    return make_certificates(tmp_path_factory.mktemp("tls"), HOST_ADDRESS)


@pytest.fixture(scope="module")
def configured(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """An engine with a file full of settings, which listens in three places."""
    file = tmp_path_factory.mktemp("configured") / "daemon.json"
    file.write_text(json.dumps(SETTINGS))
    engine = Engine(
        *("--config-file", str(file), "--group", "0"),
        *("-H", "tcp://127.0.0.1:2375", "-H", f"tcp://{HOST_ADDRESS}"),
        *("--tlsverify", "--tlscacert", str(certificates.server / "ca.pem")),
        *("--tlscert", str(certificates.server / "cert.pem")),
        *("--tlskey", str(certificates.server / "key.pem")),
    )
    try:
        engine.start()
        engine.bootstrap()
        yield engine
    finally:
        engine.close()


SETTINGS = {
    "labels": ["place=here"],
    "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 123, "Hard": 456}},
    "default-shm-size": "32m",
    "default-ipc-mode": "shareable",
    "log-opts": {"max-file": "7"},
    "no-new-privileges": True,
    "seccomp-profile": "unconfined",
    "dns": ["10.1.2.3"],
    "dns-search": ["example.test"],
    "host-gateway-ip": "10.7.7.7",
    "cgroup-parent": "wherry-elsewhere",
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
    "features": {"buildkit": True},
    "containerd": "/run/containerd.sock",
    "proxies": {"http-proxy": "http://me:secret@proxy.test:3128"},
}


def test_security_in_info(configured: Engine) -> None:
    """What containers are kept from where they don't say, as `docker info` shows it."""
    told = json.loads(configured.docker_ok("info", "-f", "{{json .SecurityOptions}}"))
    assert "name=seccomp,profile=unconfined" in told
    assert told[-1] == "name=no-new-privileges"


# -- TLS -------------------------------------------------------------------------------------


def over_tls(engine: Engine, certificates: Certificates, command: str) -> str:
    """What a shell command prints inside the machine; `$DOCKER` is a client with TLS."""
    docker = (
        f"docker -H tcp://{HOST_ADDRESS}:2376 --tlsverify"
        f" --tlscacert {certificates.directory}/ca.pem"
        f" --tlscert {certificates.directory}/cert.pem --tlskey {certificates.directory}/key.pem"
    )
    ran = engine.machine.run("env", f"DOCKER={docker}", "sh", "-c", command)
    return ran.stdout + ran.stderr


def test_mutual_tls(configured: Engine, certificates: Certificates) -> None:
    """The stock client works over TLS, attached streams and their half-close included."""
    told = over_tls(configured, certificates, "$DOCKER version --format '{{.Server.Version}}'")
    assert told[0].isdigit(), told
    command = "printf 'in and out' | $DOCKER run --rm -i busybox sh -c 'cat; sleep 1; echo !'"
    assert over_tls(configured, certificates, command) == "in and out!\n"
    much = "$DOCKER run --rm busybox head -c 3000000 /dev/zero | wc -c"
    assert over_tls(configured, certificates, much).strip() == "3000000"


def test_tls_needs_a_certificate_of_ours(configured: Engine, certificates: Certificates) -> None:
    """Neither a client without one nor plain text gets an answer."""
    bare = f"docker -H tcp://{HOST_ADDRESS}:2376 --tls --tlscacert /nowhere ps"
    refused = configured.machine.run("sh", "-c", bare)
    assert refused.returncode != 0
    plain = configured.machine.run("docker", "-H", f"tcp://{HOST_ADDRESS}:2376", "ps")
    assert plain.returncode != 0
    assert over_tls(configured, certificates, "$DOCKER ps -q") == ""


def test_a_context_of_tls(configured: Engine, certificates: Certificates, tmp_path: Path) -> None:
    """`docker context` keeps address and certificates; every command follows it."""
    at = (
        f"host=tcp://{HOST_ADDRESS}:2376,ca={certificates.directory}/ca.pem,"
        f"cert={certificates.directory}/cert.pem,key={certificates.directory}/key.pem"
    )
    run = configured.machine.run
    where = f"DOCKER_CONFIG={tmp_path}"
    made = run("env", where, "docker", "context", "create", "far", "--docker", at)
    assert made.returncode == 0, made.stderr
    listed = run("env", where, "docker", "--context", "far", "info", "-f", "{{json .Labels}}")
    assert listed.stdout == '["place=here"]\n', listed.stderr


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["-H", "tcp://0.0.0.0:2375"], "TCP without TLS is served on loopback addresses only"),
        (["-H", "tcp://0.0.0.0:1", "--tlsverify"], "could not load X509 key pair"),
        (["-H", "fd://"], "no sockets found via socket activation"),
        (["--group", "nobody-s"], "group nobody-s not found"),
        (["--config-file", "/nowhere"], "No such file"),
        (["--bip", "foo"], "invalid bip 'foo': must be an IPv4 address with a prefix length"),
        (["--selinux-enabled"], "--selinux-enabled true is not there yet"),
    ],
)
def test_refused_starts(flags: list[str], sentence: str, tmp_path: Path) -> None:
    """One sentence, exit code 1, and nothing is left behind."""
    engine = Engine()
    try:
        command = (*PROGRAM, "-H", f"unix://{engine.socket}", "--data-root",
                   str(engine.data_root), "--exec-root", str(engine.exec_root), "--pidfile",
                   str(engine.pid_file), *flags)  # fmt: skip
        ran = engine.machine.run("env", f"DOCKER_CONFIG={tmp_path}", *command)
        assert ran.returncode == 1
        assert sentence in ran.stderr
        assert not engine.pid_file.exists()
        assert not Path(engine.socket).exists()
        assert not engine.data_root.exists()
        assert not engine.exec_root.exists()
    finally:
        engine.close()


def test_a_refused_start_leaves_what_was_there(tmp_path: Path) -> None:
    """Directories that somebody else made are no business of a start that fails."""
    engine = Engine("--bip", "foo")
    try:
        for root in (engine.data_root, engine.exec_root):
            (root / "mine").mkdir(parents=True)
        with pytest.raises(AssertionError, match="invalid bip"):
            engine.start()
        assert (engine.data_root / "mine").exists()
        assert (engine.exec_root / "mine").exists()
    finally:
        engine.close()


def test_open_tcp_must_be_said(tmp_path: Path) -> None:
    """`--tls=false` is Docker's word for: I know what I do."""
    engine = Engine("-H", f"tcp://{HOST_ADDRESS}:2375", "--tls=false")
    try:
        engine.start()
        told = engine.machine.run("docker", "-H", f"tcp://{HOST_ADDRESS}:2375", "ps", "-q")
        assert (told.returncode, told.stdout) == (0, "")
        assert "whoever reaches it is root" in engine.log_tail()
    finally:
        engine.close()


# -- defaults --------------------------------------------------------------------------------


def test_defaults_of_the_file_reach_containers(configured: Engine) -> None:
    """Ulimits, /dev/shm, privileges, name servers, the gateway, logs, cgroups."""
    look = (
        "ulimit -n; ulimit -Hn; df -k /dev/shm | tail -1 | awk '{print $2}';"
        " grep NoNewPrivs /proc/self/status; cat /etc/resolv.conf; grep over /etc/hosts;"
        " cat /proc/self/cgroup"
    )
    told = configured.docker_ok(
        "run", "--name", "told", "--add-host", "over:host-gateway", "busybox", "sh", "-c", look
    ).split()
    assert told[:3] == ["123", "456", str(32 << 10)]
    words = " ".join(told)
    assert "NoNewPrivs: 1" in words
    assert "nameserver 10.1.2.3 search example.test" in words
    assert "10.7.7.7 over" in words
    assert "/wherry-elsewhere/" in words
    shown = configured.inspect("told")["HostConfig"]
    assert shown["Ulimits"] == [{"Name": "nofile", "Hard": 456, "Soft": 123}]
    assert (shown["ShmSize"], shown["IpcMode"]) == (32 << 20, "shareable")
    assert shown["LogConfig"]["Config"] == {"max-size": "20m", "max-file": "7"}
    own = configured.docker_ok(
        "run", "--rm", "--ulimit", "nofile=7:8", "--dns", "10.0.0.9", "--shm-size", "1m",
        "busybox", "sh", "-c", "ulimit -n; cat /etc/resolv.conf",
    )  # fmt: skip
    assert own.split()[:3] == ["7", "nameserver", "10.0.0.9"]
    configured.remove_all_containers()


def test_info_tells_what_was_set(configured: Engine) -> None:
    """Labels and the proxy, whose password nobody needs to see."""
    info = configured.api("GET", "/info").json
    assert info["Labels"] == ["place=here"]
    assert info["HttpProxy"] == "http://xxxxx:xxxxx@proxy.test:3128"


def test_meaningless_options_are_told_once(configured: Engine) -> None:
    """One warning line each."""
    log = configured.log_file.read_text()
    assert log.count("containerd has no meaning here: there is no containerd") == 1


# -- reload ----------------------------------------------------------------------------------


def test_reload(fresh_engine: Engine, tmp_path: Path) -> None:
    """SIGHUP takes a good file over, tells it as an event, and leaves a bad one alone."""
    engine, file = fresh_engine, tmp_path / "daemon.json"
    file.write_text('{"labels": ["a=1"]}')
    engine.stop()
    engine.start("--config-file", str(file))
    assert engine.api("GET", "/info").json["Labels"] == ["a=1"]
    before = time.time()

    file.write_text(json.dumps({"labels": ["a=2"], "debug": True, "default-shm-size": "8m",
                                "registry-mirrors": ["https://mirror.test"],
                                "runtimes": {"mine": {"path": "/nowhere/runc"}},
                                "default-runtime": "mine"}))  # fmt: skip
    os.kill(engine.pid, signal.SIGHUP)
    event = wait_until(
        "the reload is an event", lambda: engine.events_since(before, type=["daemon"])
    )
    attributes = event[0]["Actor"]["Attributes"]
    assert event[0]["Action"] == "reload"
    assert (attributes["labels"], attributes["debug"]) == ('["a=2"]', "true")
    info = engine.api("GET", "/info").json
    assert (info["Labels"], info["Debug"]) == (["a=2"], True)
    assert info["RegistryConfig"]["Mirrors"] == ["https://mirror.test/"]
    assert "mine:/nowhere/runc" in attributes["runtimes"].split(" ")
    assert (attributes["default-runtime"], info["DefaultRuntime"]) == ("mine", "mine")
    assert "/nowhere/runc" in engine.docker("run", "--rm", "busybox", "true").stderr
    assert engine.docker_ok(
        "run",
        "--rm",
        "--runtime",
        "wherry",
        "busybox",
        "sh",
        "-c",
        "df -k /dev/shm | tail -1 | awk '{print $2}'",
    ) == str(8 << 10)

    for bad in ('{"labels": "a=3"}', "{", '{"nonsense": 1}'):
        file.write_text(bad)
        size = engine.log_file.stat().st_size
        os.kill(engine.pid, signal.SIGHUP)
        wait_until(
            "the refusal is logged",
            lambda size=size: "not_reloaded" in engine.log_tail(since_byte=size),
        )
    assert engine.api("GET", "/info").json["Labels"] == ["a=2"]


def test_called_dockerd(fresh_engine: Engine) -> None:
    """By that name it listens where docker looks, without a word about it."""
    machine, place = fresh_engine.machine, fresh_engine.root
    fresh_engine.stop()
    launcher, log = place / "dockerd", place / "dockerd.log"
    launcher.write_text(
        f"#!{sys.executable} -P\nfrom wherry.programs.wherryd import main\n"
        "raise SystemExit(main())\n"
    )
    launcher.chmod(0o755)
    script = (
        f"{launcher} --data-root {fresh_engine.data_root} --exec-root {fresh_engine.exec_root}"
        f" --bridge none --containerd /run/containerd.sock 2>{log} & pid=$!;"
        " for i in $(seq 200); do env -u DOCKER_HOST docker version -f '{{.Server.Version}}'"
        " 2>/dev/null && break; sleep 0.1; done; kill $pid; wait $pid; ls /var/run/docker.pid"
    )
    told = machine.run("sh", "-c", script)
    assert told.stdout.strip()[:1].isdigit(), (told, log.read_text())
    assert "--containerd has no meaning here" in log.read_text()
    assert "No such file" in told.stderr
