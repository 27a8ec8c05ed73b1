"""Deleting and copying: what a parent wrote is gone from every file, the tracker and the logs, and the counts still stand."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import anyio
import httpx
import pytest
from sqlalchemy import func, inspect, select, text
from starlette.testclient import TestClient
from typer.testing import CliRunner

from bot.app import create_app
from bot.casework.ledger import take
from bot.channels import web
from bot.cli import app as cli
from bot.clock import Clock, new_id
from bot.conversations.erasure import as_text
from bot.knowledge.areas import AreaProblem, load_areas
from bot.parts import Signpost
from bot.privacy.erasure import ERASED
from bot.privacy.retention import Retention
from bot.settings import Settings
from bot.store import all_tables
from bot.store.console import ExampleProposal
from bot.store.cycle import Alert, ConversationToken, Delivery, Email, Explanation, Promise, Question, ReturnCode
from bot.store.database import Database
from bot.store.privacy import Erasure, Forgetting, Statistic
from bot.store.sealing import sealed_columns
from bot.store.tables import Choice, Conversation, Draft, Message, Query, QueryEvent, RateCount, Reply
from tests.conftest import add_staff
from tests.doubles.engine import says
from tests.test_hardening import served
from tests.test_web_api import Chat

WORDS = ("zebrafinch", "quillwort", "marshmallow", "dragonfruit")
DAYS = {"somerset": {"no_query": 30, "confirmed": 100, "silent": 100, "closed_by_manager": 100, "withdrawn": 10}}


def family(database: Database, id: str, state: str | None = None, ended: timedelta | None = None, began: timedelta = timedelta(0)) -> None:
    """A conversation of everything: messages, buttons, a query with all that belongs to it. Times are counted back from the set clock."""
    now = SetClockNow
    at = now - began
    with database.write() as session:
        staff = session.scalar(text("SELECT id FROM staff LIMIT 1"))
        session.add(Conversation(id=id, channel="telegram", external_id=f"{WORDS[0]}{id}", token_hash=f"t{id}", area="somerset", role="parent", last_seq=2, created_at=at, school=WORDS[3]))
        session.flush()
        if state:
            ended_at = None if ended is None else now - ended
            look = None if ended_at else at
            session.add(Query(id=f"q{id}", reference=f"SP-{id:A>8}".upper()[:12], conversation_id=id, asked_seq=1, topic="consent", area="somerset", kind="ordinary", reason="case",
                              state=state, lead_id=staff, due_on=at.date(), asked_at=at, state_since=at, ended_at=ended_at, next_look_at=look, ended_reason=WORDS[1], school=WORDS[3]))  # fmt: skip
            session.flush()
        query = f"q{id}" if state else None
        session.add(Message(id=f"m{id}", conversation_id=id, seq=1, author="parent", text=f"{WORDS[0]} asks", at=at, client_id=WORDS[1], turn_state="done", understanding={"x": WORDS[2]}))
        session.add(Message(id=f"n{id}", conversation_id=id, seq=2, author="staff", name="Ada", text=WORDS[1], at=at, outcome="handoff", topic="consent", query_id=query, choices=[{"id": "b", "title": WORDS[2]}]))
        session.flush()
        session.add(Choice(id=f"b{id}", conversation_id=id, message_id=f"n{id}", title=WORDS[2], command="x"))
        session.add(ReturnCode(code_hash=f"r{id}", conversation_id=id, query_id=query, created_at=at) if query else ConversationToken(token_hash=f"k{id}", conversation_id=id, created_at=at))
        session.add(Delivery(id=f"d{id}", idempotency_key=id, conversation_id=id, message_id=f"n{id}", query_id=query, channel="telegram", seq=2, part=0, parts=1, body=WORDS[1], created_at=at, state="accepted"))
        if query:
            session.add_all([
                QueryEvent(query_id=query, at=at, kind="logged", actor="bot", detail={"why": WORDS[2]}),
                Reply(id=f"y{id}", query_id=query, message_id=f"n{id}", staff_id=staff, idempotency_key=f"i{id}", text=WORDS[1], comment=WORDS[2], at=at),
                Draft(query_id=query, staff_id=staff, text=WORDS[3], at=at),
                Question(id=f"u{id}", query_id=query, seq=1, no=1, text=WORDS[0]),
                Promise(query_id=query, no=1, due_on=at.date(), reason=WORDS[2], made_at=at),
                Explanation(id=f"e{id}", query_id=query, body="council", address=WORDS[3], text=WORDS[0], answer=WORDS[1], due_on=at.date(), asked_by=staff, asked_at=at),
                Email(id=f"l{id}", key=f"l{id}", address=WORDS[3], subject=WORDS[2], body=WORDS[1], next_try_at=at, query_id=query),
                Alert(id=f"a{id}", key=f"a{id}", query_id=query, kind="overdue", step="lead", staff_id=staff, detail={"x": WORDS[2]}, at=at),
            ])  # fmt: skip


SetClockNow = None


@pytest.fixture(autouse=True)
def _now(time):
    global SetClockNow
    SetClockNow = time.now


@pytest.fixture
def office_database(any_database):
    add_staff(any_database, "Ada Quill", areas=["somerset"])
    add_staff(any_database, "Mo Carter", role="manager")
    return any_database


def opened(database: Database) -> str:
    """All that the database holds, sealed columns opened, as somebody with the keys could read it."""
    lines = []
    with database.read() as session:
        for table in all_tables().sorted_tables:
            lines += [str(row) for row in session.execute(select(table)).all()]
    return "\n".join(lines)


def stored(database: Database) -> list[str]:
    """Every sealed value as it is on disk."""
    found = []
    with database.engine.connect() as connection:
        for table, column, _ in sealed_columns(all_tables()):
            found += [row[0] for row in connection.execute(text(f'SELECT "{column.name}" FROM "{table.name}" WHERE "{column.name}" IS NOT NULL')).all() if row[0]]
    return found


def signpost_of(database: Database, time, tmp_path: Path) -> Signpost:
    return Signpost.build(Settings(data_dir=str(tmp_path), database_url=database.url.render_as_string(hide_password=False)), time.clock())


def test_deleting_leaves_no_word_no_address_and_no_key(office_database, time, tmp_path):
    family(office_database, "c1", "routed")
    assert all(word in opened(office_database) for word in WORDS)
    sealed = stored(office_database)
    signpost = signpost_of(office_database, time, tmp_path)
    before = take(office_database, time.clock())
    assert [query.reference for query in signpost.own_words.at_stake("c1")] == ["SP-AAAAAAC1"]
    signpost.own_words.erase("c1")
    left = opened(office_database)
    assert not any(word in left for word in WORDS) and ERASED in left and "'tc1'" not in left
    after = take(office_database, time.clock())
    assert (before.open, after.open, after.withdrawn) == (1, 0, 1) and after.logged == before.logged == 1
    with office_database.read() as session:
        assert session.scalars(select(Alert.kind).where(Alert.kind == "withdrawn")).one()
        erasure = session.scalars(select(Erasure)).one()
        assert (erasure.wished_by, erasure.messages, erasure.queries) == ("parent", 2, 1)
        assert session.scalars(select(Forgetting.conversation_id)).all() == ["c1"]
    if office_database.is_sqlite:
        files = b"".join(path.read_bytes() for path in tmp_path.glob("signpost.db*"))
        kept = set(stored(office_database))
        assert not any(value.encode() in files for value in sealed if value not in kept)
    signpost.database.close()


def test_other_families_are_left_alone(office_database, time, tmp_path):
    family(office_database, "c1", "routed")
    family(office_database, "c2", "routed")
    signpost = signpost_of(office_database, time, tmp_path)
    signpost.own_words.erase("c1")
    copied = signpost.own_words.copy("c2")
    assert copied["messages"][0]["text"] == f"{WORDS[0]} asks" and copied["chat"]["address"] == f"{WORDS[0]}c2"
    assert signpost.own_words.at_stake("c2")
    signpost.database.close()


def test_nothing_of_a_word_typed_stays_in_files_or_logs(settings, signpost, tmp_path, caplog, engine_double):
    """Through the app as a parent uses it, with the bytes of the database's files."""
    caplog.set_level(logging.DEBUG)
    engine_double.reply = lambda turn: says(f"you said: {turn['text']}")
    with TestClient(create_app(settings)) as client:
        chat = Chat(client)
        chat.post(text=f"my son likes {WORDS[0]}")
        sealed = [value for value in stored(signpost.database)]
        assert sealed and chat.client.post("/api/chat/erase", headers=chat.headers, json={}).status_code == 422
        assert chat.client.post("/api/chat/erase", headers=chat.headers, json={"confirm": True}).json() == {"erased": True}
        assert chat.after(0).status_code == 401 and chat.post(text="hello?").status_code == 401
        files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert WORDS[0].encode() not in files
        kept = set(stored(signpost.database))
        assert not any(value.encode() in files for value in sealed if value not in kept)
    assert WORDS[0] not in caplog.text


def test_the_engine_forgets_too_and_is_asked_again_until_it_has(settings, signpost, engine_double, time):
    chat = signpost.log.start("web", "somerset", "parent")[0]
    signpost.own_words.erase(chat)

    async def story() -> None:
        forget = signpost.own_words.forget
        engine_double.status = 500
        assert await forget() == 0
        engine_double.status = 200
        await forget()
        assert engine_double.forgotten == [chat, chat]
        with signpost.database.read() as session:
            assert session.scalar(select(func.count()).select_from(Forgetting)) == 1, "a turn under way could still write"
        time.now += timedelta(minutes=5)
        assert await forget() == 1
        assert len(engine_double.forgotten) == 3
        assert await forget() == 0 and len(engine_double.forgotten) == 3
        await signpost.engine.close()

    anyio.run(story)


def test_what_the_night_deletes_leaves_the_engines_memory_too_once_it_is_counted(settings, signpost, engine_double, time):
    chat = signpost.log.start("web", "somerset", "parent")[0]
    time.now += timedelta(days=800)
    assert signpost.retention.run().conversations == 1
    with signpost.database.read() as session:
        assert session.scalar(select(Statistic.number).where(Statistic.measure == "conversations")) == 1
        assert session.get(Conversation, chat) is None

    async def forgotten() -> None:
        await signpost.own_words.forget()
        await signpost.engine.close()

    anyio.run(forgotten)
    assert engine_double.forgotten == [chat]


def test_examples_that_nobody_agreed_to_go_with_their_chat_and_agreed_ones_stay(settings, signpost, time):
    staff = add_staff(signpost.database, "Wren Larkspur")
    chat = signpost.log.start("web", "somerset", "parent")[0]
    with signpost.database.write() as session:
        for state in ("proposed", "approved"):
            kept = {"conversation_id": chat, "seq": 1, "area": "somerset", "topic": "discharge", "proposed_by": staff.id, "proposed_at": time.now}
            session.add(ExampleProposal(id=new_id(), text=state, state=state, **kept))
    time.now += timedelta(days=800)
    assert signpost.retention.run().conversations == 1
    with signpost.database.read() as session:
        assert session.execute(select(ExampleProposal.text, ExampleProposal.conversation_id)).all() == [("approved", None)]


def test_a_turn_under_way_when_a_chat_is_deleted_writes_nothing(settings, signpost):
    id, _ = signpost.log.start("web", "somerset", "parent")
    accepted = signpost.log.accept(id, "client-id-1", WORDS[0])
    signpost.own_words.erase(id)
    assert signpost.log.finish(accepted.message_id, [], {}) is None
    assert WORDS[0] not in opened(signpost.database)


def test_a_stream_that_is_open_ends_when_its_chat_is_deleted(settings, signpost, monkeypatch):
    monkeypatch.setattr(web, "LOOKS", 1)
    with served(create_app(settings)) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        chat = Chat(client)
        with client.stream("GET", "/api/chat/events", headers=chat.headers) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith(":")
            assert httpx.post(f"{client.base_url}/api/chat/erase", headers=chat.headers, json={"confirm": True}, trust_env=False).status_code == 200
            assert not any(word in line for line in lines for word in WORDS), "the stream ends by itself"
        assert client.get("/api/chat/events", headers=chat.headers).status_code == 401


def test_a_copy_holds_everything_in_words_that_can_be_read(settings, signpost, engine_double):
    with TestClient(create_app(settings)) as client:
        chat = Chat(client)
        chat.post(text="my name is Sarah, can we come back?")
        signpost.desk.open(chat.started["session"], 2, reason="case")
        answer = client.get("/api/chat/copy", headers=chat.headers)
    assert "attachment" in answer.headers["content-disposition"]
    copied = answer.json()
    assert [m["from"] for m in copied["messages"][:3]] == ["computer program", "you", "computer program"]
    assert copied["messages"][1]["text"] == "my name is Sarah, can we come back?"
    assert copied["questions"][0]["reference"].startswith("SP-") and copied["questions"][0]["promised"]
    read = as_text(copied)
    assert "you:\nmy name is Sarah" in read and copied["questions"][0]["reference"] in read


def test_the_page_names_what_is_taken_back_then_deletes_and_forgets(settings, signpost, engine_double):
    with TestClient(create_app(settings), headers={"accept": "text/html"}) as client:
        client.get("/chat")
        client.post("/chat", data={"client_id": "a" * 32, "text": f"about {WORDS[0]}", "do": "send"})
        conversation = signpost.database.read
        with conversation() as session:
            id = session.scalars(select(Conversation.id)).one()
        card = signpost.desk.open(id, 2, reason="case")
        assert card.reference in client.get("/chat/own").text and card.lead in client.get("/chat/own").text
        assert WORDS[0] in client.get("/chat/own/copy").text
        assert client.post("/chat/own/delete", headers={"origin": "https://elsewhere.example"}).status_code == 403
        assert "deleted" in client.post("/chat/own/delete").text
        assert "signpost_chat" not in client.cookies and WORDS[0] not in opened(signpost.database)
        assert "no chat on this device" in client.get("/chat/own").text
        assert client.get("/chat/own/copy").status_code == 401


def test_the_operator_deletes_and_copies_by_reference(tmp_path, monkeypatch, settings, signpost):
    monkeypatch.setenv("SIGNPOST_DATA_DIR", str(tmp_path))
    id, _ = signpost.log.start("web", "somerset", "parent")
    signpost.log.accept(id, "client-id-1", WORDS[0])
    card = signpost.desk.open(id, 1, reason="case")
    run = CliRunner()
    assert WORDS[0] in run.invoke(cli, ["copy", card.reference]).output
    refused = run.invoke(cli, ["erase", card.reference], input="n\n")
    assert card.lead in refused.output and WORDS[0] in opened(signpost.database)
    done = run.invoke(cli, ["erase", card.reference, "--yes"])
    assert done.exit_code == 0 and "Deleted" in done.output and WORDS[0] not in opened(signpost.database)
    assert run.invoke(cli, ["erase", "SP-NOBODY12", "--yes"]).exit_code == 1


# retention


@pytest.mark.parametrize(
    "state, ended, goes",
    [("confirmed", 101, True), ("confirmed", 99, False), ("withdrawn", 11, True), ("withdrawn", 9, False), ("routed", None, False), (None, None, True)],
)
def test_a_conversation_goes_when_its_time_is_over(office_database, time, state, ended, goes):
    family(office_database, "c1", state, None if ended is None else timedelta(days=ended), began=timedelta(days=400))
    cleared = Retention(office_database, DAYS, "somerset", time.clock()).run()
    with office_database.read() as session:
        assert (session.get(Conversation, "c1") is None) == goes == (cleared.conversations == 1)
        if goes:
            assert not any(word in opened(office_database) for word in WORDS)
            assert session.scalars(select(Erasure.wished_by)).all() == ["retention"]
            assert session.scalars(select(Forgetting.conversation_id)).all() == ["c1"]


def test_the_last_thing_said_counts_and_the_longest_time_of_its_questions(office_database, time):
    family(office_database, "c1", "withdrawn", timedelta(days=50), began=timedelta(days=400))
    with office_database.write() as session:
        session.get_one(Message, "n" + "c1").at = time.now - timedelta(days=5)
    retention = Retention(office_database, DAYS, "somerset", time.clock())
    assert retention.run().conversations == 0
    time.now += timedelta(days=6)
    assert Retention(office_database, DAYS, "somerset", time.clock()).run().conversations == 1


def test_statistics_are_counted_before_anything_goes(office_database, time):
    for id in ("c1", "c2"):
        family(office_database, id, "confirmed", timedelta(days=200), began=timedelta(days=210))
    with office_database.write() as session:
        query = session.get_one(Query, "qc1")
        query.answered_at, query.due_on = query.asked_at + timedelta(days=2), query.asked_at.date() + timedelta(days=3)
    Retention(office_database, DAYS, "somerset", time.clock()).run()
    with office_database.read() as session:
        counted = {(s.measure, s.of): s.number for s in session.scalars(select(Statistic))}
    assert counted["conversations", "parent"] == 2 and counted["queries", "confirmed"] == 2 and counted["outcomes", "handoff"] == 2
    assert counted["days_to_answer", "up to 2"] == 1 and counted["promises", "kept"] == 1
    ledger = take(office_database, time.clock())
    assert ledger.logged == 0 and ledger.balances


def test_the_night_is_done_once_and_not_by_day(office_database, time):
    family(office_database, "c1", None, began=timedelta(days=60))
    time.now = time.now.replace(hour=1)
    clock = Clock(lambda: time.now)
    one, other = Retention(office_database, DAYS, "somerset", clock), Retention(office_database, DAYS, "somerset", clock)
    assert one.nightly() == 0
    time.now = time.now.replace(hour=3)
    assert one.nightly() == 1
    family(office_database, "c2", None, began=timedelta(days=60))
    assert other.nightly() == 0
    time.now += timedelta(days=1)
    assert other.nightly() == 1


def test_counters_of_network_addresses_hold_none_and_go(settings, signpost, time):
    from bot.channels.limits import RateLimits

    limits = RateLimits(signpost.database, time.clock(), True)
    limits.spend("session", "203.0.113.7", 5, 600)
    with signpost.database.read() as session:
        assert "203.0.113.7" not in session.scalars(select(RateCount.key)).one()
    time.now += timedelta(minutes=11)
    signpost.retention.run()
    with signpost.database.read() as session:
        assert session.scalars(select(RateCount)).all() == []


def test_every_table_that_knows_a_conversation_is_emptied_when_it_goes(office_database, time):
    """A new table that belongs to a conversation or a query must be deleted with it."""
    family(office_database, "c1", "confirmed", timedelta(days=200), began=timedelta(days=210))
    Retention(office_database, DAYS, "somerset", time.clock()).run()
    stays = {"erasures", "forgettings", "statistics", "readings"}
    with office_database.engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            columns = {column["name"] for column in inspect(connection).get_columns(table)}
            if table not in stays and columns & {"conversation_id", "query_id"}:
                assert connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one() == 0, table


@pytest.mark.parametrize("wrong", ["confirmed: 0", "confirmed: a year", "for_ever: 3", "confirmed: true"])
def test_an_area_file_with_a_retention_that_cannot_be_is_refused(tmp_path, wrong):
    from bot.settings import ROOT

    good = (ROOT / "data" / "areas" / "somerset.yml").read_text(encoding="utf-8")
    (tmp_path / "somerset.yml").write_text(good.replace("confirmed: 365", wrong, 1), encoding="utf-8")
    with pytest.raises(AreaProblem, match="retention"):
        load_areas(tmp_path)
