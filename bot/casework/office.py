"""Casework put together from its parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Callable, Mapping, Sequence

from bot.casework.cycle import Cycle, Mail
from bot.casework.mail import Mailbox, Post
from bot.casework.policy import CasePolicy
from bot.casework.queries import QueryDesk
from bot.casework.reception import Reception
from bot.casework.replies import UNDO, Replies
from bot.casework.supervision import Supervision
from bot.casework.sweep import Sweep
from bot.casework.worker import Worker
from bot.clock import Clock
from bot.conversations.delivery import Deliveries
from bot.conversations.log import ConversationLog
from bot.conversations.senders import Sender
from bot.knowledge.answers import Answers
from bot.knowledge.areas import Area
from bot.store.database import Database


@dataclass(frozen=True)
class Office:
    """The query cycle: the parents' desk, replies, supervision, what the clock brings, and the worker that does it."""

    cycle: Cycle
    desk: QueryDesk
    replies: Replies
    supervision: Supervision
    reception: Reception
    sweep: Sweep
    deliveries: Deliveries
    worker: Worker

    @classmethod
    def build(
        cls,
        database: Database,
        clock: Clock,
        log: ConversationLog,
        areas: Mapping[str, Area],
        default_area: str,
        answers: Answers,
        policy: CasePolicy,
        *,
        senders: Sequence[Sender] = (),
        undo: timedelta = UNDO,
        mail: Mail | None = None,
        post: Post | None = None,
        nightly: Sequence[Callable[[], int]] = (),
    ) -> "Office":
        """Put it together. `log.owner` names the process in leases and heartbeats."""
        deliveries = Deliveries(database, clock, senders, worker=log.owner[-64:])
        cycle = Cycle(database, log, deliveries, areas, default_area, answers, policy, clock, mail)
        desk, supervision = QueryDesk(cycle), Supervision(cycle)
        replies, sweep = Replies(cycle, undo), Sweep(cycle, supervision)
        log.on_fetched(deliveries.fetched)
        worker = Worker(log.owner[-64:], database, clock, replies, deliveries, sweep, Mailbox(database, clock, post), nightly)
        return cls(cycle, desk, replies, supervision, Reception(desk, cycle), sweep, deliveries, worker)
