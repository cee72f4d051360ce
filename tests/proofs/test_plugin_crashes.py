"""The daemon dies between what a plugin of networks did for it and the record of that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.mutants import Mutant, mutated_engine
from support.plugged_networks import FAR, calls, links, plugged
from support.proof_size import Size

pytestmark = pytest.mark.stock_differs

ADDRESS = "10.88.0.20"
GIVEN_BACK = ["Leave", "DeleteEndpoint", f"ReleaseAddress {ADDRESS}"]

CONNECTING = ("Join", "CreateEndpoint")
DISCONNECTING = ("DeleteEndpoint", "Leave", "ReleaseAddress")


@pytest.fixture
def plug(engine: Engine) -> Iterator[Path]:
    """The directory of a plugin."""
    with plugged(engine) as directory:
        yield directory


def dies_at(engine: Engine, plug: Path, method: str, *words: str) -> None:
    """A command during which the daemon dies, when the plugin has done what it was asked for."""
    (plug / "ending").write_text(f"{method} {engine.pid_file.read_text()}")
    assert engine.docker(*words).returncode
    engine.wait_for_end()
    calls(plug)
    engine.start()


def what_it_did_for_nobody(engine: Engine, plug: Path, method: str) -> None:
    """A connection is cut off when a method is done: the next daemon has the plugin undo it."""
    engine.docker_ok(*FAR)
    engine.docker_ok("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    before = links(engine)
    dies_at(engine, plug, method, "network", "connect", "far", "one")
    assert calls(plug) == GIVEN_BACK
    assert links(engine) == before
    engine.docker_ok("network", "connect", "far", "one")
    assert f"{ADDRESS}/24" in engine.docker_ok("exec", "one", "ip", "address", "show", "plug0")
    if Size.is_whole:
        engine.docker_ok("rm", "-f", "one")
        dies_at(
            engine, plug, method, "run", "--name", "two", "--network", "far", "busybox", "true"
        )
        assert calls(plug) == GIVEN_BACK
        engine.docker_ok("start", "two")


@pytest.mark.parametrize("method", CONNECTING[: Size().of(2, 1)])
def test_while_it_connects(engine: Engine, plug: Path, method: str) -> None:
    """Nothing of it is left, and it can be done again."""
    what_it_did_for_nobody(engine, plug, method)


@pytest.mark.parametrize("method", DISCONNECTING[: Size().of(3, 1)])
def test_while_it_disconnects(engine: Engine, plug: Path, method: str) -> None:
    """The container is on the network again, as its record says, and may leave it."""
    engine.docker_ok(*FAR)
    before = links(engine)
    engine.docker_ok("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    engine.docker_ok("network", "connect", "far", "one")
    dies_at(engine, plug, method, "network", "disconnect", "far", "one")
    assert "far" in engine.inspect("one")["NetworkSettings"]["Networks"]
    engine.docker_ok("exec", "one", "ping", "-c1", "-W2", "10.88.0.1")
    assert f"{ADDRESS}/24" in engine.docker_ok("exec", "one", "ip", "address", "show", "plug0")
    calls(plug)
    engine.docker_ok("network", "disconnect", "far", "one")
    assert calls(plug) == GIVEN_BACK
    engine.docker_ok("rm", "-f", "one")
    assert links(engine) == before


def test_mutant() -> None:
    """A daemon that notes nothing leaves the endpoint to the plugin."""
    mutant = Mutant("what plugins are told is not noted", "networks/made_network.py",
                    "            self._asked.note(endpoint, namespace_path)",
                    "            pass")  # fmt: skip
    with mutated_engine(mutant) as engine, plugged(engine) as plug, pytest.raises(AssertionError):
        what_it_did_for_nobody(engine, plug, "Join")
