"""Plans: what is done, why, and after what, for an engine that is described and not there."""

from dataclasses import replace
from pathlib import Path

import pytest

from wherry.client.documents import Document, Json
from wherry.compose import (
    Application,
    ComposeError,
    DownWishes,
    ImageWishes,
    Observed,
    Plan,
    PullImage,
    Recreate,
    SeenContainer,
    UpWishes,
    Wishes,
    application,
    labels,
    load_project,
    plan_down,
    plan_images,
    plan_up,
    service_hash,
)
from wherry.compose.observing import SeenImage, SeenNetwork, SeenVolume

_FILE = """
name: planned
services:
  db: {image: i, volumes: ["data:/d"], healthcheck: {test: "true"}}
  web: {image: i, depends_on: {db: {condition: service_healthy}}, scale: 2}
  sidecar: {image: i, network_mode: "service:db"}
  follower: {image: i, depends_on: {db: {condition: service_started, restart: true}}}
volumes: {data: }
"""


@pytest.fixture
def made(tmp_path: Path) -> Application:
    """A small application."""
    (tmp_path / "compose.yaml").write_text(_FILE)
    wishes = Wishes(files=[str(tmp_path / "compose.yaml")])
    return application(load_project(wishes, {}, pytest.fail))


def _running(made: Application, service: str, number: int = 1, **changed: str) -> SeenContainer:
    """A container as it is after `up`."""
    wanted = made.services[service]
    if "network_mode" in wanted:
        wanted = {**wanted, "network_mode": "container:id-db-1"}
    kept = {
        labels.PROJECT: made.name,
        labels.SERVICE: service,
        labels.NUMBER: str(number),
        labels.CONFIG_HASH: service_hash(wanted),
        labels.IMAGE: "sha256:i",
        labels.ONE_OFF: "False",
        **changed,
    }
    networks: Document = {"NetworkSettings": {"Networks": {"n": {"NetworkID": "net"}}}}
    mounts: Document = {"Mounts": [{"Type": "volume", "Name": "planned_data"}]}
    return SeenContainer(
        identifier=f"id-{service}-{number}",
        name=f"planned-{service}-{number}",
        service=service,
        number=number,
        state="running",
        labels=kept,
        summary={**networks, **mounts},
    )


def _after_up(made: Application) -> Observed:
    own = {labels.PROJECT: made.name}
    return Observed(
        containers=[
            _running(made, "db"),
            _running(made, "web"),
            _running(made, "web", 2),
            _running(made, "sidecar"),
            _running(made, "follower"),
        ],
        networks=[
            SeenNetwork(
                identifier="net",
                name="planned_default",
                labels={
                    **own,
                    labels.NETWORK: "default",
                    labels.CONFIG_HASH: made.network_hash("default"),
                },
            )
        ],
        volumes=[
            SeenVolume(
                name="planned_data",
                labels={
                    **own,
                    labels.VOLUME: "data",
                    labels.CONFIG_HASH: made.volume_hash("data"),
                },
            )
        ],
        images={"i": SeenImage(identifier="sha256:i")},
    )


def _with(seen: Observed, name: str, **changed: object) -> Observed:
    """The same, one container changed."""
    return replace(
        seen,
        containers=[
            replace(each, **changed) if each.name == name else each  # type: ignore[arg-type]
            for each in seen.containers
        ],
    )


def _reasons(plan: Plan) -> dict[str, str]:
    return {step.key: step.reason for step in plan.changes}


def test_nothing_there(made: Application) -> None:
    """All is made before anything starts; starts follow the dependencies."""
    plan = plan_up(made, Observed(images={"i": SeenImage(identifier="sha256:i")}), UpWishes())
    keys = [step.key for step in plan.steps]
    assert set(keys) == {
        "network default", "volume data", "create planned-db-1", "create planned-web-1",
        "create planned-web-2", "create planned-sidecar-1", "create planned-follower-1",
        "start db planned-db-1", "await db service_healthy True", "start web planned-web-1",
        "start web planned-web-2", "start sidecar planned-sidecar-1",
        "start follower planned-follower-1",
    }  # fmt: skip
    after = {step.key: step.after for step in plan.steps}
    assert after["create planned-db-1"] == {"network default", "volume data"}
    assert "create planned-db-1" in after["create planned-sidecar-1"]
    assert "await db service_healthy True" in after["start web planned-web-1"]
    assert set(plan.keys("create ")) <= after["start db planned-db-1"]


def test_waiting_for_what_may_end(tmp_path: Path) -> None:
    """`--wait` lets a service end that others need to have ended; the rest is to run."""
    (tmp_path / "compose.yaml").write_text(
        "{name: x, services: {web: {image: i, depends_on: {once: {condition: "
        "service_completed_successfully}}}, once: {image: i}}}"
    )
    once = application(
        load_project(Wishes(files=[str(tmp_path / "compose.yaml")]), {}, pytest.fail)
    )
    plan = plan_up(
        once, Observed(images={"i": SeenImage(identifier="sha256:i")}), UpWishes(waits=True)
    )
    awaited = {step.key: step.action.done for step in plan.steps if step.reason == "--wait"}
    assert awaited == {"await web": "Healthy", "await once": "Exited"}


def test_a_pull_that_was_asked_for_must_succeed(tmp_path: Path) -> None:
    """What can't be fetched anew is no success, unless it can be built here."""
    (tmp_path / "compose.yaml").write_text(
        "{name: x, services: {fetched: {image: i}, made: {image: j, build: .}}}"
    )
    loaded = load_project(Wishes(files=[str(tmp_path / "compose.yaml")]), {}, pytest.fail)
    present = {each: SeenImage(identifier=f"sha256:{each}") for each in "ij"}
    plan = plan_images(application(loaded), present, ImageWishes(policy="always"))
    may_fail = {
        step.key: step.action.may_fail for step in plan.steps if isinstance(step.action, PullImage)
    }
    assert may_fail == {"pull fetched": False, "pull made": True}


def test_nothing_to_do(made: Application) -> None:
    """What is as it should be stays."""
    assert plan_up(made, _after_up(made), UpWishes()).changes == []


def test_changed_configuration(made: Application) -> None:
    """What changed is recreated, with what shares its namespace; who follows is restarted."""
    seen = _after_up(made)
    old = seen.containers[0]
    changed = _with(seen, old.name, labels={**old.labels, labels.CONFIG_HASH: "other"})
    plan = plan_up(made, changed, UpWishes())
    assert _reasons(plan) == {
        "stop planned-follower-1": "db, which it follows, is made anew",
        "stop planned-sidecar-1": "db, which it follows, is made anew",
        "create planned-db-1": "its configuration has changed",
        "create planned-sidecar-1": "it shares with db, which is made anew",
        "start db planned-db-1": "it is to run",
        "start follower planned-follower-1": "it is to run",
        "start sidecar planned-sidecar-1": "it is to run",
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({labels.IMAGE: "sha256:other"}, "its image has changed"),
        ({labels.CONFIG_HASH: ""}, "its configuration has changed"),
    ],
)
def test_reasons(made: Application, changes: dict[str, str], reason: str) -> None:
    """The plan says why a container can't stay."""
    seen = _after_up(made)
    old = seen.containers[1]
    changed = _with(seen, old.name, labels={**old.labels, **changes})
    assert _reasons(plan_up(made, changed, UpWishes()))["create planned-web-1"] == reason
    never = plan_up(made, changed, UpWishes(recreate=Recreate.NEVER))
    assert never.changes == []


def test_networks_and_mounts(made: Application) -> None:
    """A container that isn't on its network, or hasn't its volume, is recreated."""
    seen = _after_up(made)
    gone = plan_up(made, _with(seen, "planned-web-1", summary={}), UpWishes())
    assert _reasons(gone)["create planned-web-1"] == "it isn't on network default"
    networks = seen.containers[0].summary["NetworkSettings"]
    unmounted = _with(seen, "planned-db-1", summary={"NetworkSettings": networks})
    reason = _reasons(plan_up(made, unmounted, UpWishes()))["create planned-db-1"]
    assert reason == "volume data isn't mounted in it"


def test_changed_network(made: Application) -> None:
    """A network of another configuration is made anew, and with it whoever is on it."""
    seen = _after_up(made)
    network = seen.networks[0]
    other = replace(network, labels={**network.labels, labels.CONFIG_HASH: "other"})
    plan = plan_up(made, replace(seen, networks=[other]), UpWishes())
    after = {step.key: step.after for step in plan.steps}
    assert "stop planned-web-1" in after["remove network default"]
    assert "remove network default" in after["network default"]
    assert "network default" in after["create planned-web-2"]


def test_whose_network(made: Application) -> None:
    """A network of somebody else's is told of; one with another key's label is refused."""
    seen = _after_up(made)
    strange = SeenNetwork(identifier="net", name="planned_default", labels={})
    with pytest.raises(ComposeError, match="was found but has incorrect label"):
        plan_up(made, replace(seen, networks=[strange]), UpWishes())


def test_scaled_down(made: Application) -> None:
    """Of too many the outdated go first, then those with high numbers."""
    seen = _after_up(made)
    old = seen.containers[1]
    outdated = _with(seen, old.name, labels={**old.labels, labels.CONFIG_HASH: "other"})
    services = {**made.services, "web": {**made.services["web"], "scale": 1}}
    plan = plan_up(replace(made, services=services), outdated, UpWishes())
    assert [step.key for step in plan.changes] == ["stop planned-web-1", "remove planned-web-1"]


def test_down(made: Application) -> None:
    """The way back: whoever depends on something ends before it."""
    plan = plan_down(made, _after_up(made), DownWishes(removes_volumes=True))
    after = {step.key: step.after for step in plan.steps}
    assert after["stop planned-db-1"] == {
        "remove planned-web-1", "remove planned-web-2", "remove planned-sidecar-1",
        "remove planned-follower-1",
    }  # fmt: skip
    assert "remove planned-db-1" in after["volume planned_data"]
    assert "remove planned-db-1" in after["network net"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("models", {"llm": None}), ("provider", {"type": "x"}), ("use_api_socket", True)],
)
def test_what_is_not_there_yet_is_refused(made: Application, field: str, value: Json) -> None:
    """By name, before anything is planned."""
    services = {**made.services, "web": {**made.services["web"], field: value}}
    with pytest.raises(ComposeError, match=f"services.web.{field} is not there yet"):
        plan_up(replace(made, services=services), Observed(), UpWishes())
