"""What staff and the worker do with queries, and what the parent sees of it, on both databases."""

from __future__ import annotations

import asyncio
import threading
from datetime import date, datetime, timedelta, timezone

import pytest
from sqlalchemy import select

from bot.casework.cycle import Mail
from bot.casework.replies import ReplyForm, ReplyRefused
from bot.casework.routing import Need, NobodyToAsk
from bot.casework.supervision import Refused
from bot.casework.worker import is_dead
from bot.conversations.senders import Refused as ChannelRefused, Unknown
from bot.store.cycle import Alert, Delivery, Email, Explanation, Promise, Question
from bot.store.states import NotAllowed
from bot.store.tables import Conversation, Query, QueryEvent, Reply, Staff
from tests.conftest import add_staff, build_office
from tests.doubles.sender import SenderDouble


class Desk:
    """An office with people in it, a worker, and a parent on a channel."""

    def __init__(self, database, time, channel: str = "web", undo: float = 15) -> None:
        self.database, self.time, self.sender = database, time, SenderDouble()
        self.office = build_office(database, time.clock(), undo=undo, senders=[self.sender], mail=Mail("https://signpost.example"))
        self.ada = add_staff(database, "Ada Quill", areas=["somerset"])
        self.ben = add_staff(database, "Ben Marsh", areas=["somerset"], topics=["ehcp_sections"])
        self.mo = add_staff(database, "Mo Carter", role="manager")
        log = self.office.cycle.log
        self.conversation = log.start("web", "somerset", "parent")[0] if channel == "web" else log.for_address(channel, "4711", "somerset", "parent")

    def asks(self, text: str = "Why was he discharged?", **about) -> Query:
        seq = self.writes(text)
        return self.query(self.office.desk.open(self.conversation, seq, reason="case", **about).id)

    def writes(self, text: str) -> int:
        from bot.clock import new_id

        return self.office.cycle.log.accept(self.conversation, new_id(), text).seq

    def query(self, id: str) -> Query:
        with self.database.read() as session:
            return session.get_one(Query, id)

    def reply(self, query: Query, member: Staff, text: str = "Because of this.", kind: str = "answer", key: str | None = None, **marks) -> str:
        from bot.clock import new_id

        with self.database.read() as session:
            version = session.get_one(Query, query.id).version
            read_to = session.get_one(Conversation, query.conversation_id).last_seq
        return self.office.replies.send(ReplyForm(query.id, text, key or new_id(), read_to, version, kind, marks), member)

    def works(self) -> None:
        while asyncio.run(self.office.worker.round()):
            pass

    def later(self, **much) -> None:
        self.time.now += timedelta(**much)
        self.works()

    def all(self, table, *conditions):
        with self.database.read() as session:
            return list(session.scalars(select(table).where(*conditions)))

    def alerts(self, kind: str) -> list[tuple[str, str]]:
        with self.database.read() as session:
            found = session.scalars(select(Alert).where(Alert.kind == kind).order_by(Alert.at, Alert.step))
            return [(alert.step, alert.staff.name) for alert in found]

    def told(self) -> list[str]:
        """What the parent reads, which counts as fetching it."""
        return [m["text"] for m in self.office.cycle.log.after(self.conversation, 0) if m["author"] != "parent"]

    def answered(self, **about) -> Query:
        """A query whose reply the parent has."""
        query = self.asks(**about)
        self.reply(query, self.ada)
        self.later(seconds=16)
        self.told()
        return self.query(query.id)

    def reply_id(self, query: Query) -> str:
        return self.all(Reply, Reply.query_id == query.id, Reply.state == "sent")[-1].id

    def judges(self, query: Query, verdict: str):
        return self.office.desk.verdict(self.conversation, self.writes(verdict), query.id, verdict, self.reply_id(query))


@pytest.fixture
def desk(any_database, time) -> Desk:
    return Desk(any_database, time)


@pytest.fixture
def pushed(any_database, time) -> Desk:
    return Desk(any_database, time, channel="telegram")


# Replies


def test_a_reply_can_be_taken_back_for_fifteen_seconds_and_is_then_a_draft_again(desk):
    query = desk.asks()
    assert desk.reply(query, desk.ada, "Too quick") == "waiting"
    desk.works()
    assert "Too quick" not in desk.told()
    [reply] = desk.all(Reply)
    assert desk.office.replies.take_back(reply.id, desk.ada)
    desk.later(seconds=60)
    assert "Too quick" not in desk.told() and desk.office.replies.draft(query.id, desk.ada.id) == "Too quick"
    desk.reply(query, desk.ada, "Better")
    desk.later(seconds=15)
    assert desk.told()[-2:] == ["Better", f"Did this answer your question {query.reference}?"]
    assert not desk.office.replies.take_back(desk.reply_id(query), desk.ada)


def test_a_parent_who_writes_within_those_seconds_is_read_first(desk):
    query = desk.asks()
    desk.reply(query, desk.ada, "Written too early")
    desk.writes("He fell yesterday")
    desk.later(seconds=20)
    assert "Written too early" not in desk.told() and desk.alerts("reply_overtaken") == [("lead", "Ada Quill")]
    assert desk.office.replies.draft(query.id, desk.ada.id) == "Written too early"
    assert desk.query(query.id).state == "routed"


def test_each_question_is_marked_and_the_parent_sees_the_list(desk):
    query = desk.asks("Why was he discharged? And who pays for the chair?")
    questions = desk.all(Question, Question.query_id == query.id)
    with pytest.raises(ReplyRefused, match="each question"):
        desk.reply(query, desk.ada)
    with pytest.raises(ReplyRefused, match="each question"):
        desk.reply(query, desk.ada, **{questions[0].id: "answered"})
    first, second = sorted(questions, key=lambda q: q.no)
    desk.reply(query, desk.ada, **{first.id: "answered", second.id: "referred"})
    desk.later(seconds=20)
    reply = desk.told()[-2]
    assert "“Why was he discharged?” – answered above" in reply and "“And who pays for the chair?” – passed to somebody else" in reply
    assert {q.mark for q in desk.all(Question, Question.query_id == query.id)} == {"answered", "referred"}


def test_an_update_and_a_question_to_the_parent_never_stop_the_clock(desk):
    query = desk.asks()
    desk.reply(query, desk.ada, "I have asked the school.", kind="update")
    desk.later(seconds=20)
    desk.told()
    assert desk.query(query.id).state == "in_progress" and desk.query(query.id).answered_at is None
    desk.reply(query, desk.ada, "Which school is it?", kind="ask")
    desk.later(seconds=20)
    assert desk.query(query.id).state == "awaiting_parent"


def test_what_the_parent_sends_after_being_asked_starts_the_clock_again_with_a_day_they_are_told(desk):
    query = desk.asks()
    desk.reply(query, desk.ada, "Which school is it?", kind="ask")
    desk.later(seconds=20)
    desk.time.now += timedelta(days=10)
    joined = desk.office.desk.join(desk.conversation, desk.writes("Oak Lane"), query.id)
    again = desk.query(query.id)
    assert joined.told == ["answered_us"] and again.state == "in_progress" and again.due_on == date(2026, 12, 10)
    assert desk.office.desk.join(desk.conversation, next(question.seq for question in desk.all(Question) if question.text == "Oak Lane"), query.id).told == ["answered_us"]
    assert len(desk.all(Promise, Promise.query_id == query.id)) == 2, "the same turn twice makes one promise"


def test_a_topic_marked_so_is_read_by_a_second_person_who_is_not_the_writer(desk):
    query = desk.asks(topic="feeding")
    assert desk.reply(query, desk.ada, "Thicken his drinks") == "to_read"
    [reply] = desk.all(Reply)
    assert desk.alerts("second_reader") and not desk.office.replies.approve(reply.id, desk.ada)
    desk.later(minutes=5)
    assert "Thicken his drinks" not in desk.told()
    assert desk.office.replies.send_back(reply.id, desk.mo, "Say who assessed him")
    assert desk.alerts("reply_returned") == [("lead", "Ada Quill")]
    desk.reply(query, desk.ada, "His therapist will ring you")
    assert desk.office.replies.approve(desk.all(Reply, Reply.state == "to_read")[0].id, desk.mo)
    desk.later(seconds=20)
    assert "His therapist will ring you" in desk.told()


def test_while_a_reply_is_under_way_no_second_one_is_taken(desk):
    query = desk.asks()
    desk.reply(query, desk.ada)
    with pytest.raises(ReplyRefused, match="about to be sent"):
        desk.reply(query, desk.mo)


# The verdict


@pytest.mark.parametrize(("verdict", "state"), [("yes", "confirmed"), ("partly", "partly"), ("no", "reopened")])
def test_one_tap_is_the_verdict_and_only_yes_ends_the_query(desk, verdict, state):
    query = desk.answered()
    assert query.state == "replied" and query.answered_at is not None
    desk.time.now += timedelta(days=3)
    judged = desk.judges(query, verdict)
    after = desk.query(query.id)
    assert (judged.outcome, after.state, after.is_open) == (state, state, verdict != "yes")
    if verdict != "yes":
        assert after.due_on == date(2026, 12, 3) and after.answered_at is None and after.promise_no == 2
        assert desk.alerts("reopened") == [("deputy", "Ben Marsh"), ("lead", "Ada Quill")]


def test_a_button_of_an_earlier_reply_does_not_judge_the_newest(desk):
    query = desk.answered()
    old = desk.reply_id(query)
    desk.judges(query, "no")
    desk.reply(desk.query(query.id), desk.ada, "Then this.")
    desk.later(seconds=20)
    desk.told()
    assert desk.office.desk.verdict(desk.conversation, desk.writes("Yes"), query.id, "yes", old).outcome == "old"
    assert desk.query(query.id).state == "replied"


def test_another_familys_button_judges_nothing(desk):
    query = desk.answered()
    other = desk.office.cycle.log.start("web", "somerset", "parent")[0]
    assert desk.office.desk.verdict(other, 1, query.id, "yes", desk.reply_id(query)) is None


def test_two_reminders_then_silence_which_a_late_answer_opens_again(desk):
    query = desk.answered()
    for _ in range(30):
        desk.later(days=1)
    silent = desk.query(query.id)
    told = desk.told()
    assert silent.state == "silent" and silent.ended_at is not None
    assert sum("replied to your question" in text for text in told) == 2 and "not counted it as answered" in told[-1]
    assert desk.judges(query, "no").outcome == "reopened" and desk.query(query.id).is_open


def test_nobody_is_reminded_of_a_reply_that_has_not_reached_them(desk):
    query = desk.asks()
    desk.reply(query, desk.ada)
    for _ in range(30):
        desk.later(days=1)
    assert desk.query(query.id).state == "replied" and desk.alerts("unseen") == [("lead", "Ada Quill")]
    assert ("manager", "Mo Carter") in desk.alerts("overdue")
    assert not any("Did the reply answer it" in text for text in desk.told())


# A person has the conversation


def test_while_a_person_has_the_conversation_words_join_the_query_and_the_parent_is_told_once(desk):
    query = desk.asks()
    desk.office.supervision.start(query.id, query.version, desk.ada)
    assert desk.office.desk.join(desk.conversation, desk.writes("He is 7"), query.id).told == ["hold"]
    assert desk.office.desk.join(desk.conversation, desk.writes("and at Oak Lane"), query.id).told == []
    assert {q.text for q in desk.all(Question)} == {"Why was he discharged?", "He is 7", "and at Oak Lane"}
    assert desk.alerts("joined") == [("lead", "Ada Quill")], "one alert until it is acknowledged"


def test_a_courtesy_after_the_reply_asks_for_the_verdict_and_other_words_open_it_again(desk):
    query = desk.answered()
    assert desk.office.desk.join(desk.conversation, desk.writes("thanks"), query.id, courtesy=True).told == ["verdict"]
    assert desk.query(query.id).state == "replied"
    assert desk.office.desk.join(desk.conversation, desk.writes("but who rings whom"), query.id).told == ["reopened"]
    assert desk.query(query.id).state == "reopened"


def test_handing_back_lets_the_bot_speak_and_tells_the_parent(desk):
    query = desk.asks()
    desk.office.supervision.start(query.id, query.version, desk.ada)
    desk.office.supervision.hand_back(query.id, desk.ada)
    assert desk.all(Conversation)[0].held_query_id is None
    assert "can answer other questions again" in desk.told()[-1] and desk.query(query.id).is_open


# People


def test_handing_over_keeps_the_history_and_tells_the_new_name(desk):
    query = desk.asks()
    with pytest.raises(Refused, match="has this query already"):
        desk.office.supervision.hand_over(query.id, desk.ada.id, "", desk.mo)
    desk.office.supervision.hand_over(query.id, desk.ben.id, "knows plans", desk.ada)
    assert desk.query(query.id).lead_id == desk.ben.id and "passed your question" in desk.told()[-1] and "Ben Marsh" in desk.told()[-1]
    assert [e.kind for e in desk.all(QueryEvent, QueryEvent.query_id == query.id)] == ["logged", "routed", "passed_on"]
    assert desk.alerts("passed_on") == [("lead", "Ben Marsh")]


def test_leave_hands_everything_on_the_day_it_begins_and_nobody_absent_is_asked(desk):
    query = desk.asks()
    desk.office.supervision.add_leave(desk.ada.id, date(2026, 11, 25), date(2026, 11, 27), "Mo Carter")
    assert desk.query(query.id).lead_id == desk.ada.id
    desk.later(days=2)
    assert desk.query(query.id).lead_id == desk.ben.id
    assert desk.asks("And now?").lead_id == desk.ben.id
    desk.later(days=4)
    assert desk.query(desk.asks("And now?").id).lead_id == desk.ada.id, "back from leave, with the fewest open queries"


def test_a_disabled_account_owns_nothing_from_that_moment_and_a_named_deputy_comes_first(desk):
    cy = add_staff(desk.database, "Cy Vale", role="coordinator")
    with desk.database.write() as session:
        session.get_one(Staff, desk.ada.id).deputy_id = cy.id
    query = desk.asks()
    desk.office.supervision.set_active(desk.ada.id, False, "Mo Carter")
    assert desk.query(query.id).lead_id == cy.id


def test_the_last_person_cannot_go(desk):
    for member in (desk.ada, desk.ben):
        desk.office.supervision.set_active(member.id, False, "Mo Carter")
    with pytest.raises(Refused, match="Nobody would be left"):
        desk.office.supervision.set_active(desk.mo.id, False, "Mo Carter")
    assert desk.asks().lead_id == desk.mo.id


def test_the_nightly_check_says_when_a_ladder_would_end_in_nobody(desk):
    with desk.database.write() as session:
        for member in (desk.ada, desk.ben, desk.mo):
            session.get_one(Staff, member.id).away_until = date(2026, 12, 24)
    desk.works()
    assert desk.alerts("nobody_to_ask") == [("manager", "Mo Carter")]
    with pytest.raises(NobodyToAsk):
        desk.office.desk.check()


@pytest.mark.parametrize(
    ("need", "name"),
    [
        (dict(therapy="physiotherapy"), "Fay Physio"),
        (dict(therapy="speech and language therapy"), "Ada Quill"),
        (dict(language="pl"), "Pia Polish"),
        (dict(school="Oak Lane"), "Sam School"),
        (dict(topic="ehcp_sections"), "Ben Marsh"),
        (dict(topic="ehcp_sections", therapy="physiotherapy"), "Ben Marsh"),
    ],
)
def test_routing_looks_at_topic_school_language_and_therapy(desk, need, name):
    add_staff(desk.database, "Fay Physio", areas=["somerset"], therapies=["physiotherapy"])
    add_staff(desk.database, "Pia Polish", areas=["somerset"], languages=["pl"])
    add_staff(desk.database, "Sam School", areas=["somerset"], schools=["Oak Lane"])
    with desk.database.read() as session:
        assert desk.office.cycle.choose(session, Need("somerset", **{"topic": None, "kind": "ordinary", **need})).name == name


# Promises, alerts, closing


def test_a_changed_promise_needs_a_reason_and_the_parent_is_told_both(desk):
    query = desk.asks()
    for due_on, reason, why in (
        (date(2026, 12, 7), " ", "reason"),
        (date(2026, 12, 5), "x", "not a working day"),
        (date(2026, 11, 20), "x", "later day"),
        (date(2027, 11, 20), "x", "90 days"),
    ):
        with pytest.raises(Refused, match=why):
            desk.office.supervision.change_promise(query.id, due_on, reason, desk.ada)
    desk.office.supervision.change_promise(query.id, date(2026, 12, 7), "the school is closed.", desk.ada)
    assert "Monday 7 December 2026" in desk.told()[-1] and "the school is closed." in desk.told()[-1]
    assert [(p.no, p.told_seq is not None) for p in desk.all(Promise, Promise.query_id == query.id)] == [(1, True), (2, True)]


def test_each_alert_is_sent_once_by_two_workers_in_the_console_and_by_mail(desk):
    desk.asks()
    desk.time.now = datetime(2026, 12, 4, 9, tzinfo=timezone.utc)
    others = [build_office(desk.database, desk.time.clock(), f"worker {n}", mail=Mail("https://signpost.example")) for n in range(4)]
    threads = [threading.Thread(target=lambda o=o: asyncio.run(o.worker.round())) for o in others]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(desk.alerts("overdue")) == [("deputy", "Ben Marsh"), ("lead", "Ada Quill"), ("manager", "Mo Carter")]
    keys = [email.key for email in desk.all(Email)]
    assert len(keys) == len(set(keys)) == len(desk.all(Alert))
    assert not any("discharged" in email.subject + email.body for email in desk.all(Email)), "no words of the parent go by e-mail"


def test_only_a_human_acknowledges_and_only_their_own_alert(desk):
    desk.asks()
    [alert] = desk.all(Alert)
    assert alert.kind == "new" and alert.acknowledged_at is None
    with pytest.raises(Refused):
        desk.office.supervision.acknowledge(alert.id, desk.ben)
    desk.office.supervision.acknowledge(alert.id, desk.ada)
    assert desk.all(Alert)[0].acknowledged_by == desk.ada.id and desk.all(Query)[0].acknowledged_at is not None


def test_urgent_wording_is_told_at_once_to_who_is_on_call(desk):
    on_call = add_staff(desk.database, "Una Call", areas=["somerset"], on_call=True)
    query = desk.asks(topic="urgent_medical", kind="urgent")
    assert query.lead_id == on_call.id and query.due_on == date(2026, 11, 23) and desk.alerts("urgent") == [("lead", "Una Call")]
    desk.later(minutes=31)
    assert [step for step, _ in desk.alerts("urgent")] == ["lead", "deputy", "manager"]


def test_a_manager_cannot_close_a_query_whose_parent_still_waits(desk):
    query = desk.asks()
    with pytest.raises(Refused, match="Only a manager"):
        desk.office.supervision.close(query.id, "done", desk.ada)
    with pytest.raises(Refused, match="Reply first"):
        desk.office.supervision.close(query.id, "done", desk.mo)
    desk.reply(query, desk.ada)
    desk.later(seconds=20)
    with pytest.raises(Refused, match="has not reached them"):
        desk.office.supervision.close(query.id, "done", desk.mo)
    desk.told()
    desk.writes("one more thing")
    with pytest.raises(Refused, match="written since"):
        desk.office.supervision.close(query.id, "done", desk.mo)
    again = desk.asks("the same again")
    desk.office.supervision.close(again.id, "it is the same question", desk.mo, duplicate_of=query.reference)
    assert desk.query(again.id).state == "closed_by_manager" and "it is the same question" in desk.told()[-1]
    desk.office.desk.reopen(desk.conversation, desk.writes("no it is not"), again.reference)
    assert desk.query(again.id).state == "reopened"


def test_withdrawing_ends_it_and_can_be_undone(desk):
    query = desk.asks()
    assert desk.office.desk.withdraw(desk.conversation, desk.writes("forget it")).state == "withdrawn"
    assert desk.alerts("withdrawn") == [("lead", "Ada Quill")]
    assert desk.office.desk.reopen(desk.conversation, desk.writes("open it"), query.reference, words=False).state == "reopened"


def test_asking_for_a_person_again_joins_the_query_that_is_open(desk):
    query = desk.asks(topic="talk_to_person")
    card = desk.office.desk.open(desk.conversation, desk.writes("a person, please!"), reason="case", topic="talk_to_person")
    assert (card.id, card.joined) == (query.id, True)
    other = desk.office.desk.open(desk.conversation, desk.writes("who pays?"), reason="unresolved")
    assert other.id != query.id


# Explanation requests


def test_a_body_is_asked_to_explain_reminded_and_its_answer_goes_into_the_reply(desk):
    query = desk.asks(topic="explain_decision")
    for given, why in ((("nobody", "x", desk.ada), "Choose who"), (("council", " ", desk.ada), "Write what"), (("council", "x", desk.ada, "no-address"), "email")):
        with pytest.raises(Refused, match=why):
            desk.office.supervision.ask_to_explain(query.id, *given)
    id = desk.office.supervision.ask_to_explain(query.id, "council", "Why was the plan refused?", desk.ada, "send@council.example")
    assert "we have asked the council to explain" in desk.told()[-1]
    assert desk.office.desk.latest(desk.conversation).asked_bodies == (("council", date(2026, 11, 30)),)
    assert [e.address for e in desk.all(Email, Email.key == f"explanation:{id}:0")] == ["send@council.example"]
    for _ in range(5):
        desk.later(days=2)
    assert ("lead", "Ada Quill") in desk.alerts("explanation_due") and desk.all(Email, Email.key == f"explanation:{id}:2")
    desk.office.supervision.record_answer(id, "Because of the report.", desk.mo)
    assert "the council has answered" in desk.told()[-1]
    assert "Because of the report." in desk.office.replies.draft(query.id, desk.ada.id)
    with pytest.raises(Refused, match="ended already"):
        desk.office.supervision.record_answer(id, "Again.", desk.mo)


def test_the_body_of_a_withdrawn_query_is_not_reminded(desk):
    query = desk.asks()
    desk.office.supervision.ask_to_explain(query.id, "school", "Why?", desk.ada)
    desk.office.desk.withdraw(desk.conversation, desk.writes("forget it"))
    assert [e.state for e in desk.all(Explanation)] == ["withdrawn"]


# Delivery


def test_a_reply_on_a_channel_that_pushes_stops_the_clock_when_its_last_part_was_accepted(pushed):
    pushed.sender.longest = 10
    query = pushed.asks()
    pushed.reply(query, pushed.ada, "A reply in three parts, no less")
    pushed.later(seconds=16)
    assert "".join(p.text for p in pushed.sender.shown if p.author == "staff") == "A reply in three parts, no less"
    assert pushed.query(query.id).answered_at is not None
    assert [c["title"] for c in pushed.sender.shown[-1].choices] == ["Yes", "Partly", "No"], "the verdict needs no code of the channel"


def test_a_dead_channel_keeps_the_query_open_and_is_work_for_the_lead(pushed):
    pushed.sender.answer = lambda part: ChannelRefused("403", unreachable=True)
    query = pushed.asks()
    pushed.reply(query, pushed.ada)
    pushed.later(seconds=16)
    assert pushed.query(query.id).answered_at is None and pushed.query(query.id).told_state == "in_progress"
    assert pushed.alerts("undelivered") == [("lead", "Ada Quill")]
    code = pushed.office.desk.open(pushed.conversation, query.asked_seq, reason="case").return_code
    token = pushed.office.cycle.log.come_back(code)
    back = pushed.office.cycle.log.by_token(token)
    assert back.id == pushed.conversation
    pushed.told()
    assert pushed.query(query.id).answered_at is not None and not pushed.all(Delivery, Delivery.state != "accepted", Delivery.seq == 3)


def test_when_nobody_knows_whether_a_reply_arrived_a_person_decides(pushed):
    pushed.sender.answer = lambda part: Unknown("timed out")
    query = pushed.asks()
    pushed.reply(query, pushed.ada)
    pushed.later(seconds=16)
    assert pushed.alerts("delivery_unknown") and pushed.query(query.id).answered_at is None
    unknown = next(d for d in pushed.all(Delivery, Delivery.state == "unknown") if d.seq == 2)
    with pytest.raises(Refused, match="how you reached"):
        pushed.office.supervision.reached_otherwise(query.id, unknown.message_id, "", pushed.ada)
    pushed.office.supervision.reached_otherwise(query.id, unknown.message_id, "by phone", pushed.ada)
    assert pushed.query(query.id).answered_at is not None
    with pytest.raises(Refused, match="delivered meanwhile"):
        pushed.office.supervision.send_again(unknown.id, pushed.ada)


def test_a_code_that_was_made_up_opens_nothing(desk):
    assert desk.office.cycle.log.come_back("ACDE-3479-HJKM") is None


# Guards


def test_starting_twice_is_refused(desk):
    query = desk.asks()
    desk.office.supervision.start(query.id, query.version, desk.ada)
    with pytest.raises(NotAllowed):
        desk.office.supervision.start(query.id, query.version, desk.ben)


def test_the_worker_looking_does_not_make_an_open_page_stale(desk):
    query = desk.asks()
    for _ in range(3):
        desk.later(hours=20)
    assert desk.query(query.id).version == query.version


def test_a_silent_worker_is_seen(desk):
    assert is_dead(desk.database, desk.time.clock())
    desk.works()
    assert not is_dead(desk.database, desk.time.clock())
    desk.time.now += timedelta(minutes=3)
    assert is_dead(desk.database, desk.time.clock())


def test_the_ledger_alarm_goes_to_the_manager(desk):
    desk.asks()
    with desk.database.write() as session:
        session.execute(QueryEvent.__table__.delete())
    desk.works()
    assert desk.alerts("ledger") == [("manager", "Mo Carter")]
