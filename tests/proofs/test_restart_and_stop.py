"""RELIABILITY row 21 (F24, F25, F26): back-off, out of memory, and the time that a stop takes."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.daemon import Engine
from support.proof_size import Size
from support.waiting import wait_until

DELAYS_S = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60)
LARGEST_DEVIATION = 0.15
SLACK_S = 0.25
"""What a busy machine may add to a start, beside the deviation."""


def test_the_back_off(engine: Engine, size: Size, figure: list[str]) -> None:
    """Each wait between an end and the next start; then a stop while it waits."""
    wished = DELAYS_S[: size.of(12, 5)]
    flags = ("--name", "fails", "--restart", "always")
    identity = engine.docker_ok("run", "-d", *flags, "busybox", "false")
    wait_until(
        "it has waited often enough",
        lambda: int(engine.inspect("fails")["RestartCount"]) > len(wished),
        within_s=sum(wished) * 1.2 + 30,
    )
    before = time.monotonic()
    engine.api("POST", "/containers/fails/stop")
    stopped_in_s = time.monotonic() - before
    assert engine.inspect("fails")["State"]["Status"] == "exited"
    flags = ("--since", "0", "--until", str(int(time.time()) + 1), "--filter",
             f"container={identity}")  # fmt: skip
    lines = engine.docker_ok("events", *flags, "--format", "{{json .}}").splitlines()
    events = [json.loads(line) for line in lines]
    ends = [each["timeNano"] / 1e9 for each in events if each["Action"] == "die"]
    starts = [each["timeNano"] / 1e9 for each in events if each["Action"] == "start"]
    waited = [start - end for end, start in zip(ends, starts[1:], strict=False)]
    deviations = [
        abs(measured - wish) / wish for measured, wish in zip(waited, wished, strict=False)
    ]
    figure.append(
        f"{len(wished)} waits: largest deviation {100 * max(deviations):.1f} % "
        f"({100 * max(deviations[2:]):.1f} % from the third on); stop in {stopped_in_s:.3f} s"
    )
    for measured, wish in zip(waited, wished, strict=False):
        assert wish * 0.98 <= measured <= wish * (1 + LARGEST_DEVIATION) + SLACK_S
    assert stopped_in_s <= 1


def test_out_of_memory(engine: Engine, probe: Path, size: Size, figure: list[str]) -> None:
    """OOMKilled is said exactly when the kernel did it."""
    rounds, wrong = size.of(25, 2), []
    if not engine.api("GET", "/info").json["MemoryLimit"]:
        pytest.skip("this host has no memory controller")
    for number in range(rounds):
        flags = ("--name", f"eats{number}", "-m", "32m", "-v", f"{probe}:/probe:ro")
        engine.docker("run", *flags, "busybox", "/probe", "eat", "64")
        engine.docker_ok("run", "-d", "--name", f"killed{number}", "-m", "32m", "busybox",
                         "sleep", "1000")  # fmt: skip
        engine.docker_ok("kill", f"killed{number}")
        for name, expected in ((f"eats{number}", True), (f"killed{number}", False)):
            state = engine.inspect(name)["State"]
            if (state["OOMKilled"], state["ExitCode"]) != (expected, 137):
                wrong.append(f"{name}: {state['OOMKilled']} {state['ExitCode']}")
            engine.docker_ok("rm", name)
    figure.append(f"{len(wrong)} misreports of {2 * rounds}")
    assert not wrong


def test_one_that_ignores_its_signal(engine: Engine, size: Size, figure: list[str]) -> None:
    """It is killed when its time is over, neither earlier nor much later."""
    patience_s = size.of(10, 2)
    script = "trap '' TERM; while :; do sleep 1; done"
    engine.docker_ok("run", "-d", "--name", "stubborn", "busybox", "sh", "-c", script)
    before = time.monotonic()
    engine.docker_ok("stop", "-t", str(patience_s), "stubborn", timeout_s=60)
    took_s = time.monotonic() - before
    figure.append(f"stopped after {took_s:.2f} s with {patience_s} s of patience")
    assert engine.inspect("stubborn")["State"]["ExitCode"] == 137
    assert patience_s <= took_s <= patience_s + 2


def test_many_stops(engine: Engine, size: Size, figure: list[str]) -> None:
    """A hundred containers that ignore SIGTERM stop side by side."""
    count = size.of(100, 6)
    script = "trap '' TERM; while :; do sleep 1000; done"

    def start(number: int) -> str:
        flags = ("-d", "--network", "none", "--name", f"one{number}")
        return engine.docker_ok("run", *flags, "busybox", "sh", "-c", script)

    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(start, range(count)))
    before = time.monotonic()
    stopping = [
        subprocess.Popen(["docker", "stop", "-t", "3", name], env=engine.environment,
                         stdout=subprocess.DEVNULL)
        for name in names
    ]  # fmt: skip
    assert all(each.wait(timeout=60) == 0 for each in stopping)
    took_s = time.monotonic() - before
    figure.append(f"{count} containers stopped in {took_s:.1f} s with 3 s of patience")
    assert took_s <= 20
