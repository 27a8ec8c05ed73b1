"""Retention: a conversation goes when its time is over, counted first. UK GDPR article 5(1)(e): no longer than is necessary.

How long is in the area's file, in days for each state that its queries ended in. A conversation with an open query stays.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Mapping

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.orm import Session

from bot.clock import LONDON, Clock
from bot.privacy.erasure import remove
from bot.privacy.statistics import count
from bot.store.console import AuditEntry
from bot.store.cycle import DailyJob, Email
from bot.store.database import Database
from bot.store.privacy import Erasure
from bot.store.tables import Conversation, Message, Query, RateCount, SignInAttempt, StaffSession

logger = logging.getLogger(__name__)

NO_QUERY = "no_query"
JOB = "retention"
NIGHT = time(2, 0)
BATCH = 200

# What the machinery keeps, and for how long: none of it is about what anybody asked.
SIGN_IN_ATTEMPTS = timedelta(days=30)
SENT_MAIL = timedelta(days=30)
ERASURES = timedelta(days=6 * 365)
AUDIT = timedelta(days=6 * 365)


@dataclass(frozen=True)
class Cleared:
    """What a night's work did: conversations deleted, and rows of the machinery."""

    conversations: int
    others: int


class Retention:
    """The nightly job.

    Parameters
    ----------
    days: for each area's id, days by state (`no_query` for a conversation without one). `default_area` stands in for one not known.
    """

    def __init__(self, database: Database, days: Mapping[str, Mapping[str, int]], default_area: str, clock: Clock) -> None:
        self._database, self._days, self._default, self._clock = database, days, default_area, clock

    def nightly(self) -> int:
        """Tonight's work, once over all workers: from NIGHT in England on. How many rows and conversations went."""
        local, today = self._clock.now().astimezone(LONDON), self._clock.today()
        if local.time() < NIGHT or not self._is_mine(today):
            return 0
        cleared = self.run()
        return cleared.conversations + cleared.others

    def _is_mine(self, today: date) -> bool:
        """Whether nobody has begun tonight's work, which is ours from then on. A night cut off is made up for in the next."""
        with self._database.read() as session:
            done = session.get(DailyJob, JOB)
            if done is not None and done.done_for >= today:
                return False
        with self._database.write() as session:
            done = session.get(DailyJob, JOB, with_for_update=True)
            if done is not None and done.done_for >= today:
                return False
            session.merge(DailyJob(name=JOB, done_for=today, at=self._clock.now()))
        return True

    def run(self) -> Cleared:
        """Count and delete everything whose time is over. Each conversation is a transaction of its own, so it can be cut off anywhere."""
        now = self._clock.now()
        gone, after = 0, ""
        while candidates := self._candidates(now, after):
            after = candidates[-1]
            gone += sum(self._clear(id, now) for id in candidates)
        others = self._machinery(now)
        if gone or others:
            self._database.scrub()
        logger.info("retention: %d conversations and %d other rows deleted", gone, others)
        return Cleared(gone, others)

    def _candidates(self, now: datetime, after: str) -> list[str]:
        """Conversations without an open query that began before the shortest time that any state has."""
        shortest = min(days for area in self._days.values() for days in area.values())
        is_open = exists().where(Query.conversation_id == Conversation.id, Query.ended_at.is_(None))
        old = select(Conversation.id).where(Conversation.created_at < now - timedelta(days=shortest), ~is_open, Conversation.id > after)
        with self._database.read() as session:
            return list(session.scalars(old.order_by(Conversation.id).limit(BATCH)))

    def _clear(self, conversation_id: str, now: datetime) -> bool:
        with self._database.write() as session:
            conversation = session.scalar(select(Conversation).where(Conversation.id == conversation_id).with_for_update())
            if conversation is None or not self._is_over(session, conversation, now):
                return False
            count(session, conversation_id)
            remove(session, conversation_id, now, "retention")
            return True

    def _is_over(self, session: Session, conversation: Conversation, now: datetime) -> bool:
        """Whether the longest time that its queries' ends give it has passed since the last thing that happened."""
        ends = session.execute(select(Query.state, Query.ended_at).where(Query.conversation_id == conversation.id)).all()
        if any(ended_at is None for _, ended_at in ends):
            return False
        days = self._days.get(conversation.area, self._days[self._default])
        keep = max((days[state] for state, _ in ends), default=days[NO_QUERY])
        last_said = session.scalar(select(func.max(Message.at)).where(Message.conversation_id == conversation.id))
        last = max(moment for moment in (conversation.created_at, last_said, *(ended_at for _, ended_at in ends)) if moment is not None)
        return last + timedelta(days=keep) < now

    def _machinery(self, now: datetime) -> int:
        """Counters of limits, spent sign-ins and sessions, sent mail, old records of who read, did and deleted."""
        with self._database.write() as session:
            statements = (
                delete(RateCount).where(or_(RateCount.until < now, RateCount.until.is_(None))),
                delete(SignInAttempt).where(SignInAttempt.at < now - SIGN_IN_ATTEMPTS),
                delete(StaffSession).where(StaffSession.expires_at < now),
                delete(Email).where(Email.state == "sent", Email.next_try_at < now - SENT_MAIL),
                delete(Erasure).where(Erasure.at < now - ERASURES),
                delete(AuditEntry).where(AuditEntry.at < now - AUDIT),
            )
            return sum(session.execute(statement.execution_options(synchronize_session=False)).rowcount for statement in statements)
