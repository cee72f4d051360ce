"""Numbered changes of the schema, one sequence for each room.

Two numbers are kept per room. The *schema version* is the last migration that was applied. The
*compat version* is the oldest program that still understands what is there: a migration which
only adds a table or a column leaves it alone, so an older wherryd can be put back; one that
`breaks_older` raises it, and the older program refuses the file instead of corrupting it.
"""

import sqlite3
from collections.abc import Sequence

from wherry.kit.values import dataclass
from wherry.model.errors import StateUnreadable

_VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_versions (
    room           TEXT PRIMARY KEY,
    version        INTEGER NOT NULL,
    compat_version INTEGER NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of a room's schema. Numbers start at 1 and have no gaps."""

    room: str
    number: int
    sql: str
    """One or more statements, each ended by a semicolon."""
    breaks_older: bool = False
    """Whether programs that don't know this step would misread the result."""


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Bring each room's tables up to date; all of it in the transaction that is open.

    Raises: StateUnreadable when the file was written by a newer, incompatible program;
    ValueError when a room's numbers have gaps.
    """
    connection.execute(_VERSIONS)
    by_room: dict[str, list[Migration]] = {}
    for migration in migrations:
        by_room.setdefault(migration.room, []).append(migration)
    for room, steps in by_room.items():
        steps.sort(key=lambda step: step.number)
        if [step.number for step in steps] != list(range(1, len(steps) + 1)):
            raise ValueError(f"migrations of {room} are not numbered 1, 2, 3, ...")
        _migrate_room(connection, room, steps)


def _migrate_room(connection: sqlite3.Connection, room: str, steps: list[Migration]) -> None:
    row = connection.execute(
        "SELECT version, compat_version FROM schema_versions WHERE room = ?", (room,)
    ).fetchone()
    version, compat = row or (0, 0)
    if compat > len(steps):
        raise StateUnreadable(
            f"tables of {room}",
            f"written by a newer wherryd: schema {version} needs a program that knows schema "
            f"{compat}, this one knows {len(steps)}",
        )
    for step in steps[version:]:
        for statement in _statements(step.sql):
            connection.execute(statement)
        compat = step.number if step.breaks_older or compat == 0 else compat
        version = step.number
    connection.execute(
        "INSERT INTO schema_versions VALUES (?, ?, ?) ON CONFLICT (room) "
        "DO UPDATE SET version = excluded.version, compat_version = excluded.compat_version",
        (room, version, compat),
    )


def _statements(sql: str) -> list[str]:
    """The statements of a script; `executescript` would commit the transaction first."""
    found, pending = [], ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    if pending.strip():
        raise ValueError(f"statement without an end: {pending.strip()[:60]!r}")
    return found
