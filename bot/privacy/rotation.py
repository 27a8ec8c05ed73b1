"""New keys for what is encrypted at rest: values sealed with older keys are sealed anew, and keys that nothing needs are dropped."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from sqlalchemy import Column, Table, and_, select, tuple_, type_coerce, update
from sqlalchemy.types import String

from bot.settings import Settings
from bot.store import all_tables
from bot.store.database import Database
from bot.store.keys import key_file, new_key, open_keyring, read_file, read_keys, write_file
from bot.store.sealing import Keyring, Sealed, key_of, sealed_columns

BATCH = 500

Row = tuple[Sequence, str]


@dataclass(frozen=True)
class Rotated:
    """What a rotation did: values sealed anew, the key that seals now, and keys that nothing in the database needs any more."""

    sealed: int
    current: str
    unused: tuple[str, ...]


def rotate(settings: Settings, addresses: bool = False) -> Rotated:
    """Put a new key in front of the key file and seal everything with it; where the keys are set by the environment, with its first.

    Apps that run meanwhile take the new key up when they meet a value sealed with it. `addresses` seals those anew too, which nothing
    may run beside: an app that does not know yet would not find an address that it is looking for. Raises KeyProblem.
    """
    path = key_file(settings, settings.database)
    if not settings.keys:
        open_keyring(settings, settings.database)
        write_file(path, [new_key(), *read_file(path)])
    keys = read_keys(settings.keys.replace(",", "\n"), "SIGNPOST_KEYS") if settings.keys else read_file(path)
    ring = Keyring(keys, of_addresses=keys[0][0] if addresses else None)
    database = Database(settings.database, ring)
    try:
        sealed, used = reseal(database), in_use(database)
    finally:
        database.close()
    if addresses and not settings.keys:
        _put_aside(path, keys[1:])
        write_file(path, keys[:1])
        return Rotated(sealed, ring.current, ())
    return Rotated(sealed, ring.current, tuple(id for id in ring.ids if not used[id] and id not in (ring.current, ring.of_addresses)))


def retire(settings: Settings) -> tuple[tuple[str, ...], Path]:
    """Move keys that seal nothing out of the key file into one beside it; their ids, and where they are now."""
    path = key_file(settings, settings.database)
    database = Database(settings.database)
    try:
        needed = {*in_use(database), database.keys.current, database.keys.of_addresses}
    finally:
        database.close()
    keys = read_file(path)
    unused = [(id, key) for id, key in keys if id not in needed]
    where = _put_aside(path, unused)
    if unused:
        write_file(path, [(id, key) for id, key in keys if id in needed])
    return tuple(id for id, _ in unused), where


def _put_aside(path: Path, keys: Sequence[tuple[str, bytes]]) -> Path:
    aside = path.with_name(f"{path.name}.retired")
    if keys:
        write_file(aside, [*keys, *(read_file(aside) if aside.exists() else ())])
    return aside


def reseal(database: Database) -> int:
    """Seal every value that an older key seals with the newest one (addresses: with the last one); how many.

    Some rows at a time, while the app runs: a value that changes meanwhile is left to whoever changed it.
    """
    done = 0
    for table, column, type in sealed_columns(all_tables()):
        for rows in _batches(database, table, column):
            stale = [(key, stored) for key, stored in rows if not type.is_current(stored, database.keys)]
            if stale:
                done += _seal_anew(database, table, column, type, stale)
    if database.is_sqlite:
        database.scrub()
    return done


def in_use(database: Database) -> Counter[str]:
    """How many values each key seals."""
    counted: Counter[str] = Counter()
    for table, column, _ in sealed_columns(all_tables()):
        for rows in _batches(database, table, column):
            counted.update(key_of(stored) or "none" for _, stored in rows)
    return counted


def _batches(database: Database, table: Table, column: Column) -> Iterator[list[Row]]:
    """The stored values of a column with their keys, as they are in the database, in the order of the primary key."""
    primary = list(table.primary_key.columns)
    stored = type_coerce(column, String)
    asked = select(*primary, stored).where(column.is_not(None), stored != "").order_by(*primary).limit(BATCH)
    after = None
    while True:
        with database.read() as session:
            rows = session.execute(asked.where(tuple_(*primary) > after) if after else asked).all()
        if rows:
            yield [(tuple(row[:-1]), row[-1]) for row in rows]
        if len(rows) < BATCH:
            return
        after = tuple(rows[-1][:-1])


def _seal_anew(database: Database, table: Table, column: Column, type: Sealed, stale: Sequence[Row]) -> int:
    done = 0
    with database.write() as session:
        for key, stored in stale:
            same = [one == value for one, value in zip(table.primary_key.columns, key)]
            changed = update(table).where(and_(*same, type_coerce(column, String) == stored))
            done += session.execute(changed.values({column: type_coerce(type.resealed(stored, database.keys), String)})).rowcount
    return done
