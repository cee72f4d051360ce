"""Restart policies, with the stock client: when a container starts again, and when it does not."""

import itertools
import json
import os
import time

import pytest

from support.daemon import Engine
from support.waiting import wait_until


def state_of(engine: Engine, name: str) -> str:
    """Docker's word for where a container is."""
    return str(engine.inspect(name)["State"]["Status"])


def restarts_of(engine: Engine, name: str) -> int:
    """How often a policy has restarted it."""
    return int(engine.inspect(name)["RestartCount"])


def starts_and_ends(engine: Engine, name: str) -> list[tuple[str, float]]:
    """The `start` and `die` events of a container so far, with their times in seconds.

    By its id: others may have had the name before.
    """
    until = str(int(time.time()) + 1)
    identity = engine.inspect(name)["Id"]
    flags = ("--since", "0", "--until", until, "--filter", f"container={identity}")
    lines = engine.docker_ok("events", *flags, "--format", "{{json .}}").splitlines()
    events = [json.loads(line) for line in lines]
    return [
        (each["Action"], each["timeNano"] / 1e9)
        for each in events
        if each["Action"] in ("start", "die")
    ]


def test_the_delays(engine: Engine) -> None:
    """The first waits are 0.1, 0.2, 0.4, 0.8 seconds; each restart is counted and told."""
    engine.docker_ok("run", "-d", "--name", "fails", "--restart", "always", "busybox", "false")
    wait_until("four restarts", lambda: restarts_of(engine, "fails") >= 5, within_s=30)
    engine.docker_ok("stop", "fails")
    told = starts_and_ends(engine, "fails")
    ends = [at for action, at in told if action == "die"]
    starts = [at for action, at in told if action == "start"]
    for wished, (end, start) in zip((0.1, 0.2, 0.4, 0.8), zip(ends, starts[1:], strict=False),
                                    strict=False):  # fmt: skip
        # Never early; how late is the machine's affair (and the proof programme's figure).
        assert wished * 0.98 <= start - end


def test_on_failure_counts(engine: Engine) -> None:
    """`on-failure:2` gives up after two restarts, and keeps the code and the count."""
    flags = ("--name", "tries", "--restart", "on-failure:2")
    engine.docker_ok("run", "-d", *flags, "busybox", "sh", "-c", "exit 3")
    wait_until("it gives up", lambda: state_of(engine, "tries") == "exited", within_s=30)
    found = engine.inspect("tries")
    assert (found["RestartCount"], found["State"]["ExitCode"]) == (2, 3)
    assert found["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert len(starts_and_ends(engine, "tries")) == 6


def test_success_is_no_failure(engine: Engine) -> None:
    """`on-failure` leaves a container alone that ended well."""
    engine.docker_ok("run", "-d", "--name", "good", "--restart", "on-failure", "busybox", "true")
    wait_until("it has ended", lambda: state_of(engine, "good") == "exited")
    assert restarts_of(engine, "good") == 0


def test_between_two_runs(engine: Engine) -> None:
    """A container that waits is `restarting`: listed, not to be exec'd, paused or removed."""
    flags = ("--name", "waits", "--restart", "always")
    engine.docker_ok("run", "-d", *flags, "busybox", "false")
    wait_until("a long wait", lambda: restarts_of(engine, "waits") >= 5, within_s=30)
    wait_until("it waits", lambda: state_of(engine, "waits") == "restarting")
    state = engine.inspect("waits")["State"]
    assert (state["Running"], state["Restarting"], state["Pid"]) == (True, True, 0)
    assert engine.docker_ok("ps", "--format", "{{.Status}}").startswith("Restarting (1) ")
    assert engine.docker_ok("ps", "-q", "--filter", "status=restarting") != ""
    sentence = "is restarting, wait until the container is running"
    assert sentence in engine.docker("exec", "waits", "true").stderr
    assert sentence in engine.docker("pause", "waits").stderr
    assert "container is restarting: stop the container" in engine.docker("rm", "waits").stderr
    before = time.monotonic()
    engine.docker_ok("stop", "waits")
    assert time.monotonic() - before < 5  # one second of it is the client's own
    assert state_of(engine, "waits") == "exited"
    engine.docker_ok("start", "waits")
    engine.docker_ok("rm", "-f", "waits")


@pytest.mark.stock_differs
def test_policies_outlive_the_daemon(engine: Engine) -> None:
    """kill -9 of the daemon: a wait goes on, a stop stays a stop, an end is made good."""
    for name, policy in (("stopped", "unless-stopped"), ("kept", "unless-stopped"),
                         ("tough", "always")):  # fmt: skip
        flags = ("--name", name, "--restart", policy)
        engine.docker_ok("run", "-d", *flags, "busybox", "sleep", "1000")
    flags = ("--name", "waits", "--restart", "always")
    engine.docker_ok("run", "-d", *flags, "busybox", "false")
    engine.docker_ok("stop", "-t", "0", "stopped", "tough")
    wait_until("it has been restarted", lambda: restarts_of(engine, "waits") >= 4, within_s=30)
    pid = engine.container_pid("kept")
    engine.kill9()
    os.kill(pid, 9)
    engine.start()
    for name in ("kept", "tough"):
        wait_until(f"{name} runs", lambda name=name: state_of(engine, name) == "running")  # type: ignore[misc]
    assert restarts_of(engine, "kept") == 1
    assert state_of(engine, "stopped") == "exited"
    reached = restarts_of(engine, "waits")
    assert reached >= 4
    wait_until("the wait is over", lambda: restarts_of(engine, "waits") > reached, within_s=30)


def test_a_start_by_hand_counts_anew(engine: Engine) -> None:
    """What a user starts has not been restarted."""
    flags = ("--name", "tries", "--restart", "on-failure:1")
    engine.docker_ok("run", "-d", *flags, "busybox", "false")
    for _ in itertools.repeat(None, 2):
        wait_until("it gives up", lambda: state_of(engine, "tries") == "exited", within_s=30)
        assert restarts_of(engine, "tries") == 1
        engine.docker_ok("start", "tries")


def test_refusals(engine: Engine) -> None:
    """`--rm` contradicts a policy, a count belongs to on-failure."""
    refused = engine.docker("run", "--rm", "--restart", "always", "busybox", "true")
    assert "onflicting options: cannot specify both --restart and --rm" in refused.stderr
    refused = engine.docker("run", "--restart", "always:3", "busybox", "true")
    assert "maximum retry count can only be used with 'on-failure'" in refused.stderr
