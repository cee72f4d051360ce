"""`wherry network ...` says and does what `docker network ...` does."""

import json
import re

import pytest

from support.daemon import Engine

pytestmark = [pytest.mark.timeout(120), pytest.mark.stock_differs]


@pytest.mark.parametrize(
    "words",
    [
        ("create", "--subnet", "10.0.0.0/24", "--subnet", "10.0.0.128/25", "x"),
        ("create", "--gateway", "10.0.0.1", "x"),
        ("create", "--subnet", "10.0.0.0/24", "--gateway", "10.1.0.1", "x"),
        ("create", "--subnet", "10.0.0.0/24", "--ip-range", "10.1.0.0/24", "x"),
        ("create", "--subnet", "10.0.0.0/24", "--aux-address", "a=10.1.0.1", "x"),
        ("create", "--subnet", "10.0.0.0/24,10.1.0.0/24", "--gateway", "10.0.0.1,10.0.0.2", "x"),
        ("create", "--subnet", "foo", "x"),
        ("create", "--ipv4=perhaps", "x"),
        ("create", "a b"),
        ("create", "-d", "overlay", "x"),
        ("rm", "nope", "neither"),
        ("rm", "-f", "nope"),
        ("connect", "--driver-opt", "foo", "nope", "neither"),
        ("connect", "nope", "neither"),
        ("connect", "nope"),
        ("disconnect", "nope", "neither"),
        ("prune", "--filter", "x"),
        ("prune", "-f", "--filter", "label=nobody"),
    ],
)  # fmt: skip
def test_refusals_have_dockers_words(engine: Engine, words: tuple[str, ...]) -> None:
    """The first lines, on the same stream, with the same status."""
    theirs, ours = engine.docker("network", *words), engine.wherry("network", *words)
    assert ours.returncode == theirs.returncode
    assert ours.stdout.replace("wherry", "docker") == theirs.stdout
    first = ours.stderr.partition("\n")[0].replace("wherry", "docker")
    assert first == theirs.stderr.partition("\n")[0]


def test_made_as_docker_makes_it(engine: Engine) -> None:
    """Every flag arrives: both clients' networks look the same to inspection."""
    flags = (
        "--subnet", "10.91.0.0/24", "--subnet", "fd00:91::/64", "--ipv6", "--gateway",
        "10.91.0.9,fd00:91::9", "--ip-range", "10.91.0.128/25", "--aux-address",
        "kept=10.91.0.200", "--label", "a=b", "--label", "flag", "-o",
        "com.docker.network.driver.mtu=1400", "--internal", "--attachable",
    )  # fmt: skip
    seen = []
    for run in (engine.docker, engine.wherry):
        made = run("network", "create", *flags, "x")
        assert made.returncode == 0, made.stderr
        (shown,) = json.loads(engine.docker_ok("network", "inspect", "x"))
        assert shown["Id"] == made.stdout.strip()
        del shown["Id"], shown["Created"]
        seen.append(shown)
        removed = run("network", "rm", "x")
        assert (removed.returncode, removed.stdout) == (0, "x\n")
    assert seen[0] == seen[1]


def test_joined_left_and_pruned(engine: Engine) -> None:
    """Nothing is printed for joining and leaving; pruning names what it took."""
    for name in ("x", "y"):
        assert engine.wherry("network", "create", name).returncode == 0
    engine.docker_ok("run", "-d", "--name", "cee", "busybox", "sleep", "1000")
    try:
        joined = engine.wherry("network", "connect", "--alias", "one,two", "x", "cee")
        assert (joined.returncode, joined.stdout, joined.stderr) == (0, "", "")
        networks = engine.inspect("cee")["NetworkSettings"]["Networks"]
        assert networks["x"]["Aliases"] == ["one", "two"]
        refused = engine.wherry("network", "rm", "x")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "has active endpoints" in refused.stderr
        pruned = engine.wherry("network", "prune", "-f")
        assert pruned.stdout == "Deleted Networks:\ny\n\n"
        assert engine.wherry("network", "disconnect", "x", "cee").returncode == 0
        assert list(engine.inspect("cee")["NetworkSettings"]["Networks"]) == ["bridge"]
    finally:
        engine.remove_all_containers()
        engine.docker("network", "prune", "-f")


@pytest.mark.parametrize(
    ("pool", "told"),
    [
        ("base=10.200.0.0/33,size=24", "default-address-pools: invalid base: 10.200.0.0/33"),
        ("base=10.200.0.0/16,size=8", "invalid size 8 for 10.200.0.0/16: must be 16 to 30"),
        ("size=8", "a pool has a base and a size, and nothing else"),
    ],
)
def test_pools_that_are_none(pool: str, told: str) -> None:
    """The daemon says what is wrong and does not start."""
    engine = Engine("--default-address-pool", pool)
    try:
        with pytest.raises(AssertionError, match=re.escape(told)):
            engine.start()
    finally:
        engine.close()


def test_networks_come_from_the_daemons_pools() -> None:
    """`--default-address-pool`: each network is the next part of them, until there is none."""
    engine = Engine("--default-address-pool", "base=10.200.0.0/22,size=23")
    engine.start()
    try:
        (shown,) = json.loads(engine.docker_ok("network", "inspect", "bridge"))
        assert shown["IPAM"]["Config"][0]["Subnet"] == "10.200.0.0/23"
        engine.docker_ok("network", "create", "x")
        (shown,) = json.loads(engine.docker_ok("network", "inspect", "x"))
        assert shown["IPAM"]["Config"][0]["Subnet"] == "10.200.2.0/23"
        assert engine.docker("network", "create", "y").returncode == 1
    finally:
        engine.close()
