"""How the service itself is: workers, engine, what waits to be sent, the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence

from sqlalchemy import func, select

from bot.casework.ledger import Ledger, count
from bot.casework.worker import DEAD_AFTER
from bot.clock import Clock
from bot.store.cycle import DailyJob, Delivery, Email, Heartbeat
from bot.store.database import Database


@dataclass(frozen=True)
class Health:
    """One moment. `alive` says of each worker whether it was seen lately."""

    workers: Sequence[tuple[Heartbeat, bool]]
    deliveries: Mapping[str, int]
    emails: Mapping[str, int]
    jobs: Sequence[DailyJob]
    ledger: Ledger
    database: str

    @property
    def is_worker_alive(self) -> bool:
        """Whether any worker is."""
        return any(alive for _, alive in self.workers)


def look(database: Database, clock: Clock) -> Health:
    """Look now."""
    now = clock.now()
    with database.read() as session:
        workers = list(session.scalars(select(Heartbeat).order_by(Heartbeat.at.desc()).limit(10)))
        return Health(
            [(worker, now - worker.at <= DEAD_AFTER) for worker in workers],
            dict(session.execute(select(Delivery.state, func.count()).where(Delivery.state != "accepted").group_by(Delivery.state)).all()),
            dict(session.execute(select(Email.state, func.count()).where(Email.state != "sent").group_by(Email.state)).all()),
            list(session.scalars(select(DailyJob).order_by(DailyJob.name))),
            count(session, now),
            "SQLite" if database.is_sqlite else "PostgreSQL",
        )
