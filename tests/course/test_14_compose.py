"""Chapter 14 of the course: Compose for development stacks, typed with `wherry compose`."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import remove_what_was_built, write_tree
from support.daemon import Engine, Ran
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs

STACK = {
    "docker-compose.yml": 'version: "3"\nservices:\n  www:\n    build: www\n    ports:\n'
    "      - ${PORT-8000}:5000\n    user: nobody\n    environment:\n      DEBUG: 1\n"
    "    command: httpd -f -p 5000 -h /src\n    volumes:\n      - ./www:/src\n"
    "  redis:\n    image: redis\n",
    "www/Dockerfile": "FROM busybox\nCOPY . /src\nWORKDIR /src\nCMD false\n",
    "www/index.html": "seen\n",
}
"""The chapter's file; its programs are stood in for."""


class Stack:
    """A project's directory, and `wherry compose` in it."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine = engine
        self.directory = directory

    def compose(self, *words: str, stdin: str | None = None) -> Ran:
        """Run a command that must succeed."""
        where = ("--project-directory", str(self.directory))
        ran = self.engine.wherry("compose", *where, *words, stdin=stdin, timeout_s=90)
        assert ran.returncode == 0, ran.stderr
        return ran

    def page(self, port: int) -> str:
        """What is served on a port of the host."""
        url = f"http://127.0.0.1:{port}/"
        return str(self.engine.machine.run("busybox", "wget", "-q", "-O-", url).stdout)

    def containers(self) -> dict[str, str]:
        """The project's containers by name, and their ids."""
        name = self.directory.name
        listed = self.engine.docker_ok(
            "ps", "-a", "--no-trunc", "--filter", f"label=com.docker.compose.project={name}",
            "--format", "{{.Names}} {{.ID}}",
        )  # fmt: skip
        return dict(line.split() for line in listed.splitlines())


@pytest.fixture
def stack(engine: Engine, tmp_path: Path) -> Iterator[Stack]:
    """The checkout of trainingwheels."""
    directory = tmp_path / "trainingwheels"
    write_tree(directory, STACK)
    engine.docker_ok("tag", "busybox", "redis")
    made = Stack(engine, directory)
    yield made
    made.compose("down", "-v", "-t", "0", "--remove-orphans")
    engine.docker_ok("rmi", "redis")
    remove_what_was_built(engine)
    engine.docker_ok("volume", "prune", "-af")


def running_redis(text: str) -> str:
    """The file with a redis that stays."""
    return text.replace("image: redis\n", "image: redis\n    command: sleep 1000\n")


@pytest.mark.slide("14.3", "14.6", "14.8", "14.9", "14.11", "14.12", "14.14", "14.15", "14.16")
def test_the_first_stack(stack: Stack) -> None:
    """`up` builds and starts what the file says, on a network of its own; the page is there."""
    text = running_redis(STACK["docker-compose.yml"])
    (stack.directory / "docker-compose.yml").write_text(text)
    stack.compose("up", "-d")
    wait_until("the page is served", lambda: stack.page(8000) == "seen\n")
    names = set(stack.containers())
    assert names == {"trainingwheels-redis-1", "trainingwheels-www-1"}
    networks = stack.engine.docker_ok("network", "ls", "--format", "{{.Name}}").splitlines()
    assert "trainingwheels_default" in networks
    inside = ("exec", "-T", "www", "sh", "-c", "id -un; echo $DEBUG; nslookup redis | tail -2")
    assert stack.compose(*inside).stdout.startswith("nobody\n1\n")


@pytest.mark.slide("14.7", "14.22", "14.23")
def test_iterating(stack: Stack) -> None:
    """Only what changed is made anew, and its anonymous volume goes on with it."""
    text = running_redis(STACK["docker-compose.yml"]) + "    volumes: [/data]\n"
    (stack.directory / "docker-compose.yml").write_text(text)
    stack.compose("up", "-d")
    stack.compose("exec", "-T", "redis", "sh", "-c", "echo 42 >/data/counter")
    before = stack.containers()
    (stack.directory / "www/index.html").write_text("edited\n")
    assert stack.page(8000) == "edited\n"
    changed = text.replace("DEBUG: 1", "DEBUG: 2").replace("sleep 1000", "sleep 1001")
    (stack.directory / "docker-compose.yml").write_text(changed)
    stack.compose("up", "-d", "--build", "-t", "0")
    after = stack.containers()
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    kept = ("exec", "-T", "redis", "cat", "/data/counter")
    assert stack.compose(*kept).stdout == "42\n"
    stack.compose("down", "-t", "0")
    stack.compose("up", "-d")
    lost = stack.engine.wherry("compose", "--project-directory", str(stack.directory), *kept)
    assert lost.returncode == 1


@pytest.mark.slide("14.17", "14.18")
def test_variables(stack: Stack) -> None:
    """`.env` gives what the file asks for; without it the defaults hold."""
    (stack.directory / ".env").write_text("PORT=8123\n")
    shown = stack.compose("config").stdout
    assert 'published: "8123"' in shown
    (stack.directory / ".env").unlink()
    assert 'published: "8000"' in stack.compose("config").stdout


@pytest.mark.slide("14.19", "14.20", "14.21")
def test_two_copies_and_their_end(stack: Stack) -> None:
    """Names begin with the project's; `kill`, `rm` and `down` leave nothing of it."""
    text = running_redis(STACK["docker-compose.yml"]).replace("${PORT-8000}:", "")
    (stack.directory / "docker-compose.yml").write_text(text)
    stack.compose("up", "-d")
    stack.compose("-p", "frontcopy", "up", "-d")
    listed = stack.compose("ps", "--format", "{{.Name}} {{.State}}").stdout
    assert set(listed.splitlines()) == {
        "trainingwheels-redis-1 running", "trainingwheels-www-1 running",
    }  # fmt: skip
    copies = stack.compose("-p", "frontcopy", "ps", "-q").stdout.split()
    addresses = {
        stack.engine.docker_ok("inspect", "-f", "{{.HostConfig.NetworkMode}}", each)
        for each in copies
    }
    assert addresses == {"frontcopy_default"}
    stack.compose("kill")
    stack.compose("rm", "-f")
    assert stack.containers() == {}
    stack.compose("-p", "frontcopy", "down", "-t", "0", "--rmi", "local")
    assert stack.engine.docker_ok("ps", "-aq") == ""


@pytest.mark.slide("14.24", "14.25")
def test_volumes_of_ones_own(stack: Stack) -> None:
    """A named volume and a directory stay over `down`; `down -v` takes the first alone."""
    text = (
        "services:\n  app:\n    image: redis\n    command: touch /named/x /here/x\n"
        "    volumes: [data:/named, ./data:/here]\nvolumes: {data: }\n"
    )
    (stack.directory / "docker-compose.yml").write_text(text)
    stack.compose("up", "-d")
    wait_until("it has written", (stack.directory / "data/x").exists)
    stack.compose("down", "-t", "0")
    assert "trainingwheels_data" in stack.engine.docker_ok("volume", "ls", "-q").split()
    stack.compose("down", "-v")
    assert "trainingwheels_data" not in stack.engine.docker_ok("volume", "ls", "-q").split()
    assert (stack.directory / "data/x").exists()


@pytest.mark.slide("14.26", "14.27")
def test_complex_stacks(stack: Stack) -> None:
    """Files are merged, profiles choose, and who depends on another brings it along."""
    base = (
        "services:\n  web: {image: redis, command: sleep 99, depends_on: [db]}\n"
        "  db: {image: redis, command: sleep 99}\n"
        "  debug: {image: redis, command: sleep 99, profiles: [dev]}\n"
    )
    more = "services:\n  web: {hostname: merged}\n"
    write_tree(stack.directory, {"docker-compose.yml": base, "more.yml": more})
    files = ("-f", str(stack.directory / "docker-compose.yml"),
             "-f", str(stack.directory / "more.yml"))  # fmt: skip
    stack.compose(*files, "up", "-d", "web")
    assert {re.sub(r"^trainingwheels-|-1$", "", name) for name in stack.containers()} == {
        "web", "db",
    }  # fmt: skip
    assert stack.compose(*files, "exec", "-T", "web", "hostname").stdout == "merged\n"
    enabled = stack.compose(*files, "--profile", "dev", "config", "--services").stdout
    assert set(enabled.split()) == {"web", "db", "debug"}


@pytest.mark.slide("14.10")
def test_stopping(stack: Stack) -> None:
    """A stop is graceful, and after its time a kill."""
    text = (
        "services:\n  polite: {image: redis, stop_grace_period: 20s,"
        " command: [sh, -c, \"trap 'exit 3' TERM; while sleep 0.1; do :; done\"]}\n"
        "  deaf: {image: redis, stop_grace_period: 1s, command: sleep 1000}\n"
    )
    (stack.directory / "docker-compose.yml").write_text(text)
    stack.compose("up", "-d")
    stack.compose("stop")
    codes = {name: stack.engine.inspect(name)["State"]["ExitCode"] for name in stack.containers()}
    assert codes == {"trainingwheels-polite-1": 3, "trainingwheels-deaf-1": 137}
