"""Casework at 1 thousand, 100 thousand and 1 million queries on PostgreSQL: does what staff wait for grow with what is closed?

`python -m benchmarks.casework [--sizes 1000,100000,1000000]` starts a PostgreSQL of its own, fills it, measures, and writes casework.md.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Callable

from sqlalchemy import text

from bot.casework.ledger import take
from bot.casework.office import Office
from bot.casework.policy import CasePolicy
from bot.casework.routing import Need
from bot.clock import Clock
from bot.console.inbox import Inbox, InboxChoice
from bot.console.presence import Presences
from bot.console.query_page import QueryReader
from bot.conversations.log import ConversationLog
from bot.knowledge.answers import Answers
from bot.knowledge.areas import load_areas
from bot.settings import ROOT, Settings
from bot.store.database import Database
from bot.store.keys import open_keyring
from bot.store.tables import Staff
from tests.doubles.postgresql import postgresql_server

NOW = datetime(2026, 11, 23, 10, tzinfo=timezone.utc)
OPEN = 500
STAFF = 20
SIZES = (1_000, 100_000, 1_000_000)
MOST_SECONDS = 3.0
MOST_TIMES = 60
REPORT = Path(__file__).with_suffix(".md")

# Rows :first to :last. The first OPEN queries are open, everything later was confirmed, as in a service that keeps up.
FILL = (
    "INSERT INTO conversations (id, channel, area, role, last_seq, created_at, dispatched_seq) "
    "SELECT 'c' || n, 'web', 'somerset', 'parent', 4, CAST(:now AS timestamptz) - n * interval '1 minute', 0 FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n",
    "INSERT INTO queries (id, reference, conversation_id, asked_seq, topic, area, kind, language, reason, state, lead_id, due_on, asked_at, version, "
    "promise_no, reminders, state_since, next_look_at, ended_at, answered_at) "
    "SELECT 'q' || n, 'SP-' || n, 'c' || n, 1, 'waiting_time', 'somerset', 'ordinary', 'en', 'case', CASE WHEN n <= CAST(:open AS int) THEN 'in_progress' ELSE 'confirmed' END, "
    "'lead' || n % CAST(:staff AS int), (CAST(:now AS timestamptz) + (n % 10) * interval '1 day')::date, CAST(:now AS timestamptz) - n * interval '1 minute', 3, 1, 0, CAST(:now AS timestamptz) - n * interval '1 minute', "
    "CASE WHEN n <= CAST(:open AS int) THEN CAST(:now AS timestamptz) + interval '1 day' END, CASE WHEN n > CAST(:open AS int) THEN CAST(:now AS timestamptz) - n * interval '1 minute' END, "
    "CASE WHEN n > CAST(:open AS int) THEN CAST(:now AS timestamptz) - n * interval '1 minute' END FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n",
    "INSERT INTO messages (id, conversation_id, seq, author, name, text, at, outcome, sources, choices, query_id, answers_seq, turn_state) "
    "SELECT 'm' || n || '-' || s, 'c' || n, s, (ARRAY['parent', 'assistant', 'staff', 'system'])[s], '', :message, CAST(:now AS timestamptz) - n * interval '1 minute', "
    "CASE s WHEN 2 THEN 'handoff' END, '[]', '[]', CASE WHEN s > 1 THEN 'q' || n END, CASE s WHEN 2 THEN 1 END, CASE s WHEN 1 THEN 'done' END "
    "FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n, generate_series(1, 4) s WHERE s < 3 OR n > CAST(:open AS int)",
    "INSERT INTO query_events (query_id, at, kind, actor, detail) SELECT 'q' || n, CAST(:now AS timestamptz) - n * interval '1 minute', kind, 'somebody', :detail "
    "FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n, unnest(ARRAY['logged', 'routed', 'in_progress', 'replied', 'confirmed']) kind WHERE n > CAST(:open AS int) OR kind IN ('logged', 'routed')",
    "INSERT INTO replies (id, query_id, message_id, staff_id, idempotency_key, kind, state, text, marks, read_to, at, delivered_at) "
    "SELECT 'r' || n, 'q' || n, 'm' || n || '-3', 'lead' || n % CAST(:staff AS int), 'key' || n, 'answer', 'sent', :reply, '{}', 1, CAST(:now AS timestamptz), CAST(:now AS timestamptz) "
    "FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n WHERE n > CAST(:open AS int)",
    "INSERT INTO deliveries (id, idempotency_key, conversation_id, message_id, query_id, channel, seq, part, parts, body, state, attempts, created_at) "
    "SELECT 'd' || n, 'd' || n, 'c' || n, 'm' || n || '-3', 'q' || n, 'web', 3, 0, 1, :part, 'accepted', 1, CAST(:now AS timestamptz) FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n WHERE n > CAST(:open AS int)",
    "INSERT INTO promises (query_id, no, due_on, reason, made_at, told_seq) SELECT 'q' || n, 1, CAST(:now AS timestamptz)::date, :reason, CAST(:now AS timestamptz), 1 FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n",
    "INSERT INTO questions (id, query_id, seq, no, text, mark) SELECT 'u' || n, 'q' || n, 1, 1, :question, 'open' FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n",
)


def office(database: Database, clock: Clock) -> Office:
    """The query cycle over the project's own data."""
    data = ROOT / "data"
    log = ConversationLog(database, clock, "benchmark", timedelta(seconds=30))
    areas, answers, policy = load_areas(data / "areas"), Answers.load(data / "answers"), CasePolicy.load(data / "policy" / "casework.yml")
    return Office.build(database, clock, log, areas, "somerset", answers, policy)


def add_staff(database: Database, id: str, name: str, role: str, areas: list[str]) -> Staff:
    """Somebody who cannot sign in."""
    usual = dict(topics=[], therapies=[], languages=[], schools=[], active=True, password_hash="-", created_at=NOW)
    member = Staff(id=id, email=f"{id}@example.org", name=name, title="Therapist", role=role, areas=areas, **usual)
    with database.write() as session:
        session.add(member)
    return member


class Casework:
    """The parts that are measured, over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        clock = Clock(lambda: NOW)
        self.office = office(database, clock)
        answers, areas = self.office.cycle.answers, self.office.cycle.areas
        self.inbox = Inbox(database, clock, answers)
        self.pages = QueryReader(database, answers, clock, areas, self.office.supervision, Presences(database, clock))
        self.size, self.asked = 0, 0
        for number in range(STAFF):
            add_staff(database, f"lead{number}", f"Lead {number}", "lead", ["somerset"])
        self.manager = add_staff(database, "manager", "Mo Carter", "manager", [])
        with database.read() as session:
            self.lead = session.get_one(Staff, "lead1")

    def grow(self, size: int) -> float:
        """Fill up to `size` queries; the seconds it took."""
        began = time.perf_counter()
        values = {"first": self.size + 1, "last": size, "open": OPEN, "staff": STAFF, "now": NOW, **self._sealed()}
        with self.database.write() as session:
            session.execute(text("SET LOCAL session_replication_role = replica"))
            indexes = self._without_indexes(session)
            for statement in FILL:
                session.execute(text(statement), values)
            for index in indexes:
                session.execute(text(index))
        with self.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
        self.size = size
        return time.perf_counter() - began

    def _sealed(self) -> dict[str, str]:
        """Words as the encrypted columns hold them."""
        words = "words of a message " * 8
        places = {"message": "messages.text", "reply": "replies.text", "part": "deliveries.body", "reason": "promises.reason", "question": "questions.text"}
        return {**{name: self.database.keys.seal(words, place) for name, place in places.items()}, "detail": self.database.keys.seal("{}", "query_events.detail")}

    @staticmethod
    def _without_indexes(session) -> list[str]:
        """Take away the indexes that no constraint needs while rows are poured in; what makes them again."""
        named = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        found = session.execute(text(named)).all()
        for name, _ in found:
            session.execute(text(f'DROP INDEX "{name}"'))
        return [definition for _, definition in found]

    def acts(self) -> dict[str, Callable[[], object]]:
        """What is measured, by name."""
        everything, mine = InboxChoice("all", {}, "", 1), InboxChoice("mine", {}, "", 1)
        return {
            "inbox of a manager (all open)": lambda: self.inbox.read(self.manager, everything),
            "inbox of a lead (their own)": lambda: self.inbox.read(self.lead, mine),
            "list of closed queries, first page": lambda: self.inbox.read(self.manager, InboxChoice("closed", {}, "", 1)),
            "one query's page data": lambda: self.pages.read(self.manager, f"q{self.next() * 7919 % self.size + 1}"),
            "routing": self.route,
            "a query opened": self.open,
            "the sweep, nothing due": self.office.sweep.look,
            "the sweep, for each query due": self.look,
            "a whole round of the worker, nothing to do": lambda: asyncio.run(self.office.worker.round()),
        }

    def next(self) -> int:
        """A number that was not used yet."""
        self.asked += 1
        return self.asked

    def route(self) -> None:
        """Choose a lead."""
        with self.database.read() as session:
            self.office.cycle.choose(session, Need("somerset", "waiting_time", "ordinary"))

    def open(self) -> None:
        """Log, route and promise; taken back afterwards so that the number of open queries stays."""
        log = self.office.cycle.log
        conversation, _ = log.start("web", "somerset", "parent")
        card = self.office.desk.open(conversation, log.accept(conversation, f"client-{self.next()}", "why?").seq, reason="case")
        self.office.desk.withdraw(conversation, 1, card.reference)

    def look(self) -> None:
        """Look at one query whose time has come."""
        with self.database.write() as session:
            session.execute(text("UPDATE queries SET next_look_at = :now WHERE id = :id"), {"now": NOW, "id": f"q{self.next() % OPEN + 1}"})
        self.office.sweep.look(1)


def measure(act: Callable[[], object]) -> tuple[float, float]:
    """The fastest and the median in milliseconds, over at most MOST_TIMES calls or MOST_SECONDS. Other work slows the median, not the fastest."""
    for _ in range(3):
        act()
    times, until = [], time.perf_counter() + MOST_SECONDS
    while len(times) < MOST_TIMES and (len(times) < 5 or time.perf_counter() < until):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    return min(times), statistics.median(times)


def report(sizes: list[int], found: dict[int, dict[str, tuple[float, float]]], filled: dict[int, float], ledgers: dict[int, float], version: str) -> str:
    """The page, from what was measured."""
    head = "| ms, fastest (median) | " + " | ".join(f"{size:,}" for size in sizes) + " | growth of the fastest |"
    lines = [head, "|---" * (len(sizes) + 2) + "|"]
    for name in found[sizes[0]]:
        cells = [f"{found[size][name][0]:.1f} ({found[size][name][1]:.1f})" for size in sizes]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | **{found[sizes[-1]][name][0] / found[sizes[0]][name][0]:.2f}** times |")
    lines.append("| the nightly ledger, which counts everything | " + " | ".join(f"{ledgers[size]:.0f}" for size in sizes) + f" | {ledgers[sizes[-1]] / ledgers[sizes[0]]:.0f} times |")
    fills = ", ".join(f"{size:,}: {filled[size]:.0f} s" for size in sizes)
    return "\n".join(
        [
            "# Casework and the number of queries",
            "",
            "`python -m benchmarks.casework` makes this page. PostgreSQL of its own on this machine, fsync off; each query with its conversation, messages,",
            f"events, promise, question, reply and delivery. {OPEN} queries are open at every size, {STAFF} leads share them; all others are closed. What staff wait",
            "for and what the worker does every second must not grow with the closed ones.",
            "",
            *lines,
            "",
            f"{version}, Python {platform.python_version()}, two cores that were also doing other work. Time to fill: {fills}.",
            "",
        ]
    )


def main() -> None:
    """Fill, measure, write."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of queries, growing, separated by commas")
    options.add_argument("--out", type=Path, default=REPORT)
    given = options.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    found, filled, ledgers = {}, {}, {}
    with postgresql_server(max_wal_size="4GB", shared_buffers="512MB", checkpoint_timeout="30min", autovacuum="off", wal_level="minimal", max_wal_senders="0", full_page_writes="off", maintenance_work_mem="256MB") as address:
        keys = open_keyring(Settings(data_dir=tempfile.mkdtemp()), address)
        database = Database(address, keys)
        database.upgrade()
        casework = Casework(database)
        asyncio.run(casework.office.worker.round())
        for size in sizes:
            filled[size] = casework.grow(size)
            print(f"{size:,} queries filled in {filled[size]:.0f} s", flush=True)
            found[size] = {name: measure(act) for name, act in casework.acts().items()}
            began = time.perf_counter()
            take(database, Clock(lambda: NOW + timedelta(minutes=1)))
            ledgers[size] = (time.perf_counter() - began) * 1000
        with database.read() as session:
            version = "PostgreSQL " + session.execute(text("SHOW server_version")).scalar_one().split()[0]
        database.close()
    given.out.write_text(report(sizes, found, filled, ledgers, version), encoding="utf-8")
    print(given.out.read_text())


if __name__ == "__main__":
    main()
