"""`wherry` says what `docker` says, to the same engine."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.terminal import Terminal

pytestmark = pytest.mark.stock_differs


@pytest.fixture
def populated(engine: Engine) -> Engine:
    """An engine with a running, an exited and a created container."""
    engine.docker_ok(
        "run", "-d", "--name", "runs", "-p", "8080:80", "-l", "a=b", "busybox", "sleep", "99"
    )
    engine.docker("run", "--name", "ended", "busybox", "sh", "-c", "echo said; exit 3")
    engine.docker_ok("create", "--name", "waits", "busybox", "true")
    return engine


SAME = [
    (
        "ps",
        "-a",
        "--no-trunc",
        "--format",
        "{{.ID}} {{.Names}} {{.Image}} {{.Command}} {{.Ports}}",
    ),
    ("ps", "-aq"),
    ("ps", "-a", "--format", "table {{.Names}}\t{{.State}}"),
    ("ps", "-a", "--format", "raw", "--filter", "status=created"),
    ("ps", "-a", "--format", "raw", "-s", "--filter", "status=created"),
    ("ps", "-aq", "--format", "raw"),
    ("ps", "-aq", "--format", "{{.Names}}"),
    ("ps", "-a", "--filter", "status=exited", "--format", "{{json .Names}}"),
    ("images",),
    ("images", "-q", "--no-trunc"),
    ("images", "--format", "raw"),
    ("images", "--format", "raw", "--digests"),
    ("images", "-q", "--format", "raw"),
    ("images", "-q", "--format", "{{.Tag}}"),
    ("history", "-q", "busybox"),
    ("history", "-q", "--format", "{{.Size}}", "busybox"),
    ("network", "ls", "--format", "raw"),
    ("network", "ls", "-q", "--format", "raw"),
    ("network", "ls", "-q", "--format", "{{.Name}}"),
    ("volume", "ls", "--format", "raw"),
    ("volume", "ls", "-q", "--format", "raw"),
    ("volume", "ls", "-q", "--format", "{{.Driver}}"),
    ("plugin", "ls", "--format", "raw"),
    ("plugin", "ls", "-q"),
    ("images", "--format", "{{.Repository}}|{{.Tag}}|{{.Size}}"),
    ("inspect", "runs", "--format", "{{.State.Status}} {{.Config.Image}} {{json .Config.Labels}}"),
    ("inspect", "-f", "{{range $k, $v := .NetworkSettings.Ports}}{{$k}}{{end}}", "runs"),
    ("inspect", "-f", "{{index .Config.Cmd 0}} {{len .Config.Env}}", "runs"),
    ("inspect", "nobody"),
    ("inspect", "-f", "{{.Nothing.Here}}", "runs"),
    ("image", "inspect", "busybox"),
    ("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Size}}", "busybox"),
    ("logs", "ended"),
    ("logs", "nobody"),
    ("port", "runs"),
    ("port", "runs", "80"),
    ("top", "nobody"),
    ("wait", "ended"),
    ("start", "nobody"),
    ("stop", "nobody"),
    ("rm", "runs"),
    ("kill", "ended"),
    ("exec", "ended", "true"),
    ("exec", "runs", "sh", "-c", "exit 7"),
    ("exec", "runs", "nosuch"),
    ("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 9"),
    ("run", "--rm", "busybox", "nosuch"),
    ("run", "--rm", "busybox", "/etc/passwd"),
    ("run", "--name", "runs", "busybox"),
    ("rmi", "busybox"),
    ("rename", "nobody", "else"),
    ("events", "--since", "1", "--until", "2"),
    ("system", "df"),
    ("system", "df", "-v"),
    ("system", "df", "--format", "json"),
    ("system", "df", "--format", "table {{.Type}}\t{{.Reclaimable}}"),
    ("system", "df", "-v", "--format", "{{range .Containers}}{{.Names}} {{.Size}};{{end}}"),
    ("container", "prune"),
    ("container", "prune", "-f", "--filter", "label=x"),
    ("image", "prune"),
    ("image", "prune", "-a"),
    ("image", "prune", "-f"),
    ("system", "prune"),
    ("system", "prune", "-a", "--volumes", "--filter", "label=x"),
    ("system", "prune", "--volumes", "--filter", "until=1h"),
]


@pytest.mark.parametrize("arguments", SAME, ids=" ".join)
def test_same_words_and_codes(populated: Engine, arguments: tuple[str, ...]) -> None:
    """Standard output and exit code are equal; errors say the same sentence."""
    theirs = populated.docker(*arguments)
    ours = populated.wherry(*arguments)
    if ours.stdout != theirs.stdout:  # An age may have become a second more between the two.
        theirs = populated.docker(*arguments)
    assert ours.stdout == theirs.stdout
    assert ours.returncode == theirs.returncode
    assert _sentences(ours.stderr) == _sentences(theirs.stderr)


@pytest.mark.parametrize("program", ["docker", "wherry"])
def test_prunes(engine: Engine, program: str) -> None:
    """What goes is told, with the space that it took."""
    client = engine.docker if program == "docker" else engine.wherry
    fill = "head -c 100000 /dev/zero > /file"
    engine.docker_ok("run", "--name", "full", "busybox", "sh", "-c", fill)
    identifier = engine.inspect("full")["Id"]
    told = client("system", "prune", "-f").stdout
    assert told == f"Deleted Containers:\n{identifier}\n\nTotal reclaimed space: 100kB\n"
    engine.docker_ok("create", "--name", "empty", "busybox")
    identifier = engine.inspect("empty")["Id"]
    asked = client("container", "prune", stdin="y\n").stdout
    assert f"Deleted Containers:\n{identifier}\n" in asked
    assert client("container", "prune", "-f").stdout == "Total reclaimed space: 0B\n"


def test_explain(engine: Engine) -> None:
    """`wherry explain` tells what was done to the kernel, why, and how."""
    engine.docker_ok(
        "run", "-d", "--name", "told", "-m", "64m", "-p", "8080:80", "busybox", "sleep", "99"
    )
    text = engine.wherry("explain", "told").stdout
    for word in ("cgroup", "overlay", "memory", "8080", "pivot_root", "seccomp"):
        assert word in text, word
    document = json.loads(engine.wherry("explain", "--format", "json", "told").stdout)
    assert document
    answer = engine.api("GET", "/wherry/containers/told/explain?format=json")
    assert answer.status == 200
    assert answer.json == document


def test_run_explain(engine: Engine) -> None:
    """`wherry run --explain` prints the story beside the container's own output."""
    ran = engine.wherry("run", "--rm", "--explain", "busybox", "echo", "hi")
    assert ran.returncode == 0
    assert "hi\n" in ran.stdout
    assert "pivot_root" in ran.stdout + ran.stderr


def test_a_removed_container_is_explained(engine: Engine) -> None:
    """Its journals are kept as long as its log is; what kept nothing is not half explained."""
    engine.docker_ok("run", "--name", "past", "busybox", "echo", "hi")
    told = engine.wherry("explain", "past").stdout
    assert "pivot_root" in told
    engine.docker_ok("rm", "past")
    assert engine.wherry("explain", "past").stdout == told
    engine.docker_ok("run", "--name", "silent", "busybox", "true")
    engine.docker_ok("rm", "silent")
    ran = engine.wherry("explain", "silent")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "No such container: silent" in ran.stderr


def test_interactive(engine: Engine) -> None:
    """`wherry run -it` has size, Ctrl-C, detach keys and the exit code."""
    own = [engine.program[0], "-P", "-m", "wherry.programs.wherry", "--no-autostart"]
    with Terminal(
        [*own, "run", "-it", "--name", "it", "busybox", "sh"], engine.environment
    ) as shell:
        shell.expect("/ # ")
        shell.resize(40, 100)
        shell.type("sleep 0.2; stty size\n")
        shell.expect("40 100")
        shell.type("sh -c \"echo u''p; exec sleep 1000\"\n")
        shell.expect("\r\nup\r\n")
        shell.type("\x10\x11")
        assert shell.wait() == 0
    assert engine.inspect("it")["State"]["Running"]
    with Terminal([*own, "attach", "it"], engine.environment) as again:
        again.wait_until_raw()
        again.type("\x03")
        again.expect("/ # ")
        again.type("exit 5\n")
        assert again.wait() == 5


def _sentences(text: str) -> list[str]:
    """Lines of an error without the program's own name."""
    return [
        line.replace("docker: ", "").replace("wherry: ", "").replace("'docker ", "'wherry ")
        for line in text.splitlines()
        if line.strip()
    ]


@pytest.fixture
def proxied(engine: Engine) -> Iterator[Engine]:
    """An engine whose users' configuration file names proxies."""
    file = Path(engine.environment["DOCKER_CONFIG"]) / "config.json"
    before = file.read_text() if file.exists() else ""
    proxies = {"httpProxy": "http://proxy.test:1", "noProxy": "a.test", "allProxy": "socks5://p:2"}
    file.write_text(json.dumps({**json.loads(before or "{}"), "proxies": {"default": proxies}}))
    yield engine
    if before:
        file.write_text(before)
    else:
        file.unlink()
    engine.docker("rmi", "-f", "told")
    engine.docker("network", "prune", "-f")
    engine.docker("builder", "prune", "-af")


def test_proxies_of_the_configuration_file(proxied: Engine, tmp_path: Path) -> None:
    """Containers and builds are given them, but for what their user says himself."""
    engine = proxied
    named = tmp_path / "named"
    named.write_text("HTTP_PROXY=of-the-file\nOTHER=x\n")
    flags = ("run", "--rm", "--env-file", str(named), "-e", "NO_PROXY=mine", "-e", "all_proxy")
    told = [set(run(*flags, "busybox", "env").stdout.splitlines())
            for run in (engine.docker, engine.wherry)]  # fmt: skip
    told = [{each for each in one if "HOSTNAME" not in each} for one in told]
    assert told[0] == told[1]
    assert told[1] >= {"NO_PROXY=mine", "no_proxy=a.test", "http_proxy=http://proxy.test:1"}
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN env > /told\n")
    ran = engine.wherry("build", "-t", "told", "--build-arg", "NO_PROXY=mine", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    told_in_build = engine.docker_ok("run", "--rm", "told", "cat", "/told").splitlines()
    assert {"NO_PROXY=mine", "HTTP_PROXY=http://proxy.test:1"} <= set(told_in_build)
    (tmp_path / "compose.yaml").write_text(
        "services: {web: {image: busybox, environment: {NO_PROXY: mine}, command: env}}"
    )
    ran = engine.wherry("compose", "-f", str(tmp_path / "compose.yaml"), "run", "--rm", "web")
    assert {"NO_PROXY=mine", "HTTP_PROXY=http://proxy.test:1"} <= set(ran.stdout.split())
