"""`wherry manifest`: indexes made by hand, byte for byte those that docker makes."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine, Ran
from support.debian_registry import anew, debian_registry

pytestmark = [pytest.mark.timeout(180), pytest.mark.stock_differs]

OURS = ("python", "-P", "-m", "wherry.programs.wherry", "--no-autostart")


@pytest.fixture(scope="module")
def registry(shared_engine: Engine) -> Iterator[str]:
    """A registry with two tags of one image."""
    with debian_registry(shared_engine, port=5003) as name:
        for tag in ("x", "y"):
            shared_engine.docker_ok("tag", "busybox", f"{name}/team/box:{tag}")
            shared_engine.docker_ok("push", "-q", f"{name}/team/box:{tag}")
            shared_engine.docker_ok("rmi", f"{name}/team/box:{tag}")
        yield name
    anew(shared_engine)


@pytest.fixture(autouse=True)
def _no_lists(engine: Engine) -> Iterator[None]:
    yield
    shutil.rmtree(Path(engine.environment["DOCKER_CONFIG"]) / "manifests", ignore_errors=True)


def say(engine: Engine, client: str, *words: str) -> Ran:
    """`manifest ...` in the engine's machine, since these commands go to the registry."""
    import sys

    program = [sys.executable, *OURS[1:]] if client == "wherry" else ["docker"]
    return subprocess.run(
        engine.machine.command(*program, "manifest", *words),
        env=engine.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_same_words_and_the_same_bytes(engine: Engine, registry: str) -> None:
    """Create, annotate, inspect, push, remove: what docker says, and the digest it gives."""
    told = {}
    one, two = f"{registry}/team/box:x", f"{registry}/team/box:y"
    for client in ("docker", "wherry"):
        target = f"{registry}/team/box:all"
        steps = (
            ("inspect", "--insecure", one),
            ("inspect", "--insecure", "-v", one),
            ("inspect", "--insecure", f"{registry}/team/box:none"),
            ("create", "--insecure", target, one, two),
            ("create", "--insecure", target, one),
            ("create", "--insecure", "--amend", target, two),
            ("annotate", target, one, "--arch", "arm64", "--variant", "v8"),
            ("annotate", target, one, "--os", "linux", "--arch", "nope"),
            ("annotate", target, f"{registry}/team/box:q", "--arch", "arm"),
            ("inspect", target),
            ("inspect", "-v", target),
            ("inspect", target, two),
            ("push", "--insecure", "--purge", target),
            ("push", "--insecure", target),
            ("rm", target),
            ("create", "--insecure", f"{registry}/team/box:more", target),
        )
        told[client] = [
            (words, (ran := say(engine, client, *words)).returncode, ran.stdout, ran.stderr)
            for words in steps
        ]
    for docker, ours in zip(told["docker"], told["wherry"], strict=True):
        assert ours == docker
    assert told["wherry"][12][2].startswith("sha256:")


def test_either_client_goes_on_with_what_the_other_began(engine: Engine, registry: str) -> None:
    """The files of an index in the making are docker's."""
    target, one = f"{registry}/team/box:shared", f"{registry}/team/box:x"
    assert say(engine, "wherry", "create", "--insecure", target, one).returncode == 0
    assert say(engine, "docker", "annotate", target, one, "--arch", "arm").returncode == 0
    shown = json.loads(say(engine, "wherry", "inspect", target).stdout)
    assert shown["manifests"][0]["platform"] == {"architecture": "arm", "os": "linux"}
    assert say(engine, "docker", "push", "--insecure", target).stdout.startswith("sha256:")


def test_an_image_of_another_repository_is_mounted(engine: Engine, registry: str) -> None:
    """The target's repository gets the image without its bytes passing through the client."""
    target, one = f"{registry}/other/box:all", f"{registry}/team/box:x"
    assert say(engine, "wherry", "create", "--insecure", target, one).returncode == 0
    pushed = say(engine, "wherry", "push", "--insecure", target)
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.startswith(f"Pushed ref {target} with digest: sha256:")
    assert "Digest: sha256:" in engine.docker_ok("pull", target)
    assert engine.docker_ok("run", "--rm", target, "echo", "ran") == "ran"
    engine.docker_ok("rmi", target)
