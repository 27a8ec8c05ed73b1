"""Leases: one app among the replicas does something, and another takes over when it dies."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, or_, update
from sqlalchemy.exc import IntegrityError

from bot.clock import Clock
from bot.store.database import Database
from bot.store.telegram import Lease

LASTS = timedelta(seconds=20)


class Leases:
    """Leases taken in the name of one app.

    Parameters
    ----------
    alone: no other app can be alive, so a lease that is still running belongs to a dead one.
    """

    def __init__(self, database: Database, clock: Clock, holder: str, alone: bool = False) -> None:
        self._database, self._clock, self._holder = database, clock, holder[-64:]
        self._alone = alone

    def take(self, name: str) -> bool:
        """Take or renew a lease for LASTS; whether it is ours now."""
        now = self._clock.now()
        mine = {"holder": self._holder, "until": now + LASTS}
        free = update(Lease).where(Lease.name == name)
        if not self._alone:
            free = free.where(or_(Lease.holder == self._holder, Lease.until < now))
        try:
            with self._database.write() as session:
                if session.execute(free.values(**mine)).rowcount == 1:
                    return True
                if session.get(Lease, name) is not None:
                    return False
                session.add(Lease(name=name, **mine))
            return True
        except IntegrityError:
            return False

    def give_back(self, name: str) -> None:
        """Let another app have it at once."""
        with self._database.write() as session:
            session.execute(delete(Lease).where(Lease.name == name, Lease.holder == self._holder))
