"""A whole engine on fake tasks and fake networks: verbs without processes and without root."""

import contextlib
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from support.fake_networks import FakeNetworks
from support.fake_tasks import FakeTasks
from support.tar_archives import archive, directory
from wherry.api.services import Services
from wherry.builder import MIGRATIONS as BUILD_MIGRATIONS
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import MIGRATIONS
from wherry.images import ImageMaker, ImageStore
from wherry.kit.aio import OffloadPool
from wherry.kit.clock import SystemClock
from wherry.programs.ground import Ground
from wherry.programs.settings import Settings
from wherry.programs.wiring import engine_on
from wherry.snapshots import Snapshots
from wherry.specgen import read_host_facts
from wherry.store import Database
from wherry.volumes import MIGRATIONS as VOLUME_MIGRATIONS

P = ParamSpec("P")
T = TypeVar("T")


class NoThreads(OffloadPool):
    """Blocking work done on the spot, so that the order of things is always the same."""

    async def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return call(*args, **kwargs)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineBench:
    """The engine's services, and what a test does behind their back."""

    services: Services
    tasks: FakeTasks
    networks: FakeNetworks
    database: Database
    root: Path

    def left_behind(self) -> list[str]:
        """What a container leaves below the roots: records, bundles, writable snapshots."""
        places = ("data/containers/*", "exec/containers/*", "data/overlay2/" + "[0-9a-f]" * 64)
        return sorted(str(path) for place in places for path in self.root.glob(place))


@contextlib.asynccontextmanager
async def engine_bench(
    root: Path, offload: OffloadPool | None = None
) -> AsyncIterator[EngineBench]:
    """An engine with `busybox:latest`, whose programs are those of fake_tasks.

    `keeper:latest` is the same with a declared volume.
    """
    for name in ("data/containers", "exec/containers"):
        (root / name).mkdir(parents=True)
    data_root, exec_root = str(root / "data"), str(root / "exec")
    database = Database(
        f"{data_root}/engine.db",
        (
            *MIGRATIONS,
            *Snapshots.MIGRATIONS,
            *ImageStore.MIGRATIONS,
            *BUILD_MIGRATIONS,
            *VOLUME_MIGRATIONS,
        ),
    )
    snapshots = Snapshots(data_root, database)
    images = ImageStore(data_root, database, snapshots)
    for name, changes in (
        ("busybox:latest", ("CMD sleep 1000",)),
        ("keeper:latest", ("CMD sleep 1000", "VOLUME /var/lib/data")),
    ):
        tree = io.BytesIO(archive(directory("bin"), directory("etc")))
        for _progress in ImageMaker(images, snapshots).import_archive(
            tree, reference=name, changes=changes
        ):
            pass
    ground = Ground(
        settings=Settings(data_root=data_root, exec_root=exec_root),
        paths=ContainerPaths(data_root=data_root, exec_root=exec_root),
        database=database,
        snapshots=snapshots,
        offload=offload or OffloadPool(2),
        clock=SystemClock(),
        host=read_host_facts(),
        engine_id="bench",
    )
    tasks, networks = FakeTasks(), FakeNetworks()
    async with engine_on(ground, tasks, networks) as running:  # type: ignore[arg-type]
        yield EngineBench(
            services=running.services, tasks=tasks, networks=networks, database=database, root=root
        )
    ground.offload.close()
    database.close()
