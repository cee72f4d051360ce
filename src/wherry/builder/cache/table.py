"""The build cache: for each step that was run, by what it saw, the layer that it made.

A key is a digest of the step and of everything that it could see; a row with that key is the
same step's result. The time is kept too, so that an image that is built again from the cache has
the same bytes and so the same id. Layers and blobs of rows are roots for the collector.
"""

from wherry.builder.cache.kept_builds import KEPT_MIGRATION
from wherry.builder.cache.seen_steps import (
    SEEN_MIGRATION,
    Removed,
    SeenBase,
    SeenStep,
    base_before,
    forget_seen,
    note_of,
    on_parent,
    put_seen,
    with_text,
)
from wherry.kit.values import dataclass
from wherry.model.builds import CacheRecord
from wherry.model.ids import ChainId, DiffId, Digest
from wherry.store import Database, Migration

MIGRATIONS = (
    Migration(
        room="build",
        number=1,
        sql="""
CREATE TABLE build_cache (
    key           TEXT PRIMARY KEY,
    description   TEXT NOT NULL,
    chain_id      TEXT NOT NULL,
    diff_id       TEXT NOT NULL,
    size_bytes    INTEGER NOT NULL,
    created_at_ns INTEGER NOT NULL,
    used_at_ns    INTEGER NOT NULL,
    use_count     INTEGER NOT NULL
) STRICT;
""",
    ),
    Migration(
        room="build",
        number=2,
        sql="""
ALTER TABLE build_cache ADD COLUMN parent TEXT NOT NULL DEFAULT '';
CREATE TABLE build_cache_mounts (
    number        INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    description   TEXT NOT NULL,
    created_at_ns INTEGER NOT NULL,
    used_at_ns    INTEGER NOT NULL,
    use_count     INTEGER NOT NULL
) STRICT;
""",
    ),
    SEEN_MIGRATION,
    KEPT_MIGRATION,
    Migration(
        room="build",
        number=5,
        sql="""
ALTER TABLE build_cache ADD COLUMN link TEXT NOT NULL DEFAULT '';
CREATE INDEX build_cache_link ON build_cache (link) WHERE link <> '';
""",
    ),
)

_RESULT = "key, description, chain_id, diff_id, size_bytes, created_at_ns"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedStep:
    """What a step made; `diff_id` is empty for a step that changed no file."""

    key: str
    description: str
    chain_id: str
    diff_id: str
    size_bytes: int
    created_at_ns: int
    parent: str = ""
    """The key of the step below."""
    link: str = ""
    """What the step is called whatever is below it; empty where its layer depends on that."""


class BuildCache:
    """The rows; every method may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str, *, now_ns: int) -> CachedStep | None:
        """A step's result, which is used once more now."""
        with self._database.transaction() as rows:
            row = rows.execute(
                "UPDATE build_cache SET used_at_ns = ?, use_count = use_count + 1 WHERE key = ? "
                f"RETURNING {_RESULT}",
                (now_ns, key),
            ).fetchone()
        return _cached_step(row) if row is not None else None

    def key_of_link(self, link: str) -> str | None:
        """The key of the newest result of a step, whatever was below it."""
        with self._database.reading() as rows:
            row = rows.execute(
                "SELECT key FROM build_cache WHERE link = ? ORDER BY created_at_ns DESC LIMIT 1",
                (link,),
            ).fetchone()
        return row[0] if row is not None else None

    def look(self, key: str) -> CachedStep | None:
        """A step's result, which is not used by this."""
        with self._database.reading() as rows:
            row = rows.execute(
                f"SELECT {_RESULT} FROM build_cache WHERE key = ?", (key,)
            ).fetchone()
        return _cached_step(row) if row is not None else None

    def put(self, step: CachedStep, seen: SeenStep) -> None:
        """Keep a result, in the place of an older one, and what its step saw."""
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT OR REPLACE INTO build_cache VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
                (
                    step.key,
                    step.description,
                    step.chain_id,
                    step.diff_id,
                    step.size_bytes,
                    step.created_at_ns,
                    step.created_at_ns,
                    step.parent,
                    step.link,
                ),
            )
            put_seen(rows, step.key, seen, step.created_at_ns)

    def beside(self, seen: SeenStep, *, before_ns: int) -> list[SeenStep]:
        """What was run on the same step before some moment."""
        with self._database.reading() as rows:
            return on_parent(rows, seen, before_ns)

    def alike(self, seen: SeenStep, *, before_ns: int) -> SeenStep | None:
        """What was written the same, in a stage that began with the same name."""
        with self._database.reading() as rows:
            return with_text(rows, seen, before_ns)

    def base_before(self, base: str, *, before_ns: int) -> SeenBase | None:
        """What a name led to when a stage last began with it."""
        with self._database.reading() as rows:
            return base_before(rows, base, before_ns)

    def note_of(self, key: str) -> Removed | None:
        """How a result was removed."""
        with self._database.reading() as rows:
            return note_of(rows, key)

    def all(self) -> tuple[CacheRecord, ...]:
        """Every row, the oldest first."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT key, description, size_bytes, created_at_ns, used_at_ns, use_count, "
                "parent, diff_id, chain_id FROM build_cache ORDER BY created_at_ns, key"
            ).fetchall()
        return tuple(
            CacheRecord(
                key=row[0],
                description=row[1],
                size_bytes=row[2],
                created_at_ns=row[3],
                used_at_ns=row[4],
                use_count=row[5],
                parents=(row[6],) if row[6] else (),
                diff_id=row[7],
                chain_id=row[8],
            )
            for row in found
        )

    def forget(self, keys: tuple[str, ...], *, reason: str, now_ns: int) -> None:
        """Remove rows; their layers go when the collector comes by."""
        with self._database.transaction() as rows:
            rows.executemany("DELETE FROM build_cache WHERE key = ?", [(key,) for key in keys])
            forget_seen(rows, keys, reason, now_ns)

    def roots(self) -> tuple[set[Digest], set[ChainId]]:
        """The blobs and stacks that rows need."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT chain_id, diff_id FROM build_cache WHERE diff_id <> ''"
            ).fetchall()
        return {Digest(DiffId(row[1])) for row in found}, {ChainId(row[0]) for row in found}


def _cached_step(row: tuple[str, str, str, str, int, int]) -> CachedStep:
    return CachedStep(
        key=row[0],
        description=row[1],
        chain_id=row[2],
        diff_id=row[3],
        size_bytes=row[4],
        created_at_ns=row[5],
    )
