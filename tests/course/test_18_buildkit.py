"""Chapter 18 of the course: a graph instead of a line, and several architectures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import build, remove_what_was_built, write_tree
from support.buildx import BuildClient
from support.daemon import Engine
from support.image_archives import layer, many_platforms

pytestmark = pytest.mark.stock_differs

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386")


@pytest.fixture(autouse=True)
def _no_images(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()
    # By name the images of all platforms go.
    engine.docker("rmi", "-f", "made", "everywhere")
    remove_what_was_built(engine)


@pytest.fixture
def everywhere(engine: Engine, tmp_path: Path) -> str:
    """A base image for four architectures: one file that says which."""
    layers = {each: layer("arch", f"{each}\n".encode()) for each in PLATFORMS}
    archive = tmp_path / "everywhere.tar"
    archive.write_bytes(many_platforms(layers, "docker.io/library/everywhere:latest"))
    engine.docker_ok("load", "-i", str(archive))
    archive.unlink()
    return "everywhere"


@pytest.mark.slide("18.2", "18.3")
def test_stages_in_parallel_and_only_those_needed(engine: Engine, tmp_path: Path) -> None:
    """Two stages wait for each other, which in a line they could not; a third is never begun."""
    wait = "until test -e /meet/{other}; do sleep 0.1; done"
    meet = "RUN --mount=type=cache,id=meet,target=/meet touch /meet/{own} && " + wait
    stages = (
        f"FROM busybox AS one\n{meet.format(own='a', other='b')} && touch /one\n"
        f"FROM busybox AS two\n{meet.format(own='b', other='a')} && touch /two\n"
        "FROM busybox AS unneeded\nRUN false\n"
        "FROM busybox\nCOPY --from=one /one /\nCOPY --from=two /two /\n"
    )
    write_tree(tmp_path, {"Dockerfile": stages})
    build(engine, tmp_path, "made")
    assert engine.docker_ok("run", "--rm", "made", "ls", "/one", "/two") == "/one\n/two"


@pytest.mark.slide("18.4")
def test_on_and_off(engine: Engine, tmp_path: Path) -> None:
    """DOCKER_BUILDKIT chooses the door; the image is the same."""
    directory = tmp_path / "context"
    write_tree(directory, {"Dockerfile": "FROM busybox\nRUN echo built >/f\n"})
    client = BuildClient(engine, directory)
    shown = client.docker("build", "-t", "on", ".", DOCKER_BUILDKIT="1").stderr
    assert "[2/2] RUN echo built" in shown
    assert "Step 2/2 : RUN echo built" in build(engine, directory, "off")
    files = {name: engine.docker_ok("run", "--rm", name, "cat", "/f") for name in ("on", "off")}
    assert files == {"on": "built", "off": "built"}


@pytest.mark.slide("18.5", "18.12")
def test_the_right_image_by_itself(engine: Engine, everywhere: str, tmp_path: Path) -> None:
    """`FROM` a name with many architectures takes this machine's; another one on demand."""
    for platform in ("", "--platform=linux/arm64"):
        write_tree(
            tmp_path,
            {"Dockerfile": f"FROM {platform} {everywhere} AS base\nFROM busybox\n"
                           "COPY --from=base /arch /\n"},
        )  # fmt: skip
        build(engine, tmp_path, "made")
        wanted = platform.partition("=")[2] or "linux/amd64"
        assert engine.docker_ok("run", "--rm", "made", "cat", "/arch") == wanted


@pytest.mark.slide("18.7", "18.13", "18.18")
def test_several_platforms_in_one_build(engine: Engine, everywhere: str, tmp_path: Path) -> None:
    """One name, an image for each; the building stage runs here, whatever the target is."""
    text = (
        "FROM --platform=$BUILDPLATFORM busybox AS compiler\nARG TARGETARCH TARGETPLATFORM\n"
        "ARG BUILDARCH\nRUN echo $BUILDARCH makes $TARGETARCH for $TARGETPLATFORM >/program\n"
        f"FROM {everywhere}\nCOPY --from=compiler /program /\n"
    )
    write_tree(tmp_path, {"Dockerfile": text})
    ran = engine.wherry(
        "build", "-q", "-t", "made", "--platform", "linux/amd64,linux/arm64", str(tmp_path)
    )
    assert ran.returncode == 0, ran.stderr
    for architecture in ("amd64", "arm64"):
        platform = f"linux/{architecture}"
        made = engine.docker_ok("create", "--platform", platform, "made", "none")
        packed = engine.docker("cp", f"{made}:/program", str(tmp_path / "program"))
        assert packed.returncode == 0, packed.stderr
        said = (tmp_path / "program").read_text()
        assert said == f"amd64 makes {architecture} for {platform}\n"


@pytest.mark.slide("18.19")
def test_checking_runtime_capabilities(engine: Engine, everywhere: str, tmp_path: Path) -> None:
    """The chapter's Dockerfile: a stage for each architecture, and the files of all in one."""
    stages = {"amd64": PLATFORMS[0], "arm64": PLATFORMS[1], "arm32": PLATFORMS[2],
              "ia32": PLATFORMS[3]}  # fmt: skip
    froms = [f"FROM --platform={each} {everywhere} AS {name}" for name, each in stages.items()]
    copies = [f"COPY --from={name} /arch /root/{name}/arch" for name in stages]
    run = 'CMD for A in *; do echo "$A => $(cat $A/arch)"; done'
    whole = "\n".join([*froms, "FROM busybox", "WORKDIR /root", *copies, run, ""])
    write_tree(tmp_path, {"Dockerfile": whole})
    build(engine, tmp_path, "made")
    assert set(engine.docker_ok("run", "--rm", "made").splitlines()) == {
        f"{name} => {platform}" for name, platform in stages.items()
    }


@pytest.mark.slide("18.20")
def test_cache_directories(engine: Engine, tmp_path: Path) -> None:
    """What is in one stays from build to build, and is in no image."""
    step = "RUN --mount=type=cache,target=/pipcache echo {} >>/pipcache/log; cp /pipcache/log /l\n"
    for word in ("first", "second"):
        write_tree(tmp_path, {"Dockerfile": f"FROM busybox\n{step.format(word)}"})
        build(engine, tmp_path, "made")
    assert engine.docker_ok("run", "--rm", "made", "cat", "/l") == "first\nsecond"
    assert engine.docker_ok("run", "--rm", "made", "sh", "-c", "ls /pipcache | wc -l") == "0"
