"""Encryption at rest: the database alone reveals no message, keys can be changed, and a lost key is told before anything is overwritten."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as some
from sqlalchemy import inspect, select, text
from starlette.testclient import TestClient
from typer.testing import CliRunner

from bot.app import create_app
from bot.cli import app as cli
from bot.clock import Clock
from bot.privacy.rotation import in_use, reseal, retire, rotate
from bot.settings import Settings
from bot.store import all_tables
from bot.store.database import Database
from bot.store.keys import KeyProblem, key_file, new_key, open_keyring, read_file, read_keys, written
from bot.store.sealing import Keyring, SealProblem, key_of, sealed_columns
from bot.store.tables import Conversation, Draft, Message, Query
from tests.test_store import OLD, _start_at
from tests.test_web_api import Chat

WORDS = ("zebrafinch", "quillwort", "marshmallow")


def ring(*ids: str) -> Keyring:
    return Keyring([(id, bytes([65 + n]) * 32) for n, id in enumerate(ids)])


def everything_in(database: Database) -> str:
    """All values of all tables as the database itself has them."""
    with database.engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        return "\n".join(str(row) for table in tables for row in connection.execute(text(f'SELECT * FROM "{table}"')).all())


def files_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("signpost.db*"))


def put_words(database: Database) -> None:
    """A conversation with an address, a message, what was understood of it."""
    with database.write() as session:
        now = Clock().now()
        session.add(Conversation(id="c1", channel="telegram", external_id=WORDS[2], area="somerset", role="parent", last_seq=1, created_at=now))
        session.flush()
        session.add(Message(id="m1", conversation_id="c1", seq=1, author="parent", text=WORDS[0], at=now, understanding={"entities": [WORDS[1]]}))


# values


@hypothesis_settings(max_examples=200, deadline=None)
@given(some.text())
def test_what_is_sealed_opens_to_the_same_text(plain):
    keys = ring("new", "old")
    sealed = keys.seal(plain, "messages.text")
    assert keys.open(sealed, "messages.text") == plain and sealed != keys.seal(plain, "messages.text")
    assert key_of(sealed) == "new"


def test_an_address_is_sealed_alike_each_time_and_with_the_last_key():
    keys = ring("new", "old")
    sealed = keys.seal_address("4711", "conversations.external_id")
    assert sealed == keys.seal_address("4711", "conversations.external_id") and key_of(sealed) == "old"
    assert keys.open(sealed, "conversations.external_id") == "4711"


def test_a_value_that_was_moved_or_changed_is_refused():
    keys = ring("k")
    sealed = keys.seal("hello", "messages.text")
    with pytest.raises(SealProblem, match="drafts.text"):
        keys.open(sealed, "drafts.text")
    for at in range(len("sp1.k."), len(sealed) - 3):
        with pytest.raises(SealProblem):
            keys.open(sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :], "messages.text")
    with pytest.raises(SealProblem):
        keys.open("sp1.k.AAAA", "messages.text")
    with pytest.raises(SealProblem, match="not sealed"):
        keys.open("a plain text", "messages.text")


def test_a_missing_key_is_named_and_no_text_is():
    sealed = ring("lost").seal("secret words", "messages.text")
    with pytest.raises(SealProblem, match="lost") as told:
        ring("found").open(sealed, "messages.text")
    assert "secret" not in str(told.value)


def test_a_sealed_column_is_never_compared_in_the_database():
    with pytest.raises(TypeError):
        select(Message).where(Message.text == "hello")
    with pytest.raises(TypeError):
        select(Message).where(Message.text.contains("hello"))
    with pytest.raises(TypeError):
        select(Conversation).where(Conversation.external_id.startswith("47"))
    select(Message).where(Message.understanding.is_(None))
    select(Conversation).where(Conversation.external_id.in_(["4711"]))


# the database


def test_the_database_alone_reveals_no_words_and_no_address(any_database):
    put_words(any_database)
    assert not any(word in everything_in(any_database) for word in WORDS)
    with any_database.read() as session:
        message = session.scalars(select(Message)).one()
        assert (message.text, message.understanding) == (WORDS[0], {"entities": [WORDS[1]]})
        assert session.scalars(select(Conversation).where(Conversation.external_id == WORDS[2])).one().id == "c1"


def test_every_column_in_which_people_write_is_sealed():
    """A new table with a text column must say which it is: sealed, or not anybody's words."""
    sealed = {f"{table.name}.{column.name}" for table, column, _ in sealed_columns(all_tables())}
    from sqlalchemy import Text

    plain = {f"{t.name}.{c.name}" for t in all_tables().sorted_tables for c in t.columns if type(c.type) is Text}
    assert plain == set()
    assert {"messages.text", "messages.understanding", "drafts.text", "replies.text", "questions.text", "deliveries.body", "emails.body"} <= sealed
    assert {"conversations.external_id", "telegram_updates.chat_id", "telegram_updates.body", "conversations.guide", "emails.address", "explanations.address", "explanations.text", "explanations.answer"} <= sealed
    assert all(type.place == f"{table.name}.{column.name}" for table, column, type in sealed_columns(all_tables()))


def test_nothing_typed_is_in_the_files_of_a_running_app(settings, signpost, tmp_path):
    with TestClient(create_app(settings)) as client:
        chat = Chat(client)
        chat.post(text=f"can we come back, {WORDS[0]}")
        assert WORDS[0].encode() not in files_of(tmp_path)
        assert WORDS[0] in chat.after(0).text
    signpost.desk.open(chat.started["session"], 2, reason="case")
    with signpost.database.write() as session:
        query = session.scalars(select(Query)).one()
        session.add(Draft(query_id=query.id, staff_id=query.lead_id, text=WORDS[1], at=Clock().now()))
    assert WORDS[1].encode() not in files_of(tmp_path)


def test_an_older_database_is_sealed_and_its_files_forget_the_plain_words(any_database, tmp_path):
    _start_at(any_database, "0001")
    with any_database.write() as session:
        for statement in OLD:
            session.execute(text(statement.replace("why?", WORDS[0]).replace("because", WORDS[1])))
    any_database.upgrade()
    assert not any(word in everything_in(any_database) for word in WORDS)
    with any_database.read() as session:
        assert {message.text for message in session.scalars(select(Message))} >= {WORDS[0], WORDS[1]}
    if any_database.is_sqlite:
        assert not any(word.encode() in files_of(tmp_path) for word in WORDS)


def test_with_another_key_nothing_is_served_and_nothing_overwritten(any_database):
    put_words(any_database)
    stranger = Database(any_database.url.render_as_string(hide_password=False), ring("other"))
    with pytest.raises(SealProblem, match="not at hand"):
        stranger.upgrade()
    stranger.close()


# keys


def test_the_key_file_is_made_once_and_only_its_owner_reads_it(tmp_path):
    url = f"sqlite:///{tmp_path / 'signpost.db'}"
    with ThreadPoolExecutor(8) as many:
        rings = list(many.map(lambda _: open_keyring(Settings(), url), range(8)))
    path = key_file(Settings(), url)
    assert {one.ids for one in rings} == {rings[0].ids} and len(read_file(path)) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["signpost.keys"]


def test_keys_from_the_environment_need_no_file(tmp_path):
    newer, older = new_key(), new_key()
    url = f"sqlite:///{tmp_path / 'signpost.db'}"
    keys = open_keyring(Settings(keys=written([newer, older]).strip().replace("\n", ",")), url)
    assert (keys.current, keys.of_addresses) == (newer[0], older[0]) and not (tmp_path / "keys").exists()


@pytest.mark.parametrize("wrong", ["", "k", "k:", "k:AAAA", "k:!!", "k:" + "A" * 44, "x y"])
def test_keys_that_cannot_be_used_are_told_and_not_shown(wrong):
    with pytest.raises(KeyProblem) as told:
        read_keys(wrong, "SIGNPOST_KEYS")
    assert "SIGNPOST_KEYS" in str(told.value) and "AAAA" not in str(told.value)


def test_a_new_key_seals_everything_and_the_old_one_can_go(any_database):
    old = ring("old")
    first = Database(any_database.url.render_as_string(hide_password=False), old)
    put_words(first)
    both = Database(any_database.url.render_as_string(hide_password=False), Keyring([new_key(), ("old", b"A" * 32)]))
    assert reseal(both) == 2
    # addresses stay under the last key, or an app that does not know the new one yet would not find them
    assert in_use(both) == {both.keys.current: 2, "old": 1}
    assert reseal(both) == 0
    with both.read() as session:
        assert session.scalars(select(Conversation).where(Conversation.external_id == WORDS[2])).one()
        assert session.scalars(select(Message.text)).one() == WORDS[0]
    first.close()
    both.close()


def test_rotation_from_the_command_line_while_an_app_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGNPOST_DATA_DIR", str(tmp_path))
    settings = Settings.from_environment()
    running = Database(settings.database)
    running.upgrade()
    put_words(running)
    [before] = running.keys.ids
    told = CliRunner().invoke(cli, ["keys", "rotate"])
    assert told.exit_code == 0 and "Sealed anew: 2 values" in told.output, told.output
    with running.read() as session:
        assert session.scalars(select(Message.text)).one() == WORDS[0]
        assert session.scalars(select(Conversation).where(Conversation.external_id == WORDS[2])).one()
    assert running.keys.current != before
    assert before in CliRunner().invoke(cli, ["keys", "list"]).output
    done = rotate(settings, addresses=True)
    # what an earlier rotation left is sealed with the newest key alone now, and the others are put aside for older backups
    afresh = Database(settings.database)
    assert afresh.keys.ids == (done.current,) and in_use(afresh) == {done.current: 3}
    aside = key_file(settings, settings.database).with_name("signpost.keys.retired")
    assert before in {id for id, _ in read_file(aside)} and stat.S_IMODE(aside.stat().st_mode) == 0o600
    with afresh.read() as session:
        assert session.scalars(select(Conversation).where(Conversation.external_id == WORDS[2])).one()


def test_keys_that_seal_nothing_are_put_aside(tmp_path):
    settings = replace(Settings(), data_dir=str(tmp_path))
    database = Database(settings.database)
    database.upgrade()
    put_words(database)
    [address_key] = database.keys.ids
    first, second = rotate(settings), rotate(settings)
    assert second.unused == (first.current,)
    assert retire(settings)[0] == (first.current,)
    assert {id for id, _ in read_file(key_file(settings, settings.database))} == {second.current, address_key}


def test_settings_never_show_the_keys(monkeypatch):
    monkeypatch.setenv("SIGNPOST_KEYS", "k:" + "QUFB" * 11)
    assert "QUFB" not in CliRunner().invoke(cli, ["settings"]).output


def test_settings_never_show_the_databases_password(monkeypatch):
    monkeypatch.setenv("SIGNPOST_DATABASE_URL", "postgresql+psycopg://signpost:s3cr@t:x@db.example/signpost")
    shown = CliRunner().invoke(cli, ["settings"]).output
    assert "s3cr" not in shown and "t:x" not in shown and "signpost:(set)@db.example/signpost" in shown
