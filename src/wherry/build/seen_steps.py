"""What steps saw when they ran: from this their keys are made, and a miss is explained.

A key is a digest of everything that a step can see, so a step that is not found differs from every
one that is kept. In what, only a record of what those saw can tell. It is written with the step's
result and goes with it; of a result that was removed, a note stays that says by whom.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from sqlite3 import Connection

from wherry.build.digests import digest_of
from wherry.store import Migration

SEEN_MIGRATION = Migration(
    room="build",
    number=3,
    sql="""
CREATE TABLE build_cache_seen (
    key            TEXT PRIMARY KEY,
    text           TEXT NOT NULL,
    parent         TEXT NOT NULL,
    base           TEXT NOT NULL,
    base_id        TEXT NOT NULL,
    seen           BLOB NOT NULL,
    created_at_ns  INTEGER NOT NULL
) STRICT;
CREATE INDEX build_cache_seen_parent ON build_cache_seen (parent);
CREATE INDEX build_cache_seen_text ON build_cache_seen (text);
CREATE TABLE build_cache_gone (
    key     TEXT PRIMARY KEY,
    reason  TEXT NOT NULL,
    at_ns   INTEGER NOT NULL
) STRICT;
""",
)
_MOST_NOTES = 10_000
_MOST_ALIKE = 16
"""Records that a step is compared with, the newest first."""
_MOST_DETAILS = 100_000
_COLUMNS = "text, parent, base, base_id, seen, created_at_ns"
Row = tuple[str, str, str, str, bytes, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenStep:
    """All that one step sees."""

    text: str
    """The instruction as it was written; it is no part of the key."""
    parent: str
    """The key of the step below."""
    stage: str = ""
    """Its stage's name or number; no part of the key either."""
    base: str = ""
    base_id: str = ""
    """What its stage began with: the name in the Dockerfile, and the image that it led to."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """By what they are called: `instruction`, `argument NAME`, `files`, ..."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What some parts are made of: `file PATH`, `variable NAME`."""
    created_at_ns: int = 0

    @property
    def key(self) -> str:
        """The step's name in the cache."""
        return digest_of(self.parent, *(word for part in self.parts.items() for word in part))


@dataclass(frozen=True, slots=True)
class Removed:
    """A note of a result that was removed."""

    reason: str
    at_ns: int


def put_seen(rows: Connection, key: str, seen: SeenStep, created_at_ns: int) -> None:
    """Keep what a step saw."""
    details = dict(seen.details) if len(seen.details) <= _MOST_DETAILS else {}
    content = zlib.compress(json.dumps([dict(seen.parts), details, seen.stage]).encode(), 1)
    rows.execute(
        "INSERT OR REPLACE INTO build_cache_seen VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key, _text(seen.text), seen.parent, seen.base, seen.base_id, content, created_at_ns),
    )
    rows.execute("DELETE FROM build_cache_gone WHERE key = ?", (key,))


def forget_seen(rows: Connection, keys: Sequence[str], reason: str, now_ns: int) -> None:
    """Remove what steps saw, and note why."""
    rows.executemany("DELETE FROM build_cache_seen WHERE key = ?", [(key,) for key in keys])
    rows.executemany(
        "INSERT OR REPLACE INTO build_cache_gone VALUES (?, ?, ?)",
        [(key, reason, now_ns) for key in keys],
    )
    rows.execute(
        "DELETE FROM build_cache_gone WHERE key NOT IN "
        "(SELECT key FROM build_cache_gone ORDER BY at_ns DESC LIMIT ?)",
        (_MOST_NOTES,),
    )


def on_parent(rows: Connection, parent: str) -> list[SeenStep]:
    """Steps that were run on the same one."""
    return _found(rows, "parent = ?", (parent,))


def with_text(rows: Connection, text: str) -> list[SeenStep]:
    """Steps that were written in the same way, on whatever."""
    return _found(rows, "text = ?", (_text(text),))


def base_before(rows: Connection, base: str) -> SeenStep | None:
    """The newest step of a stage that began with an image of this name."""
    return next(iter(_found(rows, "base = ?", (base,))), None)


def note_of(rows: Connection, key: str) -> Removed | None:
    """How a result was removed."""
    row = rows.execute(
        "SELECT reason, at_ns FROM build_cache_gone WHERE key = ?", (key,)
    ).fetchone()
    return Removed(*row) if row else None


def _found(rows: Connection, condition: str, values: tuple[str, ...]) -> list[SeenStep]:
    found = rows.execute(
        f"SELECT {_COLUMNS} FROM build_cache_seen WHERE {condition} "
        "ORDER BY created_at_ns DESC LIMIT ?",
        (*values, _MOST_ALIKE),
    ).fetchall()
    return [_seen(row) for row in found]


def _seen(row: Row) -> SeenStep:
    parts, details, stage = json.loads(zlib.decompress(row[4]))
    return SeenStep(
        text=row[0],
        parent=row[1],
        stage=stage,
        base=row[2],
        base_id=row[3],
        parts=parts,
        details=details,
        created_at_ns=row[5],
    )


def _text(text: str) -> str:
    """An instruction as the database can hold it."""
    return text.encode(errors="surrogateescape").decode(errors="replace")[:4096]
