"""The committed layers: rows in the database, and an index of them in memory.

A row says that the layer's data is on the disk (it was synced before). A directory without a
row is half a layer, and swept away at boot.

Layers of one image are unpacked side by side, so a layer may have a lower number than the one it
stands on: numbers say nothing of the order.
"""

import hashlib
import sqlite3
from collections.abc import Iterable

from wherry.kit.values import dataclass
from wherry.model.ids import ChainId, DiffId
from wherry.store import Database, Migration

MIGRATIONS = (
    Migration(
        room="snapshots",
        number=1,
        sql="""
CREATE TABLE layers (
    number     INTEGER PRIMARY KEY,
    chain_id   TEXT NOT NULL UNIQUE,
    parent     INTEGER REFERENCES layers (number) ON DELETE RESTRICT,
    diff_id    TEXT NOT NULL,
    size_bytes INTEGER NOT NULL
) STRICT;
""",
    ),
)


_Row = tuple[int | None, int, str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedLayer:
    """A read-only layer on this disk."""

    number: int
    """Its directory's name."""
    chain_id: ChainId
    parent: ChainId | None
    """None: it stands on nothing."""
    diff_id: DiffId
    size_bytes: int
    """Content of its files, as it was counted when it was unpacked."""


def chain_id(parent: ChainId | None, diff_id: DiffId) -> ChainId:
    """The name of a stack with one more layer (OCI image-spec, "Layer ChainID")."""
    if parent is None:
        return ChainId(diff_id)
    return ChainId("sha256:" + hashlib.sha256(f"{parent} {diff_id}".encode()).hexdigest())


class LayerTable:
    """What is committed. Changes are serialised by the caller; reading needs no lock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_chain: dict[ChainId, CommittedLayer] = {}  # parents before their children
        self._by_number: dict[int, CommittedLayer] = {}
        with database.reading() as rows:
            self._load(rows)

    def get(self, chain: ChainId) -> CommittedLayer | None:
        """The top layer of a stack; None when it is not here."""
        return self._by_chain.get(chain)

    def numbered(self, number: int) -> CommittedLayer | None:
        """The layer in a directory; None when none was committed there."""
        return self._by_number.get(number)

    def all(self) -> tuple[CommittedLayer, ...]:
        """Every layer, parents before their children."""
        return tuple(self._by_chain.values())

    def stack(self, chain: ChainId | None) -> tuple[CommittedLayer, ...]:
        """A layer and all below it, topmost first. Raises: KeyError."""
        found = []
        while chain is not None:
            layer = self._by_chain[chain]
            found.append(layer)
            chain = layer.parent
        return tuple(found)

    def add(self, layers: Iterable[CommittedLayer]) -> None:
        """Commit layers, parents first: all of them or none."""
        added = tuple(layers)
        numbers = {layer.chain_id: layer.number for layer in (*self._by_chain.values(), *added)}
        with self._database.transaction() as rows:
            rows.executemany(
                "INSERT INTO layers VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        layer.number,
                        layer.chain_id,
                        numbers[layer.parent] if layer.parent is not None else None,
                        layer.diff_id,
                        layer.size_bytes,
                    )
                    for layer in added
                ],
            )
        for layer in added:
            self._remember(layer)

    def remove(self, layers: Iterable[CommittedLayer]) -> None:
        """Forget layers, children first: all of them or none."""
        removed = tuple(layers)
        with self._database.transaction() as rows:
            rows.executemany(
                "DELETE FROM layers WHERE number = ?", [(layer.number,) for layer in removed]
            )
        for layer in removed:
            del self._by_chain[layer.chain_id]
            del self._by_number[layer.number]

    def _load(self, rows: sqlite3.Connection) -> None:
        """Level by level, from the layers that stand on nothing upwards."""
        above: dict[int | None, list[_Row]] = {}
        for row in rows.execute(
            "SELECT parent, number, chain_id, diff_id, size_bytes FROM layers"
        ):
            above.setdefault(row[0], []).append(row)
        level = above.get(None, [])
        while level:
            for parent, number, chain, diff, size in level:
                self._remember(
                    CommittedLayer(
                        number=number,
                        chain_id=ChainId(chain),
                        parent=None if parent is None else self._by_number[parent].chain_id,
                        diff_id=DiffId(diff),
                        size_bytes=size,
                    )
                )
            level = [row for below in level for row in above.get(below[1], ())]

    def _remember(self, layer: CommittedLayer) -> None:
        self._by_chain[layer.chain_id] = layer
        self._by_number[layer.number] = layer
