"""`wherry why`: the cause of an end is what really happened."""

import json
import os
import signal
from typing import Any

import pytest

from support.daemon import Engine
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs
_DEAF = "trap '' TERM; while :; do sleep 0.1; done"


def why(engine: Engine, name: str) -> Any:
    """The answer for programs."""
    ran = engine.wherry("why", "--format", "json", name)
    assert ran.returncode == 0, ran
    return json.loads(ran.stdout)


def ended(engine: Engine, name: str) -> None:
    """Wait until it is not running."""
    wait_until("it has ended", lambda: not engine.inspect(name)["State"]["Running"])


@pytest.mark.parametrize(
    ("script", "code", "cause", "certainty", "words"),
    [
        ("exit 0", 0, "finished", "fact", "finished without an error"),
        ("echo oh no; exit 3", 3, "program-failed", "fact", "by itself with code 3"),
        ("nosuchthing", 127, "command-failed", "likely", "did not find a command"),
        ("/etc/passwd", 126, "command-failed", "likely", "could not run"),
        ('sh -c "kill -SEGV \\$\\$"; exit $?', 139, "crashed", "likely", "SIGSEGV"),
        ("exit 143", 143, "signalled", "likely", "did not come by way of the engine"),
    ],
)
def test_ends_of_its_own(
    engine: Engine, script: str, code: int, cause: str, certainty: str, words: str
) -> None:
    """What the program did, with the last that it said."""
    engine.docker("run", "--name", "one", "busybox", "sh", "-c", script)
    reason = why(engine, "one")
    assert (reason["ExitCode"], reason["Cause"], reason["Certainty"]) == (code, cause, certainty)
    assert words in reason["Sentence"]
    if "oh no" in script:
        assert reason["LastLines"] == ["oh no"]


def test_memory(engine: Engine) -> None:
    """The kernel's own count makes it a fact."""
    eat = "x=x; while :; do x=$x$x; done"
    engine.docker("run", "--name", "hungry", "-m", "8m", "busybox", "sh", "-c", eat)
    reason = why(engine, "hungry")
    assert (reason["Cause"], reason["Certainty"]) == ("out-of-memory", "fact")
    assert "its limit of 8MiB" in reason["Sentence"]


def test_who_asked(engine: Engine) -> None:
    """A kill by way of the engine names who sent it; a patient stop names process 1's deafness."""
    engine.docker_ok("run", "-d", "--name", "victim", "busybox", "sleep", "99")
    # From inside the machine, where the daemon sees the client's process.
    engine.machine.run("docker", "-H", f"unix://{engine.socket}", "kill", "victim")
    reason = why(engine, "victim")
    assert (reason["Cause"], reason["Certainty"]) == ("stopped", "fact")
    assert "docker" in reason["Sentence"], reason
    engine.docker_ok("run", "-d", "--name", "deaf", "busybox", "sh", "-c", _DEAF)
    engine.docker_ok("stop", "-t", "1", "deaf")
    reason = why(engine, "deaf")
    assert [("SIGTERM" in line, "SIGKILL" in line) for line in reason["Evidence"][1:]] == [
        (True, False),
        (False, True),
    ]
    assert "It did not end by SIGTERM before" in reason["Hints"][0]


def test_a_kill_from_outside(engine: Engine) -> None:
    """What the engine did not do, it does not claim."""
    engine.docker_ok("run", "-d", "--name", "victim", "busybox", "sleep", "99")
    os.kill(engine.container_pid("victim"), signal.SIGKILL)
    ended(engine, "victim")
    reason = why(engine, "victim")
    assert (reason["ExitCode"], reason["Cause"], reason["Certainty"]) == (
        137,
        "signalled",
        "unknown",
    )
    assert any("nobody asked the engine" in line for line in reason["Evidence"])


def test_failed_starts(engine: Engine) -> None:
    """The program's absence, and what else the same words could mean."""
    engine.docker("run", "--name", "missing", "busybox", "nosuchthing")
    reason = why(engine, "missing")
    assert (reason["ExitCode"], reason["Cause"]) == (127, "start-failed")
    assert "executable file not found" in reason["Evidence"][0]
    assert "PATH" in reason["Hints"][0]


def test_not_executed(engine: Engine) -> None:
    """A program that is there and can't run has Docker's sentence and code, and advice."""
    write = "printf '#!/no/such\n' > /run-me && echo echo > /text && chmod +x /run-me /text"
    engine.docker_ok("run", "--name", "maker", "busybox", "sh", "-c", write)
    engine.docker_ok("commit", "maker", "odd:1")
    for program, problem, advice in (
        ("/run-me", "no such file or directory", "interpreter"),
        ("/text", "exec format error", "wherry platform enable"),
    ):
        ran = engine.docker("run", "--name", "odd", "odd:1", program)
        assert (ran.returncode, ran.stderr) == (255, f"exec {program}: {problem}\n")
        assert engine.docker("logs", "odd").stderr == ran.stderr
        reason = why(engine, "odd")
        assert (reason["ExitCode"], reason["Cause"]) == (255, "start-failed")
        assert advice in reason["Hints"][0]
        engine.docker_ok("rm", "odd")
    engine.docker_ok("run", "-d", "--name", "host", "odd:1", "sleep", "99")
    ran = engine.docker("exec", "host", "/text")
    assert (ran.returncode, ran.stderr) == (255, "exec /text: exec format error\n")
    engine.docker_ok("rm", "-f", "host", "maker")
    engine.docker_ok("rmi", "odd:1")


def test_output_that_was_lost(engine: Engine) -> None:
    """What could not be written to the log is counted, and told to whoever asks."""
    made = engine.docker_ok("create", "--name", "full", "busybox", "echo", "much")
    log = engine.data_root / "containers" / made / f"{made}-json.log"
    log.touch()
    mounted = engine.machine.run("mount", "--bind", "/dev/full", str(log))
    assert mounted.returncode == 0, mounted.stderr
    try:
        engine.docker_ok("start", "-a", "full")
        ended(engine, "full")
    finally:
        engine.machine.run("umount", str(log))
    lost = [each for each in why(engine, "full")["Evidence"] if "could not be written" in each]
    assert len(lost) == 1
    assert int(lost[0].split()[0]) > len("much\n")
    assert f"output.lost container={made}" in engine.log_tail()


def test_before_and_during(engine: Engine) -> None:
    """A container that has not run, one that runs, and none."""
    engine.docker_ok("create", "--name", "new", "busybox")
    assert why(engine, "new")["Cause"] == "never-started"
    engine.docker_ok("run", "-d", "--name", "busy", "busybox", "sleep", "99")
    assert why(engine, "busy")["Cause"] == "running"
    ran = engine.wherry("why", "nobody")
    assert (ran.returncode, ran.stderr) == (
        1,
        "Error response from daemon: No such container: nobody\n",
    )


def test_for_people(engine: Engine) -> None:
    """One claim with its certainty, evidence, advice, last lines."""
    engine.docker("run", "--name", "sad", "busybox", "sh", "-c", "echo first; echo last; exit 9")
    told = engine.wherry("why", "--tail", "1", "sad").stdout
    assert told == (
        "sad: exited, exit code 9\n"
        "Its program ended by itself with code 9; only its own words say why. (fact)\n"
        "\nEvidence:\n  - exit code 9\n"
        "\nLast lines:\n  last\n"
    )
