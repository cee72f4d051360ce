"""What steps saw when they ran: from this their keys are made, and a miss is explained.

A key is a digest of everything that a step can see, so a step that is not found differs from every
one that is kept. In what, only a record of what those saw can tell. It is written with the step's
result and goes with it; of a result that was removed, a note stays that says by whom.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from sqlite3 import Connection

from wherry.builder.digests import digest_of
from wherry.kit.values import dataclass, field
from wherry.store import Migration

SEEN_MIGRATION = Migration(
    room="build",
    number=3,
    sql="""
CREATE TABLE build_cache_seen (
    key            TEXT PRIMARY KEY,
    text           TEXT NOT NULL,
    kind           TEXT NOT NULL,
    stage          TEXT NOT NULL,
    parent         TEXT NOT NULL,
    base           TEXT NOT NULL,
    base_id        TEXT NOT NULL,
    seen           BLOB NOT NULL,
    created_at_ns  INTEGER NOT NULL
) STRICT;
CREATE INDEX build_cache_seen_parent ON build_cache_seen (parent);
CREATE INDEX build_cache_seen_base ON build_cache_seen (base, created_at_ns);
CREATE TABLE build_cache_gone (
    key     TEXT PRIMARY KEY,
    reason  TEXT NOT NULL,
    at_ns   INTEGER NOT NULL
) STRICT;
""",
)
_MOST_NOTES = 10_000
_MOST_ALIKE = 4
"""Records that a step is compared with: those written the same first, then the newest."""
_DIGITS = 16
"""Of a file's digest that are kept: they tell a change, and are no proof of anything."""
_MOST_DETAILS = 100_000
_COLUMNS = "text, kind, stage, parent, base, base_id, seen, created_at_ns"
Row = tuple[str, str, str, str, str, str, bytes, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenStep:
    """All that one step sees."""

    text: str
    """The instruction as it was written; it is no part of the key."""
    parent: str
    """The key of the step below."""
    kind: str
    stage: str
    """Which instruction it is, and its stage's name or number."""
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
        return digest_of(
            self.parent, self.kind, *(word for part in self.parts.items() for word in part)
        )


@dataclass(frozen=True, slots=True)
class SeenBase:
    """The image that a name led to, at a moment."""

    image_id: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A note of a result that was removed."""

    reason: str
    at_ns: int


def named(part: str, files: Mapping[str, str]) -> dict[str, str]:
    """The files of a part, as details of what a step sees."""
    return {f"{part}\0{path}": digest[:_DIGITS] for path, digest in files.items()}


def files_of(part: str, seen: SeenStep) -> dict[str, str]:
    """The files of a part, and the beginning of a digest for each."""
    prefix = f"{part}\0"
    return {
        name.removeprefix(prefix): digest
        for name, digest in seen.details.items()
        if name.startswith(prefix)
    }


def put_seen(rows: Connection, key: str, seen: SeenStep, created_at_ns: int) -> None:
    """Keep what a step saw."""
    details = dict(seen.details) if len(seen.details) <= _MOST_DETAILS else {}
    content = zlib.compress(json.dumps([dict(seen.parts), details]).encode(), 1)
    rows.execute(
        "INSERT OR REPLACE INTO build_cache_seen VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key,
            _text(seen.text),
            seen.kind,
            seen.stage,
            seen.parent,
            seen.base,
            seen.base_id,
            content,
            created_at_ns,
        ),
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


def on_parent(rows: Connection, seen: SeenStep, before_ns: int) -> list[SeenStep]:
    """Steps that were run on the same one, before some moment, in the place of this one.

    They were written the same; or they were others of its kind, in a stage of its name.
    """
    text = _text(seen.text)
    found = rows.execute(
        f"SELECT {_COLUMNS} FROM build_cache_seen WHERE parent = ? AND created_at_ns < ? "
        "AND (text = ? OR (kind = ? AND stage = ?)) "
        "ORDER BY text = ? DESC, created_at_ns DESC LIMIT ?",
        (seen.parent, before_ns, text, seen.kind, seen.stage, text, _MOST_ALIKE),
    ).fetchall()
    return [_seen(row) for row in found]


def with_text(rows: Connection, seen: SeenStep, before_ns: int) -> SeenStep | None:
    """The newest step that was written the same, on what a name led to before some moment."""
    row = rows.execute(
        f"SELECT {_COLUMNS} FROM build_cache_seen WHERE base = ? AND text = ? "
        "AND created_at_ns < ? ORDER BY created_at_ns DESC LIMIT 1",
        (seen.base, _text(seen.text), before_ns),
    ).fetchone()
    return _seen(row) if row else None


def base_before(rows: Connection, base: str, before_ns: int) -> SeenBase | None:
    """What a name led to when a stage last began with it, before some moment."""
    row = rows.execute(
        "SELECT base_id, created_at_ns FROM build_cache_seen WHERE base = ? "
        "AND created_at_ns < ? ORDER BY created_at_ns DESC LIMIT 1",
        (base, before_ns),
    ).fetchone()
    return SeenBase(*row) if row else None


def note_of(rows: Connection, key: str) -> Removed | None:
    """How a result was removed."""
    row = rows.execute(
        "SELECT reason, at_ns FROM build_cache_gone WHERE key = ?", (key,)
    ).fetchone()
    return Removed(*row) if row else None


def _seen(row: Row) -> SeenStep:
    parts, details = json.loads(zlib.decompress(row[6]))
    return SeenStep(
        text=row[0],
        kind=row[1],
        stage=row[2],
        parent=row[3],
        base=row[4],
        base_id=row[5],
        parts=parts,
        details=details,
        created_at_ns=row[7],
    )


def _text(text: str) -> str:
    """An instruction as the database can hold it."""
    return text.encode(errors="surrogateescape").decode(errors="replace")[:4096]
