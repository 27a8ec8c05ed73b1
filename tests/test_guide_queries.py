"""What a guide was told goes with the query, on both databases, so that nobody asks twice."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from bot.conversations.log import ConversationLog
from bot.conversations.outbound import Outbound
from bot.store.tables import Query, QueryEvent
from tests.conftest import add_staff, build_office


def start(database, time):
    add_staff(database, "Ada Quill", areas=["somerset"])
    add_staff(database, "Ben Marsh", areas=["hampshire"])
    add_staff(database, "Mo Carter", role="manager", on_call=True)
    log = ConversationLog(database, time.clock(), "test", timedelta(seconds=30))
    desk = build_office(database, time.clock()).desk
    conversation, _ = log.start("web", "", "parent")
    return desk, log, conversation


def told(database) -> list[list[str]]:
    with database.read() as session:
        return [e.detail["told"] for e in session.scalars(select(QueryEvent).where(QueryEvent.kind == "told").order_by(QueryEvent.id))]


def test_a_query_carries_what_was_told_and_goes_to_the_area_that_was_told(any_database, time):
    desk, log, conversation = start(any_database, time)
    asked = log.accept(conversation, "client-id-1", "who is responsible?")
    for _ in range(2):
        card = desk.open(conversation, asked.seq, reason="guide", area="hampshire", told=("It is in Section G.",))
    with any_database.read() as session:
        assert session.scalars(select(Query)).one().area == "hampshire"
    assert card.lead == "Ben Marsh" and told(any_database) == [["It is in Section G."]]


def test_a_later_result_is_added_to_the_open_query(any_database, time):
    desk, log, conversation = start(any_database, time)
    card = desk.open(conversation, log.accept(conversation, "client-id-1", "who?").seq, reason="guide", told=("a",))
    again = desk.tell(conversation, card.reference, ("b",))
    assert again.reference == card.reference and told(any_database) == [["a"], ["b"]]
    assert desk.tell(conversation, "SP-NOTTHERE", ("c",)) is None


def test_where_a_guide_stands_goes_with_the_next_message(any_database, time):
    _, log, conversation = start(any_database, time)
    first = log.accept(conversation, "client-id-1", "who is responsible?")
    stood = {"form": "responsibility_form", "slots": {"plan": "final", "requested_slot": "section"}}
    log.finish(first.message_id, [Outbound("F or G?", outcome="check", asks="section", guide=stood)], {"intent": {"name": "responsibility_check"}})
    second = log.accept(conversation, "client-id-2", "F")
    waiting = log.waiting(second.message_id)
    assert waiting.guide == stood and waiting.area == ""
