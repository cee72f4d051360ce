"""`docker diff` and `docker commit`: what a container has written, listed and made an image."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.daemon import Engine


@pytest.fixture
def changed(engine: Engine) -> Iterator[str]:
    """A container that added, changed, replaced and deleted, and has a volume."""
    script = (
        "mkdir -p /new/deep && echo a > /new/deep/file && echo b >> /etc/passwd"
        " && rm /etc/group && ln -s nowhere /link && touch /vol/hidden"
        " && chmod 751 /root"
    )
    engine.docker_ok("run", "--name", "changed", "-v", "/vol", "-e", "KEPT=1", "-l", "own=label",
                     "busybox", "sh", "-c", script)  # fmt: skip
    yield "changed"
    engine.docker_ok("rm", "-fv", "changed")


def test_diff(engine: Engine, changed: str) -> None:
    """A, C and D, with the directories above, and nothing that the engine itself put there."""
    assert sorted(engine.docker_ok("diff", changed).splitlines()) == [
        "A /link", "A /new", "A /new/deep", "A /new/deep/file", "A /vol", "C /etc",
        "C /etc/passwd", "C /root", "D /etc/group",
    ]  # fmt: skip


def test_nothing_changed(engine: Engine) -> None:
    """A container that wrote nothing has no changes, running or not."""
    made = engine.docker_ok("create", "busybox", "sleep", "99")
    assert engine.docker_ok("diff", made) == ""
    engine.docker_ok("start", made)
    assert engine.docker_ok("diff", made) == ""
    assert "No such container: nope" in engine.docker("diff", "nope").stderr


def image(engine: Engine, name: str) -> Any:
    """What inspection shows of an image."""
    return json.loads(engine.docker_ok("image", "inspect", name))[0]


def test_commit(engine: Engine, changed: str) -> None:
    """The image has the changes, the container's configuration, and who made it."""
    made = engine.docker_ok("commit", "-a", "A. U. Thor", "-m", "why not", changed, "kept:v1")
    assert made.startswith("sha256:")
    shown, base = image(engine, "kept:v1"), image(engine, "busybox")
    assert shown["Id"] == made
    assert (shown["Author"], shown["Comment"]) == ("A. U. Thor", "why not")
    assert shown["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]
    assert "KEPT=1" in shown["Config"]["Env"]
    assert shown["Config"]["Labels"]["own"] == "label"
    assert shown["Config"]["Volumes"] == {"/vol": {}} or shown["Config"]["Volumes"] is None
    script = (
        "cat /new/deep/file; ls /etc/group /vol/hidden 2>&1 | grep -c 'No such';"
        " tail -n 1 /etc/passwd; readlink /link; stat -c %a /root; ls /vol"
    )
    out = engine.docker_ok("run", "--rm", "kept:v1", "sh", "-c", script).splitlines()
    assert out == ["a", "2", "b", "nowhere", "751"]
    assert engine.docker_ok("history", "-q", "kept:v1").splitlines()[0] == made[7:19]
    fresh = engine.docker_ok("create", "kept:v1")
    assert engine.docker_ok("diff", fresh) == ""
    engine.docker_ok("rm", "-v", fresh)
    engine.docker_ok("rmi", "kept:v1")


CHANGES = {
    'CMD ["a","b"]': ("Cmd", ["a", "b"]),
    "CMD a b": ("Cmd", ["/bin/sh", "-c", "a b"]),
    'ENTRYPOINT ["e"]': ("Entrypoint", ["e"]),
    "USER 1000:50": ("User", "1000:50"),
    "WORKDIR /work": ("WorkingDir", "/work"),
    "STOPSIGNAL SIGQUIT": ("StopSignal", "SIGQUIT"),
    "EXPOSE 80 53/udp": ("ExposedPorts", {"80/tcp": {}, "53/udp": {}}),
    "ONBUILD RUN x": ("OnBuild", ["RUN x"]),
    "VOLUME /v1 /v2": ("Volumes", {"/v1": {}, "/v2": {}}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change(engine: Engine, change: str) -> None:
    """Every instruction of --change arrives in the image."""
    container = engine.docker_ok("create", "busybox", "sh")
    made = engine.docker_ok("commit", "-c", change, container)
    field, value = CHANGES[change]
    assert image(engine, made)["Config"][field] == value
    engine.docker_ok("rmi", made)


def test_changes_together(engine: Engine) -> None:
    """ENV and LABEL add to what is there; an ENTRYPOINT forgets the old command."""
    container = engine.docker_ok("create", "-e", "A=1", "-l", "x=1", "busybox", "old")
    made = engine.docker_ok(
        "commit", "-c", "ENV B=2 C=\"3 4\"", "-c", "LABEL y=2", "-c", "ENTRYPOINT [\"/e\"]",
        "-c", "HEALTHCHECK --interval=3s CMD true", container,
    )  # fmt: skip
    config = image(engine, made)["Config"]
    assert {"A=1", "B=2", "C=3 4"} <= set(config["Env"])
    assert {"x": "1", "y": "2"}.items() <= config["Labels"].items()
    assert config["Entrypoint"] == ["/e"]
    assert not config.get("Cmd")
    assert config["Healthcheck"]["Interval"] == 3_000_000_000
    engine.docker_ok("rmi", made)


def test_a_running_container_is_held(engine: Engine) -> None:
    """It is paused meanwhile, unless --pause=false, and runs on afterwards."""
    made = engine.docker_ok("run", "-d", "busybox", "sh", "-c",
                            "while :; do echo x > /f; done")  # fmt: skip
    since = time.time()
    for flags in ((), ("--pause=false",)):
        engine.docker_ok("rmi", engine.docker_ok("commit", *flags, made))
    told = engine.docker_ok(
        "events", "--since", f"{since:.9f}", "--until", f"{time.time():.9f}",
        "--filter", f"container={made}", "--format", "{{.Action}}",
    ).split()  # fmt: skip
    assert told == ["pause", "commit", "unpause", "commit"]
    assert engine.inspect(made)["State"]["Status"] == "running"
    engine.docker_ok("pause", made)
    engine.docker_ok("rmi", engine.docker_ok("commit", made))
    assert engine.inspect(made)["State"]["Status"] == "paused"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("commit", "nope", "x"), "No such container: nope"),
        (("commit", "-c", "RUN x", "changed"), "run is not a valid change command"),
        (("commit", "changed", "UPPER"), "must be lowercase"),
    ],
)
def test_refusals(engine: Engine, changed: str, arguments: tuple[str, ...], sentence: str) -> None:
    """What can't be is refused in Docker's words, and no image is left."""
    before = engine.docker_ok("images", "-aq")
    refused = engine.docker(*arguments)
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert engine.docker_ok("images", "-aq") == before
