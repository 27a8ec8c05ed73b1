"""Figures for Prometheus at `/metrics`, on a port of their own that only the operator's network reaches. No label names a person."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from bot.clock import Clock
from bot.logs import SECURITY
from bot.store.cycle import Delivery, Heartbeat
from bot.store.database import Database
from bot.store.privacy import Forgetting
from bot.store.tables import Message, Query

REGISTRY = CollectorRegistry()

REQUESTS = Counter("signpost_requests", "HTTP requests answered", ["method", "route", "status"], registry=REGISTRY)
REQUEST_SECONDS = Histogram("signpost_request_seconds", "Time until the answer began", ["route"], registry=REGISTRY)
TURNS = Counter("signpost_turns", "Messages that the engine answered, by what came of them", ["outcome"], registry=REGISTRY)
TURN_SECONDS = Histogram("signpost_turn_seconds", "Time that the engine took for a turn", registry=REGISTRY)
ENGINE_PROBLEMS = Counter("signpost_engine_problems", "Turns that the engine did not answer", ["kind"], registry=REGISTRY)
MASKED = Counter("signpost_masked", "Messages in which something was masked", ["kind"], registry=REGISTRY)
SECURITY_EVENTS = Counter("signpost_security_events", "Security events", ["event"], registry=REGISTRY)


@contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Time what is done within."""
    began = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - began)


class SecurityCounter(logging.Handler):
    """Counts security events by kind."""

    def emit(self, record: logging.LogRecord) -> None:
        SECURITY_EVENTS.labels(record.getMessage()[:40]).inc()


class Standing(Collector):
    """How the service stands at the moment it is asked: open queries, late ones, deliveries in trouble, the worker's last sign of life."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures now; nothing about the database if it cannot be asked, but for `signpost_database_up`."""
        try:
            figures = self._figures()
        except Exception as fault:
            logging.getLogger(__name__).error("the database could not be asked for figures: %s", type(fault).__name__)
            figures = {}
        yield GaugeMetricFamily("signpost_database_up", "Whether the database answers", value=int(bool(figures)))
        for name, (about, value) in figures.items():
            yield GaugeMetricFamily(f"signpost_{name}", about, value=value)

    def _figures(self) -> dict[str, tuple[str, float]]:
        now, today = self._clock.now(), self._clock.today()
        with self._database.read() as session:

            def count(table, *conditions) -> int:
                return session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0

            beat = session.scalar(select(func.max(Heartbeat.at)))
            is_open, is_owed = Query.ended_at.is_(None), Query.state != "replied"
            return {
                "open_queries": ("Queries that somebody still owes an answer or a verdict to", count(Query, is_open)),
                "overdue_queries": ("Queries past the day promised", count(Query, is_open, is_owed, Query.due_on < today)),
                "unfinished_turns": ("Messages whose turn is not done", count(Message, Message.turn_state == "asked")),
                "deliveries_waiting": ("Parts on their way", count(Delivery, Delivery.state.in_(("waiting", "sending")), Delivery.next_try_at.is_not(None))),
                "deliveries_in_trouble": ("Parts refused or of unknown fate", count(Delivery, Delivery.state.in_(("refused", "unknown")))),
                "to_be_forgotten": ("Deleted conversations that the engine has still to forget", count(Forgetting)),
                "worker_seconds_ago": ("Since a worker was last seen alive; -1 if never", (now - beat).total_seconds() if beat else -1),
            }


def serve(database: Database, clock: Clock, port: int, host: str) -> None:
    """Answer `/metrics` (and every path) on a port of its own, from a thread. Raises OSError if the port is taken."""
    REGISTRY.register(Standing(database, clock))
    start_http_server(port, addr=host, registry=REGISTRY)


def count_security_events() -> None:
    """Count them from now on."""
    logger = logging.getLogger(SECURITY)
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, SecurityCounter) for handler in logger.handlers):
        logger.addHandler(SecurityCounter())
