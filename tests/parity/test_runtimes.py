"""Other OCI runtimes under the engine: the same verbs, the same answers."""

import json
from pathlib import Path

import pytest

from support.daemon import Engine
from support.terminal import Terminal

pytestmark = pytest.mark.stock_differs
"""Another engine has its own set of runtimes."""

RUNTIMES = ("wherry", "runc")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_container_looks_the_same(engine: Engine, runtime: str) -> None:
    """User, groups, host name, privileges and filter are those of the engine's defaults."""
    script = "id; hostname; grep -E '^(Cap|NoNew|Seccomp)' /proc/self/status; umask; pwd; env"
    said = engine.docker_ok(
        *("run", "--rm", "--runtime", runtime, "--hostname", "box", "--workdir", "/tmp"),
        *("--user", "root:7", "-e", "A=1", "busybox", "sh", "-c", script),
    )
    ours = engine.docker_ok(
        *("run", "--rm", "--hostname", "box", "--workdir", "/tmp"),
        *("--user", "root:7", "-e", "A=1", "busybox", "sh", "-c", script),
    )
    assert sorted(said.splitlines()) == sorted(ours.splitlines())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_verbs(engine: Engine, runtime: str) -> None:
    """Start, exec, pause, top, logs, stop, start again and remove."""
    script = "echo begun; trap 'exit 7' TERM; while :; do sleep 0.1; done"
    engine.docker_ok(
        *("run", "-d", "--name", "served", "--runtime", runtime, "-m", "64m", "--init"),
        *("-p", "8080:80", "busybox", "sh", "-c", script),
    )
    shown = engine.inspect("served")
    assert (shown["HostConfig"]["Runtime"], shown["State"]["Running"]) == (runtime, True)
    assert engine.docker_ok("exec", "-u", "1000:7", "served", "id", "-u") == "1000"
    assert "docker-init" in engine.docker_ok("exec", "served", "ps")
    assert engine.docker("exec", "served", "sh", "-c", "exit 3").returncode == 3
    engine.docker_ok("pause", "served")
    assert engine.inspect("served")["State"]["Status"] == "paused"
    engine.docker_ok("unpause", "served")
    assert "trap" in engine.docker_ok("top", "served")
    engine.docker_ok("stop", "served")
    assert engine.inspect("served")["State"]["ExitCode"] in (7, 143)
    engine.docker_ok("start", "served")
    engine.docker_ok("kill", "served")
    assert engine.docker_ok("wait", "served") == "137"
    assert engine.docker_ok("logs", "served").splitlines() == ["begun", "begun"]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("nope",), 127, 'exec: "nope": executable file not found in $PATH'),
        (("/nope",), 127, 'exec: "/nope": stat /nope: no such file or directory'),
        (("/etc",), 126, 'exec: "/etc": '),
    ],
)
def test_a_program_that_is_not_there(
    engine: Engine, runtime: str, options: tuple[str, ...], code: int, words: str
) -> None:
    """Exit code and text are the same, whoever looked for the program."""
    ran = engine.docker("run", "--rm", "--runtime", runtime, "busybox", *options)
    assert ran.returncode == code
    assert words in ran.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_user_that_is_not_there(engine: Engine, runtime: str) -> None:
    """The image's own files are asked."""
    ran = engine.docker("run", "--rm", "--runtime", runtime, "-u", "nobody-here", "busybox")
    assert ran.returncode == 125
    assert "unable to find user nobody-here: no matching entries in passwd file" in ran.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_terminal(engine: Engine, runtime: str) -> None:
    """It is the container's own, with the client's size, for run and for exec."""
    command = ["docker", "run", "-it", "--rm", "--runtime", runtime, "busybox", "sh"]
    with Terminal(command, engine.environment, rows=31, columns=97) as terminal:
        terminal.expect("/ #")
        terminal.type("stty size; tty\n")
        terminal.expect("31 97")
        terminal.expect("/dev/pts/0")
        terminal.type("exit 5\n")
        assert terminal.wait() == 5


def test_crun_says_why_it_can_not(engine: Engine) -> None:
    """Its own words reach the user; on a host with one version of cgroups it runs."""
    ran = engine.docker("run", "--rm", "--runtime", "crun", "busybox", "echo", "hello")
    if ran.returncode == 0:
        assert ran.stdout == "hello\n"
    else:
        assert "OCI runtime create failed: crun: " in ran.stderr
        assert "cgroup" in ran.stderr


def test_a_runtime_that_the_host_has_not(engine: Engine) -> None:
    """runsc is known by name; whether it is installed shows at the start, and leaves nothing."""
    if Path("/usr/bin/runsc").exists() or Path("/usr/local/bin/runsc").exists():
        pytest.skip("this host has no lack of runsc")
    ran = engine.docker("run", "--rm", "--runtime", "runsc", "busybox", "true")
    assert ran.returncode != 0
    assert 'runsc: exec: "runsc": executable file not found in $PATH' in ran.stderr


def test_a_runtime_that_nobody_knows(engine: Engine) -> None:
    """Docker's text, and no container."""
    ran = engine.docker("create", "--runtime", "other", "busybox", "true")
    assert ran.returncode == 1
    assert ran.stderr.startswith(
        "Error response from daemon: unknown or invalid runtime name: other"
    )
    assert engine.docker_ok("ps", "-aq") == ""


def test_runtimes_of_the_configuration(fresh_engine: Engine, tmp_path: Path) -> None:
    """daemon.json names runtimes and the default; containers outlive the daemon all the same."""
    engine = fresh_engine
    engine.stop()
    settings = tmp_path / "daemon.json"
    settings.write_text(
        json.dumps(
            {
                "runtimes": {"mine": {"path": "/usr/sbin/runc", "runtimeArgs": ["--debug"]}},
                "default-runtime": "mine",
            }
        )
    )
    engine.start("--config-file", str(settings))
    before = engine.settled_census()
    info = engine.api("GET", "/info").json
    assert info["DefaultRuntime"] == "mine"
    assert info["Runtimes"]["mine"] == {"path": "/usr/sbin/runc", "runtimeArgs": ["--debug"]}
    assert {"wherry", "io.containerd.runc.v2", "runc"} <= info["Runtimes"].keys()
    engine.docker_ok("run", "-d", "--name", "kept", "busybox", "sleep", "3600")
    assert engine.inspect("kept")["HostConfig"]["Runtime"] == "mine"
    engine.stop()
    engine.start("--config-file", str(settings))
    assert engine.docker_ok("exec", "kept", "echo", "still here") == "still here"
    engine.docker_ok("rm", "-f", "kept")
    assert not engine.leaks_since(before)
