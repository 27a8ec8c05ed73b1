"""Migrations: a database of every age becomes today's, nothing lost, the same tables as the code describes."""

from __future__ import annotations

import stat

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text

from bot.store.cycle import Question
from bot.store.database import MIGRATIONS, Database
from bot.store.tables import Base

OLD = (
    "INSERT INTO conversations (id, channel, area, role, last_seq, created_at) VALUES ('c', 'web', 'somerset', 'parent', 2, '2026-11-02 09:00:00')",
    "INSERT INTO staff (id, email, name, title, role, team, areas, topics, on_call, active, password_hash, created_at) "
    "VALUES ('s', 'a@example.org', 'Ada', 'Therapist', 'lead', '', '[]', '[]', false, true, '-', '2026-11-02 09:00:00')",
    "INSERT INTO messages (id, conversation_id, seq, author, name, text, at, sources, choices) VALUES ('m1', 'c', 1, 'parent', '', 'why?', '2026-11-02 09:00:00', '[]', '[]')",
    "INSERT INTO queries (id, reference, conversation_id, asked_seq, area, kind, language, reason, state, lead_id, due_on, asked_at, version) "
    "VALUES ('q', 'SP-AAAAAAAA', 'c', 1, 'somerset', 'ordinary', 'en', 'case', 'replied', 's', '2026-11-09', '2026-11-02 09:00:00', 3)",
    "INSERT INTO messages (id, conversation_id, seq, author, name, text, at, sources, choices, query_id) "
    "VALUES ('m2', 'c', 2, 'staff', 'Ada', 'because', '2026-11-02 09:00:00', '[]', '[]', 'q')",
    "INSERT INTO replies (id, query_id, message_id, staff_id, idempotency_key, at, delivered_at) "
    "VALUES ('r', 'q', 'm2', 's', 'key', '2026-11-02 09:00:00', '2026-11-02 10:00:00')",
    "INSERT INTO messages (id, conversation_id, seq, author, name, text, at, sources, choices, query_id) "
    "VALUES ('m3', 'c', 3, 'staff', 'Ada', 'and this', '2026-11-03 09:00:00', '[]', '[]', 'q')",
    "INSERT INTO replies (id, query_id, message_id, staff_id, idempotency_key, at) VALUES ('r2', 'q', 'm3', 's', 'key2', '2026-11-03 09:00:00')",
)


def test_a_database_of_the_first_release_becomes_todays_with_its_queries(any_database):
    _start_at(any_database, "0001")
    with any_database.write() as session:
        for statement in OLD:
            session.execute(text(statement))
    any_database.upgrade()
    with any_database.read() as session:
        assert session.execute(text("SELECT next_look_at IS NOT NULL, answered_at IS NOT NULL, ended_at FROM queries")).one() == (True, True, None)
        assert session.execute(select(Question.text, Question.mark)).one() == ("why?", "open")
        assert session.execute(text("SELECT count(*) FROM promises")).scalar_one() == 1
        assert set(session.execute(text("SELECT state, kind FROM replies")).all()) == {("sent", "answer")}
        assert session.execute(text("SELECT message_id, state FROM deliveries")).one() == ("m3", "waiting")


def test_the_migrations_make_the_tables_that_the_code_describes(any_database):
    with any_database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        checks = {check["name"] for table in ("queries", "replies", "messages") for check in inspect(connection).get_check_constraints(table)}
    described = {c.name for table in ("queries", "replies", "messages") for c in Base.metadata.tables[table].constraints if c.name and "_known" in str(c.name)}
    assert described | {"open_or_ended", "sent_reply_has_message"} <= checks


def _start_at(database: Database, revision: str) -> None:
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        tables = inspect(connection).get_table_names()
        for table in tables:
            connection.execute(text(f'DROP TABLE "{table}"' + ("" if database.is_sqlite else " CASCADE")))
        connection.commit()
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def test_the_file_and_its_log_are_their_owners_alone(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'data' / 'signpost.db'}")
    database.upgrade()
    with database.write() as session:
        session.execute(text("DELETE FROM rate_counts"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").glob("signpost.db*")}
    database.close()
    assert "signpost.db-wal" in modes and set(modes.values()) == {0o600}, modes
