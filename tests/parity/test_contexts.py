"""Engines by name and far away: contexts in docker's store, TLS, and ssh through a real sshd."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.certificates import Certificates, make_certificates
from support.daemon import Engine, Ran
from support.machine import HOST_ADDRESS
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs
WHERRY = (sys.executable, "-P", "-m", "wherry.programs.wherry", "--no-autostart")
Client = Callable[..., Ran]


def client(program: tuple[str, ...], directory: Path, **environment: str) -> Client:
    """A client with a configuration directory of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "WHERRY_"))}

    def run(*words: str, stdin: bytes = b"") -> Ran:
        ran = subprocess.run(
            [*program, *words],
            env={**kept, "DOCKER_CONFIG": str(directory), **environment},
            capture_output=True,
            input=stdin,
            cwd=directory,
            check=False,
        )
        shown = (ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))
        return Ran(ran.args, ran.returncode, *shown)

    return run


# -- the store -------------------------------------------------------------------------------

STEPS = (
    ("context", "ls"),
    ("context", "create", "far", "--docker", "host=ssh://u@h:22", "--description", "A place"),
    ("context", "create", "far"),
    ("context", "create", "a b"),
    ("context", "create", "default"),
    ("context", "create", "bad", "--docker", "foo=bar"),
    ("context", "create", "bad", "--docker", "host=tcp://h:1,ca=/nowhere"),
    ("context", "create", "copy", "--from", "far"),
    ("context", "create", "tls", "--docker",
     "host=tcp://h:2376,ca=client/ca.pem,cert=client/cert.pem,key=client/key.pem"),
    ("context", "update", "copy", "--description", "Another"),
    ("context", "update", "nowhere", "--description", "x"),
    ("context", "ls"),
    ("context", "ls", "--format", "{{.Name}} {{.Current}} {{.DockerEndpoint}}"),
    ("context", "ls", "-q"),
    ("context", "inspect", "far", "copy", "tls"),
    ("context", "inspect", "nowhere"),
    ("context", "inspect", "-f", "{{.Name}} {{.Endpoints.docker.Host}}", "far"),
    ("context", "use", "far"),
    ("context", "show"),
    ("context", "ls"),
    ("context", "use", "nowhere"),
    ("context", "rm", "far"),
    ("context", "export", "tls"),
    ("context", "export", "tls"),
    ("context", "import", "again", "tls.dockercontext"),
    ("context", "import", "again", "tls.dockercontext"),
    ("context", "import", "junk", "client/ca.pem"),
    ("context", "inspect", "again"),
    ("context", "rm", "-f", "far"),
    ("context", "show"),
    ("context", "rm", "default"),
    ("context", "rm", "copy", "nowhere", "again"),
    ("-c", "nowhere", "ps"),
    ("-c", "tls", "-H", "unix:///x", "ps"),
)  # fmt: skip

DIFFERENT = frozenset({("context", "import", "junk", "client/ca.pem")})
"""Both refuse, each in its archive library's words."""


def test_the_store_is_dockers(tmp_path: Path) -> None:
    """Step by step, both clients say the same and leave the same files."""
    clients = {}
    for name, program in (("docker", ("docker",)), ("wherry", WHERRY)):
        directory = tmp_path / name
        make_certificates(directory)
        clients[name] = client(program, directory)
    for words in STEPS:
        stock, own = clients["docker"](*words), clients["wherry"](*words)
        assert own.returncode == stock.returncode, (words, own, stock)
        if words in DIFFERENT:
            continue
        assert _neutral(own.stdout) == _neutral(stock.stdout), words
        assert _neutral(own.stderr) == _neutral(stock.stderr), words
    files = {
        name: {
            str(path.relative_to(tmp_path / name)): json.loads(path.read_text())
            for path in (tmp_path / name).rglob("meta.json")
        }
        for name in clients
    }
    assert files["wherry"] == files["docker"]
    assert files["docker"]
    shutil.copytree(tmp_path / "wherry" / "contexts", tmp_path / "docker" / "contexts",
                    dirs_exist_ok=True)  # fmt: skip
    assert clients["docker"]("context", "inspect", "tls").returncode == 0


def _neutral(text: str) -> str:
    """Without the names of directories and programs."""
    for own, stock in (("/wherry/", "/docker/"), ("unix:///run/wherry.sock   ",
                       "unix:///var/run/docker.sock"), ("unix:///run/wherry.sock",
                       "unix:///var/run/docker.sock")):  # fmt: skip
        text = text.replace(own, stock)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(lines)


# -- far away --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """For a server at the machine's own address."""
    return make_certificates(tmp_path_factory.mktemp("tls"), HOST_ADDRESS)


@pytest.fixture(scope="module")
def far(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine behind TLS, on a machine with an sshd."""
    engine = Engine(
        *("-H", f"tcp://{HOST_ADDRESS}:2376", "--tlsverify"),
        *("--tlscacert", str(certificates.server / "ca.pem")),
        *("--tlscert", str(certificates.server / "cert.pem")),
        *("--tlskey", str(certificates.server / "key.pem")),
    )
    try:
        engine.start()
        engine.bootstrap()
        yield engine
    finally:
        engine.close()


@pytest.mark.slide("16.3")
def test_wherry_over_tls(far: Engine, certificates: Certificates, tmp_path: Path) -> None:
    """By flags, by the environment, by a context; streams keep their half-close."""
    keys = certificates.directory
    at = f"host=tcp://{HOST_ADDRESS}:2376,ca={keys}/ca.pem,cert={keys}/cert.pem,key={keys}/key.pem"
    wherry = " ".join(WHERRY)
    script = f"""
    set -e
    export DOCKER_CONFIG={tmp_path}
    {wherry} -H tcp://{HOST_ADDRESS} --tlsverify --tlscacert {keys}/ca.pem \
        --tlscert {keys}/cert.pem --tlskey {keys}/key.pem version -f '{{{{.Server.Os}}}}'
    DOCKER_HOST=tcp://{HOST_ADDRESS}:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH={keys} \
        {wherry} ps -q
    {wherry} context create far --docker {at} >/dev/null 2>&1
    printf 'there and back' | {wherry} -c far run --rm -i busybox sh -c 'cat; sleep 0.5; echo .'
    {wherry} context use far >/dev/null 2>&1
    {wherry} run --rm busybox head -c 2000000 /dev/zero | wc -c
    """
    ran = far.machine.run("sh", "-c", script)
    assert (ran.stdout, ran.stderr) == ("linux\nthere and back.\n2000000\n", "")


def test_wherry_names_what_is_wrong_with_tls(
    far: Engine, certificates: Certificates, tmp_path: Path
) -> None:
    """A stranger's certificate, and none."""
    others = make_certificates(tmp_path / "others", HOST_ADDRESS).directory
    ran = far.machine.run(
        *WHERRY,
        "-H",
        f"tcp://{HOST_ADDRESS}",
        "--tlsverify",
        "--tlscacert",
        f"{others}/ca.pem",
        "ps",
    )
    assert ran.returncode == 1
    assert "refused: " in ran.stderr
    ran = far.machine.run(*WHERRY, "-H", f"tcp://{HOST_ADDRESS}:2376", "ps")
    assert ran.returncode == 1


@pytest.fixture
def sshd(far: Engine, tmp_path: Path) -> Iterator[None]:
    """A real sshd in the engine's machine that lets a new key in; ssh knows both."""
    place = tmp_path / "ssh"
    place.mkdir()
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name], check=True
        )
    shutil.copy(place / "user.pub", place / "authorized")
    commands = place / "bin"
    commands.mkdir()
    (commands / "wherry").write_text(f'#!/bin/sh\nexec {" ".join(WHERRY)} "$@"\n')
    (commands / "wherry").chmod(0o755)
    (place / "sshd_config").write_text(
        f"ListenAddress {HOST_ADDRESS}:2222\nHostKey {place}/host\nPidFile {place}/pid\n"
        f"AuthorizedKeysFile {place}/authorized\nStrictModes no\nUsePAM no\n"
        f"SetEnv DOCKER_HOST=unix://{far.socket} PATH={commands}:{os.environ['PATH']}\n"
    )
    (place / "ssh_config").write_text(
        f"Host *\n  IdentityFile {place}/user\n  StrictHostKeyChecking no\n"
        "  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
    )
    run = far.machine.run
    assert run("mount", "--bind", str(place), "/etc/ssh").returncode == 0
    assert run("mkdir", "-p", "/run/sshd").returncode == 0
    assert run("/usr/sbin/sshd", "-f", f"{place}/sshd_config").returncode == 0
    wait_until("sshd has written its pid", (place / "pid").exists)
    yield
    run("sh", "-c", f"kill $(cat {place}/pid); umount /etc/ssh")


def test_both_clients_over_ssh(far: Engine, sshd: None) -> None:
    """`-H ssh://` runs `system dial-stdio` over there; attached input ends, output goes on."""
    where = f"ssh://root@{HOST_ADDRESS}:2222"
    for program in ("docker", " ".join(WHERRY)):
        script = (
            f"{program} -H {where} version -f '{{{{.Server.Os}}}}';"
            f" printf 'far' | {program} -H {where} run --rm -i busybox"
            " sh -c 'cat; sleep 0.3; echo !'"
        )
        ran = far.machine.run("sh", "-c", script)
        assert ran.stdout == "linux\nfar!\n", (program, ran.stderr)
    missing = far.machine.run(*WHERRY, "-H", f"{where}/nowhere.sock", "ps")
    assert missing.returncode == 1
    assert "nowhere.sock" in missing.stderr
