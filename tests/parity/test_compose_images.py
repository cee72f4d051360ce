"""`wherry compose` builds, and keeps containers as the files are."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.compose_projects import OURS, THEIRS, ComposeProject
from support.daemon import Engine
from support.debian_registry import debian_registry
from support.waiting import wait_until

_FILE = """
name: made
x-idle: &idle {init: true, command: sleep 99, stop_grace_period: 0s}
services:
  built:
    <<: *idle
    build: {context: ., args: {WORD: said}, labels: {own: label}, tags: ["made-too:1"],
            target: last}
    develop: {watch: [{path: ./Dockerfile, action: rebuild}]}
  inline: {<<: *idle, build: {context: ., dockerfile_inline: "FROM busybox\\nCOPY src /here\\n"}}
  mixed:
    <<: *idle
    build:
      context: .
      dockerfile_inline: |
        FROM busybox
        COPY --from=other /word /word
        COPY --from=side file /side
        RUN --mount=type=secret,id=word cp /run/secrets/word /kept
      additional_contexts: {other: "service:built", side: ./src}
      secrets: [word]
  synced:
    <<: *idle
    image: busybox
    develop:
      watch:
        - {path: ./src, target: /w, action: sync, initial_sync: true, ignore: ["*.tmp"]}
        - {path: ./again, action: restart}
secrets: {word: {file: ./secret}}
"""
_DOCKERFILE = "FROM busybox AS last\nARG WORD\nRUN echo $WORD > /word\nFROM last\nRUN false\n"


@pytest.fixture
def made(engine: Engine, tmp_path: Path) -> Iterator[ComposeProject]:
    """A project that builds two images."""
    project = ComposeProject(engine, tmp_path, _FILE, "made")
    (tmp_path / "Dockerfile").write_text(_DOCKERFILE)
    (tmp_path / ".dockerignore").write_text("*.env\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "file").write_text("one")
    (tmp_path / "secret").write_text("hidden")
    yield project
    project.ok(OURS, "down", "-v", "-t", "0", "--rmi", "local")
    engine.docker("rmi", "-f", "made-too:1")
    assert engine.docker_ok("images", "-q", "made-built") == ""
    engine.docker_ok("image", "prune", "-f")
    engine.docker_ok("builder", "prune", "-af")


def test_builds(made: ComposeProject) -> None:
    """up builds what is missing, with all that `build` says; once, until --build."""
    told = made.ok(OURS, "up", "-d")
    assert "built  Built" in told.stderr
    assert made.engine.docker_ok("exec", "made-built-1", "cat", "/word") == "said"
    assert made.engine.docker_ok("exec", "made-inline-1", "cat", "/here/file") == "one"
    mixed = made.engine.docker_ok("exec", "made-mixed-1", "cat", "/word", "/side", "/kept")
    assert mixed == "said\nonehidden"
    labels = made.engine.docker_ok("inspect", "-f", "{{json .Config.Labels}}", "made-built")
    assert '"own":"label"' in labels
    assert '"com.docker.compose.service":"built"' in labels
    assert made.engine.docker_ok("images", "-q", "made-too:1")
    before = made.container_ids()
    assert "Built" not in made.ok(OURS, "up", "-d").stderr
    assert "Recreate" not in made.ok(THEIRS, "up", "-d").stderr
    (made.directory / "src" / "file").write_text("two")
    made.ok(OURS, "up", "-d", "--build")
    after = made.container_ids()
    assert after["made-inline-1"] != before["made-inline-1"]
    assert after["made-synced-1"] == before["made-synced-1"]
    assert made.engine.docker_ok("exec", "made-inline-1", "cat", "/here/file") == "two"


def test_failing_build(made: ComposeProject) -> None:
    """A build that fails ends the command with its reason, and nothing is started."""
    (made.directory / "Dockerfile").write_text("FROM busybox AS last\nRUN exit 9\n")
    told = made.run(OURS, "up", "-d")
    assert told.returncode == 1
    assert "did not complete successfully: exit code: 9" in told.stderr
    assert made.container_ids() == {}


def test_watch(made: ComposeProject) -> None:
    """Changed files are copied, removed ones removed, services restarted or built anew."""
    command = [sys.executable, "-P", "-m", "wherry.programs.wherry", "--no-autostart", "compose",
               "-f", str(made.directory / "compose.yaml"), "watch"]  # fmt: skip
    with (made.directory / "told").open("w") as told:
        process = subprocess.Popen(command, env=made.engine.environment, stdout=told, stderr=told)

    def said(line: str) -> bool:
        assert process.poll() is None, (made.directory / "told").read_text()
        return line in (made.directory / "told").read_text()

    def there(name: str) -> str:
        return made.engine.docker("exec", "made-synced-1", "cat", f"/w/{name}").stdout

    try:
        wait_until("it watches", lambda: said("Watch enabled"), within_s=60)
        assert there("file") == "one"
        (made.directory / "src" / "file").write_text("two!")
        (made.directory / "src" / "left.tmp").write_text("out")
        wait_until("the change has come", lambda: there("file") == "two!", within_s=30)
        assert there("left.tmp") == ""
        (made.directory / "src" / "file").unlink()
        wait_until("it is gone", lambda: there("file") == "", within_s=30)
        (made.directory / "again").write_text("now")
        wait_until(
            "it was restarted", lambda: said('service(s) ["synced"] restarted'), within_s=30
        )
        (made.directory / "Dockerfile").write_text(_DOCKERFILE.replace("/word", "/other"))
        wait_until("it is built", lambda: said("Container made-built-1  Started\n")
                   and made.engine.docker("exec", "made-built-1", "cat", "/other").stdout,
                   within_s=60)  # fmt: skip
        nameless = ("-f", "dangling=true", "-f", "label=com.docker.compose.project=made")
        wait_until("the earlier image is gone",
                   lambda: not made.engine.docker_ok("images", "-q", *nameless))  # fmt: skip
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_push_and_pull(engine: Engine, tmp_path: Path) -> None:
    """What is built goes to its registry and comes back; policies say when."""
    with debian_registry(engine, port=5013) as registry:
        image = f"{registry}/team/moved:1"
        project = ComposeProject(
            engine,
            tmp_path,
            f"name: moved\nservices:\n  a: {{image: '{image}', build: ., init: true, "
            "command: sleep 99, stop_grace_period: 0s}\n",
            "moved",
        )
        (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo one > /here\n")
        project.ok(OURS, "build")
        assert "a  Pushed" in project.ok(OURS, "push").stderr
        engine.docker_ok("rmi", image)
        assert project.ok(OURS, "pull", "-q", "a").stderr == ""
        assert engine.docker_ok("images", "-q", image)
        assert "a  Pulling" in project.ok(OURS, "up", "-d", "--pull", "always", "a").stderr
        assert "Pulling" not in project.ok(OURS, "up", "-d", "a").stderr
        project.ok(OURS, "down", "-t", "0")
        engine.docker("rmi", "-f", image)
    assert engine.docker_ok("images", "-q", image) == ""
    engine.docker_ok("builder", "prune", "-af")
