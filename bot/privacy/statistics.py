"""Counts that stay when a conversation goes: by month, area and channel, and naming nobody."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Iterator

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.store.privacy import Statistic
from bot.store.tables import Conversation, Message, Query

# Days until a valid answer, up to and with the number.
DAYS = (1, 2, 5, 10, 20)

Counted = tuple[str, str]


def count(session: Session, conversation_id: str) -> None:
    """Add a conversation that is about to go to the statistics, within a session."""
    conversation = session.get_one(Conversation, conversation_id)
    month = conversation.created_at.date().replace(day=1)
    for (measure, of), number in Counter(_counted(session, conversation)).items():
        _add(session, month, conversation, measure, of, number)


def _counted(session: Session, conversation: Conversation) -> Iterator[Counted]:
    yield "conversations", conversation.role
    said = select(Message.author, Message.outcome, Message.topic).where(Message.conversation_id == conversation.id)
    for author, outcome, topic in session.execute(said):
        yield "messages", author
        if outcome:
            yield "outcomes", outcome
        if topic:
            yield "topics", topic
    for query in session.scalars(select(Query).where(Query.conversation_id == conversation.id)):
        yield "queries", query.state
        yield "query_kinds", query.kind
        yield "query_topics", query.topic or "none"
        if query.answered_at is not None:
            yield "days_to_answer", _bucket((query.answered_at - query.asked_at).days)
            yield "promises", "kept" if query.answered_at.date() <= query.due_on else "late"


def _bucket(days: int) -> str:
    return next((f"up to {most}" for most in DAYS if days <= most), f"over {DAYS[-1]}")


def _add(session: Session, month: date, conversation: Conversation, measure: str, of: str, number: int) -> None:
    key = {"month": month, "area": conversation.area, "channel": conversation.channel, "measure": measure, "of": of}
    same = [getattr(Statistic, name) == value for name, value in key.items()]
    if session.execute(update(Statistic).where(*same).values(number=Statistic.number + number)).rowcount == 0:
        session.add(Statistic(**key, number=number))
        session.flush()
