"""RELIABILITY I06: an image can't tell the engine what to do by labels and annotations.

Who makes a container may: with a label it is killed when it is unhealthy, belongs to a pod, or to
a Compose project. The same words in an image change nothing (the class of CVE-2026-53488).
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.image_archives import layer, oci_layout
from support.mutants import Mutant, mutated_engine
from support.waiting import wait_until
from wherry.compose import labels as compose
from wherry.model.health import WHEN_UNHEALTHY
from wherry.pods import SANDBOX_ROLE, member_labels

PLAIN = {"org.example.color": "blue", "maintainer": "somebody", "wherryless": "no word of ours"}
RESERVED = {
    WHEN_UNHEALTHY: "kill",
    "wherry.cgroup.memory.high": "4194304",
    "wherry.cgroup.pids.max": "1",
    "wherry.restart": "always",
    **member_labels("evil", "one", SANDBOX_ROLE),
    compose.PROJECT: "evil",
    compose.SERVICE: "web",
    compose.NUMBER: "1",
    compose.ONE_OFF: "False",
    compose.CONFIG_HASH: "0" * 64,
    compose.DEPENDENCIES: "",
    compose.WORKING_DIRECTORY: "/",
    compose.CONFIG_FILES: "/etc/passwd",
    compose.VERSION: compose.COMPOSE_VERSION,
}


def an_image_that_says_it_all(engine: Engine) -> None:
    """`evil`: each reserved label, plain ones, and a probe that fails."""
    engine.docker_ok("create", "--name", "first", "busybox", "true")
    changes = [f"LABEL {name}={json.dumps(value)}" for name, value in (RESERVED | PLAIN).items()]
    changes.append("HEALTHCHECK --interval=100ms --retries=1 CMD false")
    flags = [word for each in changes for word in ("--change", each)]
    engine.docker_ok("commit", *flags, "first", "evil")
    engine.docker_ok("rm", "first")


def an_image_has_no_say(engine: Engine) -> None:
    """What a container of it is, and what others think that it is."""
    an_image_that_says_it_all(engine)
    engine.docker_ok("run", "-d", "--name", "victim", "evil", "sleep", "1000")
    seen = engine.inspect("victim")
    assert seen["Config"]["Labels"] == PLAIN
    assert not seen["HostConfig"].get("Annotations")
    wait_until(
        "it is unhealthy",
        lambda: engine.inspect("victim")["State"]["Health"]["Status"] == "unhealthy",
    )
    wait_until(
        "it was asked again",
        lambda: engine.inspect("victim")["State"]["Health"]["FailingStreak"] > 2,
    )
    assert engine.inspect("victim")["State"]["Running"]
    assert engine.wherry("pod", "ps", "-q").stdout == ""
    assert engine.wherry("compose", "-p", "evil", "ps", "-aq").stdout == ""
    engine.wherry("compose", "-p", "evil", "down")
    assert engine.inspect("victim")["State"]["Running"]


@pytest.fixture
def tidy(engine: Engine) -> Iterator[Engine]:
    """The run's engine; the images of these tests go afterwards."""
    yield engine
    engine.remove_all_containers()
    for each in ("evil", "noted:1"):
        engine.docker("rmi", "-f", each)


def test_an_image_has_no_say(tidy: Engine, figure: list[str]) -> None:
    """The labels are the image's, and are shown there; its containers have the plain ones."""
    an_image_has_no_say(tidy)
    shown = json.loads(tidy.docker_ok("inspect", "-f", "{{json .Config.Labels}}", "evil"))
    assert shown == RESERVED | PLAIN
    figure.append(f"{len(RESERVED)} reserved labels, 0 with an effect")


def test_who_makes_a_container_has(tidy: Engine) -> None:
    """The same words, by its creator, count as ever, above the image's."""
    an_image_that_says_it_all(tidy)
    label = f"{WHEN_UNHEALTHY}=kill"
    tidy.docker_ok("run", "-d", "--name", "wanted", "--label", label, "evil", "sleep", "1000")
    wait_until("it was killed", lambda: not tidy.inspect("wanted")["State"]["Running"])
    assert tidy.inspect("wanted")["Config"]["Labels"] == PLAIN | {WHEN_UNHEALTHY: "kill"}


def test_annotations_have_no_say(tidy: Engine, tmp_path: Path) -> None:
    """Those of an image's descriptor do not become those of a container."""
    told = {"io.containerd.image.name": "noted:1", "wherry.cgroup.pids.max": "1"}
    packed = tmp_path / "noted.tar"
    packed.write_bytes(oci_layout({layer(): layer()}, "noted:1", annotations=told))
    assert "noted:1" in tidy.docker_ok("load", "-i", str(packed))
    made = tidy.docker_ok("create", "noted:1")
    seen = tidy.inspect(made)
    assert not seen["HostConfig"].get("Annotations")
    assert not seen["Config"]["Labels"]


def test_mutant() -> None:
    """With labels handed on as they are the container is killed, or counted as another's."""
    mutant = Mutant("an image's labels are taken over", "engine/containers/image_defaults.py",
                    "**_inherited(image.labels)", "**image.labels")  # fmt: skip
    with mutated_engine(mutant) as engine, pytest.raises(AssertionError):
        an_image_has_no_say(engine)
