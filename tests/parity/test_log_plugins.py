"""Log drivers of others: a plugin gets every line of a container, and nobody waits for it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import log_plugin
from support.daemon import Engine
from support.volume_plugin import beside
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs


@pytest.fixture
def keeper(engine: Engine) -> Iterator[Path]:
    """The directory of a log plugin named `scribe`."""
    directory, socket = engine.root / "scribe", "/run/docker/plugins/scribe.sock"
    with beside(engine, log_plugin.__file__, socket, directory):
        yield directory
    engine.remove_all_containers()
    engine.machine.run("rm", "-rf", socket, str(directory), "/run/docker/logging")


def kept(directory: Path, container: str) -> list[dict[str, Any]]:
    """What the plugin has of a container."""
    file = directory / container
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def calls(directory: Path) -> list[tuple[str, dict[str, Any]]]:
    """What the plugin was asked."""
    return [tuple(json.loads(line)) for line in (directory / "calls").read_text().splitlines()]


def test_every_line(engine: Engine, keeper: Path) -> None:
    """With its stream and time, and where it comes from; `docker logs` has them too."""
    script = "echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x; echo"
    made = engine.docker_ok(
        "run", "-d", "--log-driver", "scribe", "--log-opt", "colour=red", "--name", "talks",
        "busybox", "sh", "-c", script,
    )  # fmt: skip
    wait_until("all has come", lambda: len(kept(keeper, made)) == 4)
    lines = kept(keeper, made)
    assert {(each["source"], each["line"]) for each in lines if len(each["line"]) < 9} == {
        ("stdout", "out"), ("stderr", "err"),
    }  # fmt: skip
    long = [each for each in lines if len(each["line"]) > 9]
    assert ["".join(each["line"] for each in long), long[0]["partial"], long[1]["partial"]] == [
        "x" * 20000, 1, 0,
    ]  # fmt: skip
    wait_until("it was told of the end", lambda: calls(keeper)[-1][0] == "LogDriver.StopLogging")
    (started,) = [asked for verb, asked in calls(keeper) if verb == "LogDriver.StartLogging"]
    info = started["Info"]
    assert (info["ContainerID"], info["ContainerName"]) == (made, "/talks")
    assert info["Config"] == {"colour": "red"}
    assert info["ContainerImageName"] == "busybox"
    assert engine.inspect("talks")["HostConfig"]["LogConfig"] == {
        "Type": "scribe", "Config": {"colour": "red"},
    }  # fmt: skip
    assert engine.docker("logs", "talks").stderr == "err\n"


def test_the_engine_is_restarted(engine: Engine, keeper: Path) -> None:
    """What a container writes meanwhile and afterwards comes, each line once."""
    script = "for n in $(seq 40); do echo $n; sleep 0.1; done"
    made = engine.docker_ok("run", "-d", "--log-driver", "scribe", "busybox", "sh", "-c", script)
    wait_until("the first have come", lambda: len(kept(keeper, made)) > 3)
    engine.kill9()
    engine.start()
    assert engine.docker_ok("wait", made) == "0"
    wait_until("all have come", lambda: len(kept(keeper, made)) >= 40)
    assert [each["line"] for each in kept(keeper, made)] == [str(n) for n in range(1, 41)]


def test_read_back(engine: Engine, keeper: Path) -> None:
    """Where no copy is kept here, `docker logs` reads the plugin's, if it says that it can."""
    script = (
        "echo one; echo two >&2; until test -e /go; do sleep 0.1; done; echo three; printf end"
    )
    made = engine.docker_ok(
        "run", "-d", "--name", "far", "--log-driver", "scribe", "--log-opt",
        "cache-disabled=true", "busybox", "sh", "-c", script,
    )  # fmt: skip
    wait_until("the first have come", lambda: len(kept(keeper, made)) == 2)
    ran = engine.docker("logs", "far")
    assert (ran.stdout, ran.stderr) == ("one\n", "two\n")
    assert engine.docker("logs", "--tail", "1", "far").stderr == "two\n"
    assert engine.docker("logs", "--since=-10s", "far").stdout == ""
    timed = engine.docker_ok("logs", "-t", "far").split()[0]
    assert timed.endswith("Z")
    assert timed[:2] == "20"
    following = subprocess.Popen(
        [*engine.cli, "logs", "-f", "far"],
        env=engine.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(
        "it follows",
        lambda: any(
            verb == "LogDriver.ReadLogs" and asked["Config"]["Follow"]
            for verb, asked in calls(keeper)
        ),
    )
    engine.docker_ok("exec", "far", "touch", "/go")
    assert following.communicate(timeout=60)[0] == "one\nthree\nend"
    (keeper / "mute").touch()
    refused = engine.docker("logs", "far")
    assert "configured logging driver does not support reading" in refused.stderr


def test_refusals(engine: Engine, keeper: Path) -> None:
    """A plugin that is not there, one that does something else, and one that refuses."""
    ran = engine.docker("run", "--rm", "--log-driver", "nobody", "busybox", "true")
    assert "logger: no log driver named 'nobody' is registered" in ran.stderr
    run = ("run", "--rm", "--log-driver", "scribe", "--log-opt", "refuse=yes", "busybox", "true")
    ran = engine.docker(*run)
    assert ran.returncode == 125
    assert "LogDriver.StartLogging: this one I don't want" in ran.stderr
    assert not engine.docker_ok("ps", "-aq")
