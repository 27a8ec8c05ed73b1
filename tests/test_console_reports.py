"""Reports: what they count, that nobody is known by a small number, and that a reader sees their own areas only."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.casework.replies import ReplyForm
from bot.clock import new_id
from bot.console.charts import bar, columns
from bot.console.figures import FEWEST, Figure, Series, counts, share
from bot.console.report_pages import csv_response
from bot.console.reports import Reports, Span
from bot.store.privacy import Statistic
from bot.store.tables import Staff
from tests.test_console import app, office, password_hash  # noqa: F401 - fixtures
from tests.test_console_review import talk


@given(st.lists(st.integers(0, 60), max_size=12))
def test_no_small_count_is_shown_nor_can_be_worked_out(numbers):
    shown = counts(numbers)
    assert all(count.number is None or count.number == 0 or count.number >= FEWEST for count in shown)
    hidden = [n for n, count in zip(numbers, shown) if count.number is None]
    others = [n for n, count in zip(numbers, shown) if count.number]
    assert len(hidden) != 1 or not others, "one alone would be the difference to the sum"
    assert all(count.number == n for n, count in zip(numbers, shown) if count.number is not None)


@pytest.mark.parametrize(
    ("part", "whole", "words"), [(0, 0, ""), (3, 50, ""), (48, 50, ""), (25, 50, "50%"), (0, 50, "0%"), (50, 50, "100%")]
)
def test_a_share_does_not_give_a_small_count_away(part, whole, words):
    assert share(part, whole) == words


def test_bars_are_as_long_as_their_numbers():
    figure = Figure("x", "X", "", "Thing", ["a", "b"], [Series("one", counts([10, 20])), Series("two", counts([10, 20]))])
    assert re.findall(r'x="([\d.]+)%" y="0" width="([\d.]+)%"', bar(figure, 0)) == [("0.00", "25.00"), ("25.00", "25.00")]
    assert 'height="50.00%"' in columns(figure) and "style=" not in columns(figure)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ({}, "2026-10-27", "2026-11-23"),
        ({"month": "2026-02"}, "2026-02-01", "2026-02-28"),
        ({"month": "2026-13"}, "2026-10-27", "2026-11-23"),
        ({"first": "2026-03-01", "last": "2026-03-09"}, "2026-03-01", "2026-03-09"),
        ({"first": "2026-03-09", "last": "2026-03-01"}, "2026-03-01", "2026-03-09"),
        ({"first": "x", "last": "2026-03-01"}, "2026-10-27", "2026-11-23"),
    ],
)
def test_the_days_of_a_report(asked, first, last):
    span = Span.read(asked, date(2026, 11, 23), ["somerset"])
    assert (span.first.isoformat(), span.last.isoformat()) == (first, last)


def figures(office, name="Mo Carter", **asked):
    reports = Reports(office.signpost.database, office.signpost.clock, office.signpost.answers, office.signpost.areas)
    [member] = [s for s in office.all(Staff) if s.name == name]
    span = Span.read(asked, office.signpost.clock.today(), office.signpost.areas)
    return {figure.id: figure for figure in reports.figures(member, span)}


def column(figure, name):
    return dict(zip(figure.rows, (str(v) for v in next(s for s in figure.series if s.name == name).values)))


def answer(office, id, conversation, kind="answer"):
    query = office.query(id)
    office.signpost.replies.send(ReplyForm(id, "Here is the answer.", new_id(), 99, query.version, kind), office.all(Staff)[0])
    if kind == "answer":
        office.signpost.log.after(conversation, 0)


def test_topics_count_what_was_answered_and_what_was_passed_on(office):
    for _ in range(7):
        talk(office, outcome="answer", intent="waiting_time")
    for _ in range(5):
        talk(office, outcome="handoff", intent="waiting_time")
    for _ in range(9):
        talk(office, outcome="answer", intent="consent")
    title = office.signpost.answers.title
    topics = figures(office)["topics"]
    assert topics.rows[0] == title("waiting_time")
    assert column(topics, "Answered by the bot") == {title("waiting_time"): "7", title("consent"): "9"}
    assert column(topics, "Passed to a person")[title("waiting_time")] == "5"


def test_every_finding_is_a_sentence_when_there_is_nothing_or_little(office):
    for _ in range(3):
        for figure in figures(office).values():
            assert figure.finding[0].isupper() or figure.finding[0].isdigit(), figure.finding
            assert figure.finding.endswith(".") and "{" not in figure.finding, figure.finding
        office.ask(language="pl")


def test_a_sentence_does_not_tell_one_from_four(office):
    office.ask(topic="complaint")
    one = figures(office)["not-answered"].finding
    for _ in range(3):
        office.ask(topic="complaint")
    assert one == figures(office)["not-answered"].finding


def test_each_area_shows_what_the_bot_could_not_answer(office):
    for _ in range(6):
        office.ask()
    for _ in range(8):
        office.ask(area="hampshire")
    assert list(column(figures(office)["areas"], "The bot had no answer").values()) == ["8", "6"]


def test_time_to_an_answer_runs_until_the_family_has_it_and_not_for_updates(office, time):
    asked = [office.ask() for _ in range(6)]
    time.now += timedelta(days=2)
    answer(office, *asked[0], kind="update")
    for one in asked[:5]:
        if one is not asked[0]:
            answer(office, *one)
    time.now += timedelta(days=8)
    answer(office, *asked[0])
    waits = figures(office)["time-to-answer"]
    numbers = {row: value.words for row, value in zip(waits.rows, waits.series[0].values)}
    assert numbers["2 or 3 days"] == "fewer than 5" and numbers["8 to 14 days"] == "fewer than 5" and numbers["Not answered yet"] == "fewer than 5"
    assert "within 2.0 days" in waits.finding
    kept = figures(office)["promises"]
    assert "%" not in kept.finding and "is hidden" in kept.finding


def test_a_promise_is_kept_by_its_first_day_however_often_it_was_moved(office, time):
    on_time, late = [office.ask() for _ in range(6)], [office.ask() for _ in range(6)]
    for one in on_time:
        answer(office, *one)
    due_on = office.query(late[0][0]).due_on
    [manager] = [s for s in office.all(Staff) if s.name == "Mo Carter"]
    for id, _ in late:
        office.signpost.office.supervision.change_promise(id, due_on + timedelta(days=7), "more time is needed", manager)
    time.now += timedelta(days=10)
    for one in late:
        answer(office, *one)
    assert column(figures(office)["promises"], "Questions") == {"Kept": "6", "Broken": "6", "Still to come": "0"}


def test_messages_outside_office_hours_are_counted_by_englands_clock(office, time):
    for moment, number in (
        (datetime(2026, 11, 23, 8, 30, tzinfo=timezone.utc), 5),
        (datetime(2026, 11, 23, 17, 1, tzinfo=timezone.utc), 6),
        (datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc), 7),
        (datetime(2026, 7, 1, 16, 30, tzinfo=timezone.utc), 8),  # half past five in summer
        (datetime(2026, 7, 1, 8, 0, tzinfo=timezone.utc), 9),  # nine in summer
    ):
        time.now = moment
        for _ in range(number):
            talk(office)
    time.now = datetime(2026, 11, 23, 20, 0, tzinfo=timezone.utc)
    hours = column(figures(office, first="2026-06-01", last="2026-11-23")["hours"], "Messages")
    assert hours == {"In office hours": "9", "Mornings before 9": "5", "Evenings after 5": "14", "Weekends and bank holidays": "7"}


def test_a_reader_sees_their_own_areas_only(office):
    for area, number in (("somerset", 6), ("hampshire", 8)):
        for _ in range(number):
            talk(office, outcome="answer", area=area)
    assert "14 conversations" in figures(office)["conversations"].finding
    assert "6 conversations" in figures(office, "Wren Larkspur")["conversations"].finding
    assert "0 conversations" in figures(office, "Wren Larkspur", area="hampshire")["conversations"].finding
    page = office.desk_of("Wren Larkspur").get("/console/reports?area=hampshire")
    assert page.status_code == 200 and "8 conversations" not in page.text


def test_what_was_deleted_since_is_counted_with_its_month(office):
    with office.signpost.database.write() as session:
        session.add(Statistic(month=date(2026, 10, 1), area="somerset", channel="web", measure="topics", of="consent", number=40))
    title = office.signpost.answers.title("consent")
    assert column(figures(office, month="2026-10")["topics"], "Answered by the bot") == {title: "40"}
    assert figures(office, first="2026-10-05", last="2026-11-05")["topics"].rows == []


@pytest.mark.parametrize("path", ["/console/reports", "/console/reports/month", "/console/reports/month?month=2026-11", "/console/reports?first=2025-01-01&last=2026-11-23"])
def test_reports_of_nothing_and_of_something_are_shown_without_inline_style(office, path):
    browser = office.desk_of("Ivy Kestrel")
    assert browser.get(path).status_code == 200
    for _ in range(6):
        talk(office, outcome="answer")
        office.ask()
    page = browser.get(path)
    assert page.status_code == 200 and "style=" not in page.text and "<svg" in page.text


def test_every_figure_downloads_as_csv_with_the_same_words(office):
    for _ in range(6):
        talk(office, outcome="answer")
    talk(office, outcome="handoff")
    browser = office.desk_of("Mo Carter")
    ids = re.findall(r'/console/reports/([\w-]+)\.csv', browser.get("/console/reports").text)
    assert len(ids) >= 5
    for id in ids:
        answer = browser.get(f"/console/reports/{id}.csv")
        rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
        assert answer.headers["content-type"].startswith("text/csv") and len(rows) > 1
        assert not any(cell.isdigit() and 0 < int(cell) < FEWEST for row in rows for cell in row[1:])
    assert browser.get("/console/reports/nothing.csv").status_code == 404


def test_a_cell_is_never_a_formula():
    assert b"'=HYPERLINK" in csv_response("x.csv", [["=HYPERLINK(1)", "-2+3"]]).body and b"'-2+3" in csv_response("x.csv", [["=H", "-2+3"]]).body
