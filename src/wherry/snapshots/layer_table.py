"""The committed layers: rows in the database, and an index of them in memory.

A row says that the layer's data is on the disk (it was synced before). A directory without a
row is half a layer, and swept away at boot.
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
        self._by_chain: dict[ChainId, CommittedLayer] = {}
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
        return tuple(self._by_number[number] for number in sorted(self._by_number))

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
        chains: dict[int, ChainId] = {}
        for number, chain, parent, diff, size in rows.execute(
            "SELECT number, chain_id, parent, diff_id, size_bytes FROM layers ORDER BY number"
        ):
            chains[number] = ChainId(chain)
            self._remember(
                CommittedLayer(
                    number=number,
                    chain_id=ChainId(chain),
                    parent=None if parent is None else chains[parent],
                    diff_id=DiffId(diff),
                    size_bytes=size,
                )
            )

    def _remember(self, layer: CommittedLayer) -> None:
        self._by_chain[layer.chain_id] = layer
        self._by_number[layer.number] = layer
