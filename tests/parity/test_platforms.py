"""Images of several platforms side by side under one name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Engine
from support.debian_registry import debian_registry
from support.image_archives import layer, many_platforms

pytestmark = [pytest.mark.timeout(180), pytest.mark.stock_differs]

CANNOT_BE_USED = 'image operating system "windows" cannot be used on this platform'
BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture
def many(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """A name that leads to three images, loaded here."""
    layers = {each: layer("arch", each.encode()) for each in (*BOTH, "linux/arm/v7")}
    archive = tmp_path / "many.tar"
    archive.write_bytes(many_platforms(layers, "docker.io/team/many:1"))
    engine.docker_ok("load", "-i", str(archive))
    yield "team/many:1"
    for image in engine.api("GET", "/images/json?all=1&manifests=1").json:
        for name in image["RepoTags"]:
            if not name.startswith("busybox"):
                engine.docker("rmi", "-f", name)


def platform_of(engine: Engine, name: str, platform: str = "") -> str:
    """What an image is for, as `image inspect` says."""
    words = ("--platform", platform) if platform else ()
    form = "{{.Os}}/{{.Architecture}}{{if .Variant}}/{{.Variant}}{{end}}"
    return engine.docker_ok("image", "inspect", *words, "-f", form, name)


def identity(engine: Engine, name: str, platform: str) -> str:
    """The id of the image for a platform."""
    return engine.docker_ok("image", "inspect", "--platform", platform, "-f", "{{.Id}}", name)


def available(engine: Engine, name: str) -> list[str]:
    """The architectures that a list tells of for a name."""
    shown = engine.api("GET", f"/images/{name}/json?manifests=1").json["Manifests"]
    return sorted(each["ImageData"]["Platform"]["architecture"] for each in shown)


def test_one_name_three_images(engine: Engine, many: str) -> None:
    """One line in the list; each image is reached by its platform, and by its own id."""
    assert engine.docker_ok("images", "-q", "team/many").count("\n") == 0
    assert platform_of(engine, many) == "linux/amd64"
    for each in ("linux/amd64", "linux/arm64", "linux/arm/v7"):
        assert platform_of(engine, many, each) == each
    ids = {identity(engine, many, each) for each in BOTH}
    assert len(ids) == 2
    for each in ids:
        assert engine.docker_ok("image", "inspect", "-f", "{{.Id}}", each) == each
    refused = engine.docker("image", "inspect", "--platform", "linux/s390x", many)
    assert (
        f"image with reference {many} was found but does not provide the specified platform "
        "(linux/s390x)"
    ) in refused.stderr
    tree = engine.docker_ok("images", "--tree", "team/many")
    assert [each for each in (*BOTH, "linux/arm/v7") if each not in tree] == []
    ours = [each.split() for each in engine.wherry("images", "--tree", many).stdout.splitlines()]
    assert [each[:2] for each in ours[2:]] == [["├─", "linux/amd64"], ["├─", "linux/arm64"],
                                               ["└─", "linux/arm/v7"]]  # fmt: skip
    assert all(each[2] in tree for each in ours[2:])
    assert "not yet supported with --tree" in engine.wherry("images", "--tree", "-q").stderr
    arm = engine.docker_ok("history", "--platform", "linux/arm64", "-q", "--no-trunc", many)
    assert arm in ids | {""}


def test_names_and_removal(engine: Engine, many: str) -> None:
    """A tag leads to all of them; a removal takes the platforms that it names, or all."""
    engine.docker_ok("tag", many, "team/other:1")
    assert available(engine, "team/other:1") == ["amd64", "arm", "arm64"]
    assert engine.docker_ok("rmi", "--platform", "linux/arm64", "team/other:1") == ""
    assert available(engine, "team/other:1") == ["amd64", "arm"]
    assert available(engine, many) == ["amd64", "arm", "arm64"]
    arm64 = identity(engine, many, "linux/arm64")
    assert engine.docker_ok("rmi", many).splitlines()[0] == f"Untagged: {many}"
    assert engine.docker("image", "inspect", arm64).returncode == 1
    assert len(engine.docker_ok("rmi", "team/other:1").splitlines()) == 5
    assert engine.docker("image", "inspect", "team/other:1").returncode == 1


def test_a_container_takes_its_platform(engine: Engine, many: str) -> None:
    """`create --platform` picks; the name stays while a container needs one of its images."""
    created = engine.docker("create", "--pull", "never", "--platform", "linux/arm64", many)
    container = created.stdout.strip()
    assert created.returncode == 0, created.stderr
    image = engine.inspect(container)["Image"]
    assert platform_of(engine, image) == "linux/arm64"
    assert engine.docker("rmi", many).returncode == 1
    shown = engine.api("GET", f"/images/{many}/json?manifests=1").json["Manifests"]
    users = {each["ImageData"]["Platform"]["architecture"]: each for each in shown}
    assert users["arm64"]["ImageData"]["Containers"] == [container]
    assert users["amd64"]["ImageData"]["Containers"] == []
    engine.docker_ok("rm", container)


def test_save_and_load(engine: Engine, many: str, tmp_path: Path) -> None:
    """All platforms, or one, go through an archive and come back under the same ids."""
    before = {each: identity(engine, many, each) for each in BOTH}
    whole, arm = tmp_path / "whole.tar", tmp_path / "arm.tar"
    engine.docker_ok("save", "-o", str(whole), many)
    engine.docker_ok("save", "--platform", "linux/arm64", "-o", str(arm), many)
    engine.docker_ok("rmi", many)
    engine.docker_ok("load", "-i", str(arm))
    assert engine.docker_ok("image", "inspect", "-f", "{{.Id}}", many) == before["linux/arm64"]
    refused = engine.docker("load", "--platform", "linux/s390x", "-i", str(whole))
    assert "does not provide the specified platform (linux/s390x)" in refused.stderr
    engine.docker_ok("load", "-i", str(whole))
    assert available(engine, many) == ["amd64", "arm", "arm64"]
    engine.docker_ok("rmi", many)
    engine.docker_ok("load", "--platform", "linux/amd64", "-i", str(whole))
    assert available(engine, many) == ["amd64"]


def test_pulled_side_by_side(engine: Engine, many: str, tmp_path: Path) -> None:
    """Two platforms of one index stand side by side; another index takes the name."""
    with debian_registry(engine, port=5011) as registry:
        for number in (1, 2):
            layers = {each: layer("n", f"{each} {number}".encode()) for each in BOTH}
            layout = tmp_path / f"layout{number}.tar"
            layout.write_bytes(many_platforms(layers, "docker.io/x/y:1"))
            _copied(engine, layout, f"{registry}/team/pulled:{number}")
        name = f"{registry}/team/pulled:1"
        engine.docker_ok("pull", "--platform", "linux/arm64", name)
        assert platform_of(engine, name) == "linux/arm64"
        assert (
            "does not provide"
            in engine.docker("create", "--pull", "never", "--platform", "linux/amd64", name).stderr
        )
        engine.docker_ok("pull", name)
        assert platform_of(engine, name) == "linux/amd64"
        assert available(engine, name) == ["amd64", "arm64"]
        digests = json.loads(engine.docker_ok("inspect", "-f", "{{json .RepoDigests}}", name))
        assert platform_of(engine, digests[0], "linux/arm64") == "linux/arm64"
        # What is pushed to a name again is another index.
        _copied(engine, tmp_path / "layout2.tar", name)
        engine.docker_ok("pull", name)
        assert available(engine, name) == ["amd64"]
        assert engine.docker_ok("images", "-q", "-f", "dangling=true").count("\n") == 1
        engine.docker_ok("image", "prune", "-f")
        engine.docker_ok("rmi", name)


def test_pushed_as_an_index(engine: Engine, many: str) -> None:
    """A name with several platforms is pushed as an index; one of them, as a manifest."""
    with debian_registry(engine, port=5012) as registry:
        name = f"{registry}/team/pushed:1"
        engine.docker_ok("tag", many, name)
        engine.docker_ok("push", name)
        found = [each["platform"]["architecture"] for each in _raw(engine, name)["manifests"]]
        assert found == ["amd64", "arm64", "arm"]
        known = json.loads(engine.docker_ok("inspect", "-f", "{{json .RepoDigests}}", name))
        assert len(known) == 2  # of its manifest, and of the index
        engine.docker_ok("rmi", name, many)
        engine.docker_ok("pull", "--platform", "linux/arm64", name)
        assert platform_of(engine, name) == "linux/arm64"
        one = f"{registry}/team/pushed:arm"
        engine.docker_ok("tag", name, one)
        engine.docker_ok("push", "--platform", "linux/arm64", one)
        assert "config" in _raw(engine, one)


def test_images_for_windows(engine: Engine, tmp_path: Path) -> None:
    """An image that is for windows alone is refused in Docker's words, by every door."""
    layout = tmp_path / "windows.tar"
    layers = {"windows/amd64": layer("n", b"1")}
    layout.write_bytes(many_platforms(layers, "docker.io/x/windows:1"))
    with debian_registry(engine, port=5013) as registry:
        _copied(engine, layout, f"{registry}/windows:all")
        _copied(engine, layout, f"{registry}/windows:one", "--override-os=windows", every=False)
        for words, text in (
            (("pull", f"{registry}/windows:all"), "no matching manifest for linux/amd64"),
            (("pull", f"{registry}/windows:one"), CANNOT_BE_USED),
            (("pull", "--platform", "windows", f"{registry}/windows:all"), CANNOT_BE_USED),
            (("run", "--pull=never", "--platform", "windows/amd64", "busybox"), "does not prov"),
            (("load", "-i", str(layout)), "index without a manifest for linux"),
        ):
            ran = engine.docker(*words)
            assert ran.returncode != 0
            assert text in ran.stderr, words


def _raw(engine: Engine, name: str) -> Any:
    """What a registry has under a tag."""
    command = ("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    return json.loads(engine.machine.run(*command).stdout)


def _copied(engine: Engine, archive: Path, target: str, *options: str, every: bool = True) -> None:
    """Bring an archive to a registry, by skopeo: every platform, or the one of the options."""
    copy = ("copy", "--all") if every else ("copy",)
    places = (f"oci-archive:{archive}", f"docker://{target}")
    ran = engine.machine.run("skopeo", *options, *copy, "--dest-tls-verify=false", *places)
    assert ran.returncode == 0, ran.stderr
