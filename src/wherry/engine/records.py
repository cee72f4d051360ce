"""The records of containers: all of them in memory, each change in SQLite first.

Reads cost a dictionary look-up. A change is committed before memory shows it, so nobody is
told of something that a power cut could take back.
"""

import re
import sqlite3
from collections.abc import Iterator

import msgspec

from wherry.kit.aio import OffloadPool
from wherry.model.containers import Container
from wherry.model.errors import (
    AmbiguousReference,
    ContainerNameTaken,
    ContainerNotFound,
    StateUnreadable,
)
from wherry.model.ids import ContainerId
from wherry.store import Database, Migration

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
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Container)


class ContainerRecords:
    """Every container that exists, by id, name and id prefix."""

    def __init__(self, database: Database, offload: OffloadPool) -> None:
        self._database = database
        self._offload = offload
        self._by_id: dict[ContainerId, Container] = {}
        self._by_name: dict[str, ContainerId] = {}

    def load(self) -> None:
        """Read all records; blocking, at boot.

        Raises: StateUnreadable for a row of a newer version or one that is damaged.
        """
        with self._database.reading() as connection:
            rows = connection.execute("SELECT id, version, record FROM containers").fetchall()
        for identifier, version, record in rows:
            if version > ROW_VERSION:
                raise StateUnreadable(f"container {identifier}", f"row version {version}")
            try:
                self._remember(_decoder.decode(record))
            except msgspec.MsgspecError as error:
                raise StateUnreadable(f"container {identifier}", str(error)) from error

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
        row = (container.id, container.name, ROW_VERSION, _encoder.encode(container))
        with self._database.transaction() as connection:
            _upsert(connection, row)

    def _delete(self, container_id: ContainerId) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM containers WHERE id = ?", (container_id,))


def _upsert(connection: sqlite3.Connection, row: tuple[str, str, int, bytes]) -> None:
    connection.execute(
        "INSERT INTO containers (id, name, version, record) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record",
        row,
    )
