"""The sweep: what the clock brings. Looks at each open query when its time has come, and once a day at the whole.

Every function may run in any number of workers at once and again after a crash: rows are locked, alerts have unique keys.
"""

from __future__ import annotations

import logging
from datetime import date
from typing import Any, Callable

from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from bot.casework.cycle import HORIZON, Cycle
from bot.casework.ledger import take
from bot.casework.promises import BeyondCalendar
from bot.casework.queries import verdict_choices
from bot.casework.routing import NobodyToAsk
from bot.casework.schedule import MANAGER, Facts, Plan, Request, Step, plan
from bot.casework.supervision import Supervision
from bot.store.cycle import Alert, DailyJob, Explanation
from bot.store.tables import Query, Reply

logger = logging.getLogger(__name__)

_BATCH = 50
# What a daily check found: the kind of alert, and its detail.
Finding = tuple[str, dict[str, Any]]


class Sweep:
    """Reminders, alerts, ends after silence, cover, daily checks."""

    def __init__(self, cycle: Cycle, supervision: Supervision) -> None:
        self._cycle, self._supervision = cycle, supervision
        self._database, self._clock = cycle.database, cycle.clock

    def look(self, limit: int = _BATCH) -> int:
        """Look at queries whose time has come, each in a transaction of its own; how many."""
        looked = 0
        while looked < limit and self._look_at_one():
            looked += 1
        return looked

    def _look_at_one(self) -> bool:
        now = self._clock.now()
        due = (
            select(Query)
            .options(joinedload(Query.lead, innerjoin=True))
            .where(Query.ended_at.is_(None), Query.next_look_at <= now)
            .order_by(Query.next_look_at)
            .limit(1)
            .with_for_update(of=Query, skip_locked=True)
        )
        with self._database.write() as session:
            query = session.scalar(due)
            if query is None:
                return False
            planned = self._plan(session, query)
            for step in planned.due:
                self._do(session, query, step)
            if planned.due:
                session.flush()
                planned = self._plan(session, query) if query.is_open else planned
            if query.is_open:
                # Not through the mapper: that somebody looked is no change of the query for who has its page open.
                looked = update(Query).where(Query.id == query.id).values(next_look_at=planned.next_look)
                session.execute(looked.execution_options(synchronize_session=False))
            return True

    def _plan(self, session: Session, query: Query) -> Plan:
        return plan(self.facts(session, query), self._cycle.policy, self._cycle.calendar(query.area), self._clock.now())

    def facts(self, session: Session, query: Query) -> Facts:
        """What the plan looks at."""
        alerts = session.execute(select(Alert.key, Alert.acknowledged_at).where(Alert.query_id == query.id)).all()
        asked = session.scalars(select(Explanation).where(Explanation.query_id == query.id, Explanation.state == "asked"))
        return Facts(
            id=query.id,
            state=query.state,
            kind=query.kind,
            due_on=query.due_on,
            promise_no=query.promise_no,
            state_since=query.state_since or query.asked_at,
            answered_at=query.answered_at,
            seen_by_staff=query.acknowledged_at is not None,
            reminders=query.reminders,
            reminded_at=query.reminded_at,
            requests=[Request(r.id, r.due_on, r.reminders) for r in asked],
            raised={key for key, _ in alerts},
            acknowledged={key for key, at in alerts if at is not None},
        )

    def _do(self, session: Session, query: Query, step: Step) -> None:
        match step.act:
            case "alert":
                self._cycle.raise_alert(session, step.key, step.kind, step.step, self._cycle.on_rung(session, query, step.step), query)
                self._cycle.record(session, query, "alerted", "worker", {"kind": step.kind, "step": step.step})
            case "remind":
                self._remind(session, query)
            case "silent":
                self._cycle.move(session, query, "silent", "worker")
                self._cycle.tell(session, query, "silent_told")
            case "remind_body":
                self._remind_body(session, query, step.about)

    def _remind(self, session: Session, query: Query) -> None:
        query.reminders, query.reminded_at = query.reminders + 1, self._clock.now()
        self._cycle.record(session, query, "reminded", "worker", {"no": query.reminders})
        if query.state == "awaiting_parent":
            self._cycle.tell(session, query, "remind_awaiting_parent")
            return
        newest = select(Reply.id).where(Reply.query_id == query.id, Reply.kind == "answer", Reply.state == "sent").order_by(Reply.at.desc(), Reply.id).limit(1)
        self._cycle.tell(session, query, "remind_verdict", choices=verdict_choices(self._cycle, query, session.scalars(newest).one()))

    def _remind_body(self, session: Session, query: Query, request_id: str) -> None:
        request = session.get_one(Explanation, request_id)
        request.reminders += 1
        self._cycle.record(session, query, "explanation_reminded", "worker", {"body": request.body, "no": request.reminders})
        self._cycle.write_to_body(session, query, request, "explanation_reminder")
        if request.address is None:
            self._cycle.alert(session, query, "explanation_chase", about=f"{request.id}:{request.reminders}")

    def cover(self) -> int:
        """Hand on what absent and disabled people own; how many queries."""
        with self._database.write() as session:
            return self._supervision.cover(session)

    # once a day

    def daily(self) -> list[str]:
        """Check what is still to be checked today; the names of the checks that ran."""
        return [name for name, check in (("ladder", self._ladder), ("ledger", self._ledger)) if self._once_today(name, check)]

    def _once_today(self, name: str, check: Callable[[], list[Finding]]) -> bool:
        """Looking takes its time and is done before the transaction that tells: on SQLite a write keeps all others waiting."""
        today = self._clock.today()
        with self._database.read() as session:
            if self._is_done(session.get(DailyJob, name), today):
                return False
        findings = check()
        with self._database.write() as session:
            if self._is_done(session.get(DailyJob, name, with_for_update=True), today):
                return False
            for kind, detail in findings:
                self._tell_managers(session, f"{kind}:{today}", kind, detail)
            session.merge(DailyJob(name=name, done_for=today, at=self._clock.now()))
        return True

    @staticmethod
    def _is_done(job: DailyJob | None, today: date) -> bool:
        return job is not None and job.done_for >= today

    def _ladder(self) -> list[Finding]:
        """The ladder still ends in somebody, and the calendar still reaches far enough."""
        findings: list[Finding] = []
        try:
            with self._database.read() as session:
                self._cycle.check_ladder(session)
        except NobodyToAsk as problem:
            logger.critical("%s", problem)
            findings.append(("nobody_to_ask", {}))
        try:
            for area in self._cycle.areas:
                self._cycle.calendar(area).morning(self._clock.today(), HORIZON)
        except BeyondCalendar as problem:
            logger.critical("%s", problem)
            findings.append(("calendar_ends", {}))
        return findings

    def _ledger(self) -> list[Finding]:
        counted = take(self._database, self._clock)
        if counted.balances:
            return []
        logger.critical("the ledger does not balance: %s", counted.as_json())
        return [("ledger", counted.as_json())]

    def _tell_managers(self, session: Session, key: str, kind: str, detail: dict | None = None) -> None:
        for area in self._cycle.areas:
            try:
                manager = self._cycle.manager(session, area)
            except NobodyToAsk:
                continue
            self._cycle.raise_alert(session, f"{key}:{manager.id}", kind, MANAGER, manager, detail=detail)
