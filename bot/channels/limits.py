"""Rate limits kept in the database, so that they hold after a restart and across replicas."""

from __future__ import annotations

import hmac
from datetime import datetime, timezone

from anyio import to_thread
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from bot.channels.problems import Problem
from bot.clock import Clock
from bot.logs import security_event
from bot.store.database import Database
from bot.store.tables import RateCount


class RateLimits:
    """At most so many of an act in a window, for each key.

    Parameters
    ----------
    enforced: False lifts every limit.
    """

    def __init__(self, database: Database, clock: Clock, enforced: bool) -> None:
        self._database, self._clock, self._enforced = database, clock, enforced
        self._pepper = database.keys.derived(database.keys.of_addresses, "limits")

    async def spent(self, act: str, who: str, most: int, seconds: int) -> None:
        """`spend` for a coroutine."""
        if self._enforced:
            await to_thread.run_sync(self.spend, act, who, most, seconds)

    def spend(self, act: str, who: str, most: int, seconds: int) -> None:
        """Count one act of `who`. Raises Problem 429 when there were more than `most` in this window of `seconds`."""
        if not self._enforced:
            return
        now = int(self._clock.now().timestamp())
        # who it was is kept as a keyed hash: a network address is personal data
        hashed = hmac.new(self._pepper, who.encode("utf-8", "replace"), "sha256").hexdigest()
        key, window = f"{act}:{hashed}"[:120], now // seconds
        until = datetime.fromtimestamp((window + 1) * seconds, timezone.utc)
        try:
            count = self._count(key, window, until)
        except IntegrityError:
            count = self._count(key, window, until)
        if count > most:
            security_event("limited", act=act)
            wait = seconds - now % seconds
            raise Problem(429, "too_fast", f"Too many at once. Please try again in {wait} seconds.", {"Retry-After": str(wait)})

    def _count(self, key: str, window: int, until: datetime) -> int:
        with self._database.write() as session:
            counted = session.execute(
                update(RateCount).where(RateCount.key == key, RateCount.window == window).values(count=RateCount.count + 1).returning(RateCount.count)
            ).scalar_one_or_none()
            if counted is None:
                session.execute(delete(RateCount).where(RateCount.key == key, RateCount.window != window))
                session.add(RateCount(key=key, window=window, count=1, until=until))
                counted = 1
        return counted
