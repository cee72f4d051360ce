"""Images to and from a real registry, by the stock CLI."""

import json
from collections.abc import Iterator

import pytest

from support.daemon import Engine

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def pushed(engine: Engine, registry: str) -> Iterator[str]:
    """busybox, pushed; gone from the engine's names afterwards."""
    name = f"{registry}/team/box:v1"
    engine.docker_ok("tag", "busybox", name)
    engine.docker_ok("push", name)
    yield name
    for reference in engine.docker_ok("images", "-q", "--no-trunc", registry + "/*/*").split():
        engine.docker("rmi", "-f", reference)
    if engine.docker("image", "inspect", "busybox").returncode:
        engine.bootstrap()


def test_push_tells_what_docker_tells(engine: Engine, pushed: str) -> None:
    """A second push finds every layer there, and gives the same digest."""
    told = engine.docker_ok("push", pushed)
    assert f"The push refers to repository [{pushed.rpartition(':')[0]}]" in told
    assert "Layer already exists" in told
    digest = json.loads(engine.docker_ok("inspect", pushed))[0]["RepoDigests"][0]
    assert f"v1: digest: {digest.partition('@')[2]} size: " in told


def test_pull_after_removal_gives_the_same_image(engine: Engine, pushed: str) -> None:
    """Pushed, removed everywhere, pulled: the same id, and it runs."""
    before = engine.docker_ok("inspect", "-f", "{{.Id}}", pushed)
    engine.docker_ok("rmi", "-f", pushed, "busybox")
    told = engine.docker_ok("pull", pushed)
    assert told.splitlines()[0] == "v1: Pulling from team/box"
    assert "Pull complete" in told
    assert f"Status: Downloaded newer image for {pushed}" in told
    assert engine.docker_ok("inspect", "-f", "{{.Id}}", pushed) == before
    assert engine.docker_ok("run", "--rm", pushed, "echo", "ran") == "ran"
    again = engine.docker_ok("pull", pushed)
    assert "Already exists" in again
    assert f"Status: Image is up to date for {pushed}" in again
    engine.docker_ok("tag", pushed, "busybox:latest")


def test_pull_by_digest(engine: Engine, pushed: str) -> None:
    """The digest is a name of its own."""
    digest = engine.docker_ok("inspect", "-f", "{{index .RepoDigests 0}}", pushed)
    assert digest in engine.docker_ok("pull", digest)
    assert engine.docker_ok("run", "--rm", digest, "echo", "ran") == "ran"


def test_run_pulls_what_is_missing(engine: Engine, pushed: str) -> None:
    """`docker run` of an image that is not here."""
    engine.docker_ok("rmi", "-f", pushed)
    ran = engine.docker("run", "--rm", pushed, "echo", "ran")
    assert (ran.returncode, ran.stdout) == (0, "ran\n")
    assert "Unable to find image" in ran.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pull", "{registry}/team/box:none"),
         "manifest for {registry}/team/box:none not found: manifest unknown: manifest unknown"),
        (("pull", "{registry}/team/nope"),
         "manifest for {registry}/team/nope:latest not found: manifest unknown: manifest unknown"),
        (("pull", "127.0.0.1:1/x"),
         'Get "https://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'),
        (("push", "{registry}/team/absent:v1"),
         "An image does not exist locally with the tag: {registry}/team/absent"),
        (("push", "{registry}/team/box:v2"), "tag does not exist: {registry}/team/box:v2"),
        (("pull", "--platform", "nonsense/x/y/z", "busybox"),
         "cannot parse platform specifier: invalid argument"),
        (("pull", "--platform", "windows", "busybox"),
         'image operating system "windows" cannot be used on this platform'),
        (("push", "--platform", "linux/arm64", "{registry}/team/box:v1"),
         "was found but does not provide the specified platform (linux/arm64)"),
    ],
)  # fmt: skip
def test_refusals(
    engine: Engine, pushed: str, registry: str, words: tuple[str, ...], told: str
) -> None:
    """Docker's words."""
    ran = engine.docker(*(word.format(registry=registry) for word in words))
    assert ran.returncode == 1
    assert told.format(registry=registry) in ran.stderr


def test_look_up_without_pulling(engine: Engine, pushed: str, registry: str) -> None:
    """`GET /distribution/{name}/json`."""
    answer = engine.api("GET", f"/distribution/{registry}/team/box:v1/json")
    assert answer.status == 200
    assert answer.json["Platforms"] == [{"architecture": "amd64", "os": "linux"}]
    assert answer.json["Descriptor"]["digest"].startswith("sha256:")


def test_search_needs_a_registry_that_has_one(engine: Engine, registry: str) -> None:
    """Distribution registries have no search, and the answer says so."""
    ran = engine.docker("search", f"{registry}/box")
    assert ran.returncode == 1
    assert f"Error response from daemon: {registry} has no search\n" in ran.stderr
    assert engine.api("GET", f"/images/search?term={registry}/box").status == 501
