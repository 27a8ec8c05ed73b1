"""What protects staff accounts: passwords that cannot be guessed, cookies that cannot be planted, sessions that end when nobody is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from bot.app import create_app
from bot.console.passwords import GUESSED, LENGTH, problem_with
from bot.console.sign_in import SESSION, new_password
from bot.settings import Settings
from bot.store.console import AuditEntry
from bot.store.tables import Message, Reply, StaffSession
from tests.doubles.organisation import CLIENT, SECRET, OrganisationDouble
from tests.test_console import PASSWORD, StaffBrowser, app, hidden, office, password_hash  # noqa: F401 - fixtures

WREN = ("Wren Larkspur", "wren.larkspur@example.org")

# passwords


@pytest.mark.parametrize(
    "password",
    [
        *("password1234", "Password12345!", "qwertyuiop12", "letmeinletmein", "aaaaaaaaaaaa", "123456789012", "iloveyou1234", "liverpool2026"),
        *("WrenLarkspur2026!", "larkspur.wren1", "Signpost2026!", "therapytherapy", "NHS-Somerset-26", "signpost-council-senco", "a" * 256),
    ],
)
def test_a_password_that_somebody_would_try_first_is_refused(password):
    assert problem_with(password, WREN) == GUESSED


@pytest.mark.parametrize("password", [PASSWORD, "blue lamp seven fox", "xk3jd92mfh4a", "Signpost blue lamp 7 fox", "żółw i kaczka w deszczu"])
def test_any_other_long_password_is_taken(password):
    assert problem_with(password, WREN) is None


def test_a_password_has_a_length_and_ours_are_good():
    assert problem_with("xk3jd92mfh4") == LENGTH == problem_with("x" * 257)
    assert not any(problem_with(new_password(), WREN) for _ in range(50))


# cookies



def test_where_people_come_by_https_no_cookie_can_be_planted_in_plain(settings, office, time):
    organisation = OrganisationDouble()
    try:
        secure = replace(settings, secure_cookies="on", oidc_issuer=organisation.url, oidc_client_id=CLIENT, oidc_client_secret=SECRET)
        browser = TestClient(create_app(secure, time.clock()), base_url="https://testserver", follow_redirects=False)
        answers = [browser.get("/chat"), browser.get("/console/sign-in"), browser.get("/console/sign-in/organisation")]
        form = {"form_token": hidden(answers[1], "form_token"), "email": WREN[1], "password": PASSWORD}
        answers.append(browser.post("/console/sign-in", data=form))
        answers.append(browser.post("/chat/keep", data={"keep": "yes"}))
        lines = [line for answer in answers for line in answer.headers.get_list("set-cookie")]
        names = {line.partition("=")[0] for line in lines}
        assert names == {"__Secure-signpost_chat", "__Secure-signpost_keep", "__Secure-signpost_sign_in", "__Secure-signpost_organisation", "__Secure-signpost_staff"}
        assert all("; Secure" in line and "; HttpOnly" in line and "SameSite=" in line for line in lines), lines
        assert browser.get("/console").status_code == 200
        staff = browser.cookies["__Secure-signpost_staff"]
        planted = TestClient(browser.app, base_url="https://testserver", cookies={"signpost_staff": staff}, follow_redirects=False)
        assert planted.get("/console").status_code == 303, "a cookie without the prefix is not read"
    finally:
        organisation.stop()


# sessions


@pytest.fixture
def idle(settings, office, time):
    """The app of `office` with a limit of half an hour."""
    return create_app(replace(settings, staff_idle_minutes=30), time.clock())


def test_a_session_in_which_nothing_happens_ends_and_what_is_sent_after_is_given_back(idle, office, time):
    id, _ = office.ask()
    browser = StaffBrowser(idle)
    browser.sign_in()
    for _ in range(4):
        time.now += timedelta(minutes=29)
        page = browser.read(id)
        assert page.status_code == 200, "every act begins the half hour anew"
    time.now += timedelta(minutes=31)
    answer = browser.reply(page, id, "Your therapist is Wren.")
    assert answer.status_code == 401 and "Your therapist is Wren." in answer.text
    assert browser.get("/console").status_code == 303


def test_what_an_open_page_asks_by_itself_keeps_no_session_open(idle, office, time):
    browser = StaffBrowser(idle)
    browser.sign_in()
    for _ in range(3):
        time.now += timedelta(minutes=9)
        assert browser.get("/console/news").status_code == 422, "it is somebody signed in who asks"
    time.now += timedelta(minutes=4)
    assert browser.get("/console/news").status_code == 303 and browser.get("/console").status_code == 303


def test_no_act_makes_a_session_longer_than_its_longest_life(idle, office, time):
    browser = StaffBrowser(idle)
    browser.sign_in()
    began = time.now
    while time.now - began < SESSION - timedelta(minutes=25):
        time.now += timedelta(minutes=25)
        assert browser.get("/console").status_code == 200
    time.now = began + SESSION
    assert browser.get("/console").status_code == 303


def test_signing_in_again_ends_the_session_that_the_browser_had(office):
    browser = StaffBrowser(office.app)
    form = browser.get("/console/sign-in")
    again = {"form_token": hidden(form, "form_token"), "email": WREN[1], "password": PASSWORD}
    cookie = browser.cookies["signpost_sign_in"]
    for _ in range(2):
        browser.cookies.set("signpost_sign_in", cookie, path="/console")
        assert browser.post("/console/sign-in", data=again).headers["location"] == "/console"
    assert len(office.all(StaffSession)) == 1


def test_a_session_that_somebody_else_chose_is_not_taken_up_by_signing_in(office):
    """Session fixation: the server makes the token anew at every step, and never takes one up."""
    browser = StaffBrowser(office.app)
    browser.cookies.set("signpost_staff", "chosen-by-somebody-else", path="/console")
    answer = browser.sign_in()
    [line] = [line for line in answer.headers.get_list("set-cookie") if line.startswith("signpost_staff=")]
    assert "chosen-by-somebody-else" not in line and len(line.partition("=")[2].partition(";")[0]) > 40
    victim = StaffBrowser(office.app)
    victim.cookies.set("signpost_staff", "chosen-by-somebody-else", path="/console")
    assert victim.get("/console").status_code == 303


def test_a_reply_to_what_the_parent_deleted_meanwhile_is_not_sent_and_not_kept(office):
    id, conversation = office.ask()
    browser = office.desk_of("Mo Carter")
    page = browser.read(id)
    office.signpost.own_words.erase(conversation)
    answer = browser.reply(page, id, "About your quillwort question: yes.")
    assert answer.status_code in (404, 409, 422) and "quillwort" in answer.text, "it is given back to its writer"
    assert not office.all(Reply) and not any("quillwort" in message.text for message in office.all(Message))


def test_a_password_typed_into_the_wrong_field_is_in_no_log(office):
    StaffBrowser(office.app).sign_in(email="my-own-secret-password")
    [entry] = office.all(AuditEntry)
    assert entry.act == "sign_in_refused" and "my-own-secret" not in str(entry.detail)


@pytest.mark.parametrize(
    ("given", "made"), [({}, True), ({"demo": "off"}, False), ({"secure_cookies": "on"}, False), ({"secure_cookies": "on", "demo": "on"}, True)]
)
def test_made_up_accounts_are_for_trying_only(given, made):
    assert Settings(**given).demo_on == made
