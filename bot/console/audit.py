"""The audit log: who did and read what. Rows are only ever added, and hold nobody's words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Iterator, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.clock import LONDON, Clock
from bot.logs import security_event
from bot.store.console import AuditEntry
from bot.store.database import Database
from bot.store.tables import Staff

PAGE = 100


@dataclass(frozen=True)
class AuditFilter:
    """Which entries: an act, a person, a subject (a reference), days from and to, both included. Empty means all."""

    act: str = ""
    staff: str = ""
    about: str = ""
    first: date | None = None
    last: date | None = None

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> "AuditFilter":
        """From an address; a day that is none counts as not given."""
        return cls(asked.get("act", ""), asked.get("staff", ""), asked.get("about", "").strip()[:80], _day(asked.get("first")), _day(asked.get("last")))


class AuditLog:
    """Writes and reads the audit log."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def record(self, member: Staff | None, act: str, about: str = "", detail: Mapping[str, Any] | None = None, address: str = "") -> None:
        """Add an entry; without a member it was somebody who is not signed in. The security log has it too, without names."""
        security_event(act, staff=member.id if member else None)
        with self._database.write() as session:
            self.add(session, member, act, about, detail, address)

    def add(self, session: Session, member: Staff | None, act: str, about: str = "", detail: Mapping[str, Any] | None = None, address: str = "") -> None:
        """As `record`, within a transaction."""
        session.add(
            AuditEntry(
                at=self._clock.now(),
                staff_id=member.id if member else None,
                actor=member.name if member else "nobody",
                act=act,
                about=about[:80],
                detail=dict(detail or {}),
                address=address[:60],
            )
        )

    def page(self, chosen: AuditFilter, number: int) -> tuple[Sequence[AuditEntry], int]:
        """One page of entries, newest first, and how many there are in all."""
        with self._database.read() as session:
            total = session.scalar(select(func.count()).select_from(AuditEntry).where(*_conditions(chosen))) or 0
            listed = select(AuditEntry).where(*_conditions(chosen)).order_by(AuditEntry.id.desc()).limit(PAGE).offset((number - 1) * PAGE)
            return list(session.scalars(listed)), total

    def export(self, chosen: AuditFilter) -> Iterator[AuditEntry]:
        """Every entry that fits, oldest first, a thousand at a time."""
        last = 0
        while True:
            with self._database.read() as session:
                more = list(session.scalars(select(AuditEntry).where(AuditEntry.id > last, *_conditions(chosen)).order_by(AuditEntry.id).limit(1000)))
            yield from more
            if len(more) < 1000:
                return
            last = more[-1].id

    def acts(self) -> Sequence[str]:
        """Every act that has been written down."""
        with self._database.read() as session:
            return list(session.scalars(select(AuditEntry.act).distinct().order_by(AuditEntry.act)))


def _conditions(chosen: AuditFilter) -> list[Any]:
    made: list[Any] = []
    if chosen.act:
        made.append(AuditEntry.act == chosen.act)
    if chosen.staff:
        made.append(AuditEntry.staff_id == chosen.staff)
    if chosen.about:
        made.append(AuditEntry.about == chosen.about)
    if chosen.first:
        made.append(AuditEntry.at >= _midnight(chosen.first))
    if chosen.last:
        made.append(AuditEntry.at < _midnight(chosen.last + timedelta(days=1)))
    return made


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), LONDON)


def _day(given: str | None) -> date | None:
    try:
        return date.fromisoformat(given or "")
    except ValueError:
        return None
