"""Builds that were, as the door that they came by tells of them; what they tell is the door's.

Of each there is a record, which is small, and a story, which is compressed. Both are bounded where
they are made; how many there are is bounded here: the oldest go first, pinned ones last.
"""

import zlib
from collections.abc import Sequence

from wherry.model.builds import KeptBuild
from wherry.store import Database, Migration

MOST_BUILDS = 100
_LARGEST_STORY = 64 << 20
KEPT_MIGRATION = Migration(
    room="build",
    number=4,
    sql="""
CREATE TABLE kept_builds (
    ref       TEXT PRIMARY KEY,
    record    BLOB NOT NULL,
    is_pinned INTEGER NOT NULL,
    story     BLOB NOT NULL
) STRICT;
""",
)


class KeptBuilds:
    """The rows; every method blocks, and may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[KeptBuild]:
        """Every build, the oldest first, without its story."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT ref, record, is_pinned FROM kept_builds ORDER BY rowid"
            ).fetchall()
        return [KeptBuild(ref=row[0], record=row[1], is_pinned=bool(row[2])) for row in found]

    def story(self, ref: str) -> bytes | None:
        """What was told of a build; None where there is no such build."""
        with self._database.reading() as rows:
            found = rows.execute("SELECT story FROM kept_builds WHERE ref = ?", (ref,)).fetchone()
        return None if found is None else zlib.decompressobj().decompress(found[0], _LARGEST_STORY)

    def keep(self, build: KeptBuild, story: bytes) -> Sequence[str]:
        """Keep a build, in the place of one of that name; which ones had to go for it."""
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM kept_builds WHERE ref = ?", (build.ref,))
            rows.execute(
                "INSERT INTO kept_builds VALUES (?, ?, ?, ?)",
                (build.ref, build.record, build.is_pinned, zlib.compress(story, 1)),
            )
            gone = rows.execute(
                "DELETE FROM kept_builds WHERE ref IN (SELECT ref FROM kept_builds "
                "WHERE NOT is_pinned ORDER BY rowid DESC LIMIT -1 OFFSET ?) RETURNING ref",
                (MOST_BUILDS,),
            ).fetchall()
        return [row[0] for row in gone]

    def change(self, build: KeptBuild) -> None:
        """Write a build's record anew; its story stays."""
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE kept_builds SET record = ?, is_pinned = ? WHERE ref = ?",
                (build.record, build.is_pinned, build.ref),
            )

    def forget(self, ref: str) -> None:
        """Remove a build and its story."""
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM kept_builds WHERE ref = ?", (ref,))
