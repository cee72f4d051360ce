"""An engine of dictionaries behind the API's protocols: no kernel, no disk, no time of its own.

Containers start, take input, write what a test makes them write, and end when told to. Every
call is remembered in `calls`, so that a test can say what the API asked for.
"""

import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support.fake_engine.builds import FakeBuildHistory, FakeBuilds
from support.fake_engine.containers import FakeCommits, FakeContainers, FakeExecs, FakeFiles
from support.fake_engine.images import FakeImageArchives, FakeImages, FakePlatforms, FakeRegistries
from support.fake_engine.networks import FakeNetworks, FakeSights
from support.fake_engine.plugins import FakePlugins
from support.fake_engine.state import SECOND, FakeState, FakeStream
from support.fake_engine.system import (
    FakeDiskUsage,
    FakeEvents,
    FakeExplanations,
    FakePrunes,
    FakeReasons,
    FakeSystem,
)
from support.fake_engine.volumes import FakeVolumeHistory, FakeVolumes
from wherry.api import Services, serve

__all__ = ["SECOND", "FakeEngine", "FakeStream", "served"]


@dataclass
class FakeEngine(FakeState):
    """All the state, and the services over it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.builds = FakeBuilds()

    def services(self) -> Services:
        """What the API is given."""
        return Services(
            containers=FakeContainers(self),
            execs=FakeExecs(self),
            images=FakeImages(self),
            image_archives=FakeImageArchives(self),
            builds=self.builds,
            build_history=FakeBuildHistory(),
            registries=FakeRegistries(self),
            networks=FakeNetworks(self),
            files=FakeFiles(self),
            commits=FakeCommits(self),
            volumes=(volumes := FakeVolumes()),
            volume_history=FakeVolumeHistory(volumes),
            plugins=FakePlugins,
            system=FakeSystem(self),
            events=FakeEvents(self),
            explanations=FakeExplanations(self),
            reasons=FakeReasons(self),
            sights=FakeSights(self),
            platforms=FakePlatforms(),
            prunes=FakePrunes(self),
            disk_usage=FakeDiskUsage(self),
        )


@asynccontextmanager
async def served(engine: FakeEngine, *, idle_timeout_s: float = 30) -> AsyncIterator[str]:
    """The API of a fake engine on a Unix socket; gives its path."""
    with tempfile.TemporaryDirectory(prefix="wherry-api-") as directory:
        path = str(Path(directory) / "api.sock")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(128)
        listening = await serve(
            engine.services(), [listener], clock=engine.clock, idle_timeout_s=idle_timeout_s
        )
        try:
            yield path
        finally:
            await listening.close()
