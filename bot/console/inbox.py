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
from bot.store.database import Database
from bot.store.states import CLOSED_STATES, OPEN_STATES
from bot.store.tables import Message, Query, Reply, Staff

PAGE = 50
OWED_STATES = OPEN_STATES - {"replied"}
SHOWN_STATES = {"open": OWED_STATES, "replied": frozenset({"replied"}), "closed": CLOSED_STATES}


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
            show if show in SHOWN_STATES else "open",
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
    """One page of the list, and the counts over all of it."""

    rows: Sequence[Row]
    urgent: Sequence[Query]
    counts: Counter
    total: int
    page: int
    pages: int

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
        shown = and_(mine, Query.state.in_(SHOWN_STATES[choice.show]))
        with self._database.read() as session:
            total = session.scalar(select(func.count()).select_from(Query).where(shown))
            pages = max(1, -(-total // PAGE))
            page = min(choice.page, pages)
            queries = list(session.scalars(self._listed(shown, choice.show).limit(PAGE).offset((page - 1) * PAGE)))
            rows = self._rows(session, queries, today)
            urgent = select(Query).options(joinedload(Query.lead)).where(in_scope(member), Query.kind == "urgent", Query.state.in_(OWED_STATES))
            return InboxPage(rows, list(session.scalars(urgent.order_by(Query.asked_at))), self._counts(session, mine, today), total, page, pages)

    @staticmethod
    def _listed(shown: ColumnElement[bool], show: str):
        rank = case((Query.kind == "urgent", 0), (Query.kind == "priority", 1), else_=2)
        order = (Query.due_on, rank, Query.asked_at, Query.id) if show == "open" else (Query.asked_at.desc(), Query.id)
        return select(Query).options(joinedload(Query.lead)).where(shown).order_by(*order)

    @staticmethod
    def _rows(session: Session, queries: list[Query], today: date) -> list[Row]:
        ids = [q.id for q in queries]
        question = select(Query.id, Message.text).join(
            Message, and_(Message.conversation_id == Query.conversation_id, Message.seq == Query.asked_seq)
        )
        questions = dict(session.execute(question.where(Query.id.in_(ids))).all())
        replies = select(Reply.query_id, Reply.delivered_at).where(Reply.query_id.in_(ids)).order_by(Reply.at)
        fetched = {id: at is not None for id, at in session.execute(replies)}
        return [
            Row(q, questions.get(q.id, ""), _owed(q) and q.due_on < today, _owed(q) and q.due_on == today, fetched.get(q.id))
            for q in queries
        ]

    @staticmethod
    def _counts(session: Session, mine: ColumnElement[bool], today: date) -> Counter:
        counted = Counter()
        grouped = select(Query.state, Query.due_on, func.count()).where(mine).group_by(Query.state, Query.due_on)
        for state, due_on, number in session.execute(grouped):
            counted[next(show for show, states in SHOWN_STATES.items() if state in states)] += number
            if state in OWED_STATES and due_on <= today:
                counted["overdue" if due_on < today else "due_today"] += number
        return counted

    def by_reference(self, member: Staff, typed: str) -> Query | None:
        """The query with a reference, as somebody may type it, if this member may see it."""
        reference = find_reference(typed) or find_reference(f"SP-{typed.strip()}")
        if reference is None:
            return None
        with self._database.read() as session:
            return session.scalar(select(Query).where(Query.reference == reference, in_scope(member)))


def _owed(query: Query) -> bool:
    return query.state in OWED_STATES
