"""Queries: logged once, owned by a named person, promised a working day, replied to once."""

from __future__ import annotations

import re
import threading
from datetime import date, datetime, timedelta, timezone

import pytest

from bot.casework.ledger import take
from bot.casework.office import Office
from bot.casework.promises import BeyondCalendar, WorkingDays
from bot.casework.queries import QueryDesk
from bot.casework.references import find_reference, new_reference
from bot.casework.replies import Replies, ReplyForm, ReplyRefused
from bot.casework.routing import Need, NobodyToAsk, choose_lead
from bot.conversations.log import ConversationLog
from bot.store.states import CLOSED_STATES, OPEN_STATES, STATES, TRANSITIONS, NotAllowed, check_move
from tests.conftest import add_staff, build_office


@pytest.mark.parametrize(
    ("received", "days", "due"),
    [
        (date(2026, 11, 23), 5, date(2026, 11, 30)),  # Monday
        (date(2026, 11, 27), 1, date(2026, 11, 30)),  # Friday
        (date(2026, 11, 28), 1, date(2026, 11, 30)),  # Saturday
        (date(2026, 11, 29), 2, date(2026, 12, 1)),  # Sunday
        (date(2026, 12, 23), 5, date(2027, 1, 4)),  # Christmas: 25 and 28 (for the 26th) December and 1 January are holidays
        (date(2027, 3, 25), 1, date(2027, 3, 30)),  # Easter
        (date(2026, 3, 27), 1, date(2026, 3, 30)),  # the clocks change between
        (date(2026, 11, 28), 0, date(2026, 11, 28)),  # urgent: the same day
    ],
)
def test_the_day_after_receipt_is_day_one_and_only_working_days_count(received, days, due):
    assert WorkingDays().due(received, days) == due


def test_a_closure_of_the_area_is_no_working_day():
    assert WorkingDays([date(2026, 11, 24)]).due(date(2026, 11, 23), 1) == date(2026, 11, 25)


def test_past_the_bank_holiday_data_is_a_clear_error_not_a_wrong_date():
    calendar = WorkingDays()
    with pytest.raises(BeyondCalendar, match="bank holidays are known to"):
        calendar.due(calendar.last_known - timedelta(days=2), 5)


def test_references_have_no_look_alikes_and_are_found_however_typed():
    references = {new_reference() for _ in range(2000)}
    assert len(references) == 2000
    assert all(re.match(r"^SP-[^01258OILSZBGQUV]{8}$", r) for r in references)
    reference = references.pop()
    for typed in (reference, reference.lower(), reference.replace("-", " "), reference.replace("-", "")):
        assert find_reference(f"my number is {typed}, any news?") == reference
    assert find_reference("SP-1234") is None


def test_every_state_can_be_reached_and_every_move_leads_to_a_state():
    assert {after for moves in TRANSITIONS.values() for after in moves} | {"logged"} == STATES
    assert OPEN_STATES | CLOSED_STATES == STATES
    with pytest.raises(NotAllowed):
        check_move("confirmed", "in_progress")


TODAY = date(2026, 11, 23)
VERSION = 2  # of a query that was logged and routed


class Directory:
    """Staff for routing, without a database."""

    def __init__(self, *members) -> None:
        from bot.store.tables import Staff

        base = dict(title="", email="", team="", areas=[], topics=[], on_call=False, active=True, away_until=None, role="lead")
        self.members = [Staff(**{**base, **m, "id": m["name"]}) for m in members]

    def lead(self, area="somerset", topic=None, kind="ordinary", loads=None) -> str:
        return choose_lead(Need(area, topic, kind), self.members, loads or {}, TODAY).name


def test_who_knows_the_topic_goes_before_who_only_knows_the_area():
    staff = Directory({"name": "general"}, {"name": "plans", "topics": ["ehcp_sections"]})
    assert staff.lead(topic="ehcp_sections", loads={"plans": 50}) == "plans"
    assert staff.lead(topic="waiting_time") == "general"


def test_the_one_with_fewest_open_queries_is_asked():
    staff = Directory({"name": "a"}, {"name": "b"})
    assert staff.lead(loads={"a": 2, "b": 1}) == "b"


def test_urgent_goes_to_who_is_on_call():
    staff = Directory({"name": "a"}, {"name": "b", "on_call": True})
    assert staff.lead(kind="urgent", loads={"b": 9}) == "b"


@pytest.mark.parametrize("gone", [{"active": False}, {"away_until": TODAY}, {"role": "auditor"}, {"areas": ["hampshire"]}])
def test_nobody_absent_disabled_or_from_elsewhere_is_asked_and_the_manager_is_the_last_rung(gone):
    staff = Directory({"name": "a", **gone}, {"name": "manager", "role": "manager"})
    assert staff.lead() == "manager"


def test_a_ladder_that_ends_in_nobody_is_an_error():
    with pytest.raises(NobodyToAsk):
        Directory({"name": "a", "active": False}).lead()


@pytest.fixture
def office(any_database, time) -> Office:
    return build_office(any_database, time.clock())


@pytest.fixture
def desk(office, any_database) -> QueryDesk:
    add_staff(any_database, "Ada Quill", areas=["somerset"])
    add_staff(any_database, "Mo Carter", role="manager")
    return office.desk


@pytest.fixture
def log(office) -> ConversationLog:
    return office.cycle.log


@pytest.fixture
def replies(office) -> Replies:
    return office.replies


def form(office, query_id: str, text: str, key: str, read_to: int, version: int = 2, kind: str = "answer", mark: str = "answered") -> ReplyForm:
    with office.cycle.database.read() as session:
        marks = {q.id: mark for q in office.replies.open_questions(session, query_id)}
    return ReplyForm(query_id, text, key, read_to, version, kind, marks)


def asked(log: ConversationLog, text: str = "a question") -> tuple[str, int]:
    conversation, _ = log.start("web", "somerset", "parent")
    return conversation, log.accept(conversation, "client-id-1", text).seq


def test_a_question_is_logged_routed_and_promised_in_one_go(desk, log, any_database, time):
    conversation, seq = asked(log)
    card = desk.open(conversation, seq, reason="unresolved")
    assert (card.state, card.lead, card.due_on) == ("routed", "Ada Quill", date(2026, 11, 30))
    assert take(any_database, time.clock()).as_json() == {
        **dict(logged=1, open=1, confirmed=0, withdrawn=0, silent=0, closed=0, lost=0, unanswered=0, stuck=0, unsent=0), "balances": True
    }  # fmt: skip


def test_the_same_message_never_makes_two_queries(desk, log, any_database, time):
    conversation, seq = asked(log)
    cards = []
    threads = [threading.Thread(target=lambda: cards.append(desk.open(conversation, seq, reason="unresolved"))) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len({c.reference for c in cards}) == 1 and len(cards) == 8
    assert take(any_database, time.clock()).logged == 1


def test_chasing_is_recorded_and_lateness_is_computed(desk, log, time):
    conversation, seq = asked(log)
    desk.open(conversation, seq, reason="unresolved")
    assert desk.chase(conversation, seq + 1).overdue is False
    time.now = datetime(2026, 12, 1, 9, tzinfo=timezone.utc)
    assert desk.chase(conversation, seq + 2).overdue is True


def test_another_familys_reference_says_nothing(desk, log):
    conversation, seq = asked(log)
    card = desk.open(conversation, seq, reason="unresolved")
    other, _ = log.start("web", "somerset", "parent")
    assert desk.latest(other, card.reference) is None
    assert desk.latest(conversation, card.reference).reference == card.reference


def test_a_reply_reaches_the_parent_once_and_is_delivered_when_fetched(office, desk, log, replies, any_database):
    conversation, seq = asked(log)
    card = desk.open(conversation, seq, reason="unresolved")
    member = add_staff(any_database, "Cy Vale")
    for _ in range(2):
        replies.send(form(office, card.id, "The answer.", "one-key", seq, VERSION), member)
    assert [r.delivered_at for r in replies.delivered(card.id)] == [None]
    staff_messages = [m for m in log.after(conversation, 0) if m["author"] == "staff"]
    assert [m["text"] for m in staff_messages] == ["The answer."]
    assert replies.delivered(card.id)[0].delivered_at is not None


def test_a_reply_written_before_the_parents_newest_message_is_refused_and_kept(office, desk, log, replies, any_database):
    conversation, seq = asked(log)
    card = desk.open(conversation, seq, reason="unresolved")
    member = add_staff(any_database, "Cy Vale")
    log.accept(conversation, "client-id-2", "one more thing")
    with pytest.raises(ReplyRefused, match="written since"):
        replies.send(form(office, card.id, "My long answer.", "one-key", seq, VERSION), member)
    assert replies.draft(card.id, member.id) == "My long answer."
    replies.send(form(office, card.id, "My long answer.", "one-key", seq + 1, VERSION), member)
    assert replies.draft(card.id, member.id) == ""
    assert desk.latest(conversation).state == "in_progress", "nobody is told of a reply that has not reached them"
    log.after(conversation, 0)
    assert desk.latest(conversation).state == "replied"


def test_a_colleague_who_has_not_seen_the_first_reply_cannot_send_a_second(office, desk, log, replies, any_database):
    conversation, seq = asked(log)
    card = desk.open(conversation, seq, reason="unresolved")
    one, two = add_staff(any_database, "Cy Vale"), add_staff(any_database, "Di Stone")
    replies.send(form(office, card.id, "From Cy.", "key-cy", seq, VERSION), one)
    with pytest.raises(ReplyRefused, match="has changed"):
        replies.send(form(office, card.id, "From Di.", "key-di", seq, VERSION), two)
    assert replies.draft(card.id, two.id) == "From Di."
    assert [m["text"] for m in log.after(conversation, 0) if m["author"] == "staff"] == ["From Cy."]


def test_two_replies_in_the_same_moment_make_one(office, desk, log, replies, any_database):
    conversation, seq = asked(log)
    card = desk.open(conversation, seq, reason="unresolved")
    members = [add_staff(any_database, f"Staff {n}") for n in range(4)]
    refused = []

    def send(member):
        try:
            replies.send(form(office, card.id, f"From {member.name}", f"key-{member.name}", seq, VERSION), member)
        except ReplyRefused:
            refused.append(member)

    threads = [threading.Thread(target=send, args=(m,)) for m in members]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(refused) == 3
    assert len([m for m in log.after(conversation, 0) if m["author"] == "staff"]) == 1


def test_an_empty_reply_is_refused(office, desk, log, replies, any_database):
    conversation, seq = asked(log)
    card = desk.open(conversation, seq, reason="unresolved")
    with pytest.raises(ReplyRefused):
        replies.send(form(office, card.id, "  ", "k", seq, VERSION), add_staff(any_database, "Cy Vale"))


def test_a_reply_that_missed_the_question_opens_it_again_with_a_new_promise(office, desk, log, replies, any_database, time):
    conversation, seq = asked(log)
    card = desk.open(conversation, seq, reason="unresolved")
    replies.send(form(office, card.id, "Something else.", "k", seq, VERSION), add_staff(any_database, "Cy Vale"))
    time.now = datetime(2026, 12, 1, 9, tzinfo=timezone.utc)
    again = desk.reopen(conversation, seq + 2)
    assert (again.state, again.due_on) == ("reopened", date(2026, 12, 8))


def test_a_dead_apps_turn_is_claimed_by_one_other_app_after_its_lease(any_database, log, time):
    conversation, seq = asked(log)
    one, two = (ConversationLog(any_database, time.clock(), name, timedelta(seconds=30)) for name in ("one", "two"))
    assert one.abandoned() == []
    time.now += timedelta(seconds=31)
    claimed = one.abandoned() + two.abandoned()
    assert [c for c, _ in claimed] == [conversation]


def test_the_database_refuses_a_state_that_does_not_exist(desk, log, any_database):
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    conversation, seq = asked(log)
    desk.open(conversation, seq, reason="unresolved")
    with pytest.raises(IntegrityError), any_database.write() as session:
        session.execute(text("UPDATE queries SET state = 'solved'"))


def test_the_desk_does_not_open_without_somebody_to_ask(any_database, time):
    with pytest.raises(NobodyToAsk):
        build_office(any_database, time.clock()).desk.check()
