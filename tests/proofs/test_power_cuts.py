"""Power cuts (RELIABILITY F03): what was told to be there is there, whole, and the rest is gone.

Each verb runs on a file system of its own that writes nothing back by itself. Before one of the
verb's steps the plug is pulled: nothing more reaches the disk, not even its journal. Then the file
system is mounted again, the rooms are opened as a boot opens them, and every file of every layer
and volume that they speak of is read.
"""

import asyncio
import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from support.crash_points import chosen, cut_off, in_own_mounts, steps_of
from support.fake_clock import FakeClock
from support.image_archives import config, digest, docker_archive
from support.mutants import Mutant, mutated_source
from support.proof_size import Size
from support.strict_registry import StrictRegistry
from support.tar_archives import archive, member
from support.waiting import wait_until
from wherry.builder import MIGRATIONS as BUILD_MIGRATIONS
from wherry.builder import BuildCache, CacheMounts, KeptContexts
from wherry.builder.service import BuildGround, BuildService
from wherry.builder.steps.mounts import MountGround
from wherry.engine.records import MIGRATIONS as RECORD_MIGRATIONS
from wherry.engine.records import ContainerRecords
from wherry.images import ImageArchives, ImageMaker, ImagePulls, ImageStore, PullRequest, parse
from wherry.kit.aio import OffloadPool
from wherry.model.builds import BuildRequest, PartKind, SentPart
from wherry.model.containers import Container, ContainerSpec, ContainerStatus
from wherry.model.errors.networks import NetworkNameTaken
from wherry.model.errors.volumes import VolumeSnapshotExists
from wherry.model.ids import ContainerId, NetworkId, SnapshotKey
from wherry.model.images import CommitPlan, Image
from wherry.model.lifecycle import ContainerState
from wherry.model.networks import Network
from wherry.model.volumes import Consistency, VolumeSpec
from wherry.networks import MIGRATIONS as NETWORK_MIGRATIONS
from wherry.networks import NetworkTable
from wherry.oci.image_spec import Platform
from wherry.oci.runtime_spec import RootfsMount
from wherry.registry import ANONYMOUS, RegistryClient, RegistrySettings
from wherry.snapshots import Snapshots
from wherry.store import Database
from wherry.volumes import MIGRATIONS as VOLUME_MIGRATIONS
from wherry.volumes import Volumes

if TYPE_CHECKING:
    from wherry.builder.steps.commands import StepContainers
    from wherry.tasks import Tasks

SIZE = Size()
CUTS = SIZE.of(40, 3)
"""Of each verb."""
_DISK_BYTES = 96 << 20
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

FILES = {f"f{number}": hashlib.sha256(b"%d" % number).digest() * 900 for number in range(24)}
BASE = archive(*(member(f"base/{name}", content) for name, content in FILES.items()))
TOP = archive(*(member(f"top/{name}", content) for name, content in FILES.items()))
CONTAINER = ContainerId("c" * 64)


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a boot opens."""

    database: Database
    snapshots: Snapshots
    images: ImageStore
    records: ContainerRecords
    volumes: Volumes
    networks: NetworkTable
    cache: BuildCache
    offload: OffloadPool
    root: Path


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Rooms]:
    """The rooms on a data root, swept as a boot sweeps them."""
    root.mkdir(exist_ok=True)
    migrations = (
        *RECORD_MIGRATIONS, *Snapshots.MIGRATIONS, *ImageStore.MIGRATIONS, *VOLUME_MIGRATIONS,
        *NETWORK_MIGRATIONS, *BUILD_MIGRATIONS,
    )  # fmt: skip
    database, offload = Database(f"{root}/engine.db", migrations), OffloadPool(2)
    try:
        snapshots = Snapshots(str(root), database)
        images = ImageStore(str(root), database, snapshots, clock=FakeClock())
        cache = BuildCache(database)
        images.keep_also(cache.roots)
        networks = NetworkTable(database)
        networks.load(())
        records = ContainerRecords(database, offload)
        records.load()
        volumes = Volumes(str(root), database, FakeClock())
        volumes.heal()
        snapshots.sweep({SnapshotKey(each.id) for each in records.all()})
        images.sweep()
        yield Rooms(database, snapshots, images, records, volumes, networks, cache, offload, root)
    finally:
        offload.close()
        database.close()


# -- the verbs -------------------------------------------------------------------------------


def load(rooms: Rooms) -> None:
    """Two layers from an archive."""
    list(ImageArchives(rooms.images).load(io.BytesIO(docker_archive(BASE, TOP, tags=("app:1",)))))


def pull(rooms: Rooms) -> None:
    """The same from a registry."""
    asyncio.run(_pull(rooms))


async def _pull(rooms: Rooms) -> None:
    document = config(BASE, TOP)
    async with StrictRegistry().serving() as registry:
        blobs = [registry.add_blob("app", each) for each in (BASE, TOP)]
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "digest": registry.add_blob("app", document),
                "size": len(document),
            },
            "layers": [
                {"mediaType": _LAYER, "digest": name, "size": len(content)}
                for name, content in zip(blobs, (BASE, TOP), strict=True)
            ],
        }
        registry.add_manifest("app", json.dumps(manifest).encode(), _MANIFEST, "1")
        client, unpacking = RegistryClient(RegistrySettings(), user_agent="test/1"), OffloadPool(2)
        pulls = ImagePulls(
            store=rooms.images, client=client, offload=rooms.offload, unpacking=unpacking
        )
        name = parse(f"{registry.domain}/app:1")
        platform = Platform(os="linux", architecture="amd64")
        request = PullRequest(name=name, platform=platform, credentials=ANONYMOUS)
        await pulls.pull(request, lambda _told: None)
        await client.close()
        unpacking.close()


def commit(rooms: Rooms) -> None:
    """An image of what a container has written: the last thing that a build's step does, too."""
    base = rooms.images.resolve("base:1")
    plan = CommitPlan(config=base.config, reference="made:1")
    ImageMaker(rooms.images, rooms.snapshots).commit(SnapshotKey(CONTAINER), base, plan)


def create(rooms: Rooms) -> None:
    """A container's snapshot, then its record."""
    base, key = rooms.images.resolve("base:1"), ContainerId("d" * 64)
    if rooms.records.get(key) is not None:
        return
    rooms.snapshots.prepare(SnapshotKey(key), base.chain_id)
    asyncio.run(rooms.records.add(container(key, base.id)))


def build(rooms: Rooms) -> None:
    """An image by a Dockerfile that copies files; what its steps made is kept for the next one."""
    asyncio.run(_build(rooms))


async def _build(rooms: Rooms) -> None:
    lines = b"FROM base:1\nCOPY written /written\nLABEL a=b\n"
    files = (member(f"written/{name}", content) for name, content in FILES.items())
    context = archive(member("Dockerfile", lines), *files)

    async def pieces() -> AsyncIterator[bytes]:
        yield context

    async def parts() -> AsyncIterator[SentPart]:
        yield SentPart(kind=PartKind.CONTEXT, name="", pieces=pieces())

    mounts = CacheMounts(f"{rooms.root}/mounts", rooms.database, rooms.offload, FakeClock())
    ground = BuildGround(
        store=rooms.images,
        snapshots=rooms.snapshots,
        cache=rooms.cache,
        tasks=cast("Tasks", Uppers()),
        offload=rooms.offload,
        clock=FakeClock(),
        mounts=MountGround(caches=mounts, run_directory=f"{rooms.root}/builds"),
        staging=f"{rooms.root}/tmp",
        kept_contexts=KeptContexts(f"{rooms.root}/contexts", rooms.offload),
    )
    builder = BuildService(ground, cast("StepContainers", None))
    request = BuildRequest(names=("built:1",))
    async for _event in builder.build_sent(request, parts(), Bases(rooms.images)):
        pass


class Uppers:
    """Roots without what is below them: a step that only copies sees nothing else."""

    async def open_view(self, root: RootfsMount, *, writes: bool) -> int:
        """The directory that is written to."""
        place = root.upper or root.source
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY if writes else os.O_PATH)


class Bases:
    """Images that are here."""

    def __init__(self, images: ImageStore) -> None:
        self._images = images

    async def find(self, reference: str, *_how: object, pulls: bool) -> Image:
        """The one that is here."""
        assert not pulls
        return self._images.resolve(reference)

    def here(self, reference: str, _platform: str) -> Image | None:
        """The same."""
        return self._images.resolve(reference)

    async def push(self, name: str, *_how: object) -> None:
        """Nobody asks for it."""
        raise AssertionError(name)


def container(key: ContainerId, image_id: str) -> Container:
    """A record."""
    return Container(
        id=key, name=key[:6], created_at_ns=1, image_id=image_id,  # type: ignore[arg-type]
        spec=ContainerSpec(image="base:1"), status=ContainerStatus(state=ContainerState.CREATED),
    )  # fmt: skip


def take(rooms: Rooms) -> None:
    """A snapshot of a volume."""
    with contextlib.suppress(VolumeSnapshotExists):
        rooms.volumes.history.take("data", "two", consistency=Consistency.NONE, writers=())


def roll_back(rooms: Rooms) -> None:
    """A volume to what it was."""
    rooms.volumes.put_in_place(rooms.volumes.history.prepare_rollback("data", "one"))


def make_volume(rooms: Rooms) -> None:
    """An empty one."""
    rooms.volumes.make(VolumeSpec(name="new"))


def make_network(rooms: Rooms) -> None:
    """All of a network that outlives the kernel: its row."""
    with contextlib.suppress(NetworkNameTaken):
        rooms.networks.add(
            Network(id=NetworkId("e" * 64), name="new", driver="bridge", created_at_ns=1)
        )


VERBS: dict[str, Callable[[Rooms], None]] = {
    "load": load, "pull": pull, "commit": commit, "create": create, "build": build,
    "snapshot": take, "rollback": roll_back, "volume": make_volume, "network": make_network,
}  # fmt: skip
DONE: dict[str, Callable[[Rooms], object]] = {
    "load": lambda rooms: rooms.images.resolve("app:1"),
    "pull": lambda rooms: len(rooms.images.list()) > 1,
    "commit": lambda rooms: rooms.images.resolve("made:1"),
    "create": lambda rooms: rooms.records.get(ContainerId("d" * 64)),
    "build": lambda rooms: rooms.images.resolve("built:1"),
    "snapshot": lambda rooms: rooms.volumes.history.snapshot("data", "two"),
    "rollback": lambda rooms: _is_old(rooms.volumes.get("data").mount_point),
    "volume": lambda rooms: rooms.volumes.get("new"),
    "network": lambda rooms: rooms.networks.find("new"),
}
"""What is there once a verb was told to be done."""


def _is_old(place: str) -> bool:
    return Path(place, "f0").read_bytes() != b"changed"


def prepare(root: Path) -> None:
    """An image, a container that has written, and a volume that was changed after a snapshot."""
    with opened(root) as rooms:
        list(ImageArchives(rooms.images).load(io.BytesIO(docker_archive(BASE, tags=("base:1",)))))
        base = rooms.images.resolve("base:1")
        rooms.snapshots.prepare(SnapshotKey(CONTAINER), base.chain_id)
        asyncio.run(rooms.records.add(container(CONTAINER, base.id)))
        written = Path(rooms.snapshots.rootfs(SnapshotKey(CONTAINER)).upper, "written")
        written.mkdir()
        for name, content in FILES.items():
            (written / name).write_bytes(content)
        volume, _is_new = rooms.volumes.make(VolumeSpec(name="data"))
        for name, content in FILES.items():
            Path(volume.mount_point, name).write_bytes(content)
        rooms.volumes.history.take("data", "one", consistency=Consistency.NONE, writers=())
        for name in FILES:
            Path(volume.mount_point, name).write_bytes(b"changed")
    os.sync()


# -- what must hold --------------------------------------------------------------------------


def bad_files(root: Path, rooms: Rooms) -> list[str]:
    """Files that are spoken of and are not what they must be."""
    found = []
    for blob in (root / "content" / "blobs" / "sha256").iterdir():
        if hashlib.sha256(blob.read_bytes()).hexdigest() != blob.name:
            found.append(f"blob {blob.name}")
    directories = {digest(BASE): "base", digest(TOP): "top"}
    for layer in rooms.snapshots.layers.all():
        tree = root / "overlay2" / str(layer.number) / "diff"
        found += _differing(tree / directories.get(layer.diff_id, "written"), FILES)
    for image in rooms.images.list():
        packed = b"".join(ImageArchives(rooms.images).save([image.id]))
        assert packed
    for volume in rooms.volumes.all():
        place = Path(volume.mount_point)
        if volume.name == "new":
            found += [] if place.is_dir() else [f"volume {place}"]
            continue
        is_old = _is_old(volume.mount_point)
        found += _differing(place, FILES if is_old else dict.fromkeys(FILES, b"changed"))
        for taken in rooms.volumes.history.snapshots(volume.name):
            kept = place.parent / "snapshots" / taken.name
            is_old = (kept / "f0").read_bytes() != b"changed"
            found += _differing(kept, FILES if is_old else dict.fromkeys(FILES, b"changed"))
    return found


def _differing(tree: Path, wanted: dict[str, bytes]) -> list[str]:
    return [
        str(tree / name)
        for name, content in wanted.items()
        if not (tree / name).exists() or (tree / name).read_bytes() != content
    ]


class Disk:
    """An ext4 in a file that writes back every five minutes, unless it is told to."""

    def __init__(self, directory: Path) -> None:
        self._image, self._prepared = directory / "disk", directory / "prepared"
        self.place = directory / "mounted"
        self.place.mkdir()
        with self._prepared.open("wb") as file:
            file.truncate(_DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self._prepared)], check=True)
        shutil.copyfile(self._prepared, self._image)
        with self.mounted():
            prepare(self.place / "data")
        self._copy(self._image, self._prepared)

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        """Mounted, the journal replayed; where the rooms are."""
        options = "loop,commit=300,noatime"
        subprocess.run(["mount", "-o", options, str(self._image), str(self.place)], check=True)
        try:
            yield self.place / "data"
        finally:
            subprocess.run(["umount", str(self.place)], check=True)
            # A device that still is there remembers blocks that the file has no more.
            wait_until("the loop device is gone", lambda: not self._devices())

    def _devices(self) -> bytes:
        looked = ["losetup", "--associated", str(self._image)]
        return subprocess.run(looked, check=True, capture_output=True).stdout

    def renew(self) -> None:
        """As it was prepared."""
        self._copy(self._prepared, self._image)

    def _copy(self, source: Path, target: Path) -> None:
        subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=True)


SAMPLED = VERBS.keys() - {"volume", "network"}
"""What `make test` tries: a row alone is the least that can go wrong."""


@pytest.mark.parametrize("verb", [each for each in VERBS if SIZE.is_whole or each in SAMPLED])
def test_power_cuts(verb: str) -> None:
    """After each cut a boot finds nothing half, and the verb can be done."""
    print(in_own_mounts(lambda: cut_often(verb)))


def cut_often(verb: str) -> str:
    """Cut a verb off at steps that are spread over all of it; how often that was."""
    # Not in pytest's directories, which it renames.
    with tempfile.TemporaryDirectory(prefix="wherry-disk-") as directory:
        disk = Disk(Path(directory))

        def work() -> None:
            with opened(disk.place / "data") as rooms:
                VERBS[verb](rooms)

        disk.renew()
        with disk.mounted():
            steps = steps_of(work)
        cuts = 0
        # The last cut is after the verb: what was told to be done is done.
        for step in chosen(steps + 1, CUTS):
            disk.renew()
            with disk.mounted():
                cuts += cut_off(work, step, plug=str(disk.place))
            with disk.mounted() as root:
                with opened(root) as rooms:
                    assert not bad_files(root, rooms), f"cut at step {step} of {steps}"
                    assert step <= steps or DONE[verb](rooms)
                    VERBS[verb](rooms)
                with opened(root) as rooms:
                    assert not bad_files(root, rooms), f"after a cut at step {step}"
        assert cuts == min(steps + 1, CUTS)
        return f"{verb}: {cuts} cuts at {steps} steps, 0 bad files"


_MUTANTS = (
    ("load", Mutant("layers are not flushed", "snapshots/layer_store.py",
                    "                syncfs(descriptor)", "                pass")),
    ("snapshot", Mutant("volumes are not flushed", "volumes/trees.py",
                        "                syncfs(parent)", "                pass")),
)  # fmt: skip


@pytest.mark.parametrize(("verb", "mutant"), _MUTANTS, ids=[each.name for _, each in _MUTANTS])
def test_mutants(verb: str, mutant: Mutant) -> None:
    """Without a flush before the row, a cut leaves a row that speaks of what is not there."""
    with mutated_source([mutant]) as source:
        ran = subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "-o", f"pythonpath={source} tests",
                f"{__file__}::test_power_cuts[{verb}]",
            ],
            env={**os.environ, "WHERRY_PROOF": "whole"},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    assert ran.returncode == 1, ran.stdout
    assert "cut at step" in ran.stdout
