"""The ledger: every query logged is open or ended in a known way, and every turn that nobody answered has a query."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from bot.store.database import Database
from bot.store.states import OPEN_STATES
from bot.store.tables import Message, Query, QueryEvent


@dataclass(frozen=True)
class Ledger:
    """Counts of one moment. `logged` comes from the event log, the rest from the queries themselves; `lost` are hand-offs without a query."""

    logged: int
    open: int
    confirmed: int
    withdrawn: int
    silent: int
    closed: int
    lost: int

    @property
    def balances(self) -> bool:
        """Whether nothing was lost."""
        return self.lost == 0 and self.logged == self.open + self.confirmed + self.withdrawn + self.silent + self.closed

    def as_json(self) -> dict[str, Any]:
        """The counts, and whether they balance."""
        return {**asdict(self), "balances": self.balances}


def take(database: Database) -> Ledger:
    """Count now."""
    with database.read() as session:
        states = dict(session.execute(select(Query.state, func.count()).group_by(Query.state)).all())
        logged = session.scalar(select(func.count()).select_from(QueryEvent).where(QueryEvent.kind == "logged")) or 0
        lost = session.scalar(select(func.count()).select_from(Message).where(Message.outcome.in_(("handoff", "urgent")), Message.query_id.is_(None))) or 0
    return Ledger(
        logged=logged,
        open=sum(count for state, count in states.items() if state in OPEN_STATES),
        confirmed=states.get("confirmed", 0),
        withdrawn=states.get("withdrawn", 0),
        silent=states.get("silent", 0),
        closed=states.get("closed_by_manager", 0),
        lost=lost,
    )
