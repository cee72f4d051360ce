"""What Wherry pushes, others pull and run; what others push, Wherry does; under one digest."""

import gzip
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.debian_registry import debian_registry
from support.image_archives import layer, many_platforms, oci_layout
from support.stock_engine import StockEngine

pytestmark = [pytest.mark.timeout(300), pytest.mark.stock_differs]


@pytest.fixture
def registry(fresh_engine: Engine) -> Iterator[str]:
    """A registry beside an engine of the test's own."""
    with debian_registry(fresh_engine) as name:
        yield name


def words(engine: Engine, *command: str) -> str:
    """Run a program in the engine's machine; what it prints."""
    ran = subprocess.run(
        engine.machine.command(*command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, f"{command}: {ran.stderr}"
    return ran.stdout.strip()


def digest_there(engine: Engine, name: str) -> str:
    """The digest of a tag's manifest, as skopeo sees it."""
    shown = words(engine, "skopeo", "inspect", "--tls-verify=false", f"docker://{name}")
    return str(json.loads(shown)["Digest"])


def digest_here(engine: Engine, name: str) -> str:
    """The digest under which an engine knows a name."""
    repository = name.rpartition(":")[0]
    listed = json.loads(engine.docker_ok("inspect", "-f", "{{json .RepoDigests}}", name))
    (found,) = (each for each in listed if each.startswith(f"{repository}@"))
    return str(found.partition("@")[2])


def test_dockerd(fresh_engine: Engine, registry: str) -> None:
    """Debian's dockerd runs an image of ours, and we run one of its."""
    ours, theirs = f"{registry}/from/wherry:v1", f"{registry}/from/dockerd:v1"
    stock = StockEngine("--bridge=none", "--iptables=false", machine=fresh_engine.machine)
    fresh_engine.docker_ok("tag", "busybox", ours)
    fresh_engine.docker_ok("push", ours)
    try:
        stock.start()
        stock.docker_ok("pull", ours)
        run = ("run", "--rm", "--network", "none")
        assert stock.docker_ok(*run, ours, "echo", "ran") == "ran"
        assert digest_here(stock, ours) == digest_here(fresh_engine, ours)
        assert digest_here(stock, ours) == digest_there(fresh_engine, ours)
        stock.bootstrap()
        stock.docker_ok("tag", "busybox", theirs)
        stock.docker_ok("push", theirs)
        fresh_engine.docker_ok("pull", theirs)
        assert fresh_engine.docker_ok(*run, theirs, "echo", "ran") == "ran"
        assert digest_here(fresh_engine, theirs) == digest_here(stock, theirs)
        # What came from a registry goes back byte for byte, under another name too.
        again = f"{registry}/again/dockerd:v1"
        fresh_engine.docker_ok("tag", theirs, again)
        fresh_engine.docker_ok("push", again)
        assert digest_there(fresh_engine, again) == digest_there(fresh_engine, theirs)
    finally:
        stock.leave_machine()


def test_podman_and_skopeo(fresh_engine: Engine, registry: str, tmp_path: Path) -> None:
    """podman runs an image of ours and pushes it on; skopeo copies it as an OCI layout."""
    ours, theirs = f"{registry}/from/wherry:v1", f"{registry}/from/podman:v1"
    fresh_engine.docker_ok("tag", "busybox", ours)
    fresh_engine.docker_ok("push", ours)
    near = fresh_engine.root / "p"  # podman refuses long paths.
    podman = (
        "podman", "--root", f"{near}/root", "--runroot", f"{near}/run", "--storage-driver", "vfs",
        "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--tmpdir", f"{near}/tmp",
    )  # fmt: skip
    words(fresh_engine, *podman, "pull", "-q", "--tls-verify=false", ours)
    shown = words(fresh_engine, *podman, "image", "inspect", "-f", "{{.Digest}}", ours)
    assert shown == digest_here(fresh_engine, ours)
    words(fresh_engine, *podman, "tag", ours, theirs)
    words(fresh_engine, *podman, "push", "-q", "--tls-verify=false", theirs)
    fresh_engine.docker_ok("pull", theirs)
    assert fresh_engine.docker_ok("run", "--rm", theirs, "echo", "ran") == "ran"
    again = f"{registry}/again/podman:v1"
    fresh_engine.docker_ok("tag", theirs, again)
    fresh_engine.docker_ok("push", again)
    assert digest_there(fresh_engine, again) == digest_there(fresh_engine, theirs)
    layout = tmp_path / "layout"
    copy = ("skopeo", "copy", "-q", "--src-tls-verify=false", "--preserve-digests")
    words(fresh_engine, *copy, f"docker://{ours}", f"oci:{layout}:v1")
    index = json.loads((layout / "index.json").read_text())
    assert index["manifests"][0]["digest"] == digest_here(fresh_engine, ours)
    saved = tmp_path / "saved.tar"
    fresh_engine.docker_ok("save", "-o", str(saved), ours)
    for kind in ("oci-archive", "docker-archive"):
        config = words(fresh_engine, "skopeo", "inspect", "--config", f"{kind}:{saved}")
        assert json.loads(config)["os"] == "linux"


def index_there(engine: Engine, name: str) -> str:
    """The digest of what a tag leads to, where that is an index; else nothing."""
    raw = words(engine, "skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    is_index = "manifests" in json.loads(raw)
    return f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}" if is_index else ""


def test_whole_indexes(fresh_engine: Engine, registry: str, tmp_path: Path) -> None:
    """An index that another tool pushed goes back under its digest, as far as it is known."""
    theirs, digests = f"{registry}/from/skopeo", []
    for number in (1, 2):  # Both have the same image for this machine.
        content = {"linux/amd64": b"", "linux/arm64": b"%d" % number}
        layers = {where: layer("n", each) for where, each in content.items()}
        layout = tmp_path / f"layout{number}.tar"
        layout.write_bytes(many_platforms(layers, "docker.io/x/y:1"))
        copy = ("skopeo", "copy", "-q", "--all", "--dest-tls-verify=false")
        words(fresh_engine, *copy, f"oci-archive:{layout}", f"docker://{theirs}:{number}")
        digests.append(index_there(fresh_engine, f"{theirs}:{number}"))
        fresh_engine.docker_ok("pull", f"{theirs}:{number}")

    def pushed(source: str, target: str) -> str:
        fresh_engine.docker_ok("tag", source, f"{registry}/{target}")
        fresh_engine.docker_ok("push", f"{registry}/{target}")
        return index_there(fresh_engine, f"{registry}/{target}")

    # Of what is not here, the registry must have it.
    assert pushed(f"{theirs}:1", "from/skopeo:again") == digests[0]
    assert pushed(f"{theirs}@{digests[1]}", "from/skopeo:by-digest") == digests[1]
    assert pushed(f"{theirs}:1", "elsewhere:one") == ""
    fresh_engine.docker_ok("pull", "--platform", "linux/arm64", f"{theirs}:1")
    assert pushed(f"{theirs}:1", "elsewhere:whole") == digests[0]
    # The name keeps its index, whatever becomes of where it came from.
    for name in (f"{theirs}:1", f"{theirs}:2", f"{theirs}:again", f"{theirs}:by-digest"):
        fresh_engine.docker_ok("rmi", name)
    fresh_engine.restart()
    assert pushed(f"{registry}/elsewhere:whole", "farther:whole") == digests[0]
    # So it does through an archive, and so does the manifest of one platform.
    names = [f"{registry}/elsewhere:{which}" for which in ("whole", "one")]
    one = digest_there(fresh_engine, names[1])
    archive = str(tmp_path / "saved.tar")
    fresh_engine.docker_ok("save", "-o", archive, *names)
    fresh_engine.docker_ok("rmi", *names, f"{registry}/farther:whole")
    fresh_engine.docker_ok("load", "-i", archive)
    assert pushed(names[0], "loaded:whole") == digests[0]
    assert pushed(names[1], "loaded:one") == ""
    assert digest_there(fresh_engine, f"{registry}/loaded:one") == one


def test_packed_anew(fresh_engine: Engine, registry: str, tmp_path: Path) -> None:
    """An image that is here comes again with other bytes of its layer: those go back."""
    content = layer("n", b"again and again " * 1000)
    theirs, again = f"{registry}/from/skopeo:packed", f"{registry}/again/skopeo:packed"
    digests = set()
    for level in (1, 9):
        layout = tmp_path / f"layout{level}.tar"
        layout.write_bytes(oci_layout({content: gzip.compress(content, level)}, "x/y:1"))
        copy = ("skopeo", "copy", "-q", "--dest-tls-verify=false", "--preserve-digests")
        words(fresh_engine, *copy, f"oci-archive:{layout}", f"docker://{theirs}")
        fresh_engine.docker_ok("pull", theirs)
        fresh_engine.docker_ok("tag", theirs, again)
        fresh_engine.docker_ok("push", again)
        digests.add(digest_there(fresh_engine, again))
        assert digest_there(fresh_engine, again) == digest_there(fresh_engine, theirs)
    assert len(digests) == 2


def test_layouts(fresh_engine: Engine, tmp_path: Path) -> None:
    """OCI archives and directories in both directions, as skopeo writes and reads them."""
    name, identity = (
        "layouts.test/box:1",
        fresh_engine.docker_ok("inspect", "-f", "{{.Id}}", "busybox"),
    )
    fresh_engine.docker_ok("tag", "busybox", name)
    ours, directory = tmp_path / "ours.tar", tmp_path / "ours"
    fresh_engine.docker_ok("save", "-o", str(ours), name)
    saved = fresh_engine.wherry("save", "--format", "oci-dir", "-o", str(directory), name)
    assert saved.returncode == 0, saved.stderr
    assert sorted(each.name for each in directory.iterdir()) == [
        "blobs",
        "index.json",
        "oci-layout",
    ]
    fresh_engine.docker_ok("rmi", name)
    digests = set()
    theirs = {"oci-archive": tmp_path / "theirs.tar", "oci": tmp_path / "theirs",
              "docker-archive": tmp_path / "old.tar"}  # fmt: skip
    for source in (f"oci-archive:{ours}", f"oci:{directory}"):
        shown = json.loads(words(fresh_engine, "skopeo", "inspect", source))
        digests.add(shown["Digest"])
    for kind, path in theirs.items():
        tag = f":{name}"
        words(fresh_engine, "skopeo", "copy", "-q", f"oci-archive:{ours}", f"{kind}:{path}{tag}")
        loaded = fresh_engine.wherry("load", "-i", str(path))
        assert loaded.returncode == 0, loaded.stderr
        assert fresh_engine.docker_ok("inspect", "-f", "{{.Id}}", name) == identity, kind
        fresh_engine.docker_ok("rmi", name)
    assert len(digests) == 1
    words(fresh_engine, "skopeo", "inspect", f"docker-archive:{ours}:{name}")
    no_layout = fresh_engine.wherry("load", "-i", str(tmp_path))
    assert "is a directory, and no OCI layout" in no_layout.stderr
    again = fresh_engine.wherry("save", "--format", "oci-dir", "-o", str(directory), "busybox")
    assert "exists already" in again.stderr
    unknown = fresh_engine.wherry("save", "--format", "zip", "-o", str(directory), "busybox")
    assert "must be one of docker-archive, oci-archive, oci-dir" in unknown.stderr
