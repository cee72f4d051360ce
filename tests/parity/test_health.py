"""Health checks, with the stock client: what probes say, and what becomes of hanging ones."""

import json
import time
from typing import Any

import pytest

from support.daemon import Engine
from support.waiting import wait_until


def health_of(engine: Engine, name: str) -> Any:
    """The health that inspection shows."""
    return engine.inspect(name)["State"]["Health"]


def start(engine: Engine, name: str, command: str, *flags: str, interval: str = "200ms") -> str:
    """Run a container whose health is probed by a shell command."""
    health = ("--health-cmd", command, "--health-interval", interval)
    script = "touch /ok; sleep 1000"
    return engine.docker_ok("run", "-d", "--name", name, *health, *flags, "busybox", "sh", "-c",
                            script)  # fmt: skip


def becomes(engine: Engine, name: str, state: str) -> None:
    """Wait until the health is this."""
    wait_until(f"{name} is {state}", lambda: health_of(engine, name)["Status"] == state,
               within_s=20)  # fmt: skip


def test_from_starting_to_healthy_and_back(engine: Engine) -> None:
    """The status text, the log, the streak and the events follow what the probes say."""
    start(engine, "web", "echo looked; test -e /ok", "--health-retries", "2", interval="1s")
    assert engine.docker_ok("ps", "--format", "{{.Status}}").endswith(" (health: starting)")
    becomes(engine, "web", "healthy")
    assert engine.docker_ok("ps", "--format", "{{.Status}}").endswith(" (healthy)")
    assert engine.docker_ok("ps", "-q", "--filter", "health=healthy") != ""
    engine.docker_ok("exec", "web", "rm", "/ok")
    becomes(engine, "web", "unhealthy")
    health = health_of(engine, "web")
    assert health["FailingStreak"] >= 2
    assert health["Log"][0]["Output"] == "looked\n"
    assert (health["Log"][0]["ExitCode"], health["Log"][-1]["ExitCode"]) == (0, 1)
    assert health["Log"][0]["Start"] < health["Log"][0]["End"]
    engine.docker_ok("exec", "web", "touch", "/ok")
    becomes(engine, "web", "healthy")
    until = str(int(time.time()) + 1)
    container = f"container={engine.inspect('web')['Id']}"
    flags = ("--since", "0", "--until", until, "--filter", "event=health_status",
             "--filter", container)  # fmt: skip
    told = engine.docker_ok("events", *flags, "--format", "{{.Action}}").splitlines()
    assert told == [f"health_status: {word}" for word in ("healthy", "unhealthy", "healthy")]
    engine.docker_ok("stop", "-t", "0", "web")
    assert health_of(engine, "web")["Status"] == "unhealthy"


def test_the_start_period_has_an_interval_of_its_own(engine: Engine) -> None:
    """In the start period failures don't count and looks come often; after it they count."""
    flags = ("--health-start-interval", "200ms", "--health-retries", "1")
    probe = "test -e /ready"
    start(engine, "slow", probe, *flags, "--health-start-period", "10m", interval="1h")
    start(engine, "bad", probe, *flags, "--health-start-period", "1s", interval="300ms")
    wait_until("it was looked at", lambda: len(health_of(engine, "slow")["Log"]) >= 3, within_s=20)
    health = health_of(engine, "slow")
    assert (health["Status"], health["FailingStreak"]) == ("starting", 0)
    assert {each["ExitCode"] for each in health["Log"]} == {1}
    becomes(engine, "bad", "unhealthy")
    engine.docker_ok("exec", "slow", "touch", "/ready")
    becomes(engine, "slow", "healthy")


def test_five_results_of_4096_bytes(engine: Engine) -> None:
    """The log has five entries, and a flood is cut."""
    start(engine, "loud", "yes | head -c 1000000")
    becomes(engine, "loud", "healthy")
    wait_until("five results", lambda: len(health_of(engine, "loud")["Log"]) == 5, within_s=20)
    outputs = [each["Output"] for each in health_of(engine, "loud")["Log"]]
    assert all(each == "y\n" * 2048 + "..." for each in outputs)


@pytest.mark.stock_differs
def test_a_hanging_probe_dies_with_its_children(engine: Engine) -> None:
    """At the time-out the probe, its children and its orphans are killed; the rest is not."""
    hang = "sleep 4321 & (setsid sleep 4321 &) ; echo hanging; sleep 4321"
    flags = ("--health-timeout", "300ms", "--health-retries", "1")
    start(engine, "hangs", hang, *flags, interval="500ms")
    becomes(engine, "hangs", "unhealthy")
    first = health_of(engine, "hangs")["Log"][0]
    assert first["ExitCode"] == -1
    assert first["Output"] == "Health check exceeded timeout (300ms): hanging\n"

    def sleepers() -> int:
        return engine.docker_ok("top", "hangs", "-eo", "pid,args").count("sleep 4321")

    wait_until("some have hung", lambda: len(health_of(engine, "hangs")["Log"]) >= 3, within_s=20)
    assert sleepers() <= 3
    assert "sleep 1000" in engine.docker_ok("top", "hangs", "-eo", "pid,args")


def test_a_probe_that_is_not_there(engine: Engine) -> None:
    """A command that the image lacks is a failure that says so."""
    body = {
        "Image": "busybox",
        "Cmd": ["sleep", "1000"],
        "Healthcheck": {"Test": ["CMD", "/nope"], "Interval": 200_000_000, "Retries": 1},
    }
    container = engine.api("POST", "/containers/create", body).json["Id"]
    engine.docker_ok("start", container)
    becomes(engine, container, "unhealthy")
    assert "/nope" in health_of(engine, container)["Log"][0]["Output"]


def test_the_image_and_the_user(engine: Engine) -> None:
    """HEALTHCHECK of the image, completed by the user, and switched off."""
    change = 'HEALTHCHECK --interval=300ms --retries=5 CMD ["true"]'
    tree = engine.root / "tree.tar"
    with tree.open("wb") as file:
        file.write(engine.api("GET", "/images/busybox/get").body)
    engine.docker_ok("import", "--change", change, str(tree), "checked")
    checked = json.loads(engine.docker_ok("image", "inspect", "checked"))[0]["Config"]
    assert checked["Healthcheck"] == {"Test": ["CMD", "true"], "Interval": 300_000_000,
                                      "Retries": 5}  # fmt: skip
    one = engine.docker_ok("create", "--health-retries", "2", "checked", "true")
    assert engine.inspect(one)["Config"]["Healthcheck"] == {**checked["Healthcheck"], "Retries": 2}
    two = engine.docker_ok("create", "--no-healthcheck", "checked", "true")
    assert engine.inspect(two)["Config"]["Healthcheck"] == {
        "Test": ["NONE"], "Interval": 300_000_000, "Retries": 5,
    }  # fmt: skip
    assert "Health" not in engine.inspect(two)["State"]
    engine.docker_ok("rm", one, two)
    engine.docker_ok("rmi", "checked")


@pytest.mark.stock_differs
def test_probes_go_on_after_the_daemon(engine: Engine) -> None:
    """kill -9: the next daemon probes again, and has not forgotten what was known."""
    start(engine, "web", "test -e /ok", interval="300ms")
    becomes(engine, "web", "healthy")
    engine.kill9()
    engine.start()
    assert health_of(engine, "web")["Status"] == "healthy"
    engine.docker_ok("exec", "web", "rm", "/ok")
    becomes(engine, "web", "unhealthy")


def test_a_paused_container_is_not_probed(engine: Engine) -> None:
    """Nobody vouches for it meanwhile, and nothing fails because nothing can answer."""
    script = "if [ -e /hang ]; then rm /hang; sleep 99; fi"
    flags = ("--health-retries", "1", "--health-timeout", "1s")
    start(engine, "web", script, *flags, interval="300ms")
    becomes(engine, "web", "healthy")
    engine.docker_ok("exec", "web", "touch", "/hang")
    wait_until("a probe is under way", lambda: "sleep 99" in engine.docker_ok("top", "web"))
    paused_at = time.time()
    engine.docker_ok("pause", "web")
    paused = health_of(engine, "web")
    assert (paused["Status"], paused["FailingStreak"]) == ("unhealthy", 0)
    assert engine.docker_ok("ps", "--format", "{{.Status}}").endswith("(Paused)")
    wait_until("the probe is overdue", lambda: time.time() > paused_at + 1.5)
    assert health_of(engine, "web") == paused
    engine.docker_ok("unpause", "web")
    becomes(engine, "web", "healthy")
    assert {each["ExitCode"] for each in health_of(engine, "web")["Log"]} == {0}
    assert "sleep 99" not in engine.docker_ok("top", "web")
    told = [event["Action"] for event in engine.events_since(paused_at)]
    assert [each for each in told if each.startswith(("pause", "unpause", "health_status"))] == [
        "pause", "unpause", "health_status: healthy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--health-interval", "5us"), "Interval in Healthcheck cannot be less than 1ms"),
        (("--health-retries", "-1"), "--health-retries cannot be negative"),
        (("--no-healthcheck", "--health-cmd", "x"), "--no-healthcheck conflicts with --health-*"),
    ],
)
def test_refusals(engine: Engine, flags: tuple[str, ...], sentence: str) -> None:
    """Docker's words."""
    assert sentence in engine.docker("run", *flags, "busybox", "true").stderr
