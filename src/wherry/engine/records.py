"""The records of containers: all of them in memory, each change in SQLite first.

Reads cost a dictionary look-up. A change is committed before memory shows it, so nobody is
told of something that a power cut could take back.
"""

import logging
import re
import sqlite3
from collections.abc import Iterator

import msgspec

from wherry.kit.aio import OffloadPool
from wherry.model.containers import Container
from wherry.model.errors import StepFailed
from wherry.model.errors.containers import (
    AmbiguousReference,
    ContainerNameTaken,
    ContainerNotFound,
)
from wherry.model.ids import ContainerId
from wherry.store import Database, Migration, keys_aside, read_records

ROW_VERSION = 1
MIGRATIONS = (
    Migration(
        room="engine",
        number=1,
        sql="""
        CREATE TABLE containers (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            version INTEGER NOT NULL,
            record BLOB NOT NULL
        ) STRICT;
        """,
    ),
)

_HEXADECIMAL = re.compile(r"[0-9a-f]{1,64}")
_log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()


class ContainerRecords:
    """Every container that exists, by id, name and id prefix."""

    def __init__(self, database: Database, offload: OffloadPool) -> None:
        self._database = database
        self._offload = offload
        self._by_id: dict[ContainerId, Container] = {}
        self._by_name: dict[str, ContainerId] = {}
        self._unkept: dict[ContainerId, Container] = {}
        """What has happened and the disk has not taken yet."""

    def load(self) -> None:
        """Read all records; blocking, at boot. Raises: StateUnreadable for a newer row."""
        for _id, container in read_records(
            self._database, "containers", Container, version=ROW_VERSION
        ):
            self._remember(container)

    def set_aside(self) -> set[ContainerId]:
        """Containers whose records can't be read: nobody knows what they are, but they were."""
        return {ContainerId(each) for each in keys_aside(self._database, "containers")}

    # -- looking up --------------------------------------------------------------------------

    def all(self) -> Iterator[Container]:
        """Every container, oldest first."""
        return iter(sorted(self._by_id.values(), key=lambda each: each.created_at_ns))

    def get(self, container_id: ContainerId) -> Container | None:
        """The record of an id; None when there is none (any more)."""
        return self._by_id.get(container_id)

    def find(self, reference: str) -> Container:
        """The container that a user means: full id, then name, then id prefix, as Docker does.

        Raises: ContainerNotFound, AmbiguousReference.
        """
        by_id = self._by_id.get(ContainerId(reference))
        if by_id is not None:
            return by_id
        named = self._by_name.get(reference.removeprefix("/"))
        if named is not None:
            return self._by_id[named]
        if not _HEXADECIMAL.fullmatch(reference):
            raise ContainerNotFound(reference)
        matches = [each for each in self._by_id if each.startswith(reference)]
        if not matches:
            raise ContainerNotFound(reference)
        if len(matches) > 1:
            raise AmbiguousReference("container", reference)
        return self._by_id[matches[0]]

    def name_is_free(self, name: str) -> bool:
        """Whether no container has the name."""
        return name not in self._by_name

    # -- changing ----------------------------------------------------------------------------

    async def add(self, container: Container) -> None:
        """Store a new container; its name is reserved at once.

        Raises: ContainerNameTaken.
        """
        self._reserve(container.name, container.id)
        try:
            await self._offload(self._write, container)
        except BaseException:
            self._by_name.pop(container.name, None)
            raise
        self._remember(container)

    async def replace(self, container: Container) -> None:
        """Store what a container has become; its name may have changed.

        Raises: ContainerNameTaken.
        """
        before = self._by_id[container.id]
        if before.name != container.name:
            self._reserve(container.name, container.id)
        try:
            await self._offload(self._write, container)
        except BaseException:
            if before.name != container.name:
                self._by_name.pop(container.name, None)
            raise
        if before.name != container.name:
            del self._by_name[before.name]
        self._remember(container)

    async def note(self, container: Container) -> None:
        """Store what has happened to a container, which no disk can undo.

        It is shown in any case. Where the disk refuses it is stored with the next change that it
        takes; a boot before that learns it from the shim.
        """
        try:
            await self.replace(container)
        except StepFailed as refusal:
            _log.error("record.not_kept container=%s problem=%s", container.id, refusal.cause)
            self._remember(container)
            self._unkept[container.id] = container

    def show(self, container: Container) -> None:
        """Show a state that is not worth a commit: it ends with this process anyway."""
        self._remember(container)

    async def remove(self, container: Container) -> None:
        """Forget a container; its name is free afterwards."""
        await self._offload(self._delete, container.id)
        del self._by_id[container.id]
        del self._by_name[container.name]

    def _reserve(self, name: str, container_id: ContainerId) -> None:
        holder = self._by_name.get(name)
        if holder is not None and holder != container_id:
            raise ContainerNameTaken(name, holder)
        self._by_name[name] = container_id

    def _remember(self, container: Container) -> None:
        self._by_id[container.id] = container
        self._by_name[container.name] = container.id

    def _write(self, container: Container) -> None:
        unkept = {**self._unkept, container.id: container}
        with self._database.transaction() as connection:
            for each in unkept.values():
                row = (each.id, each.name, ROW_VERSION, _encoder.encode(each))
                _upsert(connection, row)
        for each in unkept.values():
            if self._unkept.get(each.id) is each:
                del self._unkept[each.id]

    def _delete(self, container_id: ContainerId) -> None:
        self._unkept.pop(container_id, None)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM containers WHERE id = ?", (container_id,))


def _upsert(connection: sqlite3.Connection, row: tuple[str, str, int, bytes]) -> None:
    connection.execute(
        "INSERT INTO containers (id, name, version, record) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record",
        row,
    )
