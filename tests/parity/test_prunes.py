"""`prune` of each kind and `system df`: what goes, what stays, and how many bytes that was."""

import json
import re
import tarfile
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from support.daemon import BUSYBOX, Engine

MEGABYTE = 1 << 20
WRITES_1_MB = ("sh", "-c", "head -c 1048576 /dev/zero >/x")
WRITES_3_MB = ("sh", "-c", "head -c 3145728 /dev/zero >/x")


def pruned(engine: Engine, kind: str, **filters: list[str]) -> dict[str, object]:
    """The answer of a prune."""
    answer = engine.api("POST", f"/{kind}/prune?filters={quote(json.dumps(filters))}")
    assert answer.status == 200, answer
    found: dict[str, object] = answer.json
    return found


@pytest.fixture
def layered(engine: Engine) -> Iterator[str]:
    """An image `big:1` of one file of 2 MB; whatever a test leaves of it goes."""
    content, archive = engine.root / "content", engine.root / "big.tar"
    content.write_bytes(b"\1" * 2 * MEGABYTE)
    with tarfile.open(archive, "w") as tar:
        tar.add(content, "content")
    image = engine.docker_ok("import", "-c", "LABEL kind=big", str(archive), "big:1")
    yield image
    engine.docker("rmi", "-f", image)


# -- containers ------------------------------------------------------------------------------


def test_container_prune(engine: Engine) -> None:
    """What does not run goes, with its bytes; what runs stays; the names are free again."""
    engine.docker_ok("run", "-d", "--name", "on", "busybox", "sleep", "1000")
    engine.docker_ok("create", "--name", "new", "busybox", "true")
    engine.docker_ok(
        "run", "--name", "off", "busybox", "sh", "-c", "head -c 3145728 /dev/zero >/x"
    )
    gone = {str(engine.inspect(name)["Id"]) for name in ("new", "off")}
    output = engine.docker_ok("container", "prune", "-f")
    assert set(output.splitlines()[1:-2]) == gone
    assert output.splitlines()[0] == "Deleted Containers:"
    assert output.splitlines()[-1] == "Total reclaimed space: 3.146MB"
    assert engine.docker_ok("ps", "-a", "--format", "{{.Names}}") == "on"
    assert engine.docker_ok("container", "prune", "-f") == "Total reclaimed space: 0B"


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (["label=keep"], "c2 c3"),
        (["label=keep=no"], "c1 c2 c3"),
        (["label!=keep"], "c1"),
        (["label!=keep=yes"], "c1"),
        (["label=x", "label!=keep"], "c1 c3"),
        (["until=24h"], "c1 c2 c3"),
        (["until=-2s"], ""),
        (["until=2001-02-03"], "c1 c2 c3"),
        (["until=2001-02-03T04:05:06Z"], "c1 c2 c3"),
        (["until=1000000000"], "c1 c2 c3"),
        (["until=-2s", "label=x"], "c1 c3"),
    ],
)
def test_container_prune_filters(engine: Engine, filters: list[str], left: str) -> None:
    """By label, by what is no label, and by age."""
    for name, labels in (("c1", ["keep=yes"]), ("c2", ["x"]), ("c3", [])):
        flags = [word for label in labels for word in ("-l", label)]
        engine.docker_ok("create", "--name", name, *flags, "busybox", "true")
    words = [word for each in filters for word in ("--filter", each)]
    engine.docker_ok("container", "prune", "-f", *words)
    names = engine.docker_ok("ps", "-a", "--format", "{{.Names}}").split()
    assert sorted(names) == left.split()


@pytest.mark.stock_differs
@pytest.mark.parametrize(
    ("kind", "filters", "message"),
    [
        ("containers", {"status": ["exited"]}, "invalid filter 'status'"),
        ("containers", {"until": ["1h", "2h"]}, "more than one until filter specified"),
        ("containers", {"until": ["soon"]},
         "invalid value for 'until' filter: failed to parse value as time or duration: \"soon\""),
        ("images", {"before": ["x"]}, "invalid filter 'before'"),
        ("images", {"dangling": ["often"]}, "invalid filter 'dangling=[often]'"),
        ("images", {"until": ["1h", "2h"]}, "more than one until filter specified"),
        ("networks", {"driver": ["bridge"]}, "invalid filter 'driver'"),
        ("networks", {"until": ["1h", "2h"]}, "more than one until filter specified"),
        ("build", {"colour": ["red"]}, "invalid filter 'colour'"),
    ],
)  # fmt: skip
def test_prune_filters_that_are_none(
    engine: Engine, kind: str, filters: dict[str, list[str]], message: str
) -> None:
    """Keys and values that a prune does not know remove nothing."""
    engine.create("true", name="stays")
    answer = engine.api("POST", f"/{kind}/prune?filters={quote(json.dumps(filters))}")
    assert (answer.status, answer.message) == (400, message)
    assert engine.inspect("stays")


def test_prunes_are_events(engine: Engine) -> None:
    """Each prune tells what it freed."""
    engine.create("true")
    for kind in ("containers", "images", "networks"):
        pruned(engine, kind)
    told = [(each["Type"], each["Actor"]) for each in engine.events_since(1.0, event=["prune"])]
    assert [kind for kind, _actor in told[-3:]] == ["container", "image", "network"]
    assert all(actor == {"ID": "", "Attributes": {"reclaimed": "0"}} for _kind, actor in told[-3:])


# -- images ----------------------------------------------------------------------------------


def test_image_prune(engine: Engine, layered: str) -> None:
    """An image without a name goes with its bytes; one with a name only with `-a`."""
    assert engine.docker_ok("image", "prune", "-f") == "Total reclaimed space: 0B"
    engine.docker_ok("tag", BUSYBOX, "big:1")
    output = engine.docker_ok("image", "prune", "-f")
    assert output.splitlines()[:2] == ["Deleted Images:", f"deleted: {layered}"]
    assert output.splitlines()[-1] == "Total reclaimed space: 2.097MB"
    assert engine.api("GET", f"/images/{layered}/json").status == 404
    engine.docker_ok("rmi", "big:1")


def test_image_prune_spares_what_is_used(engine: Engine, layered: str) -> None:
    """`-a` takes every image that no container was made from, by label here."""
    container = engine.docker_ok("create", "big:1", "/content")
    assert engine.docker_ok("image", "prune", "-af", "--filter", "label=kind") == (
        "Total reclaimed space: 0B"
    )
    engine.docker_ok("rm", container)
    output = engine.docker_ok("image", "prune", "-af", "--filter", "label=kind=big")
    assert "untagged: big:1" in output.splitlines()
    assert f"deleted: {layered}" in output.splitlines()
    assert output.endswith("Total reclaimed space: 2.097MB")
    assert engine.api("GET", f"/images/{BUSYBOX}/json").status == 200


def test_image_prune_until(engine: Engine, layered: str) -> None:
    """An image younger than `until` stays."""
    engine.docker_ok("tag", BUSYBOX, "big:1")
    assert not pruned(engine, "images", until=["24h"])["ImagesDeleted"]
    assert pruned(engine, "images", until=["-2s"])["SpaceReclaimed"] == 2 * MEGABYTE
    engine.docker_ok("rmi", "big:1")


# -- the whole -------------------------------------------------------------------------------


def test_networks_of_the_engine_stay(engine: Engine) -> None:
    """The networks that Docker begins with are never pruned."""
    assert pruned(engine, "networks") == {"NetworksDeleted": None}
    assert engine.docker_ok("network", "prune", "-f") == ""
    assert len(engine.api("GET", "/networks").json) == 3


def test_system_prune(engine: Engine, layered: str) -> None:
    """Containers, networks, images and the build cache in one go."""
    engine.docker_ok("tag", BUSYBOX, "big:1")
    container = engine.docker_ok("create", "busybox", "true")
    output = engine.docker_ok("system", "prune", "-f")
    assert output.splitlines()[:2] == ["Deleted Containers:", container]
    assert f"deleted: {layered}" in output.splitlines()
    assert output.endswith("Total reclaimed space: 2.097MB")
    engine.docker_ok("rmi", "big:1")


def test_system_df(engine: Engine, layered: str) -> None:
    """Sizes of images, of what they share, and of what containers wrote."""
    engine.docker_ok("run", "-d", "--name", "on", "busybox", "sleep", "1000")
    engine.docker_ok(
        "run", "--name", "off", "busybox", "sh", "-c", "head -c 1048576 /dev/zero >/x"
    )
    usage = engine.api("GET", "/system/df").json
    images = {tag: each for each in usage["Images"] for tag in each["RepoTags"] or [""]}
    assert images["big:1"]["Size"] == 2 * MEGABYTE
    assert (images["big:1"]["Containers"], images[BUSYBOX]["Containers"]) == (0, 2)
    assert images["big:1"]["SharedSize"] == 0
    assert usage["LayersSize"] == sum(each["Size"] for each in images.values())
    written = {each["Names"][0]: each for each in usage["Containers"]}
    assert written["/off"]["SizeRw"] == MEGABYTE
    assert written["/off"]["SizeRootFs"] == MEGABYTE + images[BUSYBOX]["Size"]
    table = [re.split(r"\s{2,}", line) for line in engine.docker_ok("system", "df").splitlines()]
    assert table[0] == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert table[1][:3] == ["Images", str(len(images)), "1"]
    assert table[2][:4] == ["Containers", "2", "1", "1.049MB"]
    assert "Images space usage:" in engine.docker_ok("system", "df", "-v")


@pytest.mark.stock_differs
def test_system_df_of_some_kinds(engine: Engine) -> None:
    """Only what `type` names is measured; what is no kind is refused."""
    usage = engine.api("GET", "/system/df?type=container").json
    assert (usage["Images"], usage["Containers"], usage["LayersSize"]) == (None, [], 0)
    answer = engine.api("GET", "/system/df?type=image&type=colour")
    assert (answer.status, answer.message) == (400, "unknown object type: colour")


def test_shared_size(engine: Engine, layered: str) -> None:
    """What two images share is told when it is asked for."""
    engine.docker_ok("tag", "big:1", "big:2")
    plain = {each["Id"]: each for each in engine.api("GET", "/images/json").json}
    assert plain[layered]["SharedSize"] == -1
    asked = {each["Id"]: each for each in engine.api("GET", "/images/json?shared-size=1").json}
    assert asked[layered]["SharedSize"] in (0, -1)
