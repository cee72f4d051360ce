"""Chapter 19 of the course: init systems and PID 1."""

import time

import pytest

from support.daemon import Engine
from support.waiting import wait_until

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


@pytest.mark.slide("19.3", "19.6")
def test_pid_one_is_the_application(engine: Engine) -> None:
    """Without an init the application is PID 1, and orphans that it does not reap stay."""
    engine.docker_ok("run", "-d", "--name", "app", "busybox", "sh", "-c", ORPHANS)
    wait_until("zombies stay", lambda: zombies(engine, "app") == 3)
    command = engine.docker_ok("exec", "app", "cat", "/proc/1/cmdline")
    assert command.startswith("sleep")


@pytest.mark.slide("19.7")
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


@pytest.mark.slide("19.7")
def test_it_is_transparent(engine: Engine) -> None:
    """Output, arguments and environment are the application's own."""
    flags = ("--rm", "--init", "-e", "WORD=there")
    said = engine.docker_ok("run", *flags, "busybox", "sh", "-c", 'echo "$0 $1 $WORD"', "a", "b c")
    assert said == "a b c there"
    assert engine.docker("run", "--rm", "--init", "busybox", "nope").returncode == 127


@pytest.mark.slide("19.4")
def test_two_programs_in_one_container(engine: Engine) -> None:
    """Their output is mixed, and the engine does not see that one of them has ended."""
    both = "(echo one; sleep 0.1; echo one ends) & while sleep 0.1; do echo two; done"
    engine.docker_ok("run", "-d", "--name", "app", "busybox", "sh", "-c", both)

    def said() -> list[str]:
        return engine.docker_ok("logs", "app").splitlines()

    wait_until("one has ended", lambda: "one ends" in said())
    after = len(said())
    wait_until("two goes on", lambda: len(said()) > after)
    assert {"one", "two", "one ends"} == set(said())
    assert engine.inspect("app")["State"]["Running"]


STOPS = """
trap 'echo got it; exit 0' {trap}
echo ready
while :; do sleep 0.05; done
"""


@pytest.mark.slide("19.5")
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
