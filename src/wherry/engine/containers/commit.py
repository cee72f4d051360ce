"""What a container has written: shown as a list of changes, or made an image."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from wherry.engine.containers.stop import PauseContainer
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.images import ImageMaker, ImageStore
from wherry.kit.aio import OffloadPool
from wherry.model.containers import ContainerSpec
from wherry.model.files import Change
from wherry.model.ids import ImageId, SnapshotKey
from wherry.model.images import CommitPlan, CommitRequest, ImageConfig
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
        async with AsyncExitStack() as held:
            if request.pauses:
                await held.enter_async_context(self._pausing.held_still(container.id))
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
