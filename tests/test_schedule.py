"""What is due on a query and when: tables of days, the ladder, reminders. All pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest

from bot.casework.policy import CasePolicy, PolicyProblem
from bot.casework.promises import BeyondCalendar, WorkingDays
from bot.casework.questions import questions_in
from bot.casework.schedule import DEPUTY, LEAD, MANAGER, Facts, Request, plan
from bot.clock import LONDON
from bot.settings import ROOT

POLICY = CasePolicy.load(ROOT / "data" / "policy" / "casework.yml")
CALENDAR = WorkingDays()
MONDAY = date(2026, 11, 23)


def at(day: date, hour: int = 8, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=LONDON)


def facts(**known) -> Facts:
    usual = dict(id="q", state="in_progress", kind="ordinary", due_on=date(2026, 11, 30), promise_no=1, state_since=at(MONDAY, 10), answered_at=None, seen_by_staff=True, reminders=0, reminded_at=None)  # fmt: skip
    return Facts(**{**usual, **known})


def told(known: Facts, now: datetime) -> list[tuple[str, str]]:
    return [(step.kind, step.step) for step in plan(known, POLICY, CALENDAR, now).due if step.act == "alert"]


@pytest.mark.parametrize("weekday", range(7))
@pytest.mark.parametrize("days", [0, 1, 2, 5, 20])
def test_a_promise_is_that_many_working_days_after_the_day_it_was_asked(weekday, days):
    received = date(2026, 6, 1) + timedelta(days=weekday)
    due = CALENDAR.due(received, days)
    counted = [d for d in (received + timedelta(n) for n in range(1, (due - received).days + 1)) if CALENDAR.is_working_day(d)]
    assert len(counted) == days and (days == 0 or CALENDAR.is_working_day(due))


@pytest.mark.parametrize(
    ("received", "days", "due"),
    [
        # the day after receipt is day one: a week later for five days, whichever working day it is
        (date(2026, 11, 2), 5, date(2026, 11, 9)),
        (date(2026, 11, 3), 5, date(2026, 11, 10)),
        (date(2026, 11, 4), 5, date(2026, 11, 11)),
        (date(2026, 11, 5), 5, date(2026, 11, 12)),
        (date(2026, 11, 6), 5, date(2026, 11, 13)),
        (date(2026, 11, 7), 5, date(2026, 11, 13)),
        (date(2026, 11, 8), 5, date(2026, 11, 13)),
        # Christmas 2026: 25 and 28 December (for Saturday the 26th), 1 January
        (date(2026, 12, 24), 1, date(2026, 12, 29)),
        (date(2026, 12, 24), 5, date(2027, 1, 5)),
        (date(2026, 12, 31), 1, date(2027, 1, 4)),
        # Christmas 2027: 27 and 28 December for Saturday and Sunday
        (date(2027, 12, 24), 2, date(2027, 12, 30)),
        # Easter 2027: Good Friday 26 March, Easter Monday 29 March
        (date(2027, 3, 24), 2, date(2027, 3, 30)),
        # May has two bank holidays, August one
        (date(2027, 4, 30), 1, date(2027, 5, 4)),
        (date(2027, 5, 28), 1, date(2027, 6, 1)),
        (date(2027, 8, 27), 1, date(2027, 8, 31)),
        # the clocks change on 29 March and 25 October 2026, on 28 March 2027; 29 February 2028 is a working day
        (date(2026, 3, 27), 2, date(2026, 3, 31)),
        (date(2026, 10, 23), 1, date(2026, 10, 26)),
        (date(2028, 2, 28), 2, date(2028, 3, 1)),
    ],
)
def test_due_dates_over_holidays_and_clock_changes(received, days, due):
    assert CALENDAR.due(received, days) == due


@pytest.mark.parametrize(("day", "utc"), [(date(2026, 3, 27), 8), (date(2026, 3, 30), 7), (date(2026, 10, 23), 7), (date(2026, 10, 26), 8)])
def test_morning_is_eight_by_englands_clocks(day, utc):
    assert CALENDAR.morning(day).astimezone(timezone.utc).hour == utc


def test_a_school_holiday_is_no_working_day():
    october = [date(2026, 10, 26) + timedelta(days=n) for n in range(5)]
    assert WorkingDays(october).due(date(2026, 10, 23), 1) == date(2026, 11, 2)


def test_a_promise_past_the_bank_holiday_data_is_an_error_and_never_a_date():
    with pytest.raises(BeyondCalendar, match="install|known to"):
        CALENDAR.due(CALENDAR.last_known, 1)


def test_the_ladder_climbs_from_lead_to_deputy_to_manager_after_the_promised_day():
    late = facts()
    assert told(late, at(date(2026, 11, 27))) == []
    assert told(late, at(date(2026, 11, 30))) == [("due_today", LEAD)]
    assert told(late, at(date(2026, 12, 1), 7, 59)) == [("due_today", LEAD)]
    assert told(late, at(date(2026, 12, 1)))[-1] == ("overdue", LEAD)
    assert told(late, at(date(2026, 12, 2)))[-1] == ("overdue", DEPUTY)
    assert told(late, at(date(2026, 12, 3)))[-1] == ("overdue", MANAGER)


def test_a_rung_that_acknowledges_is_given_time_but_not_for_ever():
    known = facts(acknowledged={"overdue:lead:q:1"}, raised={"overdue:lead:q:1", "due_today:lead:q:1"})
    assert told(known, at(date(2026, 12, 3))) == []
    assert told(known, at(date(2026, 12, 4))) == [("overdue", DEPUTY)]
    assert told(known, at(date(2026, 12, 8)))[-1] == ("overdue", MANAGER)


def test_the_manager_is_told_again_and_again_while_nothing_happens():
    known, now, times = facts(raised=set()), at(date(2026, 12, 1)), 0
    for _ in range(60):
        steps = plan(known, POLICY, CALENDAR, now).due
        times += sum(step.step == MANAGER for step in steps)
        known = replace(known, raised={*known.raised, *(step.key for step in steps)})
        now = plan(known, POLICY, CALENDAR, now).next_look
    assert times >= 5, "a broken promise is never told to nobody"


@pytest.mark.parametrize(("minutes", "steps"), [(0, [LEAD]), (14, [LEAD]), (15, [LEAD, DEPUTY]), (30, [LEAD, DEPUTY, MANAGER])])
def test_urgent_wording_climbs_within_minutes_until_somebody_has_seen_it(minutes, steps):
    urgent = facts(kind="urgent", state="routed", seen_by_staff=False, due_on=MONDAY)
    now = at(MONDAY, 10) + timedelta(minutes=minutes)
    assert [step for kind, step in told(urgent, now) if kind == "urgent"] == steps
    assert not [kind for kind, _ in told(replace(urgent, seen_by_staff=True), now) if kind == "urgent"]


def test_a_query_that_nobody_opened_is_told_to_the_deputy():
    unread = facts(state="routed", seen_by_staff=False)
    assert told(unread, at(date(2026, 11, 25))) == [("unread", DEPUTY)]
    assert told(replace(unread, seen_by_staff=True), at(date(2026, 11, 25))) == []


def test_a_reply_that_the_parent_has_not_seen_keeps_the_clock_running():
    unseen = facts(state="replied")
    assert told(unseen, at(date(2026, 11, 25))) == [("unseen", LEAD)]
    assert ("overdue", LEAD) in told(unseen, at(date(2026, 12, 1)))
    assert told(replace(unseen, answered_at=at(MONDAY, 11)), at(date(2026, 12, 1))) == []


def test_the_parent_is_reminded_twice_and_then_the_query_is_silent():
    known, acts, now = facts(state="replied", answered_at=at(MONDAY, 11)), [], at(MONDAY, 12)
    while "silent" not in acts:
        planned = plan(known, POLICY, CALENDAR, now)
        acts += [step.act for step in planned.due]
        if planned.due:
            known = replace(known, reminders=known.reminders + 1, reminded_at=now)
        now = plan(known, POLICY, CALENDAR, now).next_look
    assert acts == ["remind", "remind", "silent"]


def test_a_worker_that_slept_for_months_does_not_end_a_query_at_once():
    asleep = facts(state="replied", answered_at=at(MONDAY, 11))
    assert [step.act for step in plan(asleep, POLICY, CALENDAR, at(date(2027, 3, 1))).due] == ["remind"]
    reminded = replace(asleep, reminders=1, reminded_at=at(date(2027, 3, 1)))
    assert plan(reminded, POLICY, CALENDAR, at(date(2027, 3, 1), 9)).due == []


def test_while_we_wait_for_the_parent_no_promise_is_broken_but_they_are_asked_again():
    waiting = facts(state="awaiting_parent", due_on=MONDAY)
    assert told(waiting, at(date(2026, 12, 10))) == []
    assert [step.act for step in plan(waiting, POLICY, CALENDAR, at(date(2026, 11, 26))).due] == ["remind"]


def test_a_body_that_does_not_explain_is_reminded_and_then_the_manager_is_told():
    def due(day, reminders=0):
        asked = facts(requests=[Request("r", date(2026, 11, 25), reminders)])
        return [(step.act, step.step) for step in plan(asked, POLICY, CALENDAR, at(day)).due if step.about == "r"]

    assert due(date(2026, 11, 25)) == [("alert", LEAD)]
    assert due(date(2026, 11, 26)) == [("alert", LEAD), ("remind_body", LEAD)]
    assert due(date(2026, 12, 2), reminders=2) == [("alert", LEAD), ("alert", MANAGER)]


@pytest.mark.parametrize("state", ["routed", "in_progress", "awaiting_parent", "replied", "partly", "reopened"])
@pytest.mark.parametrize("days", [0, 1, 7, 40, 400])
def test_there_is_always_a_next_look_and_it_is_in_the_future(state, days):
    now = at(MONDAY, 11) + timedelta(days=days)
    assert now < plan(facts(state=state, due_on=MONDAY), POLICY, CALENDAR, now).next_look <= now + timedelta(days=5)


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("Why was he discharged? And who do I ask now?", ["Why was he discharged?", "And who do I ask now?"]),
        ("He was discharged. Why?", ["He was discharged. Why?"]),
        ("nobody rings back", ["nobody rings back"]),
        ("Really? Who decides this?", ["Really? Who decides this?"]),
    ],
)
def test_a_message_is_taken_apart_into_its_questions_only_where_it_asks_several(text, questions):
    assert questions_in(text) == questions


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("Yes", "yes"), ("yes, thank you!", "yes"), ("NO", "no"), ("no it didn't", "no"), ("Partly.", "partly"), ("yes but who pays", None), ("no idea", None), ("thanks", None), ("", None)],
)  # fmt: skip
def test_only_a_whole_message_is_a_verdict(text, verdict):
    assert POLICY.verdict_in(text) == verdict


def test_a_policy_that_lacks_something_is_refused_by_name(tmp_path):
    path = tmp_path / "casework.yml"
    path.write_text((ROOT / "data" / "policy" / "casework.yml").read_text().replace("unseen_after: 2", ""))
    with pytest.raises(PolicyProblem, match="unseen_after"):
        CasePolicy.load(path)
