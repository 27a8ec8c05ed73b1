"""The proof of the query cycle: whatever parents, staff, workers, channels and the clock do, in whatever order, with the process killed
between any two commits, no question is lost and none is closed before the parent has a valid answer."""

from __future__ import annotations

import asyncio
import os
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select, text

from bot.casework.ledger import take
from bot.casework.replies import MARKS, ReplyForm, ReplyRefused
from bot.casework.routing import is_awake
from bot.casework.supervision import BODIES, Refused
from bot.clock import Clock, new_id
from bot.conversations.engine import EngineReply
from bot.conversations.listeners import Listeners
from bot.conversations.outbound import Outbound
from bot.conversations.senders import Accepted, Refused as ChannelRefused, TryAgain, Unknown
from bot.conversations.turns import Turns
from bot.store.cycle import Alert, Delivery, Explanation, Promise, Question
from bot.store.states import CLOSED_STATES, NotAllowed
from bot.store.tables import Base, Choice, Conversation, Message, Query, QueryEvent, Reply, Staff
from tests.conftest import add_staff, build_office
from tests.doubles.mortal import Killed, MortalDatabase
from tests.doubles.sender import SenderDouble

UNDO = 15
START = datetime(2026, 11, 23, 10, tzinfo=timezone.utc)
NAMES = ("Ada Quill", "Ben Marsh", "Di Stone")


class Counted:
    """Ids in the order in which they are made, so that a run can be repeated exactly."""

    at = 0

    def uuid4(self):
        """The next one, with the one attribute of a UUID that is used."""
        self.at += 1
        return SimpleNamespace(hex=f"{self.at:032x}")


COUNTED = Counted()


@pytest.fixture(autouse=True)
def counted_ids(monkeypatch):
    monkeypatch.setattr("bot.clock.uuid", COUNTED)


class BotDouble:
    """What the engine and its actions would do, by the message's first word. It goes through the same desk."""

    def __init__(self, machine: "QueryCycle") -> None:
        self._machine = machine

    async def understand(self, turn):
        """The topic that the words stand for."""
        topics = {"thanks": "thank", "news": "query_status", "danger": "urgent_medical"}
        return {"understanding": {"topics": [topics.get(turn.text.split()[0], "waiting_time")]}}

    async def take(self, turn) -> EngineReply:
        """The reply of the bot."""
        desk, word, about = self._machine.office.desk, turn.text.split()[0], (turn.conversation_id, turn.seq)
        if word in ("question", "danger"):
            kind = "urgent" if word == "danger" else "ordinary"
            topic = "urgent_medical" if word == "danger" else "bounced"
            card = desk.open(*about, reason="case", topic=topic, kind=kind)
            return EngineReply((Outbound("passed on", outcome="handoff", query_id=card.id),), {})
        if word == "wrong":
            card = desk.reopen(*about)
        elif word == "chase":
            card = desk.chase(*about)
        elif word == "cancel":
            card = desk.withdraw(*about)
        else:
            card = desk.latest(turn.conversation_id)
        return EngineReply((Outbound("told", outcome="answer", query_id=card.id if card else None),), {})

    async def is_ready(self) -> bool:
        """Always."""
        return True


class QueryCycle(RuleBasedStateMachine):
    """Parents on the web and on a channel that pushes, staff, workers, the clock, and death."""

    make_database = None

    def __init__(self) -> None:
        super().__init__()
        COUNTED.at = 0
        self.now = START
        self.database: MortalDatabase = type(self).make_database()
        self.sender = SenderDouble(longest=30)
        self.sender.answer = self._channel
        self.channel_does = "accept"
        self.processes = 0
        self.staff = [add_staff(self.database, name, areas=["somerset"]) for name in NAMES]
        self.managers = [add_staff(self.database, name, "manager") for name in ("Mo Carter", "Ola Reed")]
        self.restart()
        log = self.office.cycle.log
        self.conversations = [log.start("web", "somerset", "parent")[0], log.for_address("telegram", "4711", "somerset", "parent")]
        self.said: dict[tuple[str, str], str] = {}
        self.events: set[int] = set()
        self.queries: set[str] = set()
        self.fetched: set[str] = set()
        self.by_hand: set[str] = set()
        self.resent: dict[str, int] = {}
        self.forms: dict[str, str] = {}

    def restart(self) -> None:
        """A process: the one before is dead, its leases run out."""
        self.database.revive()
        self.processes += 1
        clock = Clock(lambda: self.now)
        self.office = build_office(self.database, clock, f"process {self.processes}", UNDO, senders=[self.sender])
        self.turns = Turns(self.office.cycle.log, BotDouble(self), self.office.desk, self.office.reception, Listeners(), self._apology)

    @staticmethod
    def _apology(turn, card):
        return [Outbound("sorry", outcome="handoff", query_id=card.id)]

    def _channel(self, part):
        self.database.alive()
        match self.channel_does:
            case "accept":
                return Accepted(f"id-{len(self.sender.shown)}")
            case "busy":
                return TryAgain("429", after=3)
            case "refuse":
                return ChannelRefused("400")
            case "blocked":
                return ChannelRefused("403", unreachable=True)
            case "shown, then silence":
                self.sender.shown.append(part)
                return Unknown("timed out")
        return Unknown("timed out")

    def does(self, act) -> bool:
        """Do something; if the process is killed meanwhile, another takes over. Whether it lived."""
        try:
            act()
            return True
        except Killed:
            self.now += timedelta(minutes=3)
            self.restart()
            asyncio.run(self._recover())
            return False

    async def _recover(self) -> None:
        await self.turns.recover(including_fresh=True)
        await self.turns.settle()

    def one(self, data, statement):
        """One of the rows of a statement, as Hypothesis chooses, or nothing."""
        with self.database.read() as session:
            rows = list(session.scalars(statement))
        which = data.draw(st.integers(0, 30), label="which")
        return rows[which % len(rows)] if rows else None

    # parents

    def post(self, conversation: str, words: str = "", choice: str | None = None) -> None:
        client_id = new_id()

        async def turn() -> None:
            accepted = self.office.cycle.log.accept(conversation, client_id, words, choice)
            self.said[conversation, client_id] = words
            await self.turns.begin(conversation, accepted.message_id)

        # A browser or a channel sends a message again until it is told that it was accepted.
        if not self.does(lambda: asyncio.run(turn())) and (conversation, client_id) not in self.said:
            asyncio.run(turn())

    @rule(which=st.integers(0, 1), words=st.sampled_from(["question a? and b?", "question one", "chat", "thanks", "news", "danger", "wrong", "chase", "cancel", "yes", "no", "partly"]))  # fmt: skip
    def parent_writes(self, which, words) -> None:
        self.post(self.conversations[which], words)

    @rule(which=st.integers(0, 1))
    def parent_asks(self, which) -> None:
        self.post(self.conversations[which], "question one")

    @rule(data=st.data())
    def parent_taps(self, data) -> None:
        """A button under any message that they were shown, however old."""
        shown = self._shown_messages()
        with self.database.read() as session:
            offered = list(session.scalars(select(Choice).where(Choice.message_id.in_(shown)).order_by(Choice.id)))
        if not offered:
            return
        offered.sort(key=lambda choice: (choice.message_id, choice.command))
        choice = offered[data.draw(st.integers(0, 200), label="button") % len(offered)]
        self.post(choice.conversation_id, choice=choice.id)

    def _shown_messages(self) -> set[str]:
        return self.fetched | {part.idempotency_key.rpartition(":")[0] for part in self.sender.shown if part.part == part.parts - 1}

    @rule()
    def parent_looks(self) -> None:
        self.does(self._look)

    def _look(self) -> None:
        conversation = self.conversations[0]
        self.office.cycle.log.after(conversation, 0)
        self._has(conversation)

    @rule(data=st.data())
    def parent_comes_back_by_code(self, data) -> None:
        query = self.one(data, select(Query).where(Query.conversation_id == self.conversations[1]).order_by(Query.id))
        if query is None:
            return

        def look() -> None:
            code = self.office.desk.open(query.conversation_id, query.asked_seq, reason="case").return_code
            token = self.office.cycle.log.come_back(code)
            found = self.office.cycle.log.by_token(token)
            self.office.cycle.log.after(found.id, 0)
            self._has(found.id)

        self.does(look)

    def _has(self, conversation: str) -> None:
        with self.database.read() as session:
            self.fetched |= set(session.scalars(select(Message.id).where(Message.conversation_id == conversation)))

    # staff

    def tries(self, act) -> None:
        """Something that staff try and that may be refused in words."""

        def attempt() -> None:
            try:
                act()
            except (Refused, ReplyRefused, NotAllowed):
                pass

        self.does(attempt)

    @rule(data=st.data(), who=st.integers(0, 2))
    def staff_starts(self, data, who) -> None:
        query = self.one(data, select(Query).order_by(Query.id))
        if query is None:
            return
        self.tries(lambda: self.office.supervision.start(query.id, query.version, self.staff[who]))

    @rule(data=st.data(), who=st.integers(0, 2), kind=st.sampled_from(["answer", "answer", "ask", "update"]), mark=st.sampled_from(MARKS), stale=st.booleans(), twice=st.booleans())  # fmt: skip
    def staff_replies(self, data, who, kind, mark, stale, twice) -> None:
        query = self.one(data, select(Query).order_by(Query.id))
        if query is None:
            return
        with self.database.read() as session:
            newest = session.scalar(select(func.max(Message.seq)).where(Message.conversation_id == query.conversation_id))
            marks = {q.id: mark for q in self.office.replies.open_questions(session, query.id)}
        key = new_id()
        form = ReplyForm(query.id, f"A reply of some length, {key}", key, newest - (1 if stale else 0), query.version, kind, marks)
        self.forms[key] = form.text
        for _ in range(2 if twice else 1):
            self.tries(lambda: self.office.replies.send(form, self.staff[who]))

    @rule(data=st.data(), act=st.sampled_from(["take_back", "approve", "send_back"]), who=st.integers(0, 2))
    def staff_decide_on_a_reply(self, data, act, who) -> None:
        reply = self.one(data, select(Reply).where(Reply.state.in_(("to_read", "waiting"))).order_by(Reply.id))
        if reply is None:
            return
        more = ("say it plainer",) if act == "send_back" else ()
        self.tries(lambda: getattr(self.office.replies, act)(reply.id, self.staff[who], *more))

    @rule(data=st.data(), act=st.sampled_from(["hand_over", "hand_back", "take_conversation", "promise", "close", "explain"]))
    def staff_act(self, data, act) -> None:
        query = self.one(data, select(Query).order_by(Query.id))
        if query is None:
            return
        supervise, ada, mo = self.office.supervision, self.staff[0], self.managers[0]
        acts = {
            "hand_over": lambda: supervise.hand_over(query.id, self.staff[1].id, "knows more", ada),
            "hand_back": lambda: supervise.hand_back(query.id, ada),
            "take_conversation": lambda: supervise.take_conversation(query.id, ada),
            "promise": lambda: supervise.change_promise(query.id, self.now.date() + timedelta(days=3), "waiting for a report", ada),
            "close": lambda: supervise.close(query.id, "settled by phone", mo),
            "explain": lambda: supervise.ask_to_explain(query.id, BODIES[0], "Why was it refused?", ada),
        }
        self.tries(acts[act])

    @rule(data=st.data())
    def a_body_answers(self, data) -> None:
        request = self.one(data, select(Explanation).where(Explanation.state == "asked").order_by(Explanation.id))
        if request is None:
            return
        self.tries(lambda: self.office.supervision.record_answer(request.id, "Because of this.", self.staff[1]))

    @rule(data=st.data())
    def staff_acknowledge(self, data) -> None:
        alert = self.one(data, select(Alert).where(Alert.acknowledged_at.is_(None)).order_by(Alert.id))
        if alert is None:
            return
        with self.database.read() as session:
            member = session.get_one(Staff, alert.staff_id)
        self.tries(lambda: self.office.supervision.acknowledge(alert.id, member))

    @rule(data=st.data(), again=st.booleans())
    def staff_mend_a_delivery(self, data, again) -> None:
        delivery = self.one(data, select(Delivery).where(Delivery.state.in_(("refused", "unknown")), Delivery.query_id.is_not(None)).order_by(Delivery.id))
        if delivery is None:
            return

        def mend() -> None:
            if again:
                self.office.supervision.send_again(delivery.id, self.staff[0])
                self.resent[delivery.idempotency_key] = self.resent.get(delivery.idempotency_key, 0) + 1
            else:
                self.office.supervision.reached_otherwise(delivery.query_id, delivery.message_id, "by phone", self.staff[0])
                self.by_hand.add(delivery.message_id)

        # Whether a person's decision was kept is known only afterwards.
        if again:
            self.resent[delivery.idempotency_key] = self.resent.get(delivery.idempotency_key, 0) + 1
        else:
            self.by_hand.add(delivery.message_id)
        self.tries(mend)

    @rule(who=st.integers(0, 4), days=st.integers(0, 5), first=st.integers(0, 3))
    def somebody_goes_on_leave(self, who, days, first) -> None:
        member, today = [*self.staff, *self.managers][who], self.now.date() + timedelta(days=first)
        # The rota never sends both managers away: the service refuses it for today, and a start-up and nightly check says so for later.
        if member.id == self.managers[1].id:
            return
        self.tries(lambda: self.office.supervision.add_leave(member.id, today, today + timedelta(days=days), "Mo Carter"))

    @rule(who=st.integers(0, 2), active=st.booleans())
    def an_account_is_switched(self, who, active) -> None:
        self.tries(lambda: self.office.supervision.set_active(self.staff[who].id, active, "Mo Carter"))

    # the machine room

    @rule(does=st.sampled_from(["accept", "accept", "busy", "refuse", "blocked", "silence", "shown, then silence"]))
    def the_channel_changes(self, does) -> None:
        self.channel_does = does

    @rule(seconds=st.sampled_from([1, UNDO, 130, 20 * 60, 3600, 86400, 3 * 86400, 8 * 86400]))
    def time_goes_by(self, seconds) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(rounds=st.integers(1, 3))
    def the_worker_runs(self, rounds) -> None:
        for _ in range(rounds):
            self.does(self._round)

    def _round(self) -> None:
        asyncio.run(self.office.worker.round())
        self.database.alive()

    @rule(commits=st.integers(1, 6), committed=st.booleans())
    def the_process_will_be_killed(self, commits, committed) -> None:
        self.database.kill_at(commits, committed)

    # what holds

    def rows(self, statement):
        with self.database.read() as session:
            return list(session.execute(statement).all())

    @invariant()
    def nothing_logged_disappears(self) -> None:
        events = {id for (id,) in self.rows(select(QueryEvent.id))}
        queries = {id for (id,) in self.rows(select(Query.id))}
        assert self.events <= events and self.queries <= queries
        self.events, self.queries = events, queries
        kept = {(c, client): words for c, client, words in self.rows(select(Message.conversation_id, Message.client_id, Message.text).where(Message.client_id.is_not(None)))}
        for said, words in self.said.items():
            assert said in kept and (not words or kept[said] == words)

    @invariant()
    def every_question_is_with_a_query_and_the_ledger_balances(self) -> None:
        ledger = take(self.database, Clock(lambda: self.now))
        ends = ledger.open + ledger.confirmed + ledger.withdrawn + ledger.silent + ledger.closed
        assert ledger.logged == ends and ledger.lost == 0 and ledger.unanswered == 0
        said = self.rows(select(Message.conversation_id, Message.seq, Message.text).where(Message.author == "parent", Message.turn_state == "done"))
        asked = {(c, seq) for c, seq, text in said if text.startswith("question")}
        kept = {(c, seq) for c, seq in self.rows(select(Query.conversation_id, Question.seq).join(Question, Question.query_id == Query.id))}
        assert asked <= kept

    @invariant()
    def every_open_query_has_an_owner_and_a_future_alarm(self) -> None:
        for query, lead in self.rows(select(Query, Staff).join(Staff, Staff.id == Query.lead_id)):
            assert query.is_open == (query.ended_at is None)
            if query.is_open:
                assert lead is not None and query.next_look_at is not None
                assert query.next_look_at <= self.now + timedelta(days=14)

    @invariant()
    def every_promise_was_told(self) -> None:
        assert self.rows(select(Promise.query_id).where(Promise.told_seq.is_(None))) == []
        for due_on, promised in self.rows(select(Query.due_on, Promise.due_on).join(Promise, (Promise.query_id == Query.id) & (Promise.no == Query.promise_no))):
            assert due_on == promised

    @invariant()
    def nobody_is_told_answered_without_an_accepted_delivery(self) -> None:
        shown = {part.idempotency_key for part in self.sender.shown}
        for reply, query in self.rows(select(Reply, Query).join(Query, Query.id == Reply.query_id)):
            if reply.delivered_at is None:
                continue
            keys = {key for (key,) in self.rows(select(Delivery.idempotency_key).where(Delivery.message_id == reply.message_id))}
            assert keys and (keys <= shown or reply.message_id in self.fetched | self.by_hand or self._judged(query))
        for (query,) in self.rows(select(Query)):
            delivered = [r for (r,) in self.rows(select(Reply).where(Reply.query_id == query.id, Reply.kind == "answer", Reply.delivered_at.is_not(None)))]
            if query.answered_at is not None or query.told_state == "replied" or query.state == "confirmed":
                assert delivered
            if query.state in CLOSED_STATES and query.state not in ("withdrawn", "closed_by_manager"):
                # silent: after a reply that arrived, or after the parent was asked for something and did not say it
                asked = self.rows(select(Reply.id).where(Reply.query_id == query.id, Reply.kind == "ask", Reply.state == "sent"))
                assert delivered or asked

    def _judged(self, query: Query) -> bool:
        """A parent who judges a reply has it."""
        return bool(self.rows(select(QueryEvent.id).where(QueryEvent.query_id == query.id, QueryEvent.kind.in_(("confirmed", "partly", "reopened")))))

    @invariant()
    def no_reply_is_shown_twice(self) -> None:
        keys = [part.idempotency_key for part in self.sender.shown]
        for key in set(keys):
            assert keys.count(key) <= 1 + self.resent.get(key, 0)
        texts = [text for (text,) in self.rows(select(Message.text).where(Message.author == "staff"))]
        for written in self.forms.values():
            assert sum(text.startswith(written) for text in texts) <= 1

    @invariant()
    def a_person_has_a_conversation_only_for_an_open_query(self) -> None:
        held = select(Query.state).join(Conversation, Conversation.held_query_id == Query.id)
        assert not [state for (state,) in self.rows(held) if state in CLOSED_STATES]

    def teardown(self) -> None:
        """When the storms are over everything that was put off is done, and everybody who owns something is at work."""
        try:
            self.database.revive()
            self.restart()
            self.channel_does = "accept"
            asyncio.run(self._recover())
            for _ in range(4):
                self.now += timedelta(minutes=70)
                while asyncio.run(self.office.worker.round()):
                    pass
            self._settled()
        finally:
            self.database.close()

    def _settled(self) -> None:
        assert take(self.database, Clock(lambda: self.now)).balances
        assert self.rows(select(Delivery.id).where(Delivery.state == "sending")) == []
        waiting = self.rows(select(Delivery.id).where(Delivery.state == "waiting", Delivery.next_try_at.is_not(None)))
        assert waiting == [], "nothing waits that could be sent"
        with self.database.read() as session:
            away = self.office.cycle.away(session)
        for query, lead in self.rows(select(Query, Staff).join(Staff, Staff.id == Query.lead_id).where(Query.ended_at.is_(None))):
            assert is_awake(lead, self.now.date(), away) and query.next_look_at > self.now
        for delivery in self.rows(select(Delivery.query_id, Query.ended_at).join(Query, Query.id == Delivery.query_id).where(Delivery.state.in_(("refused", "unknown")))):  # fmt: skip
            assert delivery.ended_at or self.rows(select(Alert.id).where(Alert.query_id == delivery.query_id, Alert.kind.in_(("undelivered", "delivery_unknown"))))


EXAMPLES = int(os.environ.get("SIGNPOST_PROOF_EXAMPLES", "15"))


def prove(make_database, examples: int) -> None:
    machine = type("QueryCycleHere", (QueryCycle,), {"make_database": staticmethod(make_database)})
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=slow))


def test_no_question_is_lost_and_none_closed_too_early_on_sqlite(tmp_path, empty_database):
    numbers = iter(range(10**6))

    def fresh() -> MortalDatabase:
        path: Path = tmp_path / f"{next(numbers)}.db"
        shutil.copyfile(empty_database, path)
        return MortalDatabase(f"sqlite:///{path}")

    prove(fresh, EXAMPLES)


@pytest.mark.postgresql
def test_no_question_is_lost_and_none_closed_too_early_on_postgresql(postgresql):
    first = MortalDatabase(postgresql)
    with first.write() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    first.upgrade()
    first.close()
    tables = ", ".join(table.name for table in Base.metadata.sorted_tables)

    def fresh() -> MortalDatabase:
        database = MortalDatabase(postgresql)
        with database.write() as session:
            session.execute(text(f"TRUNCATE {tables} CASCADE"))
        return database

    prove(fresh, max(1, EXAMPLES // 3))
