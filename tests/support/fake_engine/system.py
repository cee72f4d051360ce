"""What a fake engine says of itself: facts, events, explanations, sizes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from support.fake_engine.state import (
    IMAGE_ID,
    FakeState,
)
from wherry.model.containers import (
    Container,
)
from wherry.model.events import Event
from wherry.model.ids import (
    ContainerId,
    ImageId,
)
from wherry.model.outcomes import (
    PrunedContainers,
    PrunedImages,
    PrunedNetworks,
    Removal,
)
from wherry.model.queries import (
    ContainerSizes,
    EngineInfo,
    Filters,
    ImageSizes,
)
from wherry.model.reasons import Cause, Certainty, Reason


@dataclass
class FakeSystem:
    """A host that never changes."""

    engine: FakeState

    async def info(self) -> EngineInfo:
        return EngineInfo(
            id="WHERRY", version="0.1.0", git_commit="abc", build_time="2026-01-01T00:00:00Z",
            host_name="host", operating_system="Debian GNU/Linux 12", os_version="12",
            kernel_version="6.1.0", architecture="x86_64", processors=2,
            memory_bytes=8 << 30, containers_running=1, containers_paused=0,
            containers_stopped=2, images=1, storage_driver="overlay2",
            storage_status=(("Backing Filesystem", "extfs"),), data_root="/var/lib/wherry",
            log_driver="json-file", log_drivers=("json-file", "none"), volume_drivers=("local",),
            network_drivers=("bridge", "host", "null"), cgroup_driver="cgroupfs",
            cgroup_version="2", security_options=("name=seccomp,profile=builtin",),
            default_runtime="wherry", runtimes={"wherry": ("wherry-runtime",)}, labels=(),
            warnings=(), is_debug=False, open_files=20, tasks=5, event_listeners=0,
            system_time_ns=self.engine.clock.now_ns(),
            limits={"memory": True, "swap": True, "pids": True, "cpu_shares": True,
                    "cpu_quota": True, "cpuset": True, "ipv4_forwarding": True},
            components=(("wherry-runtime", "0.1.0"),),
            init_path="/usr/bin/tini", init_version="0.19.0",
        )  # fmt: skip


@dataclass
class FakeEvents:
    """The events that a test put there, then silence until `until`."""

    engine: FakeState

    async def subscribe(
        self, *, since_ns: int | None, until_ns: int | None, filters: Filters
    ) -> AsyncIterator[Event]:
        self.engine.note("events", since_ns, until_ns, dict(filters))
        for event in self.engine.events:
            yield event
        if until_ns is None:
            await asyncio.Event().wait()


@dataclass
class FakeExplanations:
    """One sentence."""

    engine: FakeState

    async def container_text(self, reference: str, *, live: bool = False) -> str:
        return f"1. nothing was done for {self.engine.find(reference).name}\n"

    async def container_json(self, reference: str, *, live: bool = False) -> bytes:
        self.engine.find(reference)
        return b"[]"

    async def container_script(self, reference: str) -> str:
        return f"#!/bin/sh\n# {self.engine.find(reference).name}\n"


@dataclass
class FakeReasons:
    """Everything has finished."""

    engine: FakeState

    async def __call__(self, reference: str) -> Reason:
        container = self.engine.find(reference)
        return Reason(
            container_id=container.id,
            name=container.name,
            state=container.status.state.value,
            exit_code=0,
            cause=Cause.FINISHED,
            certainty=Certainty.FACT,
            sentence="Its program finished without an error.",
        )


@dataclass
class FakePrunes:
    """Says that it removed one of everything."""

    engine: FakeState

    async def containers(self, filters: Filters) -> PrunedContainers:
        self.engine.note("prune containers", dict(filters))
        return PrunedContainers(deleted=(ContainerId("c" * 64),), freed_bytes=5)

    async def images(self, filters: Filters) -> PrunedImages:
        self.engine.note("prune images", dict(filters))
        return PrunedImages(removals=(Removal(untagged="a:1"),), freed_bytes=0)

    async def networks(self, filters: Filters) -> PrunedNetworks:
        self.engine.note("prune networks", dict(filters))
        return PrunedNetworks(deleted=("gone",))


@dataclass
class FakeDiskUsage:
    """Round figures."""

    engine: FakeState

    async def layers_bytes(self) -> int:
        images = self.engine.images.values()
        return sum({x.chain_id: x.size_bytes for each in images for x in each.layers}.values())

    async def of_images(self) -> Mapping[ImageId, ImageSizes]:
        return {IMAGE_ID: ImageSizes(shared_bytes=0, containers=len(self.engine.containers))}

    async def of_containers(self, containers: Sequence[Container]) -> Sequence[ContainerSizes]:
        return [ContainerSizes(written_bytes=12, total_bytes=4_000_012) for _each in containers]
