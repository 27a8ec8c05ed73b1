"""The ledger: every query logged is open or ended in a known way, and every turn that nobody answered has a query."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from bot.clock import Clock
from bot.store.cycle import Question
from bot.store.database import Database
from bot.store.states import OPEN_STATES
from bot.store.tables import Message, Query, QueryEvent, Reply

STUCK_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Ledger:
    """Counts of one moment.

    `logged` comes from the event log, the rest of the first line from the queries themselves. `lost` are hand-offs without a query,
    `unanswered` parents' messages that neither the bot nor a query has, `stuck` turns that nobody has taken for ten minutes, `unsent`
    replies that are written but have not been put into the conversation for ten minutes after their time.
    """

    logged: int
    open: int
    confirmed: int
    withdrawn: int
    silent: int
    closed: int
    lost: int
    unanswered: int = 0
    stuck: int = 0
    unsent: int = 0

    @property
    def balances(self) -> bool:
        """Whether nothing was lost."""
        ends = self.open + self.confirmed + self.withdrawn + self.silent + self.closed
        return self.logged == ends and not (self.lost or self.unanswered or self.stuck or self.unsent)

    def as_json(self) -> dict[str, Any]:
        """The counts, and whether they balance."""
        return {**asdict(self), "balances": self.balances}


def take(database: Database, clock: Clock) -> Ledger:
    """Count now."""
    with database.read() as session:
        return count(session, clock.now())


def count(session: Session, now: datetime) -> Ledger:
    """Count within a session."""
    states = dict(session.execute(select(Query.state, func.count()).group_by(Query.state)).all())
    long_ago = now - STUCK_AFTER
    return Ledger(
        logged=_number(session, QueryEvent, QueryEvent.kind == "logged"),
        open=sum(number for state, number in states.items() if state in OPEN_STATES),
        confirmed=states.get("confirmed", 0),
        withdrawn=states.get("withdrawn", 0),
        silent=states.get("silent", 0),
        closed=states.get("closed_by_manager", 0),
        lost=_number(session, Message, and_(Message.outcome.in_(("handoff", "urgent")), Message.query_id.is_(None))),
        unanswered=_number(session, Message, _unanswered()),
        stuck=_number(session, Message, and_(Message.turn_state == "asked", Message.at < long_ago)),
        unsent=_number(session, Reply, and_(Reply.state == "waiting", Reply.release_at < long_ago)),
    )


def _number(session: Session, table, condition) -> int:
    return session.scalar(select(func.count()).select_from(table).where(condition)) or 0


def _unanswered():
    """A turn that is over, in which nothing was said and whose words no query keeps."""
    said = aliased(Message)
    answered = exists().where(said.conversation_id == Message.conversation_id, said.answers_seq == Message.seq)
    kept = exists().where(Query.id == Question.query_id, Query.conversation_id == Message.conversation_id, Question.seq == Message.seq)
    return and_(Message.author == "parent", Message.turn_state == "done", ~answered, ~kept)
