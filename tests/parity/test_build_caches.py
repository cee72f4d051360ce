"""`--cache-to` and `--cache-from`: what one engine has built, another one need not build again."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import classic_build, remove_what_was_built, write_tree
from support.buildx import BuildClient, project
from support.daemon import Engine
from wherry.builder.cache.format import CACHE_CONFIG

DOCKERFILE = """FROM busybox AS tools
RUN cat /proc/sys/kernel/random/uuid > /tool
FROM busybox
COPY --from=tools /tool /
RUN cat /proc/sys/kernel/random/uuid > /made
ENV a=b
"""
STEPS = 4
"""RUN, COPY, RUN and ENV; the first of a stage that the image is not of."""


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[BuildClient]:
    """A client with a project."""
    with project(engine, tmp_path) as made:
        made.write(Dockerfile=DOCKERFILE)
        yield made


def forget_everything(engine: Engine) -> None:
    """As another engine would be: nothing built, nothing kept."""
    remove_what_was_built(engine)
    assert engine.docker_ok("system", "df", "--format", "{{.Size}}").splitlines()[-1] == "0B"


def image_id(engine: Engine, name: str) -> str:
    """What an image is called by its content."""
    return engine.docker_ok("image", "inspect", "-f", "{{.Id}}", name)


def buildx(client: BuildClient, *words: str) -> int:
    """Build with buildx; how many steps came from a cache."""
    told = client.docker("buildx", "build", "--progress=plain", "-t", "made", *words, ".").stderr
    return told.count(" CACHED\n")


def own(client: BuildClient, *words: str) -> int:
    """The same with our client."""
    ran = client.engine.wherry("build", "-t", "made", *words, str(client.directory))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return (ran.stdout + ran.stderr).count("CACHED") or ran.stdout.count("Using cache")


BUILDERS = pytest.mark.parametrize("build", [buildx, own], ids=["buildx", "wherry"])


@BUILDERS
def test_a_cache_of_a_registry(engine: Engine, client: BuildClient, registry: str, build) -> None:  # type: ignore[no-untyped-def]
    """Everything is found again, by another engine too, and the image is the same image."""
    place = f"type=registry,ref={registry}/cache:{build.__name__}"
    build(client, "--cache-to", f"{place},mode=max")
    first = image_id(engine, "made")
    forget_everything(engine)
    assert build(client, "--cache-from", place) >= STEPS - 1
    assert image_id(engine, "made") == first
    forget_everything(engine)
    client.write(Dockerfile=DOCKERFILE.replace("ENV", "RUN true\nENV"))
    build(client, "--cache-from", place, "--cache-to", f"{place},mode=max,compression=zstd")
    old = engine.docker_ok("run", "--rm", "made", "cat", "/made", "/tool").split()
    assert image_id(engine, "made") != first
    forget_everything(engine)
    client.write(Dockerfile=DOCKERFILE)
    build(client, "--cache-from", place)
    assert engine.docker_ok("run", "--rm", "made", "cat", "/made", "/tool").split() == old


@BUILDERS
def test_a_cache_of_a_directory(engine: Engine, client: BuildClient, build) -> None:  # type: ignore[no-untyped-def]
    """An OCI layout of the client's; `mode=min` has what the image is made of, and no more."""
    place = client.directory.parent / "cache"
    for mode, found in (("min", STEPS - 1), ("max", STEPS)):
        build(client, "--cache-to", f"type=local,dest={place},mode={mode}")
        index = json.loads((place / "index.json").read_text())
        (top,) = index["manifests"]
        manifest = json.loads(blob(place, top["digest"]))
        assert manifest["config"]["mediaType"] == CACHE_CONFIG
        config = json.loads(blob(place, manifest["config"]["digest"]))
        assert len(config["records"]) == found + 1
        assert {each["blob"] for each in config["layers"]} == {
            each["digest"] for each in manifest["layers"]
        }
        first = image_id(engine, "made")
        forget_everything(engine)
        build(client, "--cache-from", f"type=local,src={place}")
        assert (image_id(engine, "made") == first) is (mode == "max")


def blob(place: Path, digest: str) -> bytes:
    """A blob of a layout."""
    return (place / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()


def test_caches_that_say_nothing_to_us(engine: Engine, client: BuildClient, registry: str) -> None:
    """One that isn't there, one of BuildKit's own keys, one with a wrong layer: built anew."""
    place = client.directory.parent / "cache"
    own(client, "--cache-to", f"type=local,dest={place}")
    for layer in (place / "blobs/sha256").iterdir():
        if layer.read_bytes()[:2] == b"\x1f\x8b":
            layer.write_bytes(layer.read_bytes()[:-1] + b"!")
    forget_everything(engine)
    assert own(client, "--cache-from", f"type=local,src={place}") == 0
    assert own(client, "--no-cache", "--cache-from", f"type=registry,ref={registry}/none") == 0
    for wrong, complaint in (
        ("type=gha", "--cache-to type=gha"),
        ("type=registry,ref=x,mode=most", "invalid cache export mode: most"),
        ("type=registry", "ref is required"),
        ("type=registry,ref=x,compression=rar", "unsupported layer compression type: rar"),
    ):
        refused = engine.wherry("build", "--cache-to", wrong, str(client.directory))
        assert refused.returncode != 0
        assert complaint in refused.stdout + refused.stderr


def test_an_image_of_a_layout_is_a_context(engine: Engine, client: BuildClient) -> None:
    """`--build-context x=oci-layout://`, of a directory on the client's machine."""
    layout = client.directory.parent / "layout"
    client.write(Dockerfile="FROM busybox\nRUN echo inside > /word\nENV said=so\n")
    assert own(client, "-o", f"type=oci,tar=false,dest={layout},name=made:1") == 0
    assert (layout / "oci-layout").exists()
    forget_everything(engine)
    client.write(Dockerfile="FROM base\nRUN echo $said >> /word\nCOPY --from=base /word /copied\n")
    for build in (buildx, own):
        build(client, "--build-context", f"base=oci-layout://{layout}:1")
        assert engine.docker_ok("run", "--rm", "made", "cat", "/word") == "inside\nso"
        forget_everything(engine)


def test_compose_builds_with_caches(engine: Engine, client: BuildClient) -> None:
    """`cache_from`, `cache_to` and `privileged` of `wherry compose build`."""
    write_tree(
        client.directory,
        {
            "Dockerfile": DOCKERFILE.replace("RUN cat", "RUN --security=insecure cat"),
            "compose.yaml": (
                "name: cached\nservices:\n  web:\n    image: made\n    build:\n"
                "      context: .\n      privileged: true\n"
                "      cache_from: ['type=local,src=../cache']\n"
                "      cache_to: ['type=local,dest=../cache,mode=max']\n"
            ),
        },
    )
    ids = set()
    for _turn in range(2):
        ran = engine.wherry("compose", "--project-directory", str(client.directory), "build")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        ids.add(image_id(engine, "made"))
        forget_everything(engine)
    assert len(ids) == 1


def test_a_linked_copy_stands_on_anything(engine: Engine, client: BuildClient) -> None:
    """`COPY --link` has a key of its own: another base, the same layer; others are made again."""
    client.write(a="a\n", b="b\n")
    text = (
        "FROM busybox\nRUN echo {0} > /base; mkdir -p /x/d\n"
        "COPY --link --chown=3:4 a /x/d/\nCOPY {1} --chown=nobody b /y/\nRUN test -f /x/d/a\n"
    )
    layers = []
    for word, flag in (("one", "--link"), ("two", "--link"), ("three", "")):
        client.write(Dockerfile=text.format(word, flag))
        plan = engine.wherry("build", "--plan", str(client.directory))
        told = engine.wherry("build", "--progress=plain", "-t", "made", str(client.directory))
        assert told.returncode == 0, told.stderr
        is_again = word != "one"
        assert ("    cached  [3/5] COPY --link --chown=3:4 a /x/d/" in plan.stdout) == is_again
        cached = [line for line in told.stderr.splitlines() if line.endswith(" CACHED")]
        assert len(cached) == is_again, told.stderr
        found = json.loads(engine.docker_ok("image", "inspect", "-f", "{{json .RootFS}}", "made"))
        layers.append(found["Layers"][2])
        shown = engine.docker_ok(
            "run", "--rm", "made", "sh", "-c", "cat /base /x/d/a; stat -c %u:%g /x/d/a /y/b"
        )
        assert shown.split() == [word, "a", "3:4", "65534:65534"]
    assert len({*layers}) == 1


def test_doors_find_what_the_other_has_built(engine: Engine, client: BuildClient) -> None:
    """Though their images differ where a step changes no file: an empty layer, or none."""
    word = uuid.uuid4()
    client.write(Dockerfile=f"FROM busybox\nRUN : {word}\nRUN echo {word} > /x\n")
    layers = ("image", "inspect", "-f", "{{len .RootFS.Layers}}")
    below = int(engine.docker_ok(*layers, "busybox"))
    assert engine.wherry("build", "-t", "one", str(client.directory)).returncode == 0
    told = classic_build(engine, client.directory, "-t", "other").stdout
    assert told.count("Using cache") == 2, told
    assert int(engine.docker_ok(*layers, "one")) == below + 2
    assert int(engine.docker_ok(*layers, "other")) == below + 1
