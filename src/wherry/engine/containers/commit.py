"""What a container has written: shown as a list of changes, or made an image."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from wherry.engine.containers.stop import PauseContainer
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.images import ImageMaker, ImageStore
from wherry.kit.aio import OffloadPool
from wherry.model.containers import Container, ContainerSpec
from wherry.model.errors import ContainerNotPaused, ContainerNotRunning, ContainerPaused
from wherry.model.files import Change
from wherry.model.ids import ImageId, SnapshotKey
from wherry.model.images import CommitPlan, CommitRequest, ImageConfig
from wherry.model.lifecycle import ContainerState
from wherry.snapshots import Snapshots


class CommitContainer:
    """The verbs `diff` and `commit`."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        images: ImageStore,
        maker: ImageMaker,
        snapshots: Snapshots,
        pausing: PauseContainer,
        events: EventLog,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._images = images
        self._maker = maker
        self._snapshots = snapshots
        self._pausing = pausing
        self._events = events
        self._offload = offload

    async def changes(self, reference: str) -> Sequence[Change]:
        """What was added, changed and deleted since the container was created.

        Raises: ContainerNotFound, AmbiguousReference.
        """
        container = self._records.find(reference)
        return await self._offload(self._snapshots.changes, SnapshotKey(container.id))

    async def commit(self, reference: str, request: CommitRequest) -> ImageId:
        """Make an image of a container's own image and what it has written since.

        What is in volumes is no part of it. Raises: ContainerNotFound, ImageNotFound,
        InvalidReference, InvalidValue, StepFailed.
        """
        container = self._records.find(reference)
        base = self._images.resolve(container.image_id)
        own = committed_config(container.spec)
        plan = CommitPlan(
            config=own if request.config is None else request.config,
            inherited=None if request.config is None else own,
            changes=request.changes,
            reference=request.reference,
            author=request.author,
            comment=request.comment,
            created_by=" ".join(container.arguments),
        )
        async with self._held_still(container, pauses=request.pauses):
            image_id = await self._offload(
                self._maker.commit, SnapshotKey(container.id), base, plan
            )
            self._events.container(
                "commit",
                container,
                comment=request.comment,
                imageID=image_id,
                imageRef=request.reference,
            )
        return image_id

    @asynccontextmanager
    async def _held_still(self, container: Container, *, pauses: bool) -> AsyncIterator[None]:
        """Freeze a running container meanwhile; one that is paused already stays so."""
        if not pauses or container.status.state is not ContainerState.RUNNING:
            yield
            return
        try:
            await self._pausing.pause(container.id)
        except (ContainerNotRunning, ContainerPaused):
            yield  # it ended, or somebody was quicker
            return
        try:
            yield
        finally:
            with suppress(ContainerNotPaused):  # somebody let it go on
                await self._pausing.unpause(container.id)


def committed_config(spec: ContainerSpec) -> ImageConfig:
    """What containers of the new image run by default: what this one runs."""
    return ImageConfig(
        entrypoint=spec.entrypoint,
        command=spec.command,
        environment=spec.environment,
        working_directory=spec.working_directory,
        user=spec.user,
        exposed_ports=spec.network.exposed,
        volumes=spec.declared_volumes,
        labels=spec.labels,
        stop_signal=spec.stop_signal,
        health=spec.health,
        shell=spec.shell,
    )
