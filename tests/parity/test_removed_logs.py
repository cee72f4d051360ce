"""`wherry logs` of a container that was removed in the last days."""

import pytest

from support.daemon import Engine

pytestmark = pytest.mark.stock_differs


def test_the_log_of_a_removed_container(engine: Engine) -> None:
    """Ours shows it and says so; the stock client is told that there is none, as by Docker."""
    script = "echo one; echo two >&2; echo three"
    ran = engine.docker("run", "--rm", "--name", "gone", "busybox", "sh", "-c", script)
    assert ran.returncode == 0
    engine.docker_ok("run", "--name", "other", "busybox", "echo", "there")
    container = engine.inspect("other")["Id"]
    engine.docker_ok("rm", "other")
    shown = engine.wherry("logs", "gone")
    assert shown.returncode == 0
    assert shown.stdout == "one\nthree\n"
    first, rest = shown.stderr.split("\n", 1)
    assert first.startswith("(container gone was removed at 20")
    assert rest == "two\n"
    assert engine.wherry("logs", "--tail", "0", "gone").stdout == ""
    assert engine.wherry("logs", container[:12]).stdout == "there\n"
    refused = engine.docker("logs", "gone")
    assert refused.returncode == 1
    assert "No such container: gone" in refused.stderr
    missing = engine.wherry("logs", "never")
    assert missing.returncode == 1
    assert "No such container: never" in missing.stderr


def test_the_latest_of_a_name(engine: Engine) -> None:
    """Of several removed containers with one name the last one counts; a living one before all."""
    for word in ("first", "second"):
        engine.docker_ok("run", "--rm", "--name", "again", "busybox", "echo", word)
    engine.restart()
    assert engine.wherry("logs", "again").stdout == "second\n"
    engine.docker_ok("run", "--name", "again", "busybox", "echo", "third")
    assert engine.wherry("logs", "again").stdout == "third\n"
