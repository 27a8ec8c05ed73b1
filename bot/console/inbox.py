"""The inbox: who waits for an answer, the oldest promise first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Sequence

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import Session, joinedload

from bot.casework.references import find_reference
from bot.clock import Clock
from bot.console.access import in_scope
from bot.store.cycle import Alert
from bot.store.database import Database
from bot.store.tables import Message, Query, Reply, Staff

PAGE = 50
OWED = and_(Query.ended_at.is_(None), Query.state != "replied")
SHOWN = {"open": OWED, "replied": and_(Query.ended_at.is_(None), Query.state == "replied"), "closed": Query.ended_at.is_not(None)}


@dataclass(frozen=True)
class InboxChoice:
    """What to list: `show` is open, replied or closed; `whose` is mine or all; `page` counts from 1."""

    show: str
    whose: str
    page: int

    @classmethod
    def read(cls, asked, member: Staff) -> "InboxChoice":
        """From the address of the page; anything unknown is the ordinary inbox. A lead's is their own."""
        show, whose, page = asked.get("show"), asked.get("whose"), asked.get("page", "")
        return cls(
            show if show in SHOWN else "open",
            whose if whose in ("mine", "all") else ("mine" if member.role == "lead" else "all"),
            max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 6 else 1,
        )


@dataclass(frozen=True)
class Row:
    """A query in the list. `fetched` tells of its newest reply; nothing if there is none."""

    query: Query
    question: str
    overdue: bool
    due_today: bool
    fetched: bool | None


@dataclass(frozen=True)
class InboxPage:
    """One page of the list, the counts over all that is open, and what the reader has not acknowledged."""

    rows: Sequence[Row]
    urgent: Sequence[Query]
    counts: Counter
    page: int
    has_more: bool
    alerts: Sequence[Alert]

    @property
    def first(self) -> int:
        """Number of the first row on this page, from 1."""
        return (self.page - 1) * PAGE + 1


class Inbox:
    """Reads queries for the staff who owe them. Overdue and due today are computed from the promise."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def read(self, member: Staff, choice: InboxChoice) -> InboxPage:
        """The list that `choice` names, with counts of everything that is open."""
        today = self._clock.today()
        mine = and_(in_scope(member), Query.lead_id == member.id) if choice.whose == "mine" else in_scope(member)
        shown = and_(mine, SHOWN[choice.show])
        with self._database.read() as session:
            counts = self._counts(session, mine, today)
            page = choice.page if choice.show == "closed" else min(choice.page, max(1, -(-counts[choice.show] // PAGE)))
            listed = self._listed(shown, choice.show).limit(PAGE + 1).offset((page - 1) * PAGE)
            queries = list(session.scalars(listed))
            rows = self._rows(session, queries[:PAGE], today)
            urgent = select(Query).options(joinedload(Query.lead)).where(in_scope(member), Query.kind == "urgent", OWED)
            urgent_now = list(session.scalars(urgent.order_by(Query.asked_at)))
            return InboxPage(rows, urgent_now, counts, page, len(queries) > PAGE, self._alerts(session, member))

    @staticmethod
    def _listed(shown: ColumnElement[bool], show: str):
        rank = case((Query.kind == "urgent", 0), (Query.kind == "priority", 1), else_=2)
        orders = {"open": (Query.due_on, rank, Query.asked_at, Query.id), "replied": (Query.asked_at.desc(), Query.id), "closed": (Query.ended_at.desc(), Query.id)}
        return select(Query).options(joinedload(Query.lead)).where(shown).order_by(*orders[show])

    @staticmethod
    def _rows(session: Session, queries: list[Query], today: date) -> list[Row]:
        ids = [q.id for q in queries]
        question = select(Query.id, Message.text).join(
            Message, and_(Message.conversation_id == Query.conversation_id, Message.seq == Query.asked_seq)
        )
        questions = dict(session.execute(question.where(Query.id.in_(ids))).all())
        replies = select(Reply.query_id, Reply.delivered_at).where(Reply.query_id.in_(ids), Reply.state == "sent").order_by(Reply.at)
        fetched = {id: at is not None for id, at in session.execute(replies)}
        return [
            Row(q, questions.get(q.id, ""), q.is_owed and q.due_on < today, q.is_owed and q.due_on == today, fetched.get(q.id))
            for q in queries
        ]

    @staticmethod
    def _counts(session: Session, mine: ColumnElement[bool], today: date) -> Counter:
        """Only what is open is counted: the past must not make the list slower."""
        counted = Counter()
        owed = and_(Query.answered_at.is_(None), Query.state != "awaiting_parent")
        replied = Query.state == "replied"
        grouped = select(replied, owed, Query.due_on, func.count()).where(mine, Query.ended_at.is_(None)).group_by(replied, owed, Query.due_on)
        for is_replied, is_owed, due_on, number in session.execute(grouped):
            counted["replied" if is_replied else "open"] += number
            if is_owed and due_on <= today:
                counted["overdue" if due_on < today else "due_today"] += number
        return counted

    @staticmethod
    def _alerts(session: Session, member: Staff) -> list[Alert]:
        """What this member has not acknowledged, newest first; about queries only while they are open."""
        mine = select(Alert).outerjoin(Query, Query.id == Alert.query_id).options(joinedload(Alert.query))
        live = (Alert.query_id.is_(None)) | (Query.ended_at.is_(None)) | (Alert.kind == "withdrawn")
        return list(session.scalars(mine.where(Alert.staff_id == member.id, Alert.acknowledged_at.is_(None), live).order_by(Alert.at.desc()).limit(PAGE)))

    def by_reference(self, member: Staff, typed: str) -> Query | None:
        """The query with a reference, as somebody may type it, if this member may see it."""
        reference = find_reference(typed) or find_reference(f"SP-{typed.strip()}")
        if reference is None:
            return None
        with self._database.read() as session:
            return session.scalar(select(Query).where(Query.reference == reference, in_scope(member)))

