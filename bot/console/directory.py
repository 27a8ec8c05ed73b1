"""The staff directory as managers keep it: who is there, what they are kept for, their leave and cover."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any, Mapping, Sequence

from sqlalchemy import func, select

from bot.casework.routing import is_awake
from bot.casework.supervision import Refused
from bot.clock import Clock
from bot.console.access import ROLES
from bot.knowledge.areas import Area
from bot.knowledge.answers import Answers
from bot.store.cycle import Leave
from bot.store.database import Database
from bot.store.tables import Query, Staff

LISTS = ("therapies", "languages", "schools")


@dataclass(frozen=True)
class Entry:
    """A member of staff with how many open queries are theirs, whether they are at work today, their deputy and leave to come."""

    member: Staff
    open_queries: int
    is_awake: bool
    deputy: Staff | None
    leave: Sequence[Leave]


class Directory:
    """Reads the directory, and reads forms about it. Raises Refused, with the reason in words."""

    def __init__(self, database: Database, clock: Clock, areas: Mapping[str, Area], answers: Answers) -> None:
        self._database, self._clock, self._areas, self._answers = database, clock, areas, answers

    def entries(self) -> list[Entry]:
        """Everybody, those with an account first, by name."""
        today = self._clock.today()
        with self._database.read() as session:
            staff = list(session.scalars(select(Staff).order_by(Staff.active.desc(), Staff.name)))
            owned: Counter[str] = Counter(dict(session.execute(select(Query.lead_id, func.count()).where(Query.ended_at.is_(None)).group_by(Query.lead_id)).all()))
            leave = list(session.scalars(select(Leave).where(Leave.to_on >= today).order_by(Leave.from_on)))
        away = {one.staff_id for one in leave if one.from_on <= today}
        by_id = {member.id: member for member in staff}
        return [
            Entry(m, owned[m.id], is_awake(m, today, away), by_id.get(m.deputy_id or ""), [one for one in leave if one.staff_id == m.id]) for m in staff
        ]

    def entry(self, id: str) -> Entry | None:
        """One member of staff."""
        return next((entry for entry in self.entries() if entry.member.id == id), None)

    def fields(self, form: Mapping[str, str], own_id: str = "") -> dict[str, Any]:
        """What a form says of somebody, for the directory. `own_id` is theirs if they are there already."""
        name, title, role = (" ".join(form.get(field, "").split()) for field in ("name", "title", "role"))
        if not name or not title:
            raise Refused("Parents are told the name and the title, so both are needed.")
        if role not in ROLES:
            raise Refused("Choose a role.")
        return {
            "name": name[:200],
            "title": title[:200],
            "role": role,
            "team": form.get("team", "")[:40],
            "areas": [id for id in self._areas if form.get(f"area-{id}")],
            "topics": self._topics(form.get("topics", "")),
            **{field: _lines(form.get(field, "")) for field in LISTS},
            "on_call": bool(form.get("on_call")),
            "duty": bool(form.get("duty")),
            "deputy_id": self._deputy(form.get("deputy", ""), own_id),
        }

    def _topics(self, typed: str) -> list[str]:
        titles = {answer.title.lower(): answer.topic for answer in self._answers}
        made = []
        for line in _lines(typed):
            topic = line if line in self._answers else titles.get(line.lower())
            if topic is None:
                raise Refused(f"There is no topic “{line[:60]}”. Write titles as they stand in Answers, one a line.")
            made.append(topic)
        return made

    def _deputy(self, id: str, own_id: str) -> str | None:
        if not id:
            return None
        entry = self.entry(id)
        if entry is None or not entry.member.active or entry.member.role == "auditor" or id == own_id:
            raise Refused("Choose a deputy who has an account, answers families and is somebody else.")
        return id


def leave_days(form: Mapping[str, str]) -> tuple[date, date]:
    """The first and last day of leave that a form gives."""
    try:
        return date.fromisoformat(form.get("from_on", "")), date.fromisoformat(form.get("to_on", ""))
    except ValueError:
        raise Refused("Give the first and the last day of leave, like 2026-12-21.") from None


def _lines(typed: str) -> list[str]:
    return list(dict.fromkeys(" ".join(line.split())[:120] for line in typed.splitlines() if line.strip()))
