"""Who has a query's page open, who of them is writing, and whether the parent is typing. Hints only: the server refuses what collides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload

from bot.clock import Clock
from bot.store.console import Presence, Typing
from bot.store.database import Database

OPEN_FOR = timedelta(seconds=30)
REMEMBERED_FOR = timedelta(minutes=15)
WRITING_FOR = timedelta(seconds=20)
TYPING_FOR = timedelta(seconds=8)
RENEW_EVERY = timedelta(seconds=10)


@dataclass(frozen=True)
class Colleague:
    """Somebody else at the same query: the page is open now, or was at `at`; `writing` in its reply box."""

    name: str
    at: datetime
    is_open: bool
    writing: bool


class Presences:
    """Writes and reads who is there."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def here(self, query_id: str, staff_id: str, writing: bool = False) -> None:
        """A member of staff has the page open, and perhaps writes in it."""
        now = self._clock.now()
        with self._database.write() as session:
            session.execute(delete(Presence).where(Presence.at < now - REMEMBERED_FOR))
            known = session.get(Presence, (query_id, staff_id))
            if known is None:
                session.add(Presence(query_id=query_id, staff_id=staff_id, at=now, wrote_at=now if writing else None))
            else:
                known.at, known.wrote_at = now, now if writing else known.wrote_at

    def gone(self, query_id: str, staff_id: str) -> None:
        """The page was closed."""
        with self._database.write() as session:
            session.execute(delete(Presence).where(Presence.query_id == query_id, Presence.staff_id == staff_id))

    def others(self, session: Session, query_id: str, staff_id: str) -> Sequence[Colleague]:
        """Who else is at a query, or was within REMEMBERED_FOR."""
        now = self._clock.now()
        there = (
            select(Presence)
            .options(joinedload(Presence.staff))
            .where(Presence.query_id == query_id, Presence.staff_id != staff_id, Presence.at > now - REMEMBERED_FOR)
            .order_by(Presence.at.desc())
        )
        return [
            Colleague(p.staff.name, p.at, p.at > now - OPEN_FOR, p.wrote_at is not None and p.wrote_at > now - WRITING_FOR)
            for p in session.scalars(there)
        ]

    def parent_types(self, session: Session, conversation_id: str) -> bool:
        """Whether the parent is typing."""
        typing = session.get(Typing, conversation_id)
        return typing is not None and typing.at > self._clock.now() - TYPING_FOR
