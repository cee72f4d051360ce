"""Builds by BuildKit's own protocol: the real Compose v2, and the stock CLI with buildx."""

import json
import os
import re
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.buildx import BuildClient
from support.daemon import Engine
from support.waiting import wait_until

pytestmark = pytest.mark.skipif(
    os.environ.get("WHERRY_TEST_ENGINE") == "dockerd", reason="this host has no newer dockerd"
)

COMPOSE_FILE = "services:\n  web:\n    build: .\n    image: webby\n"
SMALL = "FROM busybox\nCOPY hello.txt /hello\nRUN cat /hello; echo done > /done\nENV A=1\n"


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[BuildClient]:
    """A client with a directory of its own; what it built goes again."""
    directory = tmp_path / "project"
    directory.mkdir()
    yield BuildClient(engine, directory)
    engine.remove_all_containers()
    names = engine.docker_ok("images", "-a", "--format", "{{.ID}} {{.Repository}}").splitlines()
    built = {each.split()[0] for each in names if not each.endswith(" busybox")}
    if built:
        engine.docker_ok("rmi", "-f", *sorted(built))
    engine.docker_ok("builder", "prune", "-af")


def sent(output: str) -> int:
    """Bytes of the build's context that travelled."""
    found = re.findall(r"transferring context: ([0-9.]+)([kMG]?)B", output)
    scale = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
    return int(sum(float(number) * scale[unit] for number, unit in found))


def test_compose_builds(engine: Engine, client: BuildClient) -> None:
    """With no change to it; the second time every step is known."""
    client.write(Dockerfile=SMALL, hello_txt="hi\n", compose_yaml=COMPOSE_FILE)
    first = client.compose("build").stdout
    assert "[web 3/3] RUN cat /hello; echo done > /done" in first
    assert re.search(r"^#\d+ [0-9.]+ hi$", first, re.MULTILINE), "what a command writes is shown"
    assert engine.docker_ok("run", "--rm", "webby", "cat", "/hello", "/done") == "hi\ndone"
    second = client.compose("build").stdout
    assert second.count("CACHED") == 2, second
    assert "hi\n" not in second
    client.write(hello_txt="ho\n")
    assert "CACHED" not in client.compose("build").stdout
    assert engine.docker_ok("run", "--rm", "webby", "cat", "/hello") == "ho"


def test_the_stock_cli_builds_with_buildx(engine: Engine, client: BuildClient) -> None:
    """`docker build` asks the engine, hears that it speaks BuildKit, and does so itself."""
    client.write(Dockerfile=SMALL, hello_txt="hi\n")
    shown = client.docker("build", "--progress=plain", "-t", "one", "--iidfile", "id", ".").stderr
    for line in (
        r"#\d+ \[internal\] load build definition from Dockerfile",
        r"#\d+ transferring dockerfile: 77B done",
        r"#\d+ \[internal\] load \.dockerignore",
        r"#\d+ \[internal\] load build context",
        r"#\d+ transferring context: 3B done",
        r"#\d+ \[1/3\] FROM docker.io/library/busybox:latest",
        r"#\d+ \[2/3\] COPY hello.txt /hello",
        r"#\d+ \[3/3\] RUN cat /hello; echo done > /done",
        r"#\d+ DONE [0-9.]+s",
        r"#\d+ exporting to image",
        r"#\d+ naming to docker.io/library/one:latest done",
    ):
        assert re.search(f"^{line}$", shown, re.MULTILINE), f"{line}\n{shown}"
    image_id = engine.docker_ok("inspect", "-f", "{{.Id}}", "one")
    assert (client.directory / "id").read_text() == image_id
    assert client.docker("build", "-q", ".").stdout.strip() == image_id
    arguments = ("--build-arg", "WHO=you", "--label", "a=b", "--target", "first", "-t", "two")
    client.write(Dockerfile="FROM busybox AS first\nARG WHO\nRUN echo $WHO > /who\nFROM first\n")
    client.docker("build", *arguments, "-t", "three:x", ".")
    assert engine.docker_ok("run", "--rm", "three:x", "cat", "/who") == "you"
    assert engine.docker_ok("inspect", "-f", "{{.Config.Labels.a}}", "two") == "b"


def test_stages_are_named(client: BuildClient) -> None:
    """With more than one, each step says its own."""
    client.write(
        Dockerfile="FROM busybox AS made\nRUN echo x > /x\nFROM busybox\nCOPY --from=made /x /\n"
    )
    shown = client.docker("build", "--progress=plain", ".").stderr
    assert "[made 2/2] RUN echo x > /x" in shown
    assert "[stage-1 2/2] COPY --from=made /x /" in shown


def test_only_needed_files_travel(client: BuildClient) -> None:
    """Of a directory with a gigabyte in it, the one small file that is copied."""
    client.write(Dockerfile="FROM busybox\nCOPY small /\n", small="small\n")
    with (client.directory / "large").open("wb") as large:
        large.truncate(1 << 30)
    shown = client.docker("build", "--progress=plain", ".").stderr
    assert sent(shown) == len("small\n"), shown
    kept = client.engine.data_root / "build-contexts"
    assert not list(kept.glob("*/files/large"))


def test_unchanged_files_are_not_sent_again(client: BuildClient) -> None:
    """Of many files, the one that changed; what is ignored is never sent."""
    (client.directory / "many").mkdir()
    for number in range(300):
        (client.directory / f"many/{number}").write_text(f"{number:04}")
    client.write(Dockerfile="FROM busybox\nCOPY . /all\n", noise_log="n" * 100_000)
    client.write(_dockerignore="Dockerfile\n.docker*\n*.log")
    shown = client.docker("build", "--progress=plain", ".").stderr
    assert 1200 <= sent(shown) < 1300, shown
    (client.directory / "many/7").write_text("changed!")
    (client.directory / "many/8").unlink()
    shown = client.docker("build", "--progress=plain", "-t", "again", ".").stderr
    assert sent(shown) == len("changed!"), shown
    listed = client.engine.docker_ok(
        "run", "--rm", "again", "sh", "-c", "ls /all/many | wc -l; cat /all/many/7; ls -A /all"
    )
    assert listed.split() == ["299", "changed!many"]


def test_failures_show_the_line(engine: Engine, client: BuildClient) -> None:
    """Of a command, of the language, and of a file that is not there."""
    client.write(Dockerfile="FROM busybox\nRUN echo before; exit 7\nRUN true\n")
    failed = client.docker("build", "--progress=plain", "-t", "bad", ".", is_ok=False)
    assert failed.returncode == 1
    sentence = (
        'process "/bin/sh -c echo before; exit 7" did not complete successfully: exit code: 7'
    )
    assert f"ERROR: failed to solve: {sentence}" in failed.stderr
    assert "   2 | >>> RUN echo before; exit 7" in failed.stderr
    assert " > [2/3] RUN echo before; exit 7:" in failed.stderr
    client.write(Dockerfile="FROM busybox\nRUNN true\n")
    failed = client.docker("build", ".", is_ok=False)
    assert "unknown instruction: RUNN (did you mean RUN?)" in failed.stderr
    assert "   2 | >>> RUNN true" in failed.stderr
    client.write(Dockerfile="FROM busybox\nCOPY nofile /\n")
    failed = client.docker("build", ".", is_ok=False)
    assert 'failed to calculate checksum of ref: "/nofile": not found' in failed.stderr
    assert "   2 | >>> COPY nofile /" in failed.stderr
    failed = client.docker("build", "-f", "nowhere", ".", is_ok=False)
    assert "failed to read dockerfile: open nowhere: no such file or directory" in failed.stderr
    assert engine.docker_ok("images", "-aq", "bad") == ""
    assert engine.docker_ok("ps", "-aq") == ""


def test_a_client_that_leaves_takes_its_build_along(engine: Engine, client: BuildClient) -> None:
    """Killed in the middle of a command: no container, no mount and no file stay."""
    client.write(Dockerfile="FROM busybox\nCOPY here /\nRUN sleep 1000\n", here="x")
    before = engine.settled_census()
    client.docker("version")
    building = subprocess.Popen(
        ["docker", "build", "."],
        cwd=client.directory,
        env={**engine.environment, "DOCKER_CONFIG": str(client.config)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until("the command runs", lambda: engine.docker_ok("ps", "-q") != "")
    finally:
        os.killpg(building.pid, signal.SIGKILL)
        building.wait()
    wait_until("its container goes", lambda: engine.docker_ok("ps", "-aq") == "")
    engine.docker_ok("builder", "prune", "-af")
    assert not engine.leaks_since(before)
    assert not list((engine.data_root / "tmp").glob("client-*"))


MOUNTS = """FROM busybox
RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /seen
RUN --mount=type=cache,target=/cache echo x >> /cache/f; wc -l < /cache/f > /lines
COPY --from=named n.txt /n.txt
RUN --mount=type=bind,from=named,target=/m cat /m/n.txt > /n2.txt
RUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo agent > /agent
"""
MOUNTING = """services:
  web:
    image: webby
    build:
      context: .
      secrets: [token]
      ssh: [default]
      additional_contexts: {named: ./other}
secrets:
  token: {file: ./token.txt}
"""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """An SSH agent with a key; its socket."""
    socket = str(tmp_path / "agent")
    key = str(tmp_path / "key")
    serving = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        wait_until("the agent listens", lambda: Path(socket).exists())
        environment = {**os.environ, "SSH_AUTH_SOCK": socket}
        subprocess.run(["ssh-add", "-q", key], env=environment, check=True)
        yield socket
    finally:
        serving.terminate()
        serving.wait()


def test_compose_builds_with_secrets_agents_caches_and_contexts(
    engine: Engine, client: BuildClient, agent: str
) -> None:
    """All that only the client has is asked of it, when a step wants it."""
    (client.directory / "other").mkdir()
    (client.directory / "other/n.txt").write_text("named\n")
    client.write(Dockerfile=MOUNTS, compose_yaml=MOUNTING, token_txt="sesame")
    client.compose("build", SSH_AUTH_SOCK=agent)
    show = ("run", "--rm", "webby", "sh", "-c", "cat /seen /lines /n.txt /n2.txt /agent")
    assert engine.docker_ok(*show).split() == ["6", "1", "named", "named", "agent"]
    held = [path for path in engine.data_root.rglob("*") if path.is_file()]
    assert held
    assert not [path for path in held if b"sesame" in path.read_bytes()], "the secret is kept"
    client.compose("build", "--no-cache", SSH_AUTH_SOCK=agent)
    assert engine.docker_ok("run", "--rm", "webby", "cat", "/lines") == "2"
    arguments = ("--ssh", "default", "--secret", "id=token,env=TOKEN", "-t", "two", ".")
    named = ("--build-context", "named=docker-image://webby")
    client.write(Dockerfile=MOUNTS.replace("/m/n", "/m/n2").replace(" n.txt", " n2.txt"))
    environment = {"SSH_AUTH_SOCK": agent, "TOKEN": "longer token"}
    client.docker("build", "--no-cache", *named, *arguments, **environment)
    assert engine.docker_ok("run", "--rm", "two", "cat", "/seen", "/n2.txt") == "12\nnamed"


def test_an_agent_answers_inside(engine: Engine, client: BuildClient, agent: str) -> None:
    """What a step asks the agent gets to the client's own, and the answer back."""
    source = Path(__file__).parent.parent / "support/ask_agent.c"
    program = client.directory / "ask"
    subprocess.run(["gcc", "-O1", "-static", "-o", program, source], check=True)
    run = "RUN --mount=type=ssh --mount=from=b,target=/b /b/ask > /keys"
    client.write(Dockerfile=f"FROM scratch AS b\nCOPY ask /\nFROM busybox\n{run}\n")
    client.docker("build", "--ssh", "default", "-t", "asked", ".", SSH_AUTH_SOCK=agent)
    assert engine.docker_ok("run", "--rm", "asked", "cat", "/keys") == "1 keys"


def test_what_builds_keep_is_seen_and_pruned(engine: Engine, client: BuildClient) -> None:
    """`buildx du` and `prune`, of results of steps, cache mounts and what clients have sent."""
    client.write(
        Dockerfile="FROM busybox\nCOPY Dockerfile /\nRUN --mount=type=cache,target=/c true\n"
    )
    client.docker("build", ".")
    shown = client.docker("buildx", "du", "--verbose").stdout
    for kind in ("regular", "exec.cachemount", "source.local"):
        assert re.search(rf"^Type:\s+{re.escape(kind)}$", shown, re.MULTILINE), shown
    pruned = client.docker("buildx", "prune", "-f", "--filter", "type=source.local").stdout
    assert re.search(r"^Total:\s+[1-9]", pruned, re.MULTILINE), pruned
    assert "source.local" not in client.docker("buildx", "du", "--verbose").stdout
    assert not list((engine.data_root / "build-contexts").iterdir())
    client.docker("buildx", "prune", "-af")
    assert re.search(r"^Total:\s+0B$", client.docker("buildx", "du").stdout, re.MULTILINE)


def test_results_go_to_the_client(client: BuildClient) -> None:
    """A directory, a tar of files, and archives of images; nothing of it stays here."""
    (client.directory / "d").mkdir()
    (client.directory / "d/link").symlink_to("../hello.txt")
    client.write(
        Dockerfile="FROM scratch\nCOPY . /\n", hello_txt="hi\n", _dockerignore="*.tar\nout"
    )
    os.link(client.directory / "hello.txt", client.directory / "d/hard")
    os.chmod(client.directory / "d/hard", 0o640)
    client.docker("build", "-o", "out", ".")
    out = client.directory / "out"
    assert (out / "d/hard").read_text() == "hi\n"
    assert (out / "d/hard").samefile(out / "hello.txt")
    assert (out / "d/hard").stat().st_mode & 0o777 == 0o640
    assert os.readlink(out / "d/link") == "../hello.txt"
    client.docker("build", "-o", "type=tar,dest=files.tar", ".")
    with tarfile.open(client.directory / "files.tar") as files:
        assert "./d/link" in files.getnames() or "d/link" in files.getnames()
    client.docker("build", "-o", "type=oci,dest=image.tar", "-t", "sent:away", ".")
    with tarfile.open(client.directory / "image.tar") as image:
        assert {"oci-layout", "index.json"} <= set(image.getnames())
    assert client.engine.docker_ok("images", "-q", "sent") == ""
    full = client.docker("build", "-o", "type=tar,dest=/dev/full", ".", is_ok=False)
    assert "no space left on device" in full.stderr


def test_a_context_comes_on_standard_input(engine: Engine, client: BuildClient) -> None:
    """As a tar, which is sent as a whole, and as a Dockerfile alone."""
    client.write(Other="FROM busybox\nCOPY hello.txt /\n", hello_txt="hi\n")
    with tarfile.open(client.directory / "context.tar", "w", format=tarfile.GNU_FORMAT) as context:
        for name in ("Other", "hello.txt"):
            context.add(client.directory / name, name)
    with (client.directory / "context.tar").open() as context:
        client.docker("build", "-f", "Other", "-t", "tarred", "-", stdin=context)
    assert engine.docker_ok("run", "--rm", "tarred", "cat", "/hello.txt") == "hi"
    client.write(Dockerfile="FROM busybox\nRUN echo alone > /a\n")
    with (client.directory / "Dockerfile").open() as file:
        client.docker("build", "-t", "alone", "-", stdin=file)
    assert engine.docker_ok("run", "--rm", "alone", "cat", "/a") == "alone"


def test_what_was_built_is_told(engine: Engine, client: BuildClient) -> None:
    """The metadata file has the digests and the names."""
    client.write(Dockerfile="FROM busybox\nLABEL a=b\n")
    client.docker("build", "--metadata-file", "told", "-t", "one", "-t", "two:x", ".")
    told = json.loads((client.directory / "told").read_text())
    assert told["containerimage.config.digest"] == engine.docker_ok(
        "inspect", "-f", "{{.Id}}", "one"
    )
    assert re.fullmatch("sha256:[0-9a-f]{64}", told["containerimage.digest"])
    assert told["image.name"] == "docker.io/library/one:latest,docker.io/library/two:x"
    lines = client.docker("build", "--progress=rawjson", ".").stderr
    assert '"name": "[1/1] FROM docker.io/library/busybox:latest"' in lines


def test_older_clients_build_with_a_session(engine: Engine, client: BuildClient) -> None:
    """A CLI that has BuildKit's client inside asks by `POST /build?version=2`."""
    client.write(Dockerfile=SMALL, hello_txt="hi\n")
    built = client.old_docker("build", "--progress=plain", "-t", "old", ".")
    assert "[3/3] RUN cat /hello; echo done > /done" in built.stderr
    assert "naming to docker.io/library/old:latest" in built.stderr
    assert engine.docker_ok("run", "--rm", "old", "cat", "/hello") == "hi"
    client.write(Dockerfile="FROM busybox\nRUN exit 3\n")
    failed = client.old_docker("build", "--progress=plain", ".", is_ok=False)
    assert (
        'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3' in failed.stderr
    )
    refused = client.old_docker("build", "--isolation", "hyperv", ".", is_ok=False)
    assert 'Unsupported isolation: "hyperv"' in refused.stderr
    run = "RUN --mount=type=secret,id=s cat /run/secrets/s > /s"
    client.write(Dockerfile=f"FROM busybox\n{run}\n")
    client.write(s_txt="sesame")
    client.old_docker("build", "--secret", "id=s,src=s.txt", "-t", "old", ".")
    assert engine.docker_ok("run", "--rm", "old", "cat", "/s") == "sesame"
