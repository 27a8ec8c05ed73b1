"""Backups: every row of every table in one encrypted file, from SQLite or PostgreSQL and back into either.

The file is a header line, then blocks of compressed JSON lines, each sealed with AES-256-GCM under a key derived from the newest of the
ring. A block's nonce counts, and the last block says that it is the last, so nothing can be taken out, put in, reordered or cut off (the
STREAM construction, eprint.iacr.org/2015/189). The keys are not in it: keep a copy of them elsewhere.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, Iterator, Mapping, Sequence

from alembic.migration import MigrationContext
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, Connection, Date, Integer, Table, Text, func, select, text, type_coerce

from bot.clock import Clock
from bot.privacy.erasure import remove
from bot.store import all_tables
from bot.store.database import Database
from bot.store.privacy import Erasure
from bot.store.sealing import Keyring, Sealed, SealProblem
from bot.store.tables import Conversation, Instant

MAGIC = b"SIGNPOST BACKUP 1\n"
BLOCK = 1 << 20
_PREFIX = 7
_ROWS = 200


class BackupProblem(Exception):
    """A backup cannot be made, read or restored; the message says why and what to do. The database is as it was."""


@dataclass(frozen=True)
class Contents:
    """What a backup holds: when it was made, the database's revision, and rows by table."""

    made_at: datetime
    revision: str
    rows: Mapping[str, int]

    @property
    def total(self) -> int:
        """Rows in all."""
        return sum(self.rows.values())


def make(database: Database, path: Path, clock: Clock = Clock()) -> Contents:
    """Write a backup, whole or not at all, and read it back. Everything in it is of one moment; the app may go on. Raises BackupProblem."""
    if path.exists():
        raise BackupProblem(f"{path} is there already; name another file")
    draft = path.with_name(f"{path.name}.part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with database.engine.connect() as connection:
            _one_moment(connection, database.is_sqlite)
            revision = MigrationContext.configure(connection).get_current_revision() or ""
            _seal(file, database.keys, {"made_at": clock.now().isoformat(), "revision": revision}, _lines(connection))
            connection.rollback()
        file.flush()
        os.fsync(file.fileno())
    contents = read(draft, database.keys)
    os.replace(draft, path)
    return contents


def read(path: Path, keys: Keyring) -> Contents:
    """Read a backup through to its end and count its rows. Raises BackupProblem if it is not whole or its key is not at hand."""
    header, lines = _open(path, keys)
    counted: dict[str, int] = {}
    for table, _ in lines:
        counted[table] = counted.get(table, 0) + 1
    return Contents(datetime.fromisoformat(header["made_at"]), header["revision"], counted)


def restore(database: Database, path: Path, replace: bool = False, keys: Keyring | None = None) -> Contents:
    """Put a backup's rows into a database whose tables are up to date, in one transaction. Raises BackupProblem.

    What a family had deleted after the backup was made is deleted again, as far as this database knew of it.

    Parameters
    ----------
    replace: delete what is there first; without it, a database that holds anything is refused.
    keys: the ring to open the file with, if it is not the database's own.
    """
    contents = read(path, keys or database.keys)
    with database.engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision() or ""
    if contents.revision != revision:
        raise BackupProblem(f"the backup is of revision {contents.revision}, the database of {revision}: install the release that made it, restore, then update")
    with database.write() as session:
        connection = session.connection()
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        tables = all_tables().sorted_tables
        known = set(session.scalars(select(Erasure.conversation_id)))
        if not replace and any(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables):
            raise BackupProblem("the database is not empty; use an empty one, or --replace to delete what is in it")
        for table in reversed(tables):
            connection.execute(table.delete())
        _fill(connection, _open(path, keys or database.keys)[1])
        if not database.is_sqlite:
            _count_on(connection, tables)
        session.expire_all()
        for id in known - set(session.scalars(select(Erasure.conversation_id))):
            if session.get(Conversation, id) is not None:
                remove(session, id, Clock().now(), "operator")
    database.scrub()
    return contents


# rows


def _one_moment(connection: Connection, is_sqlite: bool) -> None:
    connection.exec_driver_sql("BEGIN" if is_sqlite else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _lines(connection: Connection) -> Iterator[bytes]:
    for table in all_tables().sorted_tables:
        columns = [_as_stored(column) for column in table.columns]
        for row in connection.execution_options(yield_per=_ROWS).execute(select(*columns)):
            yield json.dumps([table.name, [_plain(value) for value in row]], ensure_ascii=False).encode() + b"\n"


def _as_stored(column: Column) -> Any:
    """A sealed value goes into the backup as it is stored."""
    return type_coerce(column, Text) if isinstance(column.type, Sealed) else column


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (datetime, date)) else value


def _value(column: Column, plain: Any) -> Any:
    if plain is None:
        return None
    if isinstance(column.type, Instant):
        return datetime.fromisoformat(plain)
    return date.fromisoformat(plain) if isinstance(column.type, Date) else plain


def _fill(connection: Connection, lines: Iterator[tuple[str, Sequence[Any]]]) -> None:
    tables = all_tables().tables
    later: list[tuple[Table, dict[str, Any], dict[str, Any]]] = []
    waiting: list[dict[str, Any]] = []
    filling: Table | None = None
    for name, row in lines:
        table = tables[name]
        if table is not filling or len(waiting) >= _ROWS:
            _insert(connection, filling, waiting)
            filling, waiting = table, []
        values = {column.name: _value(column, plain) for column, plain in zip(table.columns, row)}
        # a row that refers to another of its own table is joined up when all are there
        own = {c.name: values[c.name] for c in table.columns if values[c.name] is not None and any(key.column.table is table for key in c.foreign_keys)}
        if own:
            later.append((table, {c.name: values[c.name] for c in table.primary_key.columns}, own))
            values.update(dict.fromkeys(own))
        waiting.append(values)
    _insert(connection, filling, waiting)
    for table, key, own in later:
        connection.execute(table.update().where(*(table.c[name] == value for name, value in key.items())).values(own))


def _insert(connection: Connection, table: Table | None, rows: list[dict[str, Any]]) -> None:
    if table is None or not rows:
        return
    sealed = {column.name for column in table.columns if isinstance(column.type, Sealed)}
    if not sealed:
        connection.execute(table.insert(), rows)
        return
    stored = Table(table.name, type(table.metadata)(), *(Column(c.name, Text if c.name in sealed else c.type) for c in table.columns))
    connection.execute(stored.insert(), rows)


def _count_on(connection: Connection, tables: Sequence[Table]) -> None:
    """PostgreSQL's counters go on after the highest number restored."""
    for table in tables:
        for column in table.primary_key.columns:
            if isinstance(column.type, Integer) and column.autoincrement is True:
                highest = f'SELECT coalesce(max("{column.name}"), 0) + 1 FROM "{table.name}"'  # nosec B608 - names of our own tables
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), ({highest}), false)"))


# the file


def _seal(file: BinaryIO, keys: Keyring, about: Mapping[str, str], lines: Iterator[bytes]) -> None:
    header = json.dumps({**about, "key": keys.current, "prefix": os.urandom(_PREFIX).hex()}).encode() + b"\n"
    file.write(MAGIC + header)
    box, number = _box(keys, keys.current), 0
    packer, packed = zlib.compressobj(), b""
    for line in lines:
        packed += packer.compress(line)
        while len(packed) > BLOCK:
            _write(file, box, header, number, packed[:BLOCK], last=False)
            packed, number = packed[BLOCK:], number + 1
    packed += packer.flush()
    while len(packed) > BLOCK:
        _write(file, box, header, number, packed[:BLOCK], last=False)
        packed, number = packed[BLOCK:], number + 1
    _write(file, box, header, number, packed, last=True)


def _write(file: BinaryIO, box: AESGCM, header: bytes, number: int, block: bytes, last: bool) -> None:
    sealed = box.encrypt(_nonce(header, number, last), block, header)
    file.write(len(sealed).to_bytes(4, "big") + sealed)


def _open(path: Path, keys: Keyring) -> tuple[dict[str, str], Iterator[tuple[str, Sequence[Any]]]]:
    try:
        with path.open("rb") as file:
            is_backup = file.read(len(MAGIC)) == MAGIC
            header = file.readline(4096)
            about = json.loads(header) if is_backup else {}
            box = _box(keys, about["key"])
            _nonce(header, 0, False)
            datetime.fromisoformat(about["made_at"])
            about["revision"]
    except OSError as problem:
        raise BackupProblem(f"{path} cannot be read: {problem.strerror}") from problem
    except SealProblem as problem:
        raise BackupProblem(f"{path}: {problem}") from problem
    except (ValueError, KeyError, TypeError) as problem:
        raise BackupProblem(f"{path} is no backup of Signpost") from problem
    return about, _unpacked(path, box, header)


def _unpacked(path: Path, box: AESGCM, header: bytes) -> Iterator[tuple[str, Sequence[Any]]]:
    unpacker, rest = zlib.decompressobj(), b""
    for block in _blocks(path, box, header):
        *lines, rest = (rest + unpacker.decompress(block)).split(b"\n")
        for line in lines:
            table, row = json.loads(line)
            yield table, row


def _blocks(path: Path, box: AESGCM, header: bytes) -> Iterator[bytes]:
    damaged = BackupProblem(f"{path} is not whole: it was cut off or changed")
    with path.open("rb") as file:
        file.seek(len(MAGIC) + len(header))
        number, following = 0, _sealed_block(file)
        while following is not None:
            sealed, following = following, _sealed_block(file)
            try:
                yield box.decrypt(_nonce(header, number, following is None), sealed, header)
            except InvalidTag:
                raise damaged from None
            number += 1
        if number == 0:
            raise damaged


def _sealed_block(file: BinaryIO) -> bytes | None:
    size = file.read(4)
    return file.read(int.from_bytes(size, "big")) if size else None


def _nonce(header: bytes, number: int, last: bool) -> bytes:
    return bytes.fromhex(json.loads(header)["prefix"]) + number.to_bytes(4, "big") + bytes([last])


def _box(keys: Keyring, id: str) -> AESGCM:
    return AESGCM(keys.derived(id, "backups"))
