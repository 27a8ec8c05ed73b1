"""Answers in the console: proposed by one, approved by another, live at once and without training, exported for a commit."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.parts import Signpost
from bot.console.answer_export import Unknown, diff, rewritten
from bot.console.answers import wording_of
from bot.knowledge.answers import Answers, unwrapped
from bot.settings import ROOT
from bot.store.console import AnswerChange
from bot.store.tables import Staff
from tests.conftest import add_staff
from tests.test_console import app, hidden, office, password_hash  # noqa: F401 - fixtures

TOPIC = "core_offer_return"
NEW = "Yes. Children often come back to the service.\n\n- Ring the service.\n- Say what has changed."


def propose(browser, topic=TOPIC, **fields):
    page = browser.get(f"/console/answers/{topic}")
    form = {"csrf": hidden(page, "csrf"), "reason": "Families asked what to do first", **fields}
    return browser.post(f"/console/answers/{topic}/propose", data=form)


def decide(browser, office, what="approve", topic=TOPIC, **fields):
    change = next(c for c in office.all(AnswerChange) if c.topic == topic and c.state == "proposed")
    csrf = hidden(browser.get("/console/account"), "csrf")
    return browser.post(f"/console/answers/changes/{change.id}/{what}", data={"csrf": csrf, "topic": topic, **fields})


def said(office, topic=TOPIC):
    return office.signpost.services().answers.wording(topic, office.signpost.areas["somerset"]).text


def test_approved_wording_is_said_at_once_and_proposed_wording_is_not(office, time):
    before = said(office)
    time.now += timedelta(days=1)
    assert propose(office.desk_of("Wren Larkspur"), text=NEW).status_code == 303
    assert said(office) == before
    assert decide(office.desk_of("Mo Carter"), office).status_code == 303
    assert said(office).startswith("Yes. Children often come back")
    assert office.signpost.answers[TOPIC].reviewed_on == office.signpost.clock.today()
    page = office.desk_of("Ivy Kestrel").get(f"/console/answers/{TOPIC}").text
    assert "Approved and live" in page and "Families asked what to do first" in page and "Wren Larkspur" in page and "Mo Carter" in page


def test_another_app_on_the_same_database_takes_it_up_and_so_does_a_restart(office, settings, time):
    other = Signpost.build(settings, time.clock())
    other.refresh()
    time.now += timedelta(days=1)
    propose(office.desk_of(), text=NEW)
    decide(office.desk_of("Mo Carter"), office)
    assert not other.answers[TOPIC].text.startswith("Yes. Children often")
    other.refresh()
    assert other.answers[TOPIC].text == NEW
    restarted = Signpost.build(settings, time.clock())
    restarted.refresh()
    assert restarted.answers[TOPIC].text == NEW


def test_nobody_approves_their_own_change(office):
    manager = office.desk_of("Mo Carter")
    propose(manager, text=NEW)
    refused = decide(manager, office)
    assert refused.status_code == 409 and "second person" in refused.text
    assert said(office) != NEW
    assert decide(manager, office, "withdraw", confirmed="yes").status_code == 303
    assert [c.state for c in office.all(AnswerChange)] == ["withdrawn"]


def test_a_lead_proposes_and_does_not_approve(office):
    add_staff(office.signpost.database, "Second Lead", areas=["somerset"])
    propose(office.desk_of("Wren Larkspur"), text=NEW)
    assert decide(office.desk_of("Second Lead"), office).status_code == 403


def test_the_database_itself_refuses_an_approval_by_the_proposer(office):
    from sqlalchemy.exc import IntegrityError

    propose(office.desk_of("Mo Carter"), text=NEW)
    with pytest.raises(IntegrityError):
        with office.signpost.database.write() as session:
            change = session.scalars(select(AnswerChange)).one()
            change.state, change.decided_by = "approved", change.proposed_by


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"text": "Your child is eligible for this."}, "never says “eligible”"),
        ({"text": "You can have at least 6 sessions."}, "never says"),
        ({"text": "Ask {nobody_knows_this}."}, "filled in by nobody"),
        ({"text": "Ask { the council."}, "filled in by nobody"),
        ({"text": "  "}, "must not be empty"),
        ({"short": ""}, "must not be empty"),
        ({"text": "x" * 3001}, "too long"),
        ({"text": NEW, "reason": ""}, "Say why"),
        ({"text": "Ask {local}."}, "{local} is not set"),
    ],
)
def test_wording_that_must_not_be_said_is_refused_and_kept_on_the_page(office, fields, told):
    refused = propose(office.desk_of(), **fields)
    assert refused.status_code == 422 and told in refused.text
    assert not office.all(AnswerChange)
    assert fields.get("text", "").strip()[:30] in refused.text


def test_one_change_of_an_answer_waits_at_a_time(office):
    propose(office.desk_of(), text=NEW)
    refused = propose(office.desk_of("Mo Carter"), text="Something else.")
    assert refused.status_code == 422 and "waits already" in refused.text
    assert re.search(r"<textarea[^>]*readonly>\nSomething else\.</textarea>", refused.text), "what the second person wrote is given back"


def test_a_change_is_taken_back_by_its_writer_once_they_have_said_yes(office):
    browser = office.desk_of()
    propose(browser, text=NEW)
    asked = decide(browser, office, "withdraw")
    assert "Are you sure?" in asked.text and office.all(AnswerChange)[0].state == "proposed"
    assert decide(browser, office, "withdraw", confirmed="yes").status_code == 303
    assert office.all(AnswerChange)[0].state == "withdrawn"


def test_why_a_change_was_refused_is_given_back_when_it_is_too_late(office):
    propose(office.desk_of(), text=NEW)
    [change] = office.all(AnswerChange)
    manager = office.desk_of("Mo Carter")
    assert decide(manager, office).status_code == 303
    csrf = hidden(manager.get("/console/account"), "csrf")
    late = manager.post(f"/console/answers/changes/{change.id}/refuse", data={"csrf": csrf, "topic": TOPIC, "comment": "The second sentence is new"})
    assert late.status_code == 409 and "The second sentence is new" in late.text


def test_the_second_person_sees_the_difference_and_what_to_look_at(office):
    propose(office.desk_of(), text='The page says "children always come back". ' + "word " * 25 + "end.")
    page = office.desk_of("Mo Carter").get(f"/console/answers/{TOPIC}").text
    assert "<ins>" in page and "<del>" in page
    assert "no source of this answer says exactly that" in page and "A sentence has" in page


def test_an_answer_is_reviewed_without_a_change(office, time):
    before = said(office)
    time.now += timedelta(days=400)
    browser = office.desk_of()
    assert "Review out of date" in browser.get("/console/answers?view=old").text
    assert propose(browser, do="reviewed", text="ignored", reason="Read again").status_code == 303
    decide(office.desk_of("Mo Carter"), office)
    assert said(office) == before
    assert office.signpost.answers[TOPIC].reviewed_on == office.signpost.clock.today()
    assert f"/console/answers/{TOPIC}" not in browser.get("/console/answers?view=old").text


def test_an_export_applies_and_says_exactly_what_is_live(office, time, tmp_path):
    time.now += timedelta(days=1)
    for topic, fields in (
        (TOPIC, {"text": NEW, "owner": "Head of therapy: children"}),
        ("core_offer_funding", {"school": "A short word for schools about {commissioner}.", "short": "The NHS pays. " * 14}),
        ("core_offer_what", {"school": "For schools it is the same."}),
    ):
        assert propose(office.desk_of(), topic, **fields).status_code == 303
        assert decide(office.desk_of("Mo Carter"), office, topic=topic).status_code == 303
    exported = office.desk_of("Ivy Kestrel").get("/console/answers/changes.diff").text
    copy = tmp_path / "data" / "answers"
    shutil.copytree(ROOT / "data" / "answers", copy)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=exported, text=True, check=True)
    applied = Answers.load(copy)
    for answer in applied:
        live = office.signpost.answers[answer.topic]
        assert wording_of(answer) == wording_of(live) and answer.reviewed_on == live.reviewed_on, answer.topic
    assert exported.count("\n+++ ") == 1, "files that say the same stay as they are"


def test_a_file_that_was_reviewed_later_overtakes_an_approved_change(office, time):
    propose(office.desk_of(), text=NEW)
    decide(office.desk_of("Mo Carter"), office)
    answers = office.signpost.answers
    answers.amend([(TOPIC, {"text": NEW, "reviewed_on": answers.filed(TOPIC).reviewed_on - timedelta(days=1)})])
    assert answers[TOPIC].text == answers.filed(TOPIC).text


def test_a_rewritten_file_keeps_everything_else():
    path = ROOT / "data" / "answers" / "core_offer.yml"
    text = path.read_text(encoding="utf-8")
    assert rewritten(text, TOPIC, {}, Answers.load(path.parent)[TOPIC].reviewed_on) == text
    with pytest.raises(Unknown):
        diff(path.parent, {"no_such_topic": ({}, office_day())})


def office_day():
    from datetime import date

    return date(2026, 11, 23)


def test_no_answer_loses_its_lines_when_it_is_unwrapped():
    for answer in Answers.load(ROOT / "data" / "answers"):
        assert unwrapped(answer.text).split() == answer.text.split()


def test_a_stale_change_is_not_approved(office, time):
    time.now += timedelta(days=1)
    propose(office.desk_of(), text=NEW)
    change = office.all(AnswerChange)[0]
    with office.signpost.database.write() as session:
        session.get_one(AnswerChange, change.id).was = {**change.was, "text": "what nobody says any more"}
    refused = decide(office.desk_of("Mo Carter"), office)
    assert refused.status_code == 409 and "has changed since" in refused.text
    assert [s.name for s in office.all(Staff) if s.id == change.proposed_by] == ["Wren Larkspur"]
