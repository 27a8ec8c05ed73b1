"""The database: SQLite in one process by default, PostgreSQL beyond."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Callable, Iterator, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

from bot.settings import Settings
from bot.store.keys import open_keyring
from bot.store.sealing import Keyring

MIGRATIONS = Path(__file__).parent / "migrations"
_BEGIN = text("BEGIN IMMEDIATE")
_Writer = TypeVar("_Writer", Session, Connection)


class Database:
    """Sessions for reading and for writing.

    On SQLite a write takes the one write lock at its start and is on disk when it ends (WAL, synchronous=FULL).

    Parameters
    ----------
    keys: open and seal the encrypted columns; without them, those that the environment's settings name for this database.
    """

    def __init__(self, url: str, keys: Keyring | None = None) -> None:
        self.url = make_url(url)
        self.keys = keys or open_keyring(Settings.from_environment(), self.url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database and not self.url.database.startswith((":memory:", "file:")):
            _own_file(Path(self.url.database))
        self.engine = create_engine(self.url, pool_size=16, max_overflow=16, pool_pre_ping=not self.is_sqlite, hide_parameters=True)
        # sealed columns find the keys here, so that two databases of one process may have different ones
        self.engine.dialect.keys = self.keys
        if self.is_sqlite:
            _prepare_sqlite(self.engine)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._one_writer = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose work is not kept."""
        with self._sessions() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is committed at the end of the block, or rolled back if it raises."""
        with self._writing(self._sessions) as session:
            yield session

    @contextmanager
    def write_tables(self) -> Iterator[Connection]:
        """`write` past the object mapper, for the statements of every turn: half its cost."""
        with self._writing(self.engine.connect) as connection:
            yield connection

    @contextmanager
    def _writing(self, open_one: Callable[[], _Writer]) -> Iterator[_Writer]:
        with self._one_writer if self.is_sqlite else nullcontext(), open_one() as writer:
            if self.is_sqlite:
                writer.execute(_BEGIN)
            yield writer
            # after an error this is not reached, and closing rolls back
            writer.commit()

    def alone(self, session: Session, name: str) -> None:
        """Wait until no other session that writes is between this and its end for that name. On SQLite each write is alone anyway."""
        if not self.is_sqlite:
            session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})

    def upgrade(self) -> None:
        """Bring the tables up to date (Alembic). Raises SealProblem if what is in them cannot be opened with the keys at hand."""
        before = self._revision()
        self._migrate()
        if self.is_sqlite and before != self._revision():
            self.scrub()
        self.check_keys()

    def _revision(self) -> str | None:
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def check_keys(self) -> None:
        """Open the newest message. Raises SealProblem if its key is not at hand, before anything is written under another."""
        with self.read() as session:
            if row := session.execute(text("SELECT text FROM messages WHERE text <> '' ORDER BY at DESC LIMIT 1")).one_or_none():
                self.keys.open(row.text, "messages.text")

    def scrub(self) -> None:
        """Leave nothing in the files of what was deleted or overwritten: free pages are zeroed, the write-ahead log is emptied.

        On PostgreSQL, dead rows are made free for reuse; their (encrypted) bytes last until they are overwritten.
        """
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM")
            if self.is_sqlite:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def empty_log(self) -> bool:
        """Move the write-ahead log of SQLite into the database and empty it; whether no reader held that up. PostgreSQL has no such file."""
        if not self.is_sqlite:
            return True
        with self.engine.connect() as connection:
            return connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0] == 0

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.engine.connect() as connection:
            config.attributes["connection"] = connection
            if not self.is_sqlite:
                command.upgrade(config, "head")
                connection.commit()
                return
            # SQLite changes a table by copying it: references are off meanwhile and checked after (sqlite.org/lang_altertable.html, 7).
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                command.upgrade(config, "head")
                if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise RuntimeError(f"the tables' references do not hold after the change: {tuple(broken)}")
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            finally:
                connection.exec_driver_sql("PRAGMA foreign_keys=ON")

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def _own_file(path: Path) -> None:
    """Make the file if it is not there, for its owner alone: SQLite's other files take its mode (sqlite.org/src, `findCreateFileMode`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))


def _prepare_sqlite(engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection, _record) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")
