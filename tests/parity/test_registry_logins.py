"""Registries that want to know who asks, by the stock CLI and by ours."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine, Ran
from support.debian_registry import anew, debian_registry

pytestmark = [pytest.mark.timeout(180), pytest.mark.stock_differs]

_ANN = "ann:$2b$12$edOdKJ/yg1A.WhWTziSXoeQt5I9Ih7Fvv/2iSPb4hhMQAqz0ZLvi2\n"
"""The bcrypt line of ann, whose password is `secret`."""


@pytest.fixture(scope="module")
def registry(shared_engine: Engine) -> Iterator[str]:
    """A registry that knows ann only."""
    with debian_registry(shared_engine, port=5001, passwords=_ANN) as name:
        yield name
    anew(shared_engine)


@pytest.fixture(params=["docker", "wherry"])
def client(request: pytest.FixtureRequest) -> str:
    """The stock CLI, and ours."""
    return str(request.param)


def say(engine: Engine, client: str, *words: str, stdin: str | None = None) -> Ran:
    """One command line; our name in its texts is told as docker's."""
    ran = getattr(engine, client)(*words, stdin=stdin)
    for stream in ("stdout", "stderr"):
        setattr(ran, stream, getattr(ran, stream).replace("wherry log", "docker log"))
    assert isinstance(ran, subprocess.CompletedProcess)
    return ran


def config_of(engine: Engine) -> Path:
    """The clients' configuration file."""
    return Path(engine.environment["DOCKER_CONFIG"]) / "config.json"


@pytest.fixture(autouse=True)
def _no_logins(engine: Engine) -> Iterator[None]:
    yield
    config_of(engine).unlink(missing_ok=True)


def test_a_login_is_checked_kept_and_forgotten(engine: Engine, registry: str, client: str) -> None:
    """Login, login again with what is kept, logout: the same words, and the same file."""
    first = say(engine, client, "login", "-u", "ann", "--password-stdin", registry, stdin="secret")
    path = config_of(engine)
    assert (first.returncode, first.stdout) == (0, "Login Succeeded\n")
    assert f"Your credentials are stored unencrypted in '{path}'." in first.stderr
    assert json.loads(path.read_text()) == {"auths": {registry: {"auth": "YW5uOnNlY3JldA=="}}}
    assert path.stat().st_mode & 0o777 == 0o600
    again = say(engine, client, "login", registry)
    assert (again.returncode, again.stdout) == (0, "Login Succeeded\n")
    assert again.stderr == (
        "Authenticating with existing credentials... [Username: ann]\n\n Info -> To login with a "
        "different account, run 'docker logout' followed by 'docker login'\n\n\n"
    )
    out = say(engine, client, "logout", registry)
    assert out.stdout == f"Removing login credentials for {registry}\n"
    assert json.loads(path.read_text()) == {"auths": {}}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-u", "ann", "-p", "wrong", "{registry}"),
         "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n"
         'Error response from daemon: Get "https://{registry}/v2/": '
         "unauthorized: authentication required\n"),
        (("-u", "ann", "{registry}"),
         "Error: Cannot perform an interactive login from a non TTY device\n"),
        (("--password-stdin", "{registry}"),
         "the --password-stdin option requires --username to be set\n"),
    ],
)  # fmt: skip
def test_logins_that_fail(
    engine: Engine, registry: str, client: str, words: tuple[str, ...], told: str
) -> None:
    """In the same words, and nothing is kept."""
    ran = say(engine, client, "login", *(each.format(registry=registry) for each in words))
    assert ran.returncode == 1
    assert ran.stderr == told.format(registry=registry)
    assert not config_of(engine).exists()


def test_without_a_login_nothing_passes(engine: Engine, registry: str, client: str) -> None:
    """The client is told why, and does not ask for a password in the middle of a script."""
    name = f"{registry}/secret/box:v1"
    engine.docker_ok("tag", "busybox", name)
    reason = "no basic auth credentials"
    for words in (("push", name), ("pull", f"{registry}/secret/none")):
        ran = say(engine, client, *words)
        assert ran.returncode == 1
        assert ran.stderr.rstrip().endswith(reason), ran.stderr
    engine.docker_ok("rmi", name)


def test_a_login_lets_images_pass(engine: Engine, registry: str, client: str) -> None:
    """Push, remove, run: `run` pulls as the user who logged in."""
    name = f"{registry}/secret/{client}:v1"
    say(engine, client, "login", "-u", "ann", "--password-stdin", registry, stdin="secret")
    engine.docker_ok("tag", "busybox", name)
    assert say(engine, client, "push", "-q", name).stdout == f"{name}\n"
    engine.docker_ok("rmi", name)
    refused = say(engine, client, "run", "--rm", "--pull", "never", name, "true")
    assert refused.returncode == 125
    assert f"No such image: {name}" in refused.stderr
    ran = say(engine, client, "run", "--rm", name, "echo", "ran")
    assert (ran.returncode, ran.stdout) == (0, "ran\n")
    assert f"Unable to find image '{name}' locally\nv1: Pulling from secret/" in ran.stderr
    assert f"Status: Downloaded newer image for {name}" in ran.stderr
    always = say(engine, client, "run", "--rm", "--pull", "always", name, "true")
    assert f"Status: Image is up to date for {name}" in always.stderr
    engine.docker_ok("rmi", name)


def test_all_tags_both_ways(engine: Engine, registry: str, client: str) -> None:
    """`--all-tags`, and its refusals."""
    repository = f"{registry}/tags/{client}"
    say(engine, client, "login", "-u", "ann", "--password-stdin", registry, stdin="secret")
    for tag in ("a", "b"):
        engine.docker_ok("tag", "busybox", f"{repository}:{tag}")
    pushed = say(engine, client, "push", "-a", repository)
    assert [line for line in pushed.stdout.splitlines() if "digest:" in line] == [
        line for line in pushed.stdout.splitlines() if line.startswith(("a: d", "b: d"))
    ]
    engine.docker_ok("rmi", f"{repository}:a", f"{repository}:b")
    pulled = say(engine, client, "pull", "-a", repository)
    assert pulled.stdout.splitlines()[-1] == repository
    tags = engine.docker_ok("images", "--format", "{{.Tag}}", repository).split()
    assert sorted(tags) == ["a", "b"]
    for verb in ("pull", "push"):
        ran = say(engine, client, verb, "-a", f"{repository}:a")
        assert ran.stderr == "tag can't be used with --all-tags/-a\n"
    engine.docker_ok("rmi", f"{repository}:a", f"{repository}:b")


def test_credential_helpers(
    engine: Engine, registry: str, client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a helper keeps is never in the file, and is what pushes are made with."""
    helper = tmp_path / "docker-credential-box"
    helper.write_text(
        "#!/bin/sh\n"
        f'box={tmp_path}/box; case "$1" in\n'
        "store) cat > $box;;\n"
        "erase) rm -f $box;;\n"
        "get) test -e $box && cat $box || "
        '{ echo "credentials not found in native keychain"; exit 1; };;\n'
        "esac\n"
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    config_of(engine).write_text(json.dumps({"credHelpers": {registry: "box"}, "kept": [1]}))
    ran = say(engine, client, "login", "-u", "ann", "--password-stdin", registry, stdin="secret")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads((tmp_path / "box").read_text()) == {
        "ServerURL": registry, "Username": "ann", "Secret": "secret",
    }  # fmt: skip
    kept = json.loads(config_of(engine).read_text())
    assert kept["auths"] == {registry: {}}
    name = f"{registry}/helped/{client}:v1"
    engine.docker_ok("tag", "busybox", name)
    assert say(engine, client, "push", "-q", name).returncode == 0
    say(engine, client, "logout", registry)
    assert not (tmp_path / "box").exists()
    assert say(engine, client, "push", "-q", name).returncode == 1
    engine.docker_ok("rmi", name)


def test_a_configuration_that_is_no_json_stays(engine: Engine, registry: str) -> None:
    """What cannot be read is not written anew: a login says so and ends."""
    config_of(engine).write_text("{ half a file")
    ran = engine.wherry("login", "-u", "ann", "--password-stdin", registry, stdin="secret")
    assert ran.returncode == 1
    assert "loading config file" in ran.stderr
    assert config_of(engine).read_text() == "{ half a file"


def test_search_tells_what_is_missing(engine: Engine, registry: str) -> None:
    """Our `search` shows the engine's reason."""
    ran = engine.wherry("search", f"{registry}/box")
    assert ran.returncode == 1
    assert "Error response from daemon:" in ran.stderr
