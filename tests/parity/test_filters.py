"""Every filter of every list, as the command line gives them and in both forms of the API."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from support.daemon import BUSYBOX, Engine
from support.stock_engine import StockEngine

EVERY_LIST = {
    "/containers/json": (
        "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation",
        "label", "name", "network", "publish", "since", "status", "volume",
    ),
    "/images/json": ("before", "dangling", "label", "reference", "since"),
    "/networks": ("dangling", "driver", "id", "label", "name", "scope", "type"),
    "/volumes": ("dangling", "driver", "label", "name"),
}  # fmt: skip
"""What Debian's dockerd knows too; `until` and `label!` of image lists are newer."""

SAMPLES = {
    "before": "web", "since": "web", "ancestor": "busybox", "exited": "0", "health": "none",
    "is-task": "false", "dangling": "false", "status": "running", "type": "builtin",
    "expose": "80/tcp", "publish": "8000-8010/tcp",
}  # fmt: skip


@pytest.fixture(scope="module")
def crowded(shared_engine: Engine, clean_census: None) -> Iterator[Engine]:
    """Four containers: `web` and `api1` run, `done` has ended with 3, `new` was never started."""
    engine = shared_engine
    engine.docker_ok(
        "run", "-d", "--name", "web", "-l", "owner=alice", "-l", "tier", "-p", "8123:80",
        "-v", "/tmp:/host", "busybox", "sleep", "1000",
    )  # fmt: skip
    engine.docker_ok(
        "run", "-d", "--name", "api1", "-l", "owner=bob", "--expose", "9000/udp",
        "--network", "none", "busybox", "sleep", "1000",
    )  # fmt: skip
    engine.docker("run", "--name", "done", "-l", "owner", "busybox", "sh", "-c", "exit 3")
    engine.docker_ok("create", "--name", "new", "busybox", "true")
    yield engine
    engine.remove_all_containers()


def id_of(engine: Engine, name: str) -> str:
    """The id of a container of the crowd."""
    return str(engine.inspect(name)["Id"])


def named(engine: Engine, *arguments: str) -> list[str]:
    """The names that `docker ps` shows, newest first."""
    return engine.docker_ok("ps", "--format", "{{.Names}}", *arguments).split()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), "api1 web"),
        (("-a",), "new done api1 web"),
        (("-l",), "new"),
        (("-n", "2"), "new done"),
        (("-a", "-n", "3"), "new done api1"),
        (("-f", "name=web"), "web"),
        (("-f", "name=^/web$"), "web"),
        (("-f", "name=^api[0-9]+$"), "api1"),
        (("-f", "name=w.b"), "web"),
        (("-f", "name=(web|api1)"), "api1 web"),
        (("-f", "name=web", "-f", "name=api"), "api1 web"),
        (("-f", "name=("), ""),
        (("-f", "label=owner"), "api1 web"),
        (("-a", "-f", "label=owner"), "done api1 web"),
        (("-f", "label=owner=alice"), "web"),
        (("-f", "label=owner=alice", "-f", "label=tier"), "web"),
        (("-f", "label=owner=alice", "-f", "label=owner=bob"), ""),
        (("-a", "-f", "label=owner="), "done"),
        (("-f", "status=running"), "api1 web"),
        (("-f", "status=exited"), "done"),
        (("-f", "status=created"), "new"),
        (("-f", "status=exited", "-f", "status=created"), "new done"),
        (("-f", "status=paused"), ""),
        (("-f", "status=restarting"), ""),
        (("-a", "-f", "exited=3"), "done"),
        (("-a", "-f", "exited=0"), ""),
        (("-f", "exited=3"), ""),
        (("-a", "-f", "before=api1"), "web"),
        (("-a", "-f", "since=api1"), "new done"),
        (("-a", "-f", "since=web", "-f", "before=new"), "done api1"),
        (("-a", "-f", "ancestor=busybox"), "new done api1 web"),
        (("-a", "-f", "ancestor=nosuch"), ""),
        (("-f", "network=none"), "api1"),
        (("-f", "network=bridge"), "web"),
        (("-f", "network=nosuch"), ""),
        (("-f", "volume=/host"), "web"),
        (("-f", "volume=/tmp"), "web"),
        (("-f", "publish=8123"), "web"),
        (("-f", "publish=8000-9000/tcp"), "web"),
        (("-f", "publish=80"), ""),
        (("-f", "expose=80/tcp"), "web"),
        (("-f", "expose=80-90"), "web"),
        (("-f", "health=none"), "api1 web"),
        (("-f", "health=healthy"), ""),
        (("-f", "is-task=false"), "api1 web"),
        (("-f", "is-task=true"), ""),
        (("-f", "isolation=default"), "api1 web"),
    ],
)  # fmt: skip
def test_ps(crowded: Engine, arguments: tuple[str, ...], names: str) -> None:
    """Which containers `docker ps` shows."""
    assert named(crowded, *arguments) == names.split()


def test_ps_by_id(crowded: Engine) -> None:
    """A full id, or the beginning of one."""
    for wanted in (id_of(crowded, "web"), id_of(crowded, "web")[:12]):
        assert named(crowded, "-f", f"id={wanted}") == ["web"]
    assert named(crowded, "-f", "id=zzz") == []


def test_ps_columns(crowded: Engine) -> None:
    """`-q`, `--no-trunc`, `-s` and the headers of the table."""
    assert crowded.docker_ok("ps", "-lq") == id_of(crowded, "new")[:12]
    assert crowded.docker_ok("ps", "-lq", "--no-trunc") == id_of(crowded, "new")
    crowded.docker_ok("exec", "web", "sh", "-c", "head -c 100000 /dev/zero >/blob")
    header, line = crowded.docker_ok("ps", "-s", "-f", "name=web").splitlines()
    assert header.split() == [
        "CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES", "SIZE",
    ]  # fmt: skip
    assert line.endswith("MB)")
    shown = {each["Id"]: each for each in crowded.api("GET", "/containers/json?size=1").json}
    web = shown[id_of(crowded, "web")]
    image_bytes = crowded.api("GET", f"/images/{BUSYBOX}/json").json["Size"]
    assert 100_000 <= web["SizeRw"] < 110_000
    assert web["SizeRootFs"] == web["SizeRw"] + image_bytes
    inspected = crowded.api("GET", "/containers/web/json?size=1").json
    assert (inspected["SizeRw"], inspected["SizeRootFs"]) == (web["SizeRw"], web["SizeRootFs"])
    long_one = crowded.docker_ok("ps", "--no-trunc", "-f", "name=web", "--format", "{{.Command}}")
    assert long_one == '"sleep 1000"'


@pytest.mark.parametrize("target", EVERY_LIST)
def test_both_forms(crowded: Engine, target: str) -> None:
    """`{"key": ["value"]}` and `{"key": {"value": true}}` mean the same, for every key."""
    for key in EVERY_LIST[target]:
        value = SAMPLES.get(key, "bridge")
        if target == "/images/json" and key in ("before", "since"):
            value = "busybox"
        forms = ({key: [value]}, {key: {value: True}})
        answers = [
            crowded.api("GET", f"{target}?all=1&filters={quote(json.dumps(form))}")
            for form in forms
        ]
        assert [each.status for each in answers] == [200, 200], (key, answers)
        first, second = (
            sorted(each.json, key=str) if target != "/volumes" else each.json for each in answers
        )
        assert first == second, key


def _as_set(listed: object) -> list[str]:
    """Ids or names, without an order: dockerd has none for networks."""
    things = listed["Volumes"] if isinstance(listed, dict) else listed
    return sorted(each.get("Id") or each["Name"] for each in things or [])


@pytest.mark.parametrize("target", EVERY_LIST)
def test_unknown_keys(shared_engine: Engine, target: str) -> None:
    """Each list names the key that it does not know."""
    answer = shared_engine.api("GET", f"{target}?filters={quote(json.dumps({'colour': ['red']}))}")
    assert answer.status == 400
    is_new = not isinstance(shared_engine, StockEngine)
    assert answer.message == "invalid filter 'colour'" if is_new else "olour" in answer.message


@pytest.mark.stock_differs
@pytest.mark.parametrize(
    ("target", "filters", "message"),
    [
        ("/containers/json", {"status": ["busy"]}, "invalid filter 'status=busy'"),
        ("/containers/json", {"exited": ["three"]}, "invalid filter 'exited=three'"),
        ("/containers/json", {"exited": ["1_0"]}, "invalid filter 'exited=1_0'"),
        ("/containers/json", {"is-task": ["maybe"]}, "invalid filter 'is-task=[maybe]'"),
        ("/containers/json", {"health": ["sick"]},
         "unrecognised filter value for health: sick"),
        ("/containers/json", {"before": ["ghost"]}, "No such container: ghost"),
        ("/containers/json", {"since": ["ghost"]}, "No such container: ghost"),
        ("/containers/json", {"publish": ["1:2"]},
         "filter for 'publish' should not contain ':': 1:2"),
        ("/containers/json", {"expose": ["x"]},
         "error while looking up for expose x: invalid port specification"),
        ("/images/json", {"dangling": ["maybe"]}, "invalid filter 'dangling=[maybe]'"),
        ("/images/json", {"dangling": ["true", "false"]},
         "invalid filter 'dangling=[false true]'"),
        ("/images/json", {"dangling": []}, "invalid filter 'dangling'"),
        ("/images/json", {"before": ["ghost"]}, "No such image: ghost:latest"),
        ("/images/json", {"since": ["ghost"]}, "No such image: ghost:latest"),
        ("/images/json", {"reference": ["["]}, "syntax error in pattern"),
        ("/images/json", {"until": ["later"]},
         "invalid value for 'until' filter: failed to parse value as time or duration: \"later\""),
        ("/networks", {"type": ["odd"]}, "invalid filter: 'type'='odd'"),
        ("/networks", {"dangling": ["maybe"]}, "invalid filter 'dangling=[maybe]'"),
        ("/containers/json", "{", "invalid filter"),
        ("/images/json", "[]", "invalid filter"),
        ("/networks", '{"name": 1}', "invalid filter"),
    ],
)  # fmt: skip
def test_values_that_are_none(
    shared_engine: Engine, target: str, filters: object, message: str
) -> None:
    """Docker's sentence for each value that a filter can't have."""
    text = filters if isinstance(filters, str) else json.dumps(filters)
    answer = shared_engine.api("GET", f"{target}?filters={quote(text)}")
    assert answer.status == (404 if message.startswith("No such") else 400)
    assert answer.message == message


def test_ten_thousand_values(crowded: Engine) -> None:
    """Many values are many values, and no reason to fail (RELIABILITY X08)."""
    values = [f"{number}" for number in range(2_000)]
    text = quote(json.dumps({"label": dict.fromkeys(values, True)}))
    answer = crowded.api("GET", f"/containers/json?filters={text}")
    assert (answer.status in (200, 414, 431), answer.json) == (True, [])


def test_a_hostile_expression(shared_engine: Engine) -> None:
    """Expressions are matched in linear time: one that would explode does not."""
    shared_engine.create("true", name="a" * 60 + "b")
    answer = shared_engine.api(
        "GET",
        f"/containers/json?all=1&filters={quote(json.dumps({'name': ['^(a+)+$']}))}",
        timeout_s=10,
    )
    assert answer.json == []


# -- images and networks ---------------------------------------------------------------------


@pytest.fixture
def shelf(shared_engine: Engine) -> Iterator[None]:
    """`shop/cart:1`, `shop/cart:2` and an image without a name, each with labels."""
    archive = shared_engine.root / "empty.tar"
    archive.write_bytes(bytes(1024))
    for name, label in (("shop/cart:1", "team=a"), ("shop/cart:2", "team=b"), ("", "team=c")):
        shared_engine.docker_ok(
            "import", "-c", f"LABEL {label}", "-m", label, str(archive), *((name,) if name else ())
        )
    yield
    for line in shared_engine.docker_ok("images", "-aq", "-f", "label=team").split():
        shared_engine.docker_ok("rmi", "-f", line)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("-f", "reference=shop/cart"), "shop/cart:1 shop/cart:2"),
        (("-f", "reference=shop/*:2"), "shop/cart:2"),
        (("-f", "reference=*/cart:[13]"), "shop/cart:1"),
        (("-f", "reference=*cart*"), ""),
        (("-f", "reference=busy?ox"), "busybox:latest"),
        (("shop/cart",), "shop/cart:1 shop/cart:2"),
        (("-f", "label=team=a"), "shop/cart:1"),
        (("-f", "label=team", "-f", "dangling=false"), "shop/cart:1 shop/cart:2"),
        (("-f", "label=team", "-f", "dangling=true"), "<none>:<none>"),
        (("-f", "dangling=true"), "<none>:<none>"),
        (("-f", "since=shop/cart:1", "-f", "reference=shop/*"), "shop/cart:2"),
        (("-f", "before=shop/cart:2", "-f", "reference=shop/*"), "shop/cart:1"),
    ],
)  # fmt: skip
def test_images(
    shared_engine: Engine, shelf: None, arguments: tuple[str, ...], names: str
) -> None:
    """Which images `docker images` shows, and under which names."""
    shown = shared_engine.docker_ok("images", "--format", "{{.Repository}}:{{.Tag}}", *arguments)
    assert sorted(shown.split()) == sorted(names.split())


@pytest.mark.stock_differs
def test_newer_image_filters(shared_engine: Engine, shelf: None) -> None:
    """`until`, an age or a date, and `label!`."""
    assert shared_engine.docker_ok("images", "-q", "-f", "until=2001-01-01") == ""
    assert (
        len(shared_engine.docker_ok("images", "-q", "-f", "until=-2s", "-f", "label=team").split())
        == 3
    )
    shown = shared_engine.api(
        "GET", f"/images/json?filters={quote(json.dumps({'label!': ['team=a']}))}"
    )
    assert "shop/cart:1" not in [name for each in shown.json for name in each["RepoTags"]]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), "bridge host none"),
        (("-f", "driver=bridge"), "bridge"),
        (("-f", "driver=null"), "none"),
        (("-f", "name=o"), "host none"),
        (("-f", "name=^host$"), "host"),
        (("-f", "type=builtin"), "bridge host none"),
        (("-f", "type=custom"), ""),
        (("-f", "scope=local"), "bridge host none"),
        (("-f", "scope=swarm"), ""),
        (("-f", "label=any"), ""),
        (("-f", "dangling=true"), ""),
        (("-f", "driver=bridge", "-f", "driver=host"), "bridge host"),
    ],
)  # fmt: skip
def test_networks(shared_engine: Engine, arguments: tuple[str, ...], names: str) -> None:
    """Which networks `docker network ls` shows."""
    shown = shared_engine.docker_ok("network", "ls", "--format", "{{.Name}}", *arguments)
    assert sorted(shown.split()) == names.split()
