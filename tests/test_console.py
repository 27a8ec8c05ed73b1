"""The console: staff see who waits for an answer, and one reply reaches the parent."""

from __future__ import annotations

import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select
from starlette.testclient import TestClient

from bot.app import create_app
from bot.clock import new_id, new_secret
from bot.console import demo
from bot.console.sign_in import LOCKED, SESSION, WRONG, StaffProblem
from bot.conversations.log import token_hash
from bot.conversations.outbound import Outbound
from bot.store.tables import Message, Query, QueryEvent, Reply, Staff, StaffSession
from tests.conftest import add_staff

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def password_hash() -> str:
    return PasswordHasher().hash(PASSWORD)


@pytest.fixture
def app(settings, time, empty_database, password_hash):
    shutil.copyfile(empty_database, Path(settings.data_dir) / "signpost.db")
    app = create_app(settings, time.clock())
    for name, role, areas in (
        ("Wren Larkspur", "lead", ["somerset"]),
        ("Jay Goldfinch", "lead", ["hampshire"]),
        ("Mo Carter", "manager", []),
        ("Ivy Kestrel", "auditor", []),
    ):
        add_staff(app.state.signpost.database, name, role, areas=areas, password_hash=password_hash)
    return app


@pytest.fixture
def office(app):
    return Office(app)


class Office:
    """The app with parents who ask and staff who sign in."""

    def __init__(self, app) -> None:
        self.app, self.signpost = app, app.state.signpost

    def ask(self, text="Who is our therapist?", area="somerset", **query):
        """A parent's question that became a query: (query id, conversation id)."""
        log = self.signpost.log
        conversation, _ = log.start("web", area, "parent")
        accepted = log.accept(conversation, new_id(), text)
        card = self.signpost.desk.open(conversation, accepted.seq, reason="unresolved", **query)
        ranking = [{"name": "ehcp_not_delivered", "confidence": 0.44}]
        log.finish(accepted.message_id, [Outbound("Passed on.", outcome="handoff", query_id=card.id)], {"intent_ranking": ranking})
        return card.id, conversation

    def writes_again(self, conversation, text="And one more thing"):
        self.signpost.log.accept(conversation, new_id(), text)

    def query(self, id) -> Query:
        with self.signpost.database.read() as session:
            return session.get_one(Query, id)

    def all(self, table):
        with self.signpost.database.read() as session:
            return list(session.scalars(select(table)))

    def desk_of(self, name="Wren Larkspur") -> "StaffBrowser":
        """A browser in which somebody is signed in already."""
        token, now = new_secret(), self.signpost.clock.now()
        with self.signpost.database.write() as session:
            member = session.scalars(select(Staff).where(Staff.name == name)).one()
            kept = StaffSession(token_hash=token_hash(token), staff_id=member.id, csrf=new_secret(), created_at=now, expires_at=now + SESSION)
            session.add(kept)
        browser = StaffBrowser(self.app)
        browser.cookies.set("signpost_staff", token, path="/console")
        return browser


class StaffBrowser(TestClient):
    """A browser at the console that follows no redirect by itself."""

    def __init__(self, app) -> None:
        super().__init__(app, follow_redirects=False)

    def sign_in(self, email="wren.larkspur@example.org", password=PASSWORD, **fields):
        form = self.get("/console/sign-in")
        return self.post("/console/sign-in", data={"form_token": hidden(form, "form_token"), "email": email, "password": password, **fields})

    def read(self, query_id):
        return self.get(f"/console/queries/{query_id}")

    def reply(self, page, query_id, text, **changed):
        names = ("csrf", "version", "read_to", "idempotency_key")
        form = {**{name: hidden(page, name) for name in names}, "text": text, "do": "send", **changed}
        return self.post(f"/console/queries/{query_id}/reply", data=form)


def hidden(page, name):
    return re.search(rf'name="{name}" value="([^"]*)"', page.text)[1]


def references(page):
    return re.findall(r'href="/console/queries/\w+">(SP-\w+)</a>', re.search(r"<tbody.*</tbody>", page.text, re.S)[0])


# Signing in


@pytest.mark.parametrize("path", ["/console", "/console/queries/abc"])
def test_nobody_reads_without_signing_in(office, path):
    answer = StaffBrowser(office.app).get(path)
    assert answer.status_code == 303 and answer.headers["location"] == f"/console/sign-in?next={path}"


def test_the_cookie_is_strict_and_only_its_hash_is_kept(office):
    browser = StaffBrowser(office.app)
    cookies = browser.sign_in().headers.get_list("set-cookie")
    [cookie] = [c for c in cookies if c.startswith("signpost_staff=")]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/console" in cookie
    [kept] = office.all(StaffSession)
    assert browser.cookies["signpost_staff"] not in (kept.token_hash, kept.csrf)


def test_a_wrong_password_and_an_unknown_email_are_told_alike(office):
    browser = StaffBrowser(office.app)
    for email in ("wren.larkspur@example.org", "nobody@example.org"):
        answer = browser.sign_in(email, "not the password")
        assert answer.status_code == 401 and WRONG in answer.text
        assert email in answer.text, "what was typed is kept"
    assert not office.all(StaffSession)


@pytest.mark.parametrize("email", ["wren.larkspur@example.org", "nobody@example.org"])
def test_five_failures_lock_an_address_out_for_a_quarter_of_an_hour(office, time, email):
    browser = StaffBrowser(office.app)
    for _ in range(5):
        assert WRONG in browser.sign_in(email, "not the password").text
    assert LOCKED in browser.sign_in(email.upper(), PASSWORD).text
    time.now += timedelta(minutes=16)
    assert LOCKED not in browser.sign_in(email, PASSWORD).text


def test_a_sign_in_forgets_earlier_failures(office):
    browser = StaffBrowser(office.app)
    for _ in range(2):
        for _ in range(4):
            browser.sign_in(password="not the password")
        assert browser.sign_in().status_code == 303
        browser.cookies.clear()


def test_a_session_lasts_a_working_day_and_ends_after_twenty_hours(office, time):
    browser = StaffBrowser(office.app)
    browser.sign_in()
    time.now += timedelta(hours=19, minutes=59)
    assert browser.get("/console").status_code == 200
    time.now += timedelta(minutes=2)
    assert browser.get("/console").status_code == 303


def test_signing_out_ends_the_session_on_the_server(office):
    browser = office.desk_of()
    stolen = browser.cookies["signpost_staff"]
    browser.post("/console/sign-out", data={"csrf": hidden(browser.get("/console"), "csrf")})
    assert office.signpost.sign_in.member(stolen) is None


def test_a_disabled_account_is_out_at_once(office):
    browser = office.desk_of()
    with office.signpost.database.write() as session:
        session.scalar(select(Staff).where(Staff.name == "Wren Larkspur")).active = False
    assert browser.get("/console").status_code == 303
    assert WRONG in browser.sign_in().text


def test_a_sign_in_form_that_is_not_ours_is_refused(office):
    browser = StaffBrowser(office.app)
    browser.get("/console/sign-in")
    assert browser.sign_in(form_token="made-up").status_code == 403
    assert not office.all(StaffSession)


@pytest.mark.parametrize("onward", ["https://elsewhere.example/", "//elsewhere.example", "/console/queries//elsewhere.example", "/chat"])
def test_signing_in_never_leads_out_of_the_console(office, onward):
    assert StaffBrowser(office.app).sign_in(next=onward).headers["location"] == "/console"


def test_signing_in_leads_back_to_the_query(office):
    id, _ = office.ask()
    assert StaffBrowser(office.app).sign_in(next=f"/console/queries/{id}").headers["location"] == f"/console/queries/{id}"


def test_signing_in_leads_back_to_the_list_with_its_filters(office):
    list_of = "/console?view=overdue&topic=complaint&page=2"
    asked = StaffBrowser(office.app).get(list_of).headers["location"]
    form = StaffBrowser(office.app).get(asked)
    assert hidden(form, "next") == list_of.replace("&", "&amp;")
    assert StaffBrowser(office.app).sign_in(next=list_of).headers["location"] == list_of


@pytest.mark.parametrize(
    "wrong", [{"email": "nonsense"}, {"role": "king"}, {"name": " "}, {"title": ""}, {"password": "short"}, {"email": "Wren.Larkspur@example.org"}]
)
def test_staff_that_could_not_work_are_not_added(office, wrong):
    newcomer = {"email": "new@example.org", "name": "New Person", "title": "Therapist", "role": "lead", "password": PASSWORD, **wrong}
    with pytest.raises(StaffProblem):
        office.signpost.sign_in.add_staff(**newcomer)
    assert len(office.all(Staff)) == 4


def test_added_staff_can_sign_in(office):
    office.signpost.sign_in.add_staff(email=" New@Example.org ", name="New Person", title="Therapist", role="lead", password=PASSWORD)
    assert StaffBrowser(office.app).sign_in("new@example.org").status_code == 303


# The demo directory


def test_the_demo_directory_owns_every_kind_of_query_and_can_sign_in(settings, time, empty_database):
    shutil.copyfile(empty_database, Path(settings.data_dir) / "signpost.db")
    signpost = create_app(settings, time.clock()).state.signpost
    accounts = demo.seed(signpost.sign_in, signpost.database)
    assert {role for *_, role in accounts} == {"lead", "coordinator", "manager", "auditor"}
    signpost.desk.check()
    _, email, password, _ = accounts[0]
    assert signpost.sign_in.member(signpost.sign_in.sign_in(email, password)).staff.email == email
    assert demo.seed(signpost.sign_in, signpost.database) == [], "only an empty directory is filled"


# The inbox


def test_the_oldest_promise_comes_first_and_lateness_is_marked(office, time):
    late, _ = office.ask("The late one")
    time.now += timedelta(days=8)
    today, _ = office.ask("The urgent one", kind="urgent")
    soon, _ = office.ask("The new one")
    page = office.desk_of("Mo Carter").get("/console")
    assert references(page) == [office.query(id).reference for id in (late, today, soon)]
    rows = re.findall(r"<tr role=\"row\" class.*?</tr>", page.text, re.S)
    assert ["Overdue" in r for r in rows] == [True, False, False]
    assert ["Due today" in r for r in rows] == [False, True, False]
    assert ["Urgent" in r for r in rows] == [False, True, False]
    assert "1 urgent query needs an answer" in page.text


def test_leads_see_queries_of_their_areas_only(office):
    here, _ = office.ask(area="somerset")
    elsewhere, _ = office.ask(area="hampshire")
    browser = office.desk_of("Wren Larkspur")
    assert references(browser.get("/console?view=all")) == [office.query(here).reference]
    assert browser.read(elsewhere).status_code == 404
    assert "There is no query" in browser.get(f"/console?search={office.query(elsewhere).reference}").text


def test_a_lead_begins_with_their_own_and_can_see_all(office, password_hash):
    mine, _ = office.ask()
    add_staff(office.signpost.database, "Abe Second", areas=["somerset"], password_hash=password_hash)
    theirs, _ = office.ask()
    browser = office.desk_of("Wren Larkspur")
    assert references(browser.get("/console")) == [office.query(mine).reference]
    assert set(references(browser.get("/console?view=all"))) == {office.query(mine).reference, office.query(theirs).reference}


def test_an_empty_inbox_says_so(office):
    assert "No open queries" in office.desk_of().get("/console").text


def test_long_lists_are_paged_by_fifty(office):
    for _ in range(51):
        office.ask()
    browser = office.desk_of()
    first, second = browser.get("/console"), browser.get("/console?page=2")
    assert len(references(first)) == 50 and len(references(second)) == 1
    assert not set(references(first)) & set(references(second))
    assert "Showing 51 to 51 of 51" in second.text
    assert references(browser.get("/console?page=99")) == references(second)
    assert references(browser.get("/console?page=-1&view=nonsense")) == references(first)


@pytest.mark.parametrize("typed", ["{}", " {} ", "lower {}", "bare"])
def test_a_reference_is_found_however_it_is_typed(office, typed):
    id, _ = office.ask()
    reference = office.query(id).reference
    typed = {"lower {}": reference.lower(), "bare": reference.removeprefix("SP-")}.get(typed, typed.format(reference))
    answer = office.desk_of().get("/console", params={"search": typed})
    assert answer.headers["location"] == f"/console/queries/{id}"


def test_a_reference_that_is_not_there_is_told(office):
    page = office.desk_of().get("/console?search=%3Cb%3E")
    assert "There is no query “&lt;b&gt;” in your areas" in page.text


# A query


def test_a_query_shows_what_was_said_and_what_the_bot_made_of_it(office):
    id, _ = office.ask("<b>Nobody</b> comes")
    page = office.desk_of().read(id).text
    assert "&lt;b&gt;Nobody&lt;/b&gt; comes" in page and "The question" in page
    assert "(44% sure)" in page and office.signpost.answers.title("ehcp_not_delivered") in page
    assert "Passed to a lead" in page and "Wren Larkspur" in page


def test_one_reply_reaches_the_parent_with_its_writers_name(office):
    id, conversation = office.ask()
    browser = office.desk_of()
    page = browser.read(id)
    for _ in range(2):
        assert browser.reply(page, id, "I will ring you on Monday.").status_code == 303
    replies = [m for m in office.signpost.log.after(conversation, 0) if m["author"] == "staff"]
    assert [(m["text"], m["name"]) for m in replies] == [("I will ring you on Monday.", "Wren Larkspur, Therapist")]
    assert office.query(id).state == "replied"


def test_reading_in_the_console_does_not_count_as_the_parents_fetching(office):
    id, conversation = office.ask()
    browser = office.desk_of()
    browser.reply(browser.read(id), id, "A reply")
    assert "The parent has not fetched this yet" in browser.read(id).text
    assert "Parent has not seen it yet" in browser.get("/console?view=waiting").text
    office.signpost.log.after(conversation, 0)
    assert "chat fetched this on" in browser.read(id).text
    assert "Parent has seen it" in browser.get("/console?view=waiting").text


def test_a_reply_is_held_back_when_the_parent_has_written_since(office):
    id, conversation = office.ask()
    browser = office.desk_of()
    page = browser.read(id)
    office.writes_again(conversation, "He moved school today")
    refused = browser.reply(page, id, "My careful reply")
    assert refused.status_code == 409 and "parent has written since" in refused.text
    assert "My careful reply</textarea>" in refused.text and "New since you opened the page" in refused.text
    assert "My careful reply</textarea>" in browser.read(id).text, "the draft is kept"
    assert not office.all(Reply)
    assert browser.reply(refused, id, "My careful reply").status_code == 303


def test_the_second_of_two_repliers_reads_the_first_reply_before_sending(office):
    id, _ = office.ask()
    first, second = office.desk_of("Wren Larkspur"), office.desk_of("Mo Carter")
    page_of_first, page_of_second = first.read(id), second.read(id)
    first.reply(page_of_first, id, "From the lead")
    refused = second.reply(page_of_second, id, "From the manager")
    assert refused.status_code == 409 and "has changed since" in refused.text
    assert "From the lead" in refused.text and "From the manager</textarea>" in refused.text
    assert len(office.all(Reply)) == 1


def test_an_empty_reply_is_not_sent(office):
    id, _ = office.ask()
    browser = office.desk_of()
    assert "Write a reply before you send it" in browser.reply(browser.read(id), id, "  ").text
    assert not office.all(Reply)


def test_a_draft_can_be_kept_and_is_its_writers_alone(office):
    id, _ = office.ask()
    browser = office.desk_of()
    browser.reply(browser.read(id), id, "Half a thou", do="keep")
    assert "Half a thou</textarea>" in browser.read(id).text
    assert "Half a thou" not in office.desk_of("Mo Carter").read(id).text
    assert not office.all(Reply)


def test_starting_work_moves_the_query_once_and_is_recorded(office):
    id, _ = office.ask()
    browser = office.desk_of()
    page = browser.read(id)
    form = {"csrf": hidden(page, "csrf"), "version": hidden(page, "version")}
    assert browser.post(f"/console/queries/{id}/start", data=form).status_code == 303
    assert browser.post(f"/console/queries/{id}/start", data=form).status_code == 409
    assert office.query(id).state == "in_progress"
    assert [(e.kind, e.actor) for e in office.all(QueryEvent)][-1] == ("in_progress", "Wren Larkspur")


def test_an_auditor_reads_and_changes_nothing(office):
    id, _ = office.ask()
    writer, browser = office.desk_of(), office.desk_of("Ivy Kestrel")
    page = browser.read(id)
    assert page.status_code == 200 and "cannot reply" in page.text and "<textarea" not in page.text
    form = writer.read(id)
    assert browser.reply(form, id, "Sneaky", csrf=hidden(page, "csrf")).status_code == 403
    assert browser.post(f"/console/queries/{id}/start", data={"csrf": hidden(page, "csrf"), "version": hidden(form, "version")}).status_code == 403
    assert office.query(id).state == "routed" and not office.all(Reply)


@pytest.mark.parametrize("csrf", ["", "made-up"])
@pytest.mark.parametrize("act", ["reply", "start"])
def test_a_form_without_the_sessions_token_changes_nothing(office, act, csrf):
    id, _ = office.ask()
    browser = office.desk_of()
    page = browser.read(id)
    form = {name: hidden(page, name) for name in ("version", "read_to", "idempotency_key")}
    assert browser.post(f"/console/queries/{id}/{act}", data={**form, "text": "Sneaky", "csrf": csrf}).status_code == 403
    assert office.query(id).state == "routed" and not office.all(Reply)


def test_a_form_of_another_site_changes_nothing(office):
    id, _ = office.ask()
    browser = office.desk_of()
    page = browser.read(id)
    browser.headers["origin"] = "https://elsewhere.example"
    assert browser.reply(page, id, "Sneaky").status_code == 403
    assert not office.all(Reply)


def test_a_reply_written_in_a_session_that_has_ended_is_given_back(office, time):
    id, _ = office.ask()
    browser = office.desk_of()
    page = browser.read(id)
    time.now += timedelta(hours=21)
    answer = browser.reply(page, id, "An hour of work")
    assert answer.status_code == 401 and "An hour of work</textarea>" in answer.text
    assert not office.all(Reply)


@pytest.mark.parametrize("changed", [{"read_to": "x"}, {"read_to": "-1"}, {"read_to": ""}, {"idempotency_key": ""}, {"version": "x"}])
def test_a_reply_form_that_was_tampered_with_sends_nothing(office, changed):
    id, _ = office.ask()
    browser = office.desk_of()
    assert 400 <= browser.reply(browser.read(id), id, "Hello", **changed).status_code < 500
    assert not office.all(Reply)


def test_lateness_is_computed_and_ends_when_the_parent_has_the_reply(office, time):
    id, conversation = office.ask()
    time.now += timedelta(days=30)
    browser = office.desk_of()
    assert office.query(id).due_on < date(2026, 12, 23) and "Overdue" in browser.read(id).text
    browser.reply(browser.read(id), id, "Sorry for the wait")
    assert "Overdue" in browser.read(id).text, "a reply that the parent does not have yet keeps no promise"
    office.signpost.log.after(conversation, 0)
    assert "Overdue" not in browser.read(id).text
    assert len([m for m in office.all(Message) if m.author == "staff"]) == 1


def test_a_very_long_list_is_not_counted_to_its_end(office, monkeypatch):
    monkeypatch.setattr("bot.console.inbox.MOST_COUNTED", 2)
    for _ in range(3):
        office.ask()
    assert "of 2 or more" in office.desk_of().get("/console").text
