"""Giving a container another name."""

from wherry.engine.containers.create import checked_name
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import KeyedLock
from wherry.kit.values import replace
from wherry.model.errors import InvalidValue


class RenameContainer:
    """The verb `rename`; the old name is free afterwards."""

    def __init__(self, *, records: ContainerRecords, locks: KeyedLock, events: EventLog) -> None:
        self._records = records
        self._locks = locks
        self._events = events

    async def __call__(self, reference: str, new_name: str) -> None:
        """Rename. Raises: ContainerNotFound, ContainerNameTaken, InvalidValue."""
        container_id = self._records.find(reference).id
        if not new_name.removeprefix("/"):
            raise InvalidValue("Neither old nor new names may be empty")
        name = checked_name(new_name)
        async with self._locks.held(container_id):
            container = self._records.find(container_id)
            if container.name == name:
                raise InvalidValue("Renaming a container with the same name as its current name")
            renamed = replace(container, name=name)
            await self._records.replace(renamed)
        self._events.container("rename", renamed, oldName=f"/{container.name}")
