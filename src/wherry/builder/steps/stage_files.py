"""The files of stages: snapshots that a step writes to, and roots that another one reads."""

import os

from wherry.images import BuildImages, BuildState
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.random_ids import new_id
from wherry.model.ids import SnapshotKey
from wherry.tasks import Tasks


class StageFiles:
    """Opens the files of states; each root is closed, and its snapshot gone, with its stack."""

    def __init__(self, images: BuildImages, tasks: Tasks, offload: OffloadPool) -> None:
        self._images = images
        self._tasks = tasks
        self._offload = offload

    async def opened(self, state: BuildState, opened: UndoStack) -> int:
        """The root of what a state holds, to read. Raises: StepFailed."""
        _key, root = await self._prepared(state, opened, writes=False)
        return root

    async def writable(self, state: BuildState, opened: UndoStack) -> tuple[SnapshotKey, int]:
        """A new snapshot on a state, and its root. Raises: StepFailed."""
        return await self._prepared(state, opened, writes=True)

    async def written(self, key: SnapshotKey, opened: UndoStack) -> int:
        """The root of a snapshot that a container has written to. Raises: StepFailed."""
        root = await self._tasks.open_view(self._images.snapshots.rootfs(key), writes=True)
        opened.push(self._offload, os.close, root)
        return root

    async def _prepared(
        self, state: BuildState, opened: UndoStack, *, writes: bool
    ) -> tuple[SnapshotKey, int]:
        snapshots, key = self._images.snapshots, SnapshotKey(f"build-{new_id()}")
        opened.push(self._offload, snapshots.remove, key)
        await self._offload(snapshots.prepare, key, state.chain, why="a step copies files")
        root = await self._tasks.open_view(snapshots.rootfs(key), writes=writes)
        opened.push(self._offload, os.close, root)
        return key, root
