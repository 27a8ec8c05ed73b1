"""How soon families are promised an answer, as staff have set it for an area; else as the area's file says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import delete, func, select

from bot.casework.supervision import Refused
from bot.clock import Clock
from bot.knowledge.areas import Area, Promise
from bot.store.console import PromiseRule
from bot.store.database import Database
from bot.store.tables import Staff

MOST_DAYS = 30


class PromiseRules:
    """Lets what staff have set stand in for the areas' files: `areas` is what every other part looks promises up in."""

    def __init__(self, database: Database, clock: Clock, areas: dict[str, Area]) -> None:
        self._database, self._clock, self._areas, self._filed = database, clock, areas, dict(areas)
        self._applied: Any = None

    def refresh(self) -> None:
        """Apply what has been set here or by another app."""
        with self._database.read() as session:
            newest = tuple(session.execute(select(func.count(), func.max(PromiseRule.changed_at)).select_from(PromiseRule)).one())
            if newest == self._applied:
                return
            rules = {rule.area: rule for rule in session.scalars(select(PromiseRule))}
        for id, filed in self._filed.items():
            rule = rules.get(id)
            promise = Promise(rule.working_days, rule.priority_working_days, rule.urgent_working_days) if rule else filed.promise
            self._areas[id] = replace(self._areas[id], promise=promise)
        self._applied = newest

    def filed(self, area: str) -> Promise:
        """What the area's file says."""
        return self._filed[area].promise

    def set(self, area: str, days: dict[str, int], member: Staff) -> None:
        """Set working days by kind (`ordinary`, `priority`, `urgent`) for promises from now on; the file's days take the rule away."""
        if area not in self._areas:
            raise Refused("There is no such area.")
        if any(not 0 <= number <= MOST_DAYS for number in days.values()):
            raise Refused(f"Write working days as numbers from 0 to {MOST_DAYS}.")
        if not days["urgent"] <= days["priority"] <= days["ordinary"]:
            raise Refused("What is urgent cannot be answered later than what is not.")
        promise = Promise(days["ordinary"], days["priority"], days["urgent"])
        with self._database.write() as session:
            session.execute(delete(PromiseRule).where(PromiseRule.area == area))
            if promise != self.filed(area):
                session.add(
                    PromiseRule(
                        area=area, working_days=promise.working_days, priority_working_days=promise.priority_working_days,
                        urgent_working_days=promise.urgent_working_days, changed_by=member.id, changed_at=self._clock.now(),
                    )
                )  # fmt: skip
        self._applied = None
        self.refresh()
