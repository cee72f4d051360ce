"""RELIABILITY row 7 (A01-A04): the corpus of hostile layers, by each of six doors of an engine.

`tests/kernel/snapshots` says what becomes of each layer. Here it is shown that no door has a way
around that: a layer which is refused is refused with a sentence and leaves nothing, the host's
files stay as they are, and the daemon stays as small.
"""

import hashlib
import http.client
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kernel.snapshots.conftest import Canary, canary
from kernel.snapshots.hostile_layers import CORPUS
from support.daemon import Engine
from support.debian_registry import debian_registry
from support.http_over_unix import Answer
from support.image_archives import config, digest, with_manifest
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size
from support.tar_archives import archive, member
from wherry.model.errors.images import ArchiveRefused
from wherry.snapshots import decompressed

__all__ = ["canary"]

LARGEST_GROWTH_KIB = 64 << 10
NAME = "hostile/layer:1"
IMAGE = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(slots=True)
class Scene:
    """An engine, a registry and a container beside it."""

    engine: Engine
    registry: str
    container: str

    def left(self) -> tuple[object, ...]:
        """What there is of images, layers, blobs under way, volumes and containers."""
        data = self.engine.data_root
        images = self.engine.api("GET", "/images/json?all=1").json
        return (
            sorted(each["Id"] for each in images),
            sorted(os.listdir(data / "overlay2")),
            sorted(os.listdir(data / "content" / "ingest")),
            sorted(os.listdir(data / "tmp")),
            sorted(os.listdir(data / "volumes")),
            len(self.engine.api("GET", "/containers/json?all=1").json),
        )


@pytest.fixture(scope="module")
def scene(shared_engine: Engine) -> Iterator[Scene]:
    """With a container of busybox that does not run."""
    with debian_registry(shared_engine, port=5021) as registry:
        container = shared_engine.docker_ok("create", "busybox", "true")
        yield Scene(shared_engine, registry, container)
        shared_engine.docker_ok("rm", container)


# -- the doors -------------------------------------------------------------------------------


def by_load(scene: Scene, packed: bytes) -> Answer:
    """An archive with the layer."""
    document = _promising(packed)
    manifest = [{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    body = with_manifest(manifest, {"config.json": document, "layer.tar": packed})
    return scene.engine.api("POST", "/images/load", body, timeout_s=60)


def by_pull(scene: Scene, packed: bytes) -> Answer:
    """A registry's image with the layer."""
    document = _promising(packed)
    descriptors = [
        {"mediaType": f"application/vnd.docker.{kind}", "digest": digest(each), "size": len(each)}
        for kind, each in (
            ("container.image.v1+json", document),
            ("image.rootfs.diff.tar.gzip", packed),
        )
    ]
    manifest = {"schemaVersion": 2, "mediaType": IMAGE, "config": descriptors[0],
                "layers": descriptors[1:]}  # fmt: skip

    def publish() -> None:
        there = http.client.HTTPConnection(scene.registry, timeout=30)
        for blob in (document, packed):
            there.request("POST", "/v2/hostile/layer/blobs/uploads/")
            begun = there.getresponse()
            begun.read()
            where = begun.headers["Location"].partition(scene.registry)[2]
            there.request("PUT", f"{where}&digest={digest(blob)}", blob)
            there.getresponse().read()
        body = json.dumps(manifest).encode()
        there.request("PUT", "/v2/hostile/layer/manifests/1", body, {"Content-Type": IMAGE})
        there.getresponse().read()
        there.close()

    scene.engine.machine.in_network(publish)
    target = f"/images/create?fromImage={scene.registry}/hostile/layer&tag=1"
    return scene.engine.api("POST", target, timeout_s=60)


def by_import(scene: Scene, packed: bytes) -> Answer:
    """The layer as a file tree."""
    return scene.engine.api("POST", f"/images/create?fromSrc=-&repo={NAME}", packed, timeout_s=60)


def by_build(scene: Scene, packed: bytes) -> Answer:
    """`ADD` of the layer."""
    dockerfile = b"FROM scratch\nADD layer.tar /\nCMD x\n"
    context = archive(member("Dockerfile", dockerfile), member("layer.tar", packed))
    return scene.engine.api("POST", f"/build?t={NAME}&nocache=1", context, timeout_s=60)


def by_copy(scene: Scene, packed: bytes) -> Answer:
    """`cp` of the layer into a container."""
    target = f"/containers/{scene.container}/archive?path=/root"
    return scene.engine.api("PUT", target, packed, timeout_s=60)


def by_volume(scene: Scene, packed: bytes) -> Answer:
    """A volume made of the layer."""
    return scene.engine.api("POST", "/v1.51/wherry/volumes/hostile/import", packed, timeout_s=60)


DOORS: tuple[Callable[[Scene, bytes], Answer], ...] = (
    by_load, by_pull, by_import, by_build, by_copy, by_volume,
)  # fmt: skip
LAYER_DOORS = (by_load, by_pull, by_import)
"""Where the archive is a layer, and whiteouts are what they are."""


@pytest.mark.parametrize("door", DOORS, ids=lambda each: each.__name__)
def test_door(
    door: Callable[[Scene, bytes], Answer],
    scene: Scene,
    canary: Canary,
    size: Size,
    figure: list[str],
) -> None:
    """Nothing gets out, nothing half-done is left, and what is refused is told in words."""
    pid = scene.engine.pid
    before = _status_kib(pid, "VmRSS")
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    at_first = scene.left()
    corpus = CORPUS[:: size.of(1, 18)]
    refused = 0
    for hostile in corpus:
        answer = door(scene, hostile.make(os.fsencode(canary.root)))
        problem = _problem(answer)
        refused += bool(problem)
        told = f"{hostile.name}: {answer.status} {problem or answer.body[:200]!r}"
        assert answer.status < 500, told
        if door in LAYER_DOORS:
            assert bool(problem) == bool(hostile.refused), told
            assert hostile.refused in problem, told
        assert canary.is_untouched(), hostile.name
        _tidy(scene)
        assert scene.left() == at_first, hostile.name
    peak = _status_kib(pid, "VmHWM")
    assert scene.engine.pid == pid
    assert peak - before <= LARGEST_GROWTH_KIB
    figure.append(
        f"{len(corpus)} layers, {refused} refused, escapes 0, left behind 0, "
        f"memory +{max(peak - before, 0) / 1024:.0f} MiB"
    )


def _tidy(scene: Scene) -> None:
    """Remove what was made by right."""
    for image in scene.engine.api("GET", "/images/json?all=1").json:
        if not any(each.startswith("busybox") for each in image["RepoTags"]):
            scene.engine.api("DELETE", f"/images/{image['Id']}?force=1")
    scene.engine.api("DELETE", "/volumes/hostile")
    scene.engine.api("POST", "/build/prune?all=1")


def _promising(packed: bytes) -> bytes:
    """The configuration of an image whose layer is what it should be, if it is anything."""
    plain = hashlib.sha256()
    try:
        source = decompressed(io.BytesIO(packed))[1]
        while chunk := source.read(1 << 20):
            plain.update(chunk)
    except ArchiveRefused:
        plain = hashlib.sha256(b"unknown")
    diff_ids = [f"sha256:{plain.hexdigest()}"]
    return config(rootfs={"type": "layers", "diff_ids": diff_ids})


def _problem(answer: Answer) -> str:
    """What is said of a failure, in the status or in the stream."""
    if answer.status >= 400:
        return str(answer.json["message"])
    lines = [json.loads(each) for each in answer.body.splitlines() if each.startswith(b"{")]
    return "".join(str(each.get("error", "")) for each in lines)


def _status_kib(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


MUTANT = Mutant(
    "links in a layer lead where the host has them",
    "snapshots/layer_tree.py",
    "            directory = open_in_root(self._root, path, OPEN_DIRECTORY)\n",
    "            directory = os.open(path, OPEN_DIRECTORY, dir_fd=self._root)\n",
)


def test_layers_mutant(canary: Canary, figure: list[str]) -> None:
    """Without the kernel's resolution below the root, a link of the layer leads to the host."""
    out = {each.name: each for each in CORPUS}["file through an absolute link"]
    with mutated_engine(MUTANT) as engine:
        scene = Scene(engine, "", "")
        by_load(scene, out.make(os.fsencode(canary.root)))
    assert not canary.is_untouched()
    figure.append(f"killed: {MUTANT.name}")
