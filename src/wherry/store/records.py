"""Rows that hold a record: read one by one, so that a damaged one costs only itself.

A record that can't be read is taken from the copy of the database. Where that has none either,
the row is set aside in a table of its own, where whoever repairs it finds it, and its key stays
known: what is on the disk under that key is not swept.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

import msgspec

from wherry.model.errors import StateUnreadable
from wherry.store.database import Database

_Record = TypeVar("_Record")


def read_records(
    database: Database,
    table: str,
    kind: type[_Record],
    *,
    version: int,
    where: Mapping[str, str | bool] = MappingProxyType({}),
) -> Iterator[tuple[str, _Record]]:
    """Key and record of each row that can be read, of a table with `version` and `record`.

    The names of the table and its columns are the program's own words.
    Raises: StateUnreadable for a row of a newer version, which is no damage.
    """
    with database.reading() as rows:
        columns = [name for (name,) in rows.execute(
            "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)
        )]  # fmt: skip
        found = rows.execute(
            f"SELECT version, record, {', '.join(columns)} FROM {table} WHERE {_same(where)}",
            tuple(where.values()),
        ).fetchall()
    for written, record, *values in found:
        key = dict(zip(columns, values, strict=True))
        name = values[-1]
        if written > version:
            raise StateUnreadable(_named(table, key), f"row version {written}")
        try:
            yield name, msgspec.json.decode(record, type=kind)
        except (msgspec.MsgspecError, ValueError) as error:
            healed = _healed(database, table, kind, key, str(error))
            if healed is not None:
                yield name, healed


def keys_aside(database: Database, table: str) -> set[str]:
    """The keys of rows of a table that were set aside and not given up since."""
    with database.reading() as rows:
        found = rows.execute("SELECT key FROM damaged_rows WHERE place = ?", (table,))
        return {key for (key,) in found}


def _healed(
    database: Database, table: str, kind: type[_Record], key: Mapping[str, str], problem: str
) -> _Record | None:
    kept = database.copy.record(table, key)
    same, values = _same(key), tuple(key.values())
    try:
        record = msgspec.json.decode(kept or b"", type=kind)
    except (msgspec.MsgspecError, ValueError):
        with database.transaction() as rows:
            rows.execute(
                "INSERT OR REPLACE INTO damaged_rows (place, key, record, problem)"
                f" SELECT ?, ?, record, ? FROM {table} WHERE {same}",
                (table, values[-1], problem, *values),
            )
            rows.execute(f"DELETE FROM {table} WHERE {same}", values)
        database.tell_rows_aside()
        return None
    with database.transaction() as rows:
        rows.execute(f"UPDATE {table} SET record = ? WHERE {same}", (kept, *values))
    database.damages.note(
        _named(table, key), problem, "it was taken from the copy of the database"
    )
    return record


def _same(columns: Iterable[str]) -> str:
    return " AND ".join(("TRUE", *(f"{column} = ?" for column in columns)))


def _named(table: str, key: Mapping[str, str]) -> str:
    return " ".join((table.removesuffix("s").replace("_", " "), *key.values()))
