"""One query as staff see it: the whole conversation, what the bot made of it, the promise, and what has happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from bot.casework.references import without_return_codes
from bot.casework.supervision import Supervision, is_held, may_start
from bot.clock import Clock
from bot.console.access import REPLYING_ROLES, in_scope, may_see_area
from bot.console.presence import Colleague, Presences
from bot.knowledge.answers import Answers
from bot.knowledge.areas import Area
from bot.store.console import Note, Summary, Tag
from bot.store.cycle import Delivery, Explanation, Promise, Question
from bot.store.database import Database
from bot.store.states import ANSWERABLE_STATES
from bot.store.tables import Message, Query, QueryEvent, Reply, Staff

MOST_GUESSES = 3


@dataclass(frozen=True)
class Guess:
    """A topic that the bot thought of, and how sure it was (0 to 100)."""

    topic: str
    title: str
    percent: int


@dataclass(frozen=True)
class AtHand:
    """A reviewed answer that may fit, as this person would be told it."""

    topic: str
    title: str
    text: str
    sources: Sequence[Any]


@dataclass(frozen=True)
class Said:
    """A message with what staff may know beside it: the bot's guesses, what failed, and for a reply if and when it was fetched."""

    message: Message
    is_question: bool
    guesses: Sequence[Guess]
    failed: str
    reply: Reply | None
    topic: str = ""

    @property
    def text(self) -> str:
        """What was said, without the code that opens the family's chat: it is theirs alone."""
        return without_return_codes(self.message.text)


@dataclass(frozen=True)
class QueryView:
    """Everything on a query's page. `read_to` is the newest message shown."""

    query: Query
    topic: str
    said: Sequence[Said]
    events: Sequence[QueryEvent]
    others: Sequence[Query]
    overdue: bool
    due_today: bool
    read_to: int
    questions: Sequence[Question]
    under_way: Reply | None
    writer: Staff | None
    explanations: Sequence[Explanation]
    troubles: Sequence[Delivery]
    colleagues: Sequence[Staff]
    promises: Sequence[Promise]
    notes: Sequence[Note]
    summary: str
    tags: Sequence[str]
    here: Sequence[Colleague]
    parent_types: bool
    missing_to_close: str
    at_hand: Sequence[AtHand]
    now: datetime

    @property
    def can_reply(self) -> bool:
        """Whether the state allows a reply, and none is under way."""
        return self.query.state in ANSWERABLE_STATES and self.under_way is None

    @property
    def is_held(self) -> bool:
        """Whether a person has the conversation for this query."""
        return is_held(self.query.conversation, self.query)

    @property
    def can_start(self) -> bool:
        """Whether somebody can say that they have begun."""
        return may_start(self.query)


@dataclass(frozen=True)
class Snapshot:
    """A query in this moment: its version, messages that are new, who is there, whether the parent types."""

    query: Query
    said: Sequence[Said]
    here: Sequence[Colleague]
    parent_types: bool


class QueryReader:
    """Reads queries for the console. Reading here never counts as the parent's fetching."""

    def __init__(
        self, database: Database, answers: Answers, clock: Clock, areas: Mapping[str, Area], supervision: Supervision, presences: Presences
    ) -> None:
        self._database, self._answers, self._clock = database, answers, clock
        self._areas, self._supervision, self._presences = areas, supervision, presences

    def read(self, member: Staff, query_id: str) -> QueryView | None:
        """The page of a query; nothing if there is none or it is not this member's to see."""
        with self._database.read() as session:
            asked = select(Query).options(joinedload(Query.lead), joinedload(Query.conversation)).where(Query.id == query_id, in_scope(member))
            query = session.scalar(asked)
            if query is None:
                return None
            messages = list(session.scalars(select(Message).where(Message.conversation_id == query.conversation_id).order_by(Message.seq)))
            replies = {r.message_id: r for r in session.scalars(select(Reply).where(Reply.message_id.in_([m.id for m in messages])))}
            events = list(session.scalars(select(QueryEvent).where(QueryEvent.query_id == query_id).order_by(QueryEvent.id)))
            others = list(
                session.scalars(select(Query).where(Query.conversation_id == query.conversation_id, Query.id != query_id).order_by(Query.asked_at))
            )
            more = {**self._more(session, query, [m.id for m in messages]), **self._beside(session, query, member)}
        today, owed = self._clock.today(), query.is_owed
        return QueryView(
            query=query,
            topic=self._title(query.topic) if query.topic else "",
            said=[self._said(m, query, replies) for m in messages],
            events=events,
            others=others,
            overdue=owed and query.due_on < today,
            due_today=owed and query.due_on == today,
            read_to=messages[-1].seq if messages else 0,
            at_hand=self._at_hand(query, messages),
            now=self._clock.now(),
            **more,
        )

    def _beside(self, session: Session, query: Query, member: Staff) -> dict[str, Any]:
        """What staff keep beside the conversation, and who is there."""
        notes = select(Note).options(joinedload(Note.staff)).where(Note.query_id == query.id).order_by(Note.at)
        summary = session.get(Summary, query.id)
        return {
            "notes": list(session.scalars(notes)),
            "summary": summary.text if summary else "",
            "tags": list(session.scalars(select(Tag.tag).where(Tag.conversation_id == query.conversation_id).order_by(Tag.tag))),
            "here": self._presences.others(session, query.id, member.id),
            "parent_types": self._presences.parent_types(session, query.conversation_id),
            "missing_to_close": self._supervision.missing_to_close(session, query),
        }

    def _at_hand(self, query: Query, messages: Sequence[Message]) -> list[AtHand]:
        """Reviewed answers on the query's topic and on what the bot thought of."""
        asked = next((m for m in messages if m.seq == query.asked_seq), None)
        ranking = ((asked.understanding or {}).get("intent_ranking") or []) if asked else []
        guessed = [str(guess.get("name")) for guess in ranking[:MOST_GUESSES] if isinstance(guess, dict)]
        topics = dict.fromkeys(topic for topic in [query.topic, *guessed] if topic and topic in self._answers)
        return [self.at_hand(query, topic) for topic in topics]

    def at_hand(self, query: Query, topic: str) -> AtHand:
        """A reviewed answer as whoever asked this query would be told it."""
        area = self._areas.get(query.area) or next(iter(self._areas.values()))
        wording = self._answers.wording(topic, area, query.conversation.role)
        return AtHand(topic, self._answers.title(topic), wording.text, wording.sources)

    def snapshot(self, member: Staff, query_id: str, after: int) -> "Snapshot | None":
        """What has changed at a query since message `after`; nothing if it is not this member's to see."""
        with self._database.read() as session:
            query = session.scalar(select(Query).options(joinedload(Query.conversation)).where(Query.id == query_id, in_scope(member)))
            if query is None:
                return None
            newer = select(Message).where(Message.conversation_id == query.conversation_id, Message.seq > after).order_by(Message.seq)
            messages = list(session.scalars(newer))
            replies = {r.message_id: r for r in session.scalars(select(Reply).where(Reply.message_id.in_([m.id for m in messages])))} if messages else {}
            return Snapshot(
                query,
                [self._said(m, query, replies) for m in messages],
                self._presences.others(session, query_id, member.id),
                self._presences.parent_types(session, query.conversation_id),
            )

    @staticmethod
    def _more(session: Session, query: Query, message_ids: Sequence[str]) -> dict[str, Any]:
        under_way = session.scalar(select(Reply).where(Reply.query_id == query.id, Reply.state.in_(("to_read", "waiting"))))
        replying = select(Staff).where(Staff.active, Staff.role.in_(REPLYING_ROLES), Staff.id != query.lead_id).order_by(Staff.name)
        trouble = select(Delivery).where(Delivery.message_id.in_(message_ids), Delivery.query_id == query.id, Delivery.state.in_(("refused", "unknown")))
        return {
            "questions": list(session.scalars(select(Question).where(Question.query_id == query.id).order_by(Question.seq, Question.no))),
            "under_way": under_way,
            "writer": session.get(Staff, under_way.staff_id) if under_way else None,
            "explanations": list(session.scalars(select(Explanation).where(Explanation.query_id == query.id).order_by(Explanation.asked_at))),
            "troubles": list(session.scalars(trouble.order_by(Delivery.seq, Delivery.part))),
            "colleagues": [s for s in session.scalars(replying) if may_see_area(s, query.area)],
            "promises": list(session.scalars(select(Promise).where(Promise.query_id == query.id).order_by(Promise.no))),
        }

    def _said(self, message: Message, query: Query, replies: Mapping[str, Reply]) -> Said:
        return said_of(message, message.seq == query.asked_seq, replies.get(message.id), self._title)

    def _title(self, topic: str) -> str:
        return self._answers.title(topic) if topic in self._answers else topic.replace("_", " ").capitalize()


def said_of(message: Message, is_question: bool, reply: Reply | None, title: Callable[[str], str]) -> Said:
    """A message with the bot's best guesses beside it; `title` gives a topic's plain title."""
    understood: Mapping[str, Any] = message.understanding or {}
    ranking = understood.get("intent_ranking") or ([understood["intent"]] if understood.get("intent") else [])
    guesses = [
        Guess(str(guess["name"]), title(str(guess["name"])), round(100 * float(guess.get("confidence") or 0)))
        for guess in ranking[:MOST_GUESSES]
        if isinstance(guess, dict) and guess.get("name")
    ]
    return Said(message, is_question, guesses, str(understood.get("engine") or ""), reply, title(message.topic) if message.topic else "")
