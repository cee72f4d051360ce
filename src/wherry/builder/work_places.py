"""Directories for work that is under way; each goes with the stack that it was opened on."""

import os

from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.random_ids import new_id, short_id
from wherry.linux.files import remove_tree


class WorkPlaces:
    """Makes them below the engine's staging directory, or below another one."""

    def __init__(self, staging: str, offload: OffloadPool) -> None:
        self._staging = staging
        self._offload = offload

    async def empty_directory(self, opened: UndoStack, place: str = "") -> str:
        """A directory for work that is under way, on the disk or at another place."""
        place, name = place or self._staging, f"work-{short_id(new_id())}"
        opened.push(self._offload, _remove, place, name)
        await self._offload(os.mkdir, f"{place}/{name}", 0o711)
        return f"{place}/{name}"


def _remove(place: str, name: str) -> None:
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(directory, name)
    finally:
        os.close(directory)
