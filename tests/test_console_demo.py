"""The made-up past of `signpost demo`: what stands beside a question fits it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from bot.clock import Clock
from bot.console import demo
from bot.console.demo_queries import Demo, HasQueries
from bot.console.sign_in import SignIn
from bot.knowledge.reading import read_yaml
from bot.settings import ROOT, Settings
from bot.store.console import AnswerChange, ExampleProposal, Note, Summary, Tag
from bot.store.cycle import Explanation, Leave
from bot.store.database import Database
from bot.store.keys import open_keyring
from bot.store.tables import Message, Query, Reply

WORDS = read_yaml(ROOT / "data" / "demo.yml")


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    settings = Settings(data_dir=str(tmp_path_factory.mktemp("demo")), undo_seconds=0)
    database = Database(settings.database, open_keyring(settings, settings.database))
    database.upgrade()
    demo.seed(SignIn(database, Clock()), database)
    Demo(settings, queries=80).play()
    yield settings, database
    database.close()


def rows(past, *columns):
    with past[1].read() as session:
        return list(session.execute(select(*columns)).all())


def group_of(topic):
    return next(group for group in WORDS["about"] if topic in group["topics"])


def test_summaries_tags_notes_and_replies_fit_the_question(past):
    other = {each["text"]: each["summary"] for each in WORDS["languages"].values()}
    with past[1].read() as session:
        queries = list(session.scalars(select(Query).where(Query.topic.is_not(None))))
        for query in queries:
            if query.kind == "urgent":
                assert session.get_one(Summary, query.id).text == WORDS["urgent"][query.topic]["summary"]
                continue
            group, summary = group_of(query.topic), session.get(Summary, query.id)
            asked = session.scalars(select(Message.text).where(Message.conversation_id == query.conversation_id, Message.seq == query.asked_seq)).one()
            assert summary is None or summary.text in (group["topics"][query.topic]["summaries"] if asked not in other else [other[asked]])
            assert set(session.scalars(select(Tag.tag).where(Tag.conversation_id == query.conversation_id))) <= set(group["tags"])
            assert set(session.scalars(select(Note.text).where(Note.query_id == query.id))) <= set(group["notes"])
            for reply in session.scalars(select(Reply).where(Reply.query_id == query.id)):
                assert reply.text in [text.strip() for text in group["replies"][reply.kind]]
    assert len(queries) > 30 and rows(past, Summary.query_id) and rows(past, Note.id) and rows(past, Tag.tag)


def test_only_what_the_bot_could_not_read_has_no_topic(past):
    assert {(reason, topic is None) for reason, topic in rows(past, Query.reason, Query.topic)} <= {("unresolved", True), ("case", False), ("urgent", False)}


def test_every_other_thing_that_staff_work_with_is_there(past):
    right = {each["text"]: each["topic"] for each in WORDS["unclear"]}
    proposals = rows(past, ExampleProposal.text, ExampleProposal.topic)
    assert dict(map(tuple, proposals)) == right
    assert {state for (state,) in rows(past, AnswerChange.state)} == {"approved", "proposed"}
    assert rows(past, Leave.id) and rows(past, Explanation.id)


def test_a_demo_is_not_mixed_with_queries_that_are_there(past):
    with pytest.raises(HasQueries):
        Demo(past[0], queries=20).play()
