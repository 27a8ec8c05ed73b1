"""Backups: encrypted, whole or refused, and everything is back after a restore, on either database."""

from __future__ import annotations

import stat
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import func, select, text
from typer.testing import CliRunner

from bot.casework.ledger import take
from bot.cli import app as cli
from bot.privacy import backup
from bot.privacy.backup import BackupProblem, make, read, restore
from bot.privacy.erasure import remove
from bot.store import all_tables
from bot.store.database import Database
from bot.store.keys import new_key
from bot.store.sealing import Keyring
from bot.store.tables import Conversation, Message, Query, QueryEvent, SignInAttempt, Staff
from tests import test_erasure
from tests.conftest import add_staff
from tests.test_erasure import WORDS, family


@pytest.fixture
def full(any_database, time, monkeypatch):
    """A database with staff that stand in for each other, two families and numbers that count up."""
    monkeypatch.setattr(test_erasure, "SetClockNow", time.now)
    ada, mo = add_staff(any_database, "Ada Quill", areas=["somerset"]), add_staff(any_database, "Mo Carter", role="manager")
    with any_database.write() as session:
        session.get_one(Staff, ada.id).deputy_id = mo.id
        session.get_one(Staff, mo.id).deputy_id = ada.id
        session.add(SignInAttempt(email="a@example.org", at=time.now))
    family(any_database, "c1", "routed")
    family(any_database, "c2", "confirmed", timedelta(days=1))
    return any_database


def rows(database: Database) -> dict[str, list]:
    with database.read() as session:
        return {t.name: sorted(repr([_alike(value) for value in row]) for row in session.execute(select(t))) for t in all_tables().sorted_tables}


def _alike(value):
    """A value as both databases give it: PostgreSQL names its zone."""
    return value.isoformat() if isinstance(value, datetime) else value


def empty_twin(database: Database, tmp_path) -> Database:
    twin = Database(f"sqlite:///{tmp_path / 'twin.db'}", database.keys)
    twin.upgrade()
    return twin


def test_everything_is_back_after_a_restore(full, tmp_path, time):
    before, file = rows(full), tmp_path / "b.signpost"
    contents = make(full, file, time.clock())
    assert contents.total == sum(map(len, before.values())) and contents.made_at == time.now
    with full.write() as session:
        session.get_one(Message, "mc1").text = "changed since"
        remove(session, "c2", time.now, "retention")
    restored = restore(full, file, replace=True)
    assert restored == contents
    after = rows(full)
    # c2 was deleted after the backup: it does not come back
    assert not any("c2" in row for row in after["messages"]) and after["staff"] == before["staff"]
    assert [row for row in before["messages"] if "c1" in row] == after["messages"]
    assert take(full, time.clock()).balances


def test_a_backup_goes_into_another_kind_of_database(full, tmp_path, time):
    file = tmp_path / "b.signpost"
    make(full, file, time.clock())
    twin = empty_twin(full, tmp_path)
    restore(twin, file)
    assert rows(twin) == rows(full)
    twin.close()


def test_numbers_that_count_up_go_on(full, tmp_path, time):
    file = tmp_path / "b.signpost"
    make(full, file, time.clock())
    restore(full, file, replace=True)
    with full.write() as session:
        session.add(QueryEvent(query_id="qc1", at=time.now, kind="noted", actor="test"))
        session.add(SignInAttempt(email="b@example.org", at=time.now))


def test_the_file_reveals_nothing_and_only_its_owner_reads_it(full, tmp_path, time):
    file = tmp_path / "b.signpost"
    make(full, file, time.clock())
    raw = file.read_bytes()
    assert not any(word.encode() in raw for word in (*WORDS, "Ada Quill", "somerset", "messages", "sp1."))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and not list(tmp_path.glob("*.part"))


def test_what_lay_in_the_drafts_place_neither_opens_the_backup_nor_is_overwritten(full, tmp_path, time):
    elsewhere, draft = tmp_path / "of-somebody-else", tmp_path / "b.signpost.part"
    elsewhere.write_text("theirs")
    draft.symlink_to(elsewhere)
    make(full, tmp_path / "b.signpost", time.clock())
    assert elsewhere.read_text() == "theirs"
    left_over = tmp_path / "c.signpost.part"
    left_over.touch()
    left_over.chmod(0o666)
    make(full, tmp_path / "c.signpost", time.clock())
    assert all(stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600 for name in ("b.signpost", "c.signpost"))


def test_a_file_that_was_cut_off_or_changed_is_refused_and_nothing_is_touched(full, tmp_path, time, monkeypatch):
    monkeypatch.setattr(backup, "BLOCK", 256)
    file, bad = tmp_path / "b.signpost", tmp_path / "bad.signpost"
    make(full, file, time.clock())
    raw, before = file.read_bytes(), rows(full)
    start = raw.index(b"\n", len(backup.MAGIC)) + 1
    size = 4 + int.from_bytes(raw[start : start + 4], "big")
    wrong = {
        "empty": b"",
        "not one": b"SQLite format 3\0" + raw,
        "cut off in a block": raw[:-7],
        "cut off after a block": raw[: start + size],
        "header only": raw[:start],
        "a block left out": raw[:start] + raw[start + size :],
        "blocks changed round": raw[:start] + raw[start + size : start + 2 * size] + raw[start : start + size] + raw[start + 2 * size :],
        "a byte changed": raw[: start + 9] + bytes([raw[start + 9] ^ 1]) + raw[start + 10 :],
        "the header changed": raw.replace(b'"revision": "', b'"revision": "9'),
        "something after the end": raw + raw[start : start + size],
    }
    for what, content in wrong.items():
        bad.write_bytes(content)
        with pytest.raises(BackupProblem):
            restore(full, bad, replace=True)
        assert rows(full) == before, what


def test_the_wrong_keys_are_told(full, tmp_path, time):
    file = tmp_path / "b.signpost"
    make(full, file, time.clock())
    with pytest.raises(BackupProblem, match="not at hand"):
        read(file, Keyring([new_key()]))


def test_a_database_that_holds_something_is_not_overwritten_unasked(full, tmp_path, time):
    file = tmp_path / "b.signpost"
    make(full, file, time.clock())
    with pytest.raises(BackupProblem, match="not empty"):
        restore(full, file)
    with pytest.raises(BackupProblem, match="already"):
        make(full, file, time.clock())


def test_a_backup_of_another_release_is_refused(full, tmp_path, time):
    file = tmp_path / "b.signpost"
    with full.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    make(full, file, time.clock())
    with full.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0009'"))
    with pytest.raises(BackupProblem, match="revision 0001"):
        restore(full, file, replace=True)


def test_what_is_written_while_a_backup_is_made_does_not_tear_it(full, tmp_path, time, monkeypatch):
    """Rows written after the backup began are not in it, in no table."""
    lines, later = backup._lines, []

    def slowly(connection):
        for line in lines(connection):
            if not later:
                later.append(True)
                family(full, "c9", "routed")
            yield line

    monkeypatch.setattr(backup, "_lines", slowly)
    file = tmp_path / "b.signpost"
    make(full, file, time.clock())
    twin = empty_twin(full, tmp_path)
    restore(twin, file)
    with twin.read() as session:
        assert session.get(Conversation, "c9") is None and session.scalar(select(func.count()).select_from(Query)) == 2
    twin.close()


def test_from_the_command_line(tmp_path, monkeypatch, time):
    monkeypatch.setenv("SIGNPOST_DATA_DIR", str(tmp_path))
    run = CliRunner()
    add = ["staff", "add", "a@example.org", "--name", "Ada Quill", "--title", "Lead", "--role", "manager"]
    assert run.invoke(cli, add, input="blue lamp seven fox\n").exit_code == 0
    file = tmp_path / f"{date.today()}.signpost"
    assert "is whole" in run.invoke(cli, ["backup", str(file)]).output
    assert "is whole" in run.invoke(cli, ["backup", "--check", str(file)]).output
    assert run.invoke(cli, ["restore", str(file)]).exit_code == 1
    assert "Restored" in run.invoke(cli, ["restore", str(file), "--replace"]).output
    assert "no backup" in str(run.invoke(cli, ["backup", "--check", str(tmp_path / "signpost.db")]).output)
