"""`wherry compose`'s commands beside Compose v2's: the same words, codes and effects."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.compose_projects import OURS, THEIRS, ComposeProject
from support.daemon import Engine
from support.waiting import wait_until

_FILE = """
name: spoken
x-idle: &idle {image: busybox, init: true, stop_grace_period: 0s}
services:
  a: {<<: *idle, command: [sh, -c, "echo a1; sleep 99"], ports: ["80"], volumes: ["kept:/d"]}
  b: {<<: *idle, command: sleep 99, networks: [default, other],
      depends_on: {a: {condition: service_started, restart: true}}}
  hidden: {<<: *idle, profiles: [some]}
volumes: {kept: }
networks: {other: }
"""
_LOOKS = [
    "images", "images -q", "port a 80", "port a 81", "top a", "volumes", "volumes b -q",
    "ls", "ls --format json", "ls -q --filter name=spok", "stats --no-stream zz",
    "exec -T b sh -c 'echo hi; exit 4'", "exec zz true", "ps --services", "stop zz",
    "up -d --scale b", "up -d --no-recreate --force-recreate", "--dry-run kill",
    "--profile some config --services", "wait zz", "up -d --wait --abort-on-container-exit",
]  # fmt: skip
_VERBS = [
    "pause", "unpause", "restart a", "stop b", "start", "kill a", "rm -f", "up -d", "scale b=2",
    "run --rm -T b sh -c 'echo hi; exit 5'", "create", "down b", "down",
]  # fmt: skip


@pytest.fixture
def spoken(engine: Engine, tmp_path: Path) -> Iterator[ComposeProject]:
    """A project that is up, and gone afterwards."""
    project = ComposeProject(engine, tmp_path, _FILE, "spoken")
    project.ok(OURS, "up", "-d")
    yield project
    project.down()


def _said(project: ComposeProject, tool: str, line: str) -> tuple[int, list[str]]:
    """The exit code and the lines, in any order, without what differs each time."""
    ran = project.run(tool, *shlex.split(line))
    told = f"{ran.stdout}\n{ran.stderr}"
    for pattern, shown in (
        (r" +", " "),
        (r"[0-9a-f]{64}", "ID"),
        (r"(About |Less than )?(an?|[0-9]+) (second|minute)s?( ago)?", "SPAN"),
        (r":3[0-9]{4}|3[0-9]{4}/", "PORT"),
        # The process that keeps a container is not the one that made it; its share of time grows.
        (r"root ([0-9]+) [0-9]+ [0-9]+ ", r"root \1 PARENT SHARE "),
        (r"spoken-b-run-[0-9a-f]{12}", "RUN"),
        (r"DRY-RUN MODE - (.*?) \(.*\)", r"DRY-RUN MODE - \1"),
        (r'time="[^"]*" ', ""),
    ):
        told = re.sub(pattern, shown, told)
    return ran.returncode, sorted(line.strip() for line in told.splitlines() if line.strip())


def test_looks(spoken: ComposeProject) -> None:
    """Commands that change nothing say what Compose says, their refusals too."""
    with ThreadPoolExecutor(4) as pool:
        ours = list(pool.map(lambda line: _said(spoken, OURS, line), _LOOKS))
        theirs = list(pool.map(lambda line: _said(spoken, THEIRS, line), _LOOKS))
    for line, mine, original in zip(_LOOKS, ours, theirs, strict=True):
        assert mine == original, line


def test_verbs(spoken: ComposeProject) -> None:
    """One after the other, they say and do what Compose says and does."""
    states = {}
    heard: dict[str, list[tuple[int, list[str]]]] = {}
    for tool in (OURS, THEIRS):
        spoken.ok(OURS, "up", "-d", "--force-recreate")
        heard[tool], states[tool] = [], []
        for line in _VERBS:
            heard[tool].append(_said(spoken, tool, line))
            listed = spoken.engine.docker_ok("ps", "-a", "--format", "{{.Names}} {{.State}}")
            states[tool].append(sorted(listed.splitlines()))
    for place, line in enumerate(_VERBS):
        assert heard[OURS][place] == heard[THEIRS][place], line
        assert states[OURS][place] == states[THEIRS][place], line


def test_one_off_containers(spoken: ComposeProject) -> None:
    """A container of `run` is, by inspect, what Compose makes of the same flags."""
    flags = ["run", "-d", "-e", "E=1", "-l", "l=2", "-p", "127.0.0.1:0:99", "-v", "/tmp:/there",
             "-u", "0:0", "-w", "/tmp", "--cap-add", "SYS_TIME", "--use-aliases", "--entrypoint",
             "sleep", "--name", "once", "a", "77"]  # fmt: skip
    made = []
    for tool in (OURS, THEIRS):
        spoken.ok(tool, *flags)
        facts = spoken.facts()["once"]
        facts["config"]["Labels"].pop("com.docker.compose.slug")
        made.append(facts)
        spoken.engine.docker_ok("rm", "-f", "once")
    assert made[0] == made[1]


@pytest.mark.parametrize("tool", [OURS, THEIRS])
def test_what_run_began(spoken: ComposeProject, tool: str) -> None:
    """What somebody began with `run` is no service's: it is seen, and goes with the orphans."""
    spoken.ok(tool, "run", "-d", "--no-deps", "--name", "once", "b", "sleep", "99")
    assert "once" in spoken.ok(tool, "stats", "--no-stream", "--format", "{{.Name}}").stdout
    spoken.ok(tool, "down")
    assert list(spoken.container_ids()) == ["once"]
    spoken.engine.docker_ok("kill", "once")
    spoken.ok(tool, "rm", "-f", "b")
    if tool == OURS:
        assert "([once])" in spoken.ok(tool, "run", "--rm", "b", "true").stderr
    spoken.ok(tool, "down", "--remove-orphans")
    assert spoken.container_ids() == {}


def test_copies(spoken: ComposeProject, tmp_path: Path) -> None:
    """cp to all containers and from one; export and commit of a service."""
    (tmp_path / "file").write_text("copied")
    spoken.ok(OURS, "up", "-d", "--scale", "b=2")
    spoken.ok(OURS, "cp", str(tmp_path / "file"), "b:/tmp/file")
    for name in ("spoken-b-1", "spoken-b-2"):
        assert spoken.engine.docker_ok("exec", name, "cat", "/tmp/file") == "copied"
    spoken.ok(OURS, "cp", "--index", "2", "b:/tmp/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "copied"
    spoken.ok(OURS, "export", "-o", str(tmp_path / "b.tar"), "b")
    assert (tmp_path / "b.tar").stat().st_size > 10_000
    told = spoken.ok(OURS, "commit", "b", "of-b:1").stderr
    assert "Committed as sha256:" in told
    assert spoken.engine.docker_ok("rmi", "of-b:1")


def test_events(spoken: ComposeProject) -> None:
    """Events are those of the project's containers, without Compose's own labels."""
    begin = subprocess.run(["date", "+%s.%N"], capture_output=True, text=True, check=True).stdout
    spoken.ok(OURS, "restart", "--no-deps", "b")
    end = subprocess.run(["date", "+%s.%N"], capture_output=True, text=True, check=True).stdout
    told = spoken.ok(
        OURS, "events", "--json", "--since", begin.strip(), "--until", end.strip(), "b"
    ).stdout
    assert '"service": "b"' in told
    assert '"action": "restart"' in told
    assert "com.docker.compose" not in told


_TALKING = """
name: talking
services:
  one: {image: busybox, command: [sh, -c, "echo first; read x < /go/on; echo last; exit 3"],
        volumes: ["./go:/go"], stop_grace_period: 0s}
  two: {image: busybox,
        command: [sh, -c, "trap 'echo bye; exit 7' TERM; echo here; while :; do sleep 0.1; done"]}
"""


@pytest.fixture
def talking(engine: Engine, tmp_path: Path) -> Iterator[ComposeProject]:
    """A project of two that write; the first goes on when a line comes through a fifo."""
    project = ComposeProject(engine, tmp_path, _TALKING, "talking")
    (tmp_path / "go").mkdir()
    os.mkfifo(tmp_path / "go" / "on")
    yield project
    project.down()


def _attached(project: ComposeProject, *flags: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-m", "wherry.programs.wherry", "--no-autostart", "compose",
               "-f", str(project.directory / "compose.yaml"), "up", *flags]  # fmt: skip
    return subprocess.Popen(
        command,
        env=project.engine.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_first_end_ends_all(talking: ComposeProject) -> None:
    """--exit-code-from: the output of both, line by line; the end of one is the end of all."""
    for flags, code in ((["--exit-code-from", "two"], 7), (["--abort-on-container-exit"], 3)):
        process = _attached(talking, *flags)
        (talking.directory / "go" / "on").write_text("now\n")
        output, _ = process.communicate(timeout=60)
        lines = output.splitlines()
        assert process.returncode == code, output
        for line in ("one-1  | first", "one-1  | last", "two-1  | here", "two-1  | bye",
                     "one-1 exited with code 3", "two-1 exited with code 7",
                     "Attaching to one-1, two-1"):  # fmt: skip
            assert lines.count(line) == 1, (line, output)
        assert lines.index("one-1  | last") < lines.index("one-1 exited with code 3")


def test_interrupted(talking: ComposeProject) -> None:
    """Ctrl-C stops what runs, in order, and says so; the exit code is 130."""
    process = _attached(talking)
    assert process.stdout is not None
    seen = ""
    while "two-1  | here" not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Gracefully Stopping... press Ctrl+C again to force" in output
    assert "two-1  | bye" in output
    assert wait_until("all have ended", lambda: "talking" not in talking.engine.docker_ok("ps"))


def test_interrupted_twice(talking: ComposeProject) -> None:
    """The second Ctrl-C doesn't wait for what takes its time to stop."""
    talking.write(_TALKING.replace("echo bye; exit 7", "echo bye; sleep 99"))
    process = _attached(talking, "two", "-t", "90")
    assert process.stdout is not None
    seen = ""
    for awaited, sent in (("| here", signal.SIGINT), ("| bye", signal.SIGINT)):
        while awaited not in seen:
            line = process.stdout.readline()
            assert line, seen
            seen += line
        process.send_signal(sent)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, seen + output
    assert "two-1 exited with code 137" in seen + output
