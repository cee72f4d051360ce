"""The course, chapters 19 and 21, command by command: init systems, and logging."""

import json
import time
from pathlib import Path

import pytest

from support import receivers
from support.daemon import Engine
from support.waiting import wait_until

# -- chapter 19: init systems ----------------------------------------------------------------

ORPHANS = "(sleep 0.2 &) ; (sleep 0.2 &) ; (sleep 0.2 &) ; exec sleep 1000"
"""Children whose parents have gone: they end with nobody but PID 1 to reap them."""


def states(engine: Engine, name: str) -> list[str]:
    """The states of a container's processes, looked at from inside as `ps` does."""
    script = "cat /proc/[0-9]*/stat"
    lines = engine.docker("exec", name, "sh", "-c", script).stdout.splitlines()
    return [line.rpartition(") ")[2][:1] for line in lines if "(cat)" not in line]


def zombies(engine: Engine, name: str) -> int:
    """How many processes have ended and were not reaped."""
    return states(engine, name).count("Z")


def test_pid_one_is_the_application(engine: Engine) -> None:
    """Without an init the application is PID 1, and orphans that it does not reap stay."""
    engine.docker_ok("run", "-d", "--name", "app", "busybox", "sh", "-c", ORPHANS)
    wait_until("zombies stay", lambda: zombies(engine, "app") == 3)
    command = engine.docker_ok("exec", "app", "cat", "/proc/1/cmdline")
    assert command.startswith("sleep")


def test_tini_to_the_rescue(engine: Engine) -> None:
    """With `--init` PID 1 is tini: it reaps zombies, forwards signals, exits with its child."""
    engine.docker_ok("run", "-d", "--init", "--name", "app", "busybox", "sh", "-c", ORPHANS)
    assert "init" in engine.docker_ok("exec", "app", "cat", "/proc/1/comm")
    # tini, the application, and perhaps the shell that looks.
    wait_until("the orphans are gone", lambda: len(states(engine, "app")) <= 3, within_s=2)
    assert zombies(engine, "app") == 0
    before = time.monotonic()
    engine.docker_ok("stop", "app")
    assert time.monotonic() - before < 8
    assert engine.inspect("app")["State"]["ExitCode"] == 143
    ended = engine.docker("run", "--rm", "--init", "busybox", "sh", "-c", "exit 7")
    assert ended.returncode == 7


def test_it_is_transparent(engine: Engine) -> None:
    """Output, arguments and environment are the application's own."""
    flags = ("--rm", "--init", "-e", "WORD=there")
    said = engine.docker_ok("run", *flags, "busybox", "sh", "-c", 'echo "$0 $1 $WORD"', "a", "b c")
    assert said == "a b c there"
    assert engine.docker("run", "--rm", "--init", "busybox", "nope").returncode == 127


STOPS = """
trap 'echo got it; exit 0' {trap}
echo ready
while :; do sleep 0.05; done
"""


@pytest.mark.parametrize(
    ("flags", "trap"),
    [
        ((), "TERM"),
        (("--stop-signal", "SIGUSR1"), "USR1"),
        (("--stop-signal", "SIGRTMIN+3"), "37"),
        (("--stop-signal", "INT"), "INT"),
    ],
)
def test_the_signal_of_a_stop(engine: Engine, flags: tuple[str, ...], trap: str) -> None:
    """A stop sends the container's signal (systemd wants SIGRTMIN+3), which may be answered."""
    script = STOPS.format(trap=trap)
    engine.docker_ok("run", "-d", "--name", "app", *flags, "busybox", "sh", "-c", script)
    wait_until("it is ready", lambda: "ready" in engine.docker("logs", "app").stdout)
    engine.docker_ok("stop", "app")
    assert engine.docker_ok("logs", "app") == "ready\ngot it"
    assert engine.inspect("app")["State"]["ExitCode"] == 0


def test_signal_and_time_out_by_flag_and_container(engine: Engine) -> None:
    """`stop -s` is stronger than the container's signal; `--stop-timeout` than ten seconds."""
    script = STOPS.format(trap="HUP")
    flags = ("--stop-signal", "USR2", "--stop-timeout", "30")
    engine.docker_ok("run", "-d", "--name", "app", *flags, "busybox", "sh", "-c", script)
    wait_until("it is ready", lambda: "ready" in engine.docker("logs", "app").stdout)
    engine.docker_ok("stop", "-s", "HUP", "app")
    assert engine.docker_ok("logs", "app") == "ready\ngot it"
    config = engine.inspect("app")["Config"]
    assert (config["StopSignal"], config["StopTimeout"]) == ("USR2", 30)
    deaf = "trap '' TERM; echo ready; while :; do sleep 1; done"
    engine.docker_ok("run", "-d", "--name", "deaf", "--stop-timeout", "1", "busybox", "sh", "-c",
                     deaf)  # fmt: skip
    wait_until("it is ready", lambda: "ready" in engine.docker("logs", "deaf").stdout)
    before = time.monotonic()
    engine.docker_ok("stop", "deaf")
    assert 1 <= time.monotonic() - before < 8
    assert engine.inspect("deaf")["State"]["ExitCode"] == 137


# -- chapter 21: logging ---------------------------------------------------------------------


def test_standard_output_and_error(engine: Engine) -> None:
    """The engine receives each line, and `docker logs` shows it, of the right stream."""
    script = "echo to stdout; echo to stderr >&2"
    engine.docker_ok("run", "--name", "app", "busybox", "sh", "-c", script)
    said = engine.docker("logs", "app")
    assert (said.stdout, said.stderr) == ("to stdout\n", "to stderr\n")


def test_local_files(engine: Engine) -> None:
    """A bind mount shows what the application logs to a file of its own."""
    directory = engine.root / "www-logs"
    directory.mkdir()
    bind = f"{directory}:/var/log/tomcat"
    engine.docker_ok("run", "--rm", "-v", bind, "busybox", "sh", "-c",
                     "echo served > /var/log/tomcat/access.log")  # fmt: skip
    assert (directory / "access.log").read_text() == "served\n"
    (directory / "access.log").unlink()
    directory.rmdir()


def test_rotation_by_option(engine: Engine) -> None:
    """The chapter's example: `--log-opt max-size=10m --log-opt max-file=3`."""
    options = ("--log-opt", "max-size=10m", "--log-opt", "max-file=3")
    container = engine.docker_ok("run", "-d", *options, "busybox", "true")
    found = engine.inspect(container)["HostConfig"]["LogConfig"]
    assert found == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}


@pytest.mark.stock_differs
def test_rotation_by_default(engine: Engine) -> None:
    """The chapter's warning does not hold here: a verbose container fills 60 MB and no more."""
    container = engine.docker_ok("run", "-d", "busybox", "true")
    found = engine.inspect(container)["HostConfig"]["LogConfig"]
    assert found == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "20m"}}


@pytest.mark.stock_differs
def test_the_gelf_demonstration(engine: Engine) -> None:
    """The chapter's `--log-driver=gelf --log-opt=gelf-address=udp://localhost:12201`."""
    words = ("--log-driver=gelf", "--log-opt=gelf-address=udp://localhost:12201")
    with receivers.udp(engine.machine, 12201) as taker:
        assert (
            engine.docker_ok("run", *words, "busybox", "echo", "hello", "world") == "hello world"
        )
        wait_until("it came", lambda: len(receivers.gelf_documents(taker.packets)) == 1)
        (document,) = receivers.gelf_documents(taker.packets)
    assert document["short_message"] == "hello world"
    assert document["_image_name"] == "busybox"


@pytest.mark.stock_differs
def test_a_driver_for_the_whole_engine(engine: Engine) -> None:
    """Done globally, by the daemon's configuration file."""
    configuration = Path(engine.root) / "daemon.json"
    configuration.write_text(
        json.dumps({"log-driver": "local", "log-opts": {"max-size": "1m", "max-file": "2"}})
    )
    engine.stop()
    engine.start("--config-file", str(configuration))
    container = engine.docker_ok("run", "-d", "busybox", "echo", "kept")
    found = engine.inspect(container)["HostConfig"]["LogConfig"]
    assert found == {"Type": "local", "Config": {"max-file": "2", "max-size": "1m"}}
    wait_until("it is kept", lambda: engine.docker_ok("logs", container) == "kept")
    assert engine.docker_ok("info", "--format", "{{.LoggingDriver}}") == "local"
    engine.restart()
    configuration.unlink()
