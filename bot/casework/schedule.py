"""What is due on a query and when: a pure reading of its facts. The worker does it; lateness itself is never stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Collection, Iterator, Sequence

from bot.casework.policy import CasePolicy, Patience
from bot.casework.promises import WorkingDays
from bot.clock import LONDON

LEAD, DEPUTY, MANAGER = "lead", "deputy", "manager"


@dataclass(frozen=True)
class Request:
    """An explanation request that a body has not answered yet."""

    id: str
    due_on: date
    reminders: int


@dataclass(frozen=True)
class Facts:
    """What is known of an open query. `raised` are the keys of its alerts so far, `acknowledged` those that a human has acknowledged."""

    id: str
    state: str
    kind: str
    due_on: date
    promise_no: int
    state_since: datetime
    answered_at: datetime | None
    seen_by_staff: bool
    reminders: int
    reminded_at: datetime | None
    requests: Sequence[Request] = ()
    raised: Collection[str] = ()
    acknowledged: Collection[str] = ()


@dataclass(frozen=True)
class Step:
    """Something to do at a moment.

    `act` is `alert` (tell the person on rung `step` of `kind`, once for `key`), `remind` (ask the parent again), `silent` (end after
    reminders) or `remind_body` (write again to the body of request `about`).
    """

    at: datetime
    act: str
    kind: str
    step: str = LEAD
    key: str = ""
    about: str = ""


@dataclass(frozen=True)
class Plan:
    """What is due now, and when to look again. There is always a next look: an open query has a future alarm."""

    due: Sequence[Step]
    next_look: datetime


def plan(facts: Facts, policy: CasePolicy, calendar: WorkingDays, now: datetime) -> Plan:
    """Read a query's facts at a moment."""
    steps = [step for step in _steps(facts, policy, calendar, now) if step.act != "alert" or step.key not in facts.raised]
    due = sorted((step for step in steps if step.at <= now), key=lambda step: step.at)
    later = [step.at for step in steps if step.at > now]
    return Plan(due, min([*later, calendar.morning(_day(now), 1)]))


def _steps(facts: Facts, policy: CasePolicy, calendar: WorkingDays, now: datetime) -> Iterator[Step]:
    if facts.state == "awaiting_parent":
        yield from _patience(facts, policy.awaiting_parent, calendar, facts.state_since)
    elif facts.answered_at is not None and facts.state == "replied":
        yield from _patience(facts, policy.verdict, calendar, facts.answered_at)
    else:
        yield from _owed(facts, policy, calendar, now)
    for request in facts.requests:
        yield from _request(facts, request, policy, calendar)


def _patience(facts: Facts, patience: Patience, calendar: WorkingDays, since: datetime) -> Iterator[Step]:
    """One step at a time, counted from the one before: a worker that slept for weeks does not end a query at once."""
    since = facts.reminded_at or since
    if facts.reminders < len(patience.remind_after):
        yield Step(calendar.morning(_day(since), patience.remind_after[facts.reminders]), "remind", facts.state)
    else:
        yield Step(calendar.morning(_day(since), patience.silent_after), "silent", facts.state)


def _owed(facts: Facts, policy: CasePolicy, calendar: WorkingDays, now: datetime) -> Iterator[Step]:
    if facts.kind == "urgent":
        yield from _urgent(facts, policy)
    if facts.state == "replied":
        at = calendar.morning(_day(facts.state_since), policy.unseen_after)
        yield _alert(facts, at, "unseen")
    elif not facts.seen_by_staff:
        yield _alert(facts, calendar.morning(_day(facts.state_since), policy.unread_after), "unread", DEPUTY)
    if facts.kind != "urgent":
        yield _alert(facts, calendar.morning(facts.due_on), "due_today")
    yield from _overdue(facts, policy, calendar, now)


def _urgent(facts: Facts, policy: CasePolicy) -> Iterator[Step]:
    if facts.seen_by_staff or _acknowledged(facts, "urgent"):
        return
    since = facts.state_since
    deputy, manager = (timedelta(minutes=minutes) for minutes in policy.urgent_minutes)
    yield _alert(facts, since, "urgent")
    yield _alert(facts, since + deputy, "urgent", DEPUTY)
    yield _alert(facts, since + manager, "urgent", MANAGER)


def _overdue(facts: Facts, policy: CasePolicy, calendar: WorkingDays, now: datetime) -> Iterator[Step]:
    broken = calendar.morning(facts.due_on + timedelta(days=1))
    ladder = policy.overdue
    deputy = ladder.deputy_after_acknowledged if _acknowledged(facts, "overdue", LEAD) else ladder.deputy_after
    below = _acknowledged(facts, "overdue", LEAD) or _acknowledged(facts, "overdue", DEPUTY)
    manager = ladder.manager_after_acknowledged if below else ladder.manager_after
    yield _alert(facts, broken, "overdue")
    yield _alert(facts, calendar.morning(_day(broken), deputy), "overdue", DEPUTY)
    at, again = calendar.morning(_day(broken), manager), 0
    yield _alert(facts, at, "overdue", MANAGER)
    while at <= now:
        at, again = calendar.morning(_day(at), ladder.manager_again_every), again + 1
        if at > now - timedelta(days=31):
            yield _alert(facts, at, "overdue", MANAGER, f":{again}")


def _request(facts: Facts, request: Request, policy: CasePolicy, calendar: WorkingDays) -> Iterator[Step]:
    key = f"explanation:{request.id}"
    yield Step(calendar.morning(request.due_on), "alert", "explanation_due", LEAD, f"{key}:lead", request.id)
    if request.reminders < len(policy.explanation_reminders):
        yield Step(calendar.morning(request.due_on, policy.explanation_reminders[request.reminders]), "remind_body", "explanation", about=request.id)
    yield Step(calendar.morning(request.due_on, policy.explanation_manager_after), "alert", "explanation_due", MANAGER, f"{key}:manager", request.id)


def _alert(facts: Facts, at: datetime, kind: str, step: str = LEAD, more: str = "") -> Step:
    return Step(at, "alert", kind, step, alert_key(facts.id, facts.promise_no, kind, step) + more)


def alert_key(query_id: str, promise_no: int, kind: str, step: str) -> str:
    """What makes an alert once only: the same promise is not complained of twice on the same rung."""
    return f"{kind}:{step}:{query_id}:{promise_no}"


def _acknowledged(facts: Facts, kind: str, step: str = LEAD) -> bool:
    return alert_key(facts.id, facts.promise_no, kind, step) in facts.acknowledged


def _day(moment: datetime) -> date:
    return moment.astimezone(LONDON).date()
