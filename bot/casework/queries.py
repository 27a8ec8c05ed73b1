"""The query desk: what parents do with queries, from the chat: ask, look up, chase, judge the reply, withdraw, add to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from bot.casework.cycle import Cycle
from bot.casework.questions import questions_in
from bot.casework.references import new_reference, new_return_code
from bot.casework.routing import Need
from bot.casework.schedule import DEPUTY
from bot.clock import new_id
from bot.conversations.log import token_hash
from bot.conversations.outbound import OfferedChoice
from bot.store.cycle import Alert, Explanation, Promise, Question, ReturnCode
from bot.store.states import OPEN_STATES, TRANSITIONS
from bot.store.tables import Conversation, Message, Query, QueryEvent, Reply

PREFIX = "query:"
VERDICT_STATES = {"yes": "confirmed", "partly": "partly", "no": "reopened"}


@dataclass(frozen=True)
class QueryCard:
    """What a parent may know of a query.

    `return_code` opens the chat from another device; it is only known when it is made. `joined` says that the words were added to a
    query that was open already. `asked_bodies` are those that have been asked to explain, with the day they were given.
    """

    id: str
    reference: str
    state: str
    lead: str
    lead_title: str
    due_on: date
    overdue: bool
    return_code: str = ""
    joined: bool = False
    asked_bodies: Sequence[tuple[str, date]] = ()

    @property
    def is_open(self) -> bool:
        """Whether somebody still owes the parent something."""
        return self.state in OPEN_STATES

    def words(self) -> dict[str, str]:
        """What a query fills in in the sentences of `data/answers/system.yml`."""
        return {"reference": self.reference, "lead": self.lead, "lead_title": self.lead_title, "due_on": f"{self.due_on:%A %-d %B %Y}"}

    def as_json(self) -> dict[str, Any]:
        """The fields of the chat API."""
        return {"reference": self.reference, "state": self.state, "lead": self.lead, "due_on": self.due_on.isoformat()}


@dataclass(frozen=True)
class Judged:
    """What became of a verdict: `confirmed`, `partly`, `reopened`, or `old` (given on a reply that is not the newest), `ended`."""

    card: QueryCard
    outcome: str


@dataclass(frozen=True)
class Joined:
    """What became of a message while a person has the conversation.

    `told` is what the parent is told, in order, of: `hold` (who has it; once), `reopened`, `answered_us` (a new promise), `verdict` (asked
    again). Empty: the bot is quiet.
    """

    card: QueryCard
    told: Sequence[str]


def verdict_choices(cycle: Cycle, query: Query, reply_id: str) -> list[OfferedChoice]:
    """The three buttons under a reply; they remember which reply they are about."""
    return [OfferedChoice(cycle.answers.say(f"verdict_{verdict}"), f"{PREFIX}verdict:{verdict}:{query.id}:{reply_id}") for verdict in VERDICT_STATES]


class QueryDesk:
    """The parent's side of the query cycle. Every function commits before it returns."""

    def __init__(self, cycle: Cycle) -> None:
        self._cycle, self._database, self._clock = cycle, cycle.database, cycle.clock

    def check(self) -> None:
        """Fail at start-up rather than later (`Cycle.check`)."""
        self._cycle.check()

    def open(
        self,
        conversation_id: str,
        asked_seq: int,
        *,
        reason: str,
        topic: str | None = None,
        kind: str = "ordinary",
        language: str = "en",
        therapy: str | None = None,
        area: str = "",
        told: Sequence[str] = (),
    ) -> QueryCard:
        """Log a question, route it to a named lead and promise a day; committed when this returns.

        The same message asked for twice gives the same query. Words that only ask for a person join the query that is open. `area`
        stands before the conversation's own; `told` is what was told in a guide, noted so that nobody asks twice.
        """
        try:
            with self._database.write() as session:
                known = session.scalar(self._asked(conversation_id, asked_seq))
                query = known or (self._join_open(session, conversation_id, asked_seq, topic, kind))
                joined = known is None and query is not None
                if query is None:
                    need = dict(topic=topic, kind=kind, language=language, therapy=therapy)
                    query = self._log(session, conversation_id, asked_seq, reason, area, need)
                if told and known is None:
                    self._cycle.record(session, query, "told", "bot", {"told": list(told)})
                return replace(self.card(query), return_code=self._return_code(session, query), joined=joined)
        except IntegrityError:
            with self._database.write() as session:
                query = session.scalars(self._asked(conversation_id, asked_seq)).one()
                return replace(self.card(query), return_code=self._return_code(session, query))

    @staticmethod
    def _asked(conversation_id: str, asked_seq: int):
        return select(Query).options(joinedload(Query.lead)).where(Query.conversation_id == conversation_id, Query.asked_seq == asked_seq)

    def _join_open(self, session: Session, conversation_id: str, asked_seq: int, topic: str | None, kind: str) -> Query | None:
        if topic not in self._cycle.policy.joins_open_query or kind != "ordinary":
            return None
        query = self.find(session, conversation_id)
        if query is None or not query.is_owed:
            return None
        self._add_words(session, query, asked_seq)
        return query

    def _log(self, session: Session, conversation_id: str, asked_seq: int, reason: str, named_area: str, need: dict[str, Any]) -> Query:
        cycle, now = self._cycle, self._clock.now()
        conversation = session.get_one(Conversation, conversation_id)
        area = cycle.area(named_area or conversation.area)
        lead = cycle.choose(session, Need(area.id, school=conversation.school, **need))
        due_on = cycle.calendar(area.id).due(self._clock.today(), area.promise.days(need["kind"]))
        query = Query(
            id=new_id(),
            reference=new_reference(),
            conversation_id=conversation_id,
            asked_seq=asked_seq,
            area=area.id,
            school=conversation.school,
            reason=reason,
            state="logged",
            state_since=now,
            next_look_at=now,
            lead_id=lead.id,
            lead=lead,
            due_on=due_on,
            promise_no=1,
            asked_at=now,
            reminders=0,
            **need,
        )
        session.add(query)
        session.flush()
        cycle.record(session, query, "logged", "bot", {"reason": reason, "topic": query.topic, "kind": query.kind})
        cycle.add_questions(session, query, asked_seq, questions_in(self._text(session, conversation_id, asked_seq)))
        cycle.move(session, query, "routed", "routing", {"lead": lead.name, "due_on": due_on.isoformat()})
        session.add(Promise(query_id=query.id, no=1, due_on=due_on, reason="first", made_at=now, told_seq=asked_seq))
        cycle.alert(session, query, "urgent" if query.kind == "urgent" else "new")
        return query

    @staticmethod
    def _text(session: Session, conversation_id: str, seq: int) -> str:
        return session.scalar(select(Message.text).where(Message.conversation_id == conversation_id, Message.seq == seq)) or ""

    def _return_code(self, session: Session, query: Query) -> str:
        code = new_return_code()
        session.add(
            ReturnCode(code_hash=token_hash(code), conversation_id=query.conversation_id, query_id=query.id, created_at=self._clock.now(), used_at=None)
        )
        return code

    # looking up

    def latest(self, conversation_id: str, reference: str | None = None) -> QueryCard | None:
        """The conversation's query with that reference, else its newest open one, else its newest."""
        with self._database.read() as session:
            query = self.find(session, conversation_id, reference)
            if query is None:
                return None
            asked = select(Explanation.body, Explanation.due_on).where(Explanation.query_id == query.id, Explanation.state == "asked").order_by(Explanation.asked_at)
            return replace(self.card(query), asked_bodies=tuple(tuple(row) for row in session.execute(asked)))

    def find(self, session: Session, conversation_id: str, reference: str | None = None) -> Query | None:
        """As `latest`, within a session."""
        asked = select(Query).options(joinedload(Query.lead)).where(Query.conversation_id == conversation_id).order_by(Query.asked_at.desc(), Query.asked_seq.desc())
        if reference:
            return session.scalar(asked.where(Query.reference == reference))
        queries = list(session.scalars(asked))
        return next((q for q in queries if q.is_open), queries[0] if queries else None)

    def _take(self, session: Session, conversation_id: str, reference: str | None) -> Query | None:
        found = self.find(session, conversation_id, reference)
        return self._cycle.locked(session, found.id) if found else None

    def card(self, query: Query) -> QueryCard:
        """The parent's view of a query."""
        overdue = query.is_owed and query.due_on < self._clock.today()
        return QueryCard(query.id, query.reference, query.told_state, query.lead.name, query.lead.title, query.due_on, overdue)

    # changes

    def tell(self, conversation_id: str, reference: str, told: Sequence[str]) -> QueryCard | None:
        """Note what a guide was told since a query was opened, and tell its lead; nothing if nobody owes an answer any more."""
        with self._database.write() as session:
            query = self._take(session, conversation_id, reference)
            if query is None or not query.is_owed:
                return None
            self._cycle.record(session, query, "told", "bot", {"told": list(told)})
            self._alert_joined(session, query, f"told:{new_id()[:8]}")
            return self.card(query)

    def _alert_joined(self, session: Session, query: Query, about: str) -> None:
        untold = select(Alert.id).where(Alert.query_id == query.id, Alert.kind == "joined", Alert.staff_id == query.lead_id, Alert.acknowledged_at.is_(None))
        if session.scalar(untold.limit(1)) is None:
            self._cycle.alert(session, query, "joined", about=about)

    def chase(self, conversation_id: str, asked_seq: int, reference: str | None = None) -> QueryCard | None:
        """The parent asked again: the lead is told, the deputy too if the promise is broken. Nothing if no query is open."""
        with self._database.write() as session:
            query = self._take(session, conversation_id, reference)
            if query is None or not query.is_open:
                return None
            card = self.card(query)
            if not self._happened(session, query, "chased", asked_seq):
                query.chased_at = self._clock.now()
                self._cycle.record(session, query, "chased", "parent", {"seq": asked_seq, "overdue": card.overdue})
                self._cycle.alert(session, query, "chased", about=str(asked_seq))
                if card.overdue:
                    self._cycle.alert(session, query, "chased", DEPUTY, about=str(asked_seq))
            return card

    @staticmethod
    def _happened(session: Session, query: Query, kind: str, seq: int) -> QueryEvent | None:
        """The event of that kind which a message made already: a turn that is taken again changes nothing twice."""
        events = session.scalars(select(QueryEvent).where(QueryEvent.query_id == query.id, QueryEvent.kind == kind))
        return next((event for event in events if event.detail.get("seq") == seq), None)

    def withdraw(self, conversation_id: str, asked_seq: int, reference: str | None = None) -> QueryCard | None:
        """The parent needs no answer any more. Nothing if no query is open. They can open it again."""
        with self._database.write() as session:
            query = self._take(session, conversation_id, reference)
            if query is None or not (query.is_open or query.state == "withdrawn"):
                return None
            if query.is_open:
                self._cycle.move(session, query, "withdrawn", "parent", {"seq": asked_seq})
                self._cycle.alert(session, query, "withdrawn")
            return self.card(query)

    def reopen(self, conversation_id: str, asked_seq: int, reference: str | None = None, words: bool = True) -> QueryCard | None:
        """The reply did not answer: open again with a new promise, lead and deputy told, the parent's words kept with it.

        Where there is no reply to judge yet, the words are added and the lead is told. `words` is False for a button, which has none.
        Nothing if there is no query.
        """
        with self._database.write() as session:
            query = self._take(session, conversation_id, reference)
            if query is None:
                return None
            if self._happened(session, query, "reopened", asked_seq) is None:
                if words:
                    self._add_words(session, query, asked_seq)
                if "reopened" in TRANSITIONS[query.state]:
                    self._open_again(session, query, "reopened", asked_seq, "the parent says that the reply did not answer")
            return self.card(query)

    def _open_again(self, session: Session, query: Query, state: str, seq: int, reason: str) -> None:
        cycle, due_on = self._cycle, self._cycle.due(query)
        cycle.move(session, query, state, "parent", {"seq": seq, "due_on": due_on.isoformat()})
        cycle.promise(session, query, due_on, reason, "parent")
        session.flush()
        session.get_one(Promise, (query.id, query.promise_no)).told_seq = seq
        cycle.alert(session, query, "reopened")
        cycle.alert(session, query, "reopened", DEPUTY)

    def _add_words(self, session: Session, query: Query, seq: int, mark: str = "open") -> None:
        """Keep a message with a query that is there already, and tell the lead unless they know that there is something new."""
        if session.scalar(select(Question.id).where(Question.query_id == query.id, Question.seq == seq).limit(1)) is not None:
            return
        self._cycle.add_questions(session, query, seq, questions_in(self._text(session, query.conversation_id, seq)), mark)
        self._cycle.record(session, query, "joined", "parent", {"seq": seq})
        if mark == "open":
            self._alert_joined(session, query, str(seq))

    def verdict(self, conversation_id: str, seq: int, query_id: str, verdict: str, reply_id: str | None = None) -> Judged | None:
        """The parent says whether the newest reply answered. `reply_id` is the one that the button was under; nothing means the newest.

        Nothing if there is no such query here, or no reply to judge.
        """
        with self._database.write() as session:
            known = session.get(Query, query_id)
            if known is None or known.conversation_id != conversation_id:
                return None
            newest = self._newest_answer(session, query_id)
            if newest is None:
                return None
            # Who judges a reply has it. Deliveries are locked before their query, everywhere.
            self._cycle.deliveries.seen(session, [newest.message_id])
            query = self._cycle.locked(session, query_id)
            state = VERDICT_STATES[verdict]
            if reply_id is not None and reply_id != newest.id:
                return Judged(self.card(query), "old")
            if query.state == state:
                return Judged(self.card(query), state)
            if state not in TRANSITIONS[query.state]:
                return Judged(self.card(query), "ended" if not query.is_open else "reopened")
            if state == "confirmed":
                self._cycle.move(session, query, state, "parent", {"seq": seq, "reply": newest.id})
            else:
                self._open_again(session, query, state, seq, f"the parent says: {verdict}")
            return Judged(self.card(query), state)

    @staticmethod
    def _newest_answer(session: Session, query_id: str) -> Reply | None:
        sent = select(Reply).where(Reply.query_id == query_id, Reply.kind == "answer", Reply.state == "sent")
        return session.scalar(sent.order_by(Reply.at.desc(), Reply.id).limit(1))

    def verdict_on(self, query_id: str) -> list[OfferedChoice]:
        """The buttons for a verdict on the newest reply; none if there is no reply."""
        with self._database.read() as session:
            newest = self._newest_answer(session, query_id)
            return verdict_choices(self._cycle, session.get_one(Query, query_id), newest.id) if newest else []

    def join(self, conversation_id: str, seq: int, query_id: str, courtesy: bool = False) -> Joined | None:
        """Add a message to the query for which a person has the conversation. Nothing if that query has ended: the bot speaks again.

        After a reply, or after we asked the parent for something, their words start the clock again with a new promise; a courtesy
        (`thanks`) after a reply does not.
        """
        with self._database.write() as session:
            query = self._cycle.locked(session, query_id)
            if query.conversation_id != conversation_id or not query.is_open:
                self._cycle.release_hold(session, query)
                return None
            before = self._happened(session, query, "joined", seq)
            if before is not None:
                return Joined(self.card(query), before.detail.get("told", ()))
            told = self._join(session, query, seq, courtesy)
            return Joined(self.card(query), told)

    def _join(self, session: Session, query: Query, seq: int, courtesy: bool) -> list[str]:
        conversation = session.get_one(Conversation, query.conversation_id)
        told = []
        replied = query.state == "replied"
        self._add_words(session, query, seq, mark="answered" if courtesy else "open")
        if courtesy and replied:
            told.append("verdict")
        elif replied:
            self._open_again(session, query, "reopened", seq, "the parent wrote again after the reply")
            told.append("reopened")
        elif query.state == "awaiting_parent" and not courtesy:
            self._cycle.move(session, query, "in_progress", "parent", {"seq": seq})
            self._cycle.promise(session, query, max(query.due_on, self._cycle.due(query)), "the parent sent what we asked for", "parent")
            session.flush()
            session.get_one(Promise, (query.id, query.promise_no)).told_seq = seq
            told.append("answered_us")
        if not conversation.hold_told and not told:
            told.append("hold")
        conversation.hold_told = True
        session.flush()
        self._happened(session, query, "joined", seq).detail = {"seq": seq, "told": told}
        return told

    def ask_the_bot(self, conversation_id: str, query_id: str) -> QueryCard | None:
        """The parent wants the bot to answer again while the query stays with its lead."""
        with self._database.write() as session:
            query = self._cycle.locked(session, query_id)
            if query.conversation_id != conversation_id:
                return None
            if self._cycle.release_hold(session, query):
                self._cycle.record(session, query, "back_to_bot", "parent")
            return self.card(query)
