"""Signing in to the console: the second step, recovery codes, the organisation's own sign-in, and what each role may open."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select, update

from bot.app import create_app
from bot.console.frame import Frame, Get
from bot.console.routes import console_pages
from bot.console.sign_in import CODES_LOCKED, WRONG_CODE
from bot.store.console import AuditEntry, OidcRequest, RecoveryCode
from bot.store.tables import Query, Staff, StaffSession
from tests.conftest import add_staff
from tests.doubles.organisation import CLIENT, SECRET, OrganisationDouble
from tests.test_console import PASSWORD, Office, StaffBrowser, app, hidden, office, password_hash  # noqa: F401 - fixtures

EMAIL = "wren.larkspur@example.org"


def now_code(office, secret):
    return pyotp.TOTP(secret).at(int(office.signpost.clock.now().timestamp()))


def key_on(page):
    return re.search(r'app-secret">([^<]*)<', page.text)[1].replace(" ", "")


def recovery_codes(page):
    return re.findall(r"<li><code>([A-Z0-9-]+)</code>", page.text)


@pytest.fixture
def with_second_step(office):
    """Wren Larkspur's second step: (secret, recovery codes)."""
    browser = office.desk_of()
    page = browser.get("/console/account/second-step")
    secret = key_on(page)
    done = browser.post("/console/account/second-step", data={"csrf": hidden(page, "csrf"), "code": now_code(office, secret), "password_present": PASSWORD})
    assert done.status_code == 200
    return secret, recovery_codes(done)


def test_a_password_alone_opens_nothing_once_the_second_step_is_on(office, time, with_second_step):
    secret, _ = with_second_step
    time.now += timedelta(minutes=1)
    browser = StaffBrowser(office.app)
    asked = browser.sign_in()
    assert asked.headers["location"].startswith("/console/sign-in/code")
    assert browser.get("/console").status_code == 303, "half a session opens no page"
    page = browser.get("/console/sign-in/code")
    before = browser.cookies["signpost_staff"]
    assert browser.post("/console/sign-in/code", data={"csrf": hidden(page, "csrf"), "code": now_code(office, secret)}).headers["location"] == "/console"
    assert browser.cookies["signpost_staff"] != before and browser.get("/console").status_code == 200


def test_a_code_works_once(office, time, with_second_step):
    secret, _ = with_second_step
    time.now += timedelta(minutes=1)
    for expected in (303, 401):
        browser = StaffBrowser(office.app)
        browser.sign_in()
        page = browser.get("/console/sign-in/code")
        answer = browser.post("/console/sign-in/code", data={"csrf": hidden(page, "csrf"), "code": now_code(office, secret)})
        assert answer.status_code == expected
    assert WRONG_CODE in answer.text


def test_codes_of_the_minute_before_and_after_are_taken_and_older_ones_are_not(office, time, with_second_step):
    secret, _ = with_second_step
    steps = office.signpost.sign_in.second_steps
    [member] = [s for s in office.all(Staff) if s.email == EMAIL]
    time.now += timedelta(minutes=5)
    at = int(time.now.timestamp())
    assert not steps.check(member.id, pyotp.TOTP(secret).at(at - 90))
    assert not steps.check(member.id, pyotp.TOTP(secret).at(at + 90))
    assert steps.check(member.id, pyotp.TOTP(secret).at(at - 30))
    assert steps.check(member.id, pyotp.TOTP(secret).at(at + 30))
    assert not steps.check(member.id, pyotp.TOTP(secret).at(at)), "a code older than the newest that was used"


@pytest.mark.parametrize("typed", ["{}", " {} ", "lower"])
def test_a_recovery_code_works_once_however_it_is_typed(office, time, with_second_step, typed):
    _, codes = with_second_step
    time.now += timedelta(minutes=1)
    code = codes[0].lower().replace("-", "") if typed == "lower" else typed.format(codes[0])
    for expected in (303, 401):
        browser = StaffBrowser(office.app)
        browser.sign_in()
        page = browser.get("/console/sign-in/code")
        assert browser.post("/console/sign-in/code", data={"csrf": hidden(page, "csrf"), "code": code}).status_code == expected
    assert len(codes) == 10 and office.signpost.sign_in.second_steps.codes_left(office.all(RecoveryCode)[0].staff_id) == 9
    assert codes[0].replace("-", "") not in {row.code_hash for row in office.all(RecoveryCode)}, "only hashes are kept"


def test_five_wrong_codes_lock_the_second_step_even_for_the_right_one(office, time, with_second_step):
    secret, _ = with_second_step
    time.now += timedelta(minutes=1)
    browser = StaffBrowser(office.app)
    browser.sign_in()
    csrf = hidden(browser.get("/console/sign-in/code"), "csrf")
    for _ in range(5):
        assert WRONG_CODE in browser.post("/console/sign-in/code", data={"csrf": csrf, "code": "000000"}).text
    assert CODES_LOCKED in browser.post("/console/sign-in/code", data={"csrf": csrf, "code": now_code(office, secret)}).text
    assert browser.get("/console").status_code == 303


def test_half_a_session_ends_after_ten_minutes(office, time, with_second_step):
    secret, _ = with_second_step
    browser = StaffBrowser(office.app)
    browser.sign_in()
    csrf = hidden(browser.get("/console/sign-in/code"), "csrf")
    time.now += timedelta(minutes=11)
    answer = browser.post("/console/sign-in/code", data={"csrf": csrf, "code": now_code(office, secret)})
    assert answer.status_code == 401 and "longer than 10 minutes" in answer.text


def test_a_service_can_require_the_second_step(settings, time, empty_database, password_hash, office):
    required = create_app(replace(settings, second_step="required"), time.clock())
    browser = StaffBrowser(required)
    assert browser.sign_in().headers["location"].startswith("/console/sign-in/set-up")
    assert browser.get("/console").status_code == 303
    page = browser.get("/console/sign-in/set-up")
    secret = key_on(page)
    assert key_on(browser.get("/console/sign-in/set-up")) == secret, "loading the page again does not change the key"
    assert browser.post("/console/sign-in/set-up", data={"csrf": hidden(page, "csrf"), "code": "123"}).status_code == 401
    done = browser.post("/console/sign-in/set-up", data={"csrf": hidden(page, "csrf"), "code": now_code(office, secret)})
    assert len(recovery_codes(done)) == 10 and browser.get("/console").status_code == 200
    off = browser.post("/console/account/second-step/off", data={"csrf": hidden(browser.get("/console/account"), "csrf"), "password_present": PASSWORD})
    assert off.status_code == 409 and "requires the second step" in off.text


def test_setting_up_the_second_step_ends_other_sessions(office):
    stolen, own = office.desk_of(), office.desk_of()
    page = own.get("/console/account/second-step")
    own.post("/console/account/second-step", data={"csrf": hidden(page, "csrf"), "code": now_code(office, key_on(page)), "password_present": PASSWORD})
    assert own.get("/console").status_code == 200 and stolen.get("/console").status_code == 303


def test_a_stolen_session_cannot_put_another_phone_in_the_place_of_the_second_step(office, with_second_step):
    stolen = office.desk_of()
    page = stolen.get("/console/account/second-step")
    before = [s.totp_secret for s in office.all(Staff) if s.email == EMAIL]
    for typed in ({}, {"password_present": "a guess of mine"}):
        answer = stolen.post("/console/account/second-step", data={"csrf": hidden(page, "csrf"), "code": now_code(office, key_on(page)), **typed})
        assert answer.status_code == 422 and "present password is not right" in answer.text
    assert [s.totp_secret for s in office.all(Staff) if s.email == EMAIL] == before


def test_the_second_step_goes_with_the_password_only(office, with_second_step):
    browser = office.desk_of()
    csrf = hidden(browser.get("/console/account"), "csrf")
    assert browser.post("/console/account/second-step/off", data={"csrf": csrf, "password_present": "not it"}).status_code == 422
    assert [s.totp_secret for s in office.all(Staff) if s.email == EMAIL] != [None]
    assert browser.post("/console/account/second-step/off", data={"csrf": csrf, "password_present": PASSWORD}).status_code == 303
    assert [s.totp_secret for s in office.all(Staff) if s.email == EMAIL] == [None] and not office.all(RecoveryCode)


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"password_present": "wrong", "password_new": "a new long password", "password_again": "a new long password"}, "present password is not right"),
        ({"password_present": PASSWORD, "password_new": "short", "password_again": "short"}, "12 to 256 characters"),
        ({"password_present": PASSWORD, "password_new": "a new long password", "password_again": "another long password"}, "not the same"),
        ({"password_present": PASSWORD, "password_new": "WrenLarkspur2026!", "password_again": "WrenLarkspur2026!"}, "easy to guess"),
    ],
)
def test_a_password_is_changed_by_its_owner_only_and_to_a_good_one(office, form, problem):
    browser = office.desk_of()
    answer = browser.post("/console/account/password", data={"csrf": hidden(browser.get("/console/account"), "csrf"), **form})
    assert answer.status_code == 422 and problem in answer.text
    assert StaffBrowser(office.app).sign_in().status_code == 303


def test_changing_the_password_ends_other_sessions(office):
    stolen, own = office.desk_of(), office.desk_of()
    form = {"password_present": PASSWORD, "password_new": "a new long password", "password_again": "a new long password"}
    assert own.post("/console/account/password", data={"csrf": hidden(own.get("/console/account"), "csrf"), **form}).status_code == 303
    assert own.get("/console").status_code == 200 and stolen.get("/console").status_code == 303
    assert StaffBrowser(office.app).sign_in(password="a new long password").headers["location"] == "/console"


def test_signing_in_is_in_the_audit_log_and_no_password_is(office):
    StaffBrowser(office.app).sign_in(password="my secret mistake")
    StaffBrowser(office.app).sign_in()
    entries = office.all(AuditEntry)
    assert [e.act for e in entries] == ["sign_in_refused", "signed_in"]
    assert not any("my secret mistake" in str(e.detail) for e in entries)


# The organisation's own sign-in


@pytest.fixture
def organisation():
    double = OrganisationDouble()
    yield double
    double.stop()


@pytest.fixture
def joined(settings, time, office, organisation):
    """The app of `office` with an organisation's sign-in."""
    return create_app(
        replace(settings, oidc_issuer=organisation.url, oidc_client_id=CLIENT, oidc_client_secret=SECRET, oidc_label="Example Trust"), time.clock()
    )


def go(browser, organisation, next=""):
    away = browser.get(f"/console/sign-in/organisation?next={next}")
    return away, browser.get(organisation.visit(away.headers["location"]).partition("127.0.0.1:8000")[2])


def test_somebody_the_organisation_vouches_for_is_signed_in(office, joined, organisation):
    id, _ = office.ask()
    browser = StaffBrowser(joined)
    assert "Sign in with Example Trust" in browser.get("/console/sign-in").text
    away, back = go(browser, organisation, f"/console/queries/{id}")
    assert away.status_code == 303 and "SameSite=lax" in away.headers["set-cookie"] and "HttpOnly" in away.headers["set-cookie"]
    assert back.status_code == 200 and f'href="/console/queries/{id}"' in back.text, "a page of ours leads on, so that the strict cookie goes along"
    assert browser.get("/console").status_code == 200
    assert [s.oidc_subject for s in office.all(Staff) if s.email == EMAIL] == [f"{organisation.url} person-7"]


def test_an_account_stays_with_the_person_it_was_first_opened_for(office, joined, organisation):
    go(StaffBrowser(joined), organisation)
    organisation.claims = {"sub": "somebody-else", "email": EMAIL, "email_verified": True}
    _, back = go(StaffBrowser(joined), organisation)
    assert back.status_code == 401 and "no account for" in back.text
    organisation.claims = {"sub": "person-7", "email": "wren.married@example.org", "email_verified": True}
    assert go(StaffBrowser(joined), organisation)[1].status_code == 200, "a new e-mail address is the same person"


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "x", "email": "nobody@example.org", "email_verified": True},
        {"sub": "x", "email": EMAIL, "email_verified": False},
        {"sub": "x"},
        {"sub": "x", "email": EMAIL, "nonce": "of another sign-in"},
        {"sub": "x", "email": EMAIL, "aud": "another-service"},
        {"sub": "x", "email": EMAIL, "iss": "https://elsewhere.example"},
        {"sub": "x", "email": EMAIL, "exp": 1},
    ],
)
def test_what_the_organisation_does_not_say_for_certain_opens_nothing(joined, organisation, claims):
    organisation.claims = claims
    browser = StaffBrowser(joined)
    _, back = go(browser, organisation)
    assert back.status_code == 401 and browser.get("/console").status_code == 303


def test_an_answer_signed_with_another_key_opens_nothing(joined, organisation):
    from joserfc.jwk import RSAKey

    organisation.key = RSAKey.generate_key(2048, {"kid": "one"})
    assert go(StaffBrowser(joined), organisation)[1].status_code == 401


def test_an_answer_opens_once_and_only_in_the_browser_that_asked(office, joined, organisation):
    asker, victim = StaffBrowser(joined), StaffBrowser(joined)
    away = asker.get("/console/sign-in/organisation")
    back = organisation.visit(away.headers["location"]).partition("127.0.0.1:8000")[2]
    assert victim.get(back).status_code == 401 and victim.get("/console").status_code == 303
    asker = StaffBrowser(joined)
    away = asker.get("/console/sign-in/organisation")
    back = organisation.visit(away.headers["location"]).partition("127.0.0.1:8000")[2]
    assert asker.get(back).status_code == 200
    assert asker.get(back).status_code == 401


def test_an_answer_that_comes_too_late_opens_nothing(joined, organisation, time, office):
    browser = StaffBrowser(joined)
    away = browser.get("/console/sign-in/organisation")
    time.now += timedelta(minutes=11)
    back = browser.get(organisation.visit(away.headers["location"]).partition("127.0.0.1:8000")[2])
    assert back.status_code == 401 and "took too long" in back.text
    assert not office.all(OidcRequest)


def test_a_refusal_and_a_silence_of_the_organisation_are_told(joined, organisation):
    organisation.refuses = True
    assert "did not sign you in" in go(StaffBrowser(joined), organisation)[1].text
    organisation.stop()
    fresh = StaffBrowser(joined)
    answer = fresh.get("/console/sign-in/organisation")
    assert answer.status_code in (303, 502)
    if answer.status_code == 502:
        assert "does not answer" in answer.text and 'name="password"' in answer.text


def test_a_disabled_account_is_not_opened_by_the_organisation(office, joined, organisation):
    with office.signpost.database.write() as session:
        session.execute(update(Staff).where(Staff.email == EMAIL).values(active=False))
    assert go(StaffBrowser(joined), organisation)[1].status_code == 401
    assert not office.all(StaffSession)


# Roles and scope: every page with every role

LEAD, COORDINATOR, MANAGER, AUDITOR = "lead", "coordinator", "manager", "auditor"
ALL = {LEAD, COORDINATOR, MANAGER, AUDITOR}
WORKING = {LEAD, COORDINATOR, MANAGER}
# the first of these that an address begins with says who may use it; everything else is refused to nobody who is signed in
OWN = ("/console/account", "/console/views", "/console/alerts", "/console/sign-out")
EXPECTED = {
    "GET": [("/console/review/{id}/wrong", WORKING), ("/console/admin/audit", {MANAGER, AUDITOR}), ("/console/admin/health", {COORDINATOR, MANAGER, AUDITOR}), ("/console/admin/", {MANAGER}), ("/console/admin", {COORDINATOR, MANAGER, AUDITOR}), ("/console", ALL)],
    "POST": [
        *((own, ALL) for own in OWN),
        ("/console/queries/{id}/close", {MANAGER}),
        ("/console/queries", WORKING),
        ("/console/review", WORKING),
        ("/console/examples/{id}/propose", WORKING),
        ("/console/examples", {COORDINATOR, MANAGER}),
        ("/console/answers/{topic}/propose", WORKING),
        ("/console/answers/changes/{id}/withdraw", WORKING),
        ("/console/answers", {COORDINATOR, MANAGER}),
        ("/console/admin", {MANAGER}),
    ],
}  # fmt: skip


def expected(method, path):
    return next(roles for beginning, roles in EXPECTED[method] if path.startswith(beginning))


def every_page(signpost):
    return [("GET" if isinstance(page, Get) else "POST", page.path, page.may) for page in console_pages(Frame(signpost))]


@pytest.mark.parametrize("role", sorted(ALL))
def test_every_page_asks_for_the_role_that_it_should(office, password_hash, role):
    member = add_staff(office.signpost.database, f"Walker {role}", role, password_hash=password_hash)
    browser = office.desk_of(member.name)
    csrf = hidden(browser.get("/console/account"), "csrf")
    walked = 0
    for method, path, _ in every_page(office.signpost):
        address = re.sub(r"\{\w+\}", "nothing-there", path)
        answer = browser.get(address) if method == "GET" else browser.post(address, data={"csrf": csrf})
        allowed = role in expected(method, path)
        assert (answer.status_code == 403) == (not allowed), f"{method} {path} for {role}: {answer.status_code}"
        assert answer.status_code < 500, f"{method} {path}"
        walked += 1
        if browser.get("/console").status_code != 200:
            browser = office.desk_of(member.name)
            csrf = hidden(browser.get("/console/account"), "csrf")
    assert walked > 30


def test_no_page_opens_for_nobody_and_no_form_without_its_token(office):
    nobody, browser = StaffBrowser(office.app), office.desk_of("Mo Carter")
    for method, path, _ in every_page(office.signpost):
        address = re.sub(r"\{\w+\}", "nothing-there", path)
        if method == "GET":
            answer = nobody.get(address)
            assert answer.status_code == 303 and answer.headers["location"].startswith("/console/sign-in"), path
        else:
            assert nobody.post(address, data={}).status_code == 401, path
            assert browser.post(address, data={"csrf": "made-up"}).status_code == 403, path


def test_a_lead_sees_what_is_their_teams_and_what_they_were_asked_about(office, password_hash):
    database = office.signpost.database
    add_staff(database, "Una East", areas=["somerset"], team="east", topics=["feeding"], password_hash=password_hash)
    add_staff(database, "Vic East", areas=["somerset"], team="east", topics=["equipment"], password_hash=password_hash)
    add_staff(database, "Kim West", areas=["somerset"], team="west", topics=["waiting_time"], password_hash=password_hash)
    id, conversation = office.ask(topic="feeding")
    owner = office.query(id).lead_id
    assert owner == next(s.id for s in office.all(Staff) if s.name == "Una East")
    colleague, stranger = office.desk_of("Vic East"), office.desk_of("Kim West")
    assert colleague.read(id).status_code == 200
    assert stranger.read(id).status_code == 404
    assert stranger.post(f"/console/queries/{id}/note", data={"csrf": hidden(stranger.get("/console"), "csrf"), "note": "x"}).status_code == 404
    asked = next(s for s in office.all(Staff) if s.name == "Kim West")
    with database.write() as session:
        from bot.store.tables import Query

        query = session.get_one(Query, id)
        office.signpost.office.cycle.raise_alert(session, "asked", "second_reader", "deputy", asked, query)
    assert stranger.read(id).status_code == 200
    assert office.desk_of("Mo Carter").read(id).status_code == 200


def test_reading_a_query_is_written_down(office):
    id, _ = office.ask()
    office.desk_of("Ivy Kestrel").read(id)
    [entry] = [e for e in office.all(AuditEntry) if e.act == "read_query"]
    assert (entry.actor, entry.about) == ("Ivy Kestrel", office.query(id).reference)


def test_a_lost_session_gives_back_everything_that_was_typed(office, time):
    id, _ = office.ask()
    browser = office.desk_of("Mo Carter")
    page = browser.read(id)
    time.now += timedelta(hours=21)
    answer = browser.post(f"/console/queries/{id}/promise", data={"csrf": hidden(page, "csrf"), "due_on": "2026-12-21", "reason": "Waiting for the <school>"})
    assert answer.status_code == 401 and "Waiting for the &lt;school&gt;" in answer.text and "2026-12-21" in answer.text


def test_a_form_of_an_earlier_session_does_nothing_and_gives_back_what_was_typed(office):
    id, _ = office.ask()
    browser = office.desk_of("Mo Carter")
    earlier = browser.read(id)
    later = office.desk_of("Mo Carter")
    refused = later.reply(earlier, id, "Written <before> I signed in again")
    assert refused.status_code == 403 and "out of date" in refused.text
    assert "Written &lt;before&gt; I signed in again" in refused.text


def test_a_reply_to_what_went_to_another_team_is_given_back(office):
    id, _ = office.ask()
    browser = office.desk_of("Wren Larkspur")
    page = browser.read(id)
    with office.signpost.database.write() as session:
        session.get_one(Query, id).area = "hampshire"
        session.get_one(Query, id).lead_id = session.scalars(select(Staff.id).where(Staff.name == "Jay Goldfinch")).one()
    refused = browser.reply(page, id, "Half an hour of work")
    assert refused.status_code == 404 and "Half an hour of work" in refused.text


def test_a_fault_gives_back_what_was_typed(office, monkeypatch):
    id, _ = office.ask()
    browser = office.desk_of("Mo Carter")
    page = browser.read(id)
    monkeypatch.setattr(office.signpost.replies, "send", lambda *given: 1 / 0)
    answer = browser.reply(page, id, "Half an hour of work")
    assert answer.status_code == 500 and "Half an hour of work" in answer.text and "see if it was done" in answer.text
