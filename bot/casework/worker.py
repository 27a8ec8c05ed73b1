"""`signpost worker`: sends, reminds, escalates. Any number of copies may run; every round may be cut off anywhere and run again."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any, Awaitable, Callable, Sequence

from anyio import to_thread
from sqlalchemy import delete, func, select

from bot.casework.mail import Mailbox
from bot.casework.replies import Replies
from bot.casework.sweep import Sweep
from bot.clock import Clock
from bot.conversations.delivery import Deliveries
from bot.store.cycle import Heartbeat
from bot.store.database import Database

logger = logging.getLogger(__name__)

PAUSE = 1.0
BEAT_EVERY = timedelta(seconds=15)
DEAD_AFTER = timedelta(minutes=2)
FORGOTTEN_AFTER = timedelta(days=7)
COVER_EVERY = timedelta(minutes=1)


class Worker:
    """One worker. `name` is its own, so that leases and heartbeats can be told apart. `nightly` are jobs that see for themselves whether
    tonight's work is done; they give how much they did."""

    def __init__(
        self, name: str, database: Database, clock: Clock, replies: Replies, deliveries: Deliveries, sweep: Sweep, mailbox: Mailbox, nightly: Sequence[Callable[[], int]] = ()
    ) -> None:
        self.name, self._database, self._clock = name, database, clock
        self._replies, self._deliveries, self._sweep, self._mailbox = replies, deliveries, sweep, mailbox
        self._nightly = tuple(nightly)
        self._started = clock.now()
        self._beat_at: datetime | None = None
        self._covered_at: datetime | None = None

    async def round(self) -> int:
        """One round of everything; how much there was to do. A step that fails is logged and does not stop the others."""
        steps: tuple[Callable[[], Any], ...] = (
            self._beat,
            self._cover,
            self._replies.release_due,
            self._deliveries.expire,
            self._sweep.look,
            self._deliveries.dispatch_waiting,
            self._sweep.daily,
            *self._nightly,
        )
        done = 0
        for step in steps:
            done += await self._guarded(step.__qualname__, lambda step=step: to_thread.run_sync(step))
        done += await self._guarded("sending", self._send)
        return done + await self._guarded("mail", lambda: to_thread.run_sync(self._mailbox.send_due))

    async def _guarded(self, what: str, step: Callable[[], Awaitable[Any]]) -> int:
        try:
            done = await step()
        except Exception:
            logger.exception("%s failed; it is tried again", what)
            return 0
        return done if isinstance(done, int) else len(done or ())

    async def _send(self) -> int:
        parts = await to_thread.run_sync(self._deliveries.claim)

        async def send(part) -> None:
            outcome = await self._deliveries.send(part)
            await to_thread.run_sync(self._deliveries.settle, part.delivery_id, outcome)

        for result in await asyncio.gather(*(send(part) for part in parts), return_exceptions=True):
            if isinstance(result, Exception):
                logger.error("a part was sent but what became of it could not be written down: %r", result)
        return len(parts)

    def _cover(self) -> int:
        now = self._clock.now()
        if self._covered_at is not None and now - self._covered_at < COVER_EVERY:
            return 0
        handed_on = self._sweep.cover()
        self._covered_at = now
        return handed_on

    def _beat(self) -> int:
        now = self._clock.now()
        if self._beat_at is not None and now - self._beat_at < BEAT_EVERY:
            return 0
        with self._database.write() as session:
            session.merge(Heartbeat(worker=self.name, started_at=self._started, at=now))
            session.execute(delete(Heartbeat).where(Heartbeat.at < now - FORGOTTEN_AFTER))
        self._beat_at = now
        return 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Rounds until told to stop; at once again while there is something to do."""
        while not stopping.is_set():
            if await self.round() == 0:
                try:
                    await asyncio.wait_for(stopping.wait(), PAUSE)
                except asyncio.TimeoutError:
                    pass


def last_beat(database: Database) -> datetime | None:
    """When any worker was last seen alive."""
    with database.read() as session:
        return session.scalar(select(func.max(Heartbeat.at)))


def is_dead(database: Database, clock: Clock) -> bool:
    """Whether no worker has been seen for so long that replies and reminders do not go out."""
    beat = last_beat(database)
    return beat is None or clock.now() - beat > DEAD_AFTER
