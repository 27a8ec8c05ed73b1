"""The console in a real browser: every page at two widths with axe, by keyboard alone, live, and with nothing lost."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import httpx
import pyotp
import pytest
from sqlalchemy import func, select

from bot.clock import Clock, new_id, new_secret
from bot.console import demo
from bot.console.demo_queries import Demo
from bot.console.sign_in import SignIn
from bot.conversations.log import token_hash
from bot.settings import Settings
from bot.store.cycle import Alert, Delivery, Heartbeat
from bot.store.database import Database
from bot.store.keys import open_keyring
from bot.store.tables import Conversation, Query, Reply, Staff, StaffSession
from tests.browsers import violations
from tests.doubles.engine import EngineDouble
from tests.doubles.websites import Site
from tests.test_widget_browser import WATCH

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Signpost with a made-up past of forty queries, over real HTTP."""
    folder = tmp_path_factory.mktemp("console")
    with EngineDouble() as engine:
        settings = Settings(data_dir=str(folder), engine_url=engine.url, engine_token="token", rate_limits="off", undo_seconds=0)
        database = Database(settings.database, open_keyring(settings, settings.database))
        database.upgrade()
        demo.seed(SignIn(database, Clock()), database)
        Demo(settings, queries=40).play()
        database.close()
        started = Site(settings)
        started.start()
        signpost = started.signpost
        with signpost.database.write() as session:
            now = signpost.clock.now()
            session.merge(Heartbeat(worker="here", started_at=now, at=now + timedelta(hours=1)))
        yield started
        started.stop()


class Desk:
    """Somebody at the console in a browser of their own."""

    def __init__(self, site, chromium, name: str, **options) -> None:
        self.site = site
        self.context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.context.add_cookies([{"name": "signpost_staff", "value": session_of(site, name), "url": f"{site.url}/console"}])
        self.page = self.context.new_page()
        self.page.add_init_script(WATCH)
        self.broken: list[str] = []
        self.page.on("pageerror", lambda error: self.broken.append(str(error)))
        self.page.on("request", lambda r: self.broken.append(r.url) if not r.url.startswith((site.url, "data:")) else None)

    def open(self, path: str):
        self.page.goto(self.site.url + path)
        return self.page

    def close(self) -> None:
        assert self.broken == []
        self.context.close()


@pytest.fixture
def desk(site, chromium):
    made = []

    def sit(name: str, **options) -> Desk:
        made.append(Desk(site, chromium, name, **options))
        return made[-1]

    yield sit
    for each in made:
        each.close()


def session_of(site, name: str) -> str:
    token, now = new_secret(), site.signpost.clock.now()
    with site.signpost.database.write() as session:
        member = session.scalars(select(Staff).where(Staff.name == name)).one()
        kept = StaffSession(token_hash=token_hash(token), staff_id=member.id, csrf=new_secret(), created_at=now, expires_at=now + timedelta(hours=9))
        session.add(kept)
    return token


def ask(site, text="Who is our therapist now?"):
    """A parent's chat on the web that became a query: (query id, its lead's name, the parent's client)."""
    client = httpx.Client(base_url=site.url, timeout=30, trust_env=False)
    started = client.post("/api/chat/sessions", json={"area": "somerset"}).json()
    client.headers["Authorization"] = f"Bearer {started['token']}"
    accepted = client.post("/api/chat/messages", json={"client_id": new_id(), "text": text}).json()["accepted"]
    card = site.signpost.desk.open(started["session"], accepted, reason="unresolved", topic="complaint")
    return card.id, card.lead, client


def says(client, text):
    assert client.post("/api/chat/messages", json={"client_id": new_id(), "text": text}).status_code in (200, 202)


def pages_of(site) -> dict[str, str]:
    """Every kind of page, with something on it."""
    with site.signpost.database.read() as session:

        def one(*conditions) -> str:
            return session.scalar(select(Query.id).where(*conditions).limit(1))

        found = {
            "in progress": one(Query.state == "in_progress"),
            "replied": one(Query.state == "replied", Query.answered_at.is_not(None)),
            "reopened": one(Query.state == "reopened"),
            "confirmed": one(Query.state == "confirmed"),
            "undelivered": session.scalar(select(Delivery.query_id).where(Delivery.state == "refused").limit(1)),
            "to be read": session.scalar(select(Reply.query_id).where(Reply.state == "to_read").limit(1)),
        }
        conversation = session.scalar(select(Conversation.id).join(Query, Query.conversation_id == Conversation.id).limit(1))
        member = session.scalar(select(Staff.id).where(Staff.role == "lead").limit(1))
    assert all(found.values()), found
    admin = ("", "/staff", "/staff/new", f"/staff/{member}", "/teams", "/schools", "/promises", "/retention", "/health", "/audit")
    return {
        **{f"query {name}": f"/console/queries/{id}" for name, id in found.items()},
        **{f"view {view}": f"/console?view={view}" for view in ("mine", "all", "overdue", "waiting", "undelivered", "closed")},
        "search": "/console?search=discharge", "search nothing": "/console?search=zzzz", "filter": "/console?view=all&kind=ordinary", "alerts": "/console/alerts",
        "review": "/console/review?view=all", "conversation": f"/console/review/{conversation}", "unclear": "/console/review/not-understood",
        "examples": "/console/review/examples", "answers": "/console/answers", "answer": "/console/answers/core_offer_return",
        "reports": "/console/reports", "month": "/console/reports/month", "account": "/console/account", "second step": "/console/account/second-step",
        "no such page": "/console/queries/nothing", **{f"admin {path}": f"/console/admin{path}" for path in admin},
    }  # fmt: skip


@pytest.mark.parametrize("width", [1280, 320])
def test_every_page_is_accessible_fits_and_breaks_no_policy(desk, site, width):
    page = desk("Basil Hawthornden", viewport={"width": width, "height": 800}).page
    wrong = {}
    for name, path in pages_of(site).items():
        page.goto(site.url + path)
        for details in page.locator("main details").all():
            details.evaluate("(d) => { d.open = true }")
        found = violations(page)
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append(f"needs {wide} pixels")
        if page.locator("h1").count() != 1:
            found.append("has not one main heading")
        found += page.evaluate("window.broken")
        if found:
            wrong[name] = found
    assert wrong == {}


@pytest.mark.parametrize("scheme", ["none", "active"])
def test_pages_for_nobody_are_accessible(site, chromium, scheme):
    context = chromium.new_context(viewport={"width": 320, "height": 700}, forced_colors=scheme)
    page = context.new_page()
    page.goto(f"{site.url}/console/sign-in")
    assert violations(page) == []
    context.close()


def tab_to(page, name: str, most: int = 120) -> None:
    """Press Tab until the focus is on the control with that name."""
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => { const e = document.activeElement; const l = e.labels && e.labels[0]; return (l ? l.textContent : e.getAttribute('aria-label') || e.textContent || '').trim().replace(/\\s+/g, ' ') }"
        )
        if focused.startswith(name):
            return
    raise AssertionError(f"Tab does not reach {name!r}")


def test_signing_in_with_a_second_step_by_keyboard_alone(site, chromium):
    signpost = site.signpost
    [member] = [m for m in _staff(site) if m.name == "Wren Larkspur"]
    password = signpost.sign_in.reset(member.id)
    secret = pyotp.random_base32()
    with signpost.database.write() as session:
        session.get_one(Staff, member.id).totp_secret = secret
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(f"{site.url}/console/sign-in")
    tab_to(page, "Email address")
    page.keyboard.type(member.email)
    tab_to(page, "Password")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your second step").wait_for()
    assert violations(page) == []
    tab_to(page, "Code from your app")
    page.keyboard.type(pyotp.TOTP(secret).now())
    page.keyboard.press("Enter")
    page.get_by_role("navigation", name="Views of queries").wait_for()
    context.close()
    with signpost.database.write() as session:
        session.get_one(Staff, member.id).totp_secret = None


def _staff(site):
    with site.signpost.database.read() as session:
        return list(session.scalars(select(Staff)))


def test_replying_by_keyboard_alone(desk, site):
    id, lead, parent = ask(site)
    page = desk(lead).open(f"/console/queries/{id}")
    tab_to(page, "Reply to the parent")
    page.keyboard.type("I will ring the school on Monday.")
    tab_to(page, "Preview")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="As the parent will see it").wait_for()
    assert page.locator(".app-preview").inner_text().count("I will ring the school on Monday.") == 1
    assert violations(page) == []
    tab_to(page, "Send reply")
    page.keyboard.press("Enter")
    page.get_by_text("Your reply was sent").wait_for()
    messages = parent.get("/api/chat/messages?after=0").json()["messages"]
    assert [m["text"] for m in messages if m["author"] == "staff"] == ["I will ring the school on Monday."]


def test_closing_by_keyboard_alone_takes_evidence_and_a_yes(desk, site):
    id, lead, parent = ask(site)
    page = desk(lead).open(f"/console/queries/{id}")
    page.get_by_label("Reply to the parent").fill("Here is your answer.")
    page.get_by_role("button", name="Send reply").click()
    page.get_by_text("Your reply was sent").wait_for()
    parent.get("/api/chat/messages?after=0")
    page = desk("Basil Hawthornden").open(f"/console/queries/{id}")
    tab_to(page, "Close the query")
    page.keyboard.press("Enter")
    tab_to(page, "Reason (the parent is told it)")
    page.keyboard.type("The family told us by phone")
    tab_to(page, "Close and tell the parent")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Are you sure?").wait_for()
    assert violations(page) == [] and page.get_by_text("The family told us by phone").is_visible()
    tab_to(page, "Yes, do it")
    page.keyboard.press("Enter")
    page.get_by_text("The query is closed").wait_for()


def test_a_parents_new_message_and_typing_show_without_loading_the_page(desk, site):
    id, lead, parent = ask(site)
    page = desk(lead).open(f"/console/queries/{id}")
    page.get_by_label("Reply to the parent").fill("Half a thought")
    parent.post("/api/chat/typing", json={})
    page.get_by_text("They are typing.").wait_for()
    says(parent, "And he has <b>moved</b> school")
    page.get_by_text("And he has <b>moved</b> school", exact=True).wait_for()
    assert page.locator("ol.app-messages b").count() == 0, "what families write is never mark-up"
    assert page.get_by_label("Reply to the parent").input_value() == "Half a thought"
    page.get_by_role("button", name="Load the page again, with my draft").click()
    page.wait_for_load_state()
    assert page.get_by_label("Reply to the parent").input_value() == "Half a thought"


def test_staffs_typing_reaches_the_parent(desk, site):
    id, lead, parent = ask(site)
    page = desk(lead).open(f"/console/queries/{id}")
    page.get_by_label("Reply to the parent").press_sequentially("I am writ")
    page.get_by_text("Your draft is kept.").wait_for()
    assert parent.get("/api/chat/standing").json()["writing"] == lead
    assert site.signpost.replies.draft(id, next(m.id for m in _staff(site) if m.name == lead)) == "I am writ"


def test_two_people_on_one_query_see_each_other_and_cannot_overwrite(desk, site):
    id, lead, _ = ask(site)
    first, second = desk(lead).open(f"/console/queries/{id}"), desk("Basil Hawthornden").open(f"/console/queries/{id}")
    second.get_by_text(f"{lead} has this query open too.").wait_for()
    first.get_by_text("Basil Hawthornden has this query open too.").wait_for()
    first.get_by_label("Reply to the parent").press_sequentially("From the lead")
    second.get_by_text(f"{lead} is writing a reply to this query.").wait_for()
    first.get_by_role("button", name="Send reply").click()
    first.get_by_text("Your reply was sent").wait_for()
    second.get_by_text("This query has changed since you opened it.").wait_for()
    second.get_by_label("Reply to the parent").fill("From the manager")
    second.get_by_role("button", name="Send reply").click()
    second.get_by_text("has changed since you opened this page").first.wait_for()
    assert second.get_by_label("Reply to the parent").input_value() == "From the manager"


def test_a_note_takes_the_reply_that_is_being_written_along(desk, site):
    id, lead, _ = ask(site)
    page = desk(lead).open(f"/console/queries/{id}")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.get_by_label("Reply to the parent").fill("Half a reply")
    page.get_by_label("Add a note").fill("Rang the school")
    page.get_by_role("button", name="Add the note").click()
    page.get_by_text("The note is kept.").wait_for()
    assert page.get_by_label("Reply to the parent").input_value() == "Half a reply" and asked == []


def focused(page, words: str) -> str:
    """What has the focus, by its id or its words, as soon as that is what was looked for: it moves a moment after new words are there."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        found = page.evaluate("document.activeElement.id || document.activeElement.textContent")
        if found == words or (" " in words and words in found):
            break
        page.wait_for_timeout(20)
    return found


def test_what_is_kept_for_staff_is_kept_in_place(desk, site):
    id, lead, _ = ask(site)
    page = desk(lead).open(f"/console/queries/{id}")
    page.evaluate("window.opened = 'once'")
    page.get_by_label("Reply to the parent").fill("Half a reply")
    page.get_by_label("Add a note").fill("Half a note")
    page.get_by_label("Add tags").fill("transition, autism")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("The tags are kept.").wait_for()
    assert focused(page, "tag-button") == "tag-button" and page.get_by_label("Add tags").input_value() == ""
    page.get_by_label("Add tags").fill("half a tag")
    page.get_by_role("button", name="Remove the tag autism").click()
    page.get_by_text("The tag is gone.").wait_for()
    assert focused(page, "The tag is gone.") == "The tag is gone.", "its button is gone"
    assert page.get_by_label("Add tags").input_value() == "half a tag" and page.locator("#tag-list .app-label").all_inner_texts() == ["transition"]
    page.get_by_label("Summary").fill("Asks for a new therapist")
    page.keyboard.press("Enter")
    page.get_by_text("The summary is kept.").wait_for()
    assert focused(page, "summary") == "summary" and page.locator("input[name=was][value='Asks for a new therapist']").count() == 1
    assert page.get_by_label("Add a note").input_value() == "Half a note"
    page.get_by_role("button", name="Add the note").click()
    page.get_by_text("The note is kept.").wait_for()
    assert page.locator("#notebook .app-timeline").inner_text().endswith("Half a note") and page.get_by_label("Add a note").input_value() == ""
    assert page.get_by_label("Reply to the parent").input_value() == "Half a reply"
    assert page.evaluate("[window.opened, window.broken]") == ["once", []] and violations(page) == []
    page.get_by_label("Add tags").fill("")
    page.get_by_role("button", name="Send reply").click()
    page.get_by_text("Your reply was sent").wait_for()


def test_what_is_refused_in_place_is_told_there_and_stays(desk, site):
    id, lead, _ = ask(site)
    first, second = desk(lead).open(f"/console/queries/{id}"), desk("Basil Hawthornden").open(f"/console/queries/{id}")
    for page, summary in ((second, "From the manager"), (first, "From the lead")):
        page.get_by_label("Summary").fill(summary)
        page.get_by_role("button", name="Keep the summary").click()
        page.locator("#notebook-summary-told p").wait_for()
    told = first.locator("#notebook-summary-told")
    assert "Meanwhile a colleague has changed the summary to “From the manager”." in told.inner_text()
    assert "Meanwhile a colleague" in focused(first, "Meanwhile a colleague") and first.title().startswith("Error: ")
    assert first.get_by_label("Summary").input_value() == "From the lead" and violations(first) == []
    first.get_by_role("button", name="Keep the summary").click()
    first.get_by_text("The summary is kept.").wait_for()
    assert not first.title().startswith("Error: ") and first.evaluate("window.broken") == []


def test_what_fails_in_place_is_told_there_and_stays(desk, site):
    id, lead, _ = ask(site)
    one = desk(lead)
    page = one.open(f"/console/queries/{id}")
    page.evaluate("window.opened = 'once'")
    page.get_by_label("Add a note").fill("Rang the school")
    told, add = page.locator("#notebook-note-told"), page.get_by_role("button", name="Add the note")
    no_answer = "Signpost did not answer"

    def fails(words: str) -> None:
        add.click()
        told.get_by_text(words).wait_for()
        assert page.get_by_label("Add a note").input_value() == "Rang the school" and words in focused(page, words)

    page.route("**/note", lambda route: route.abort())
    fails(no_answer)
    page.unroute("**/note")
    one.context.add_cookies([{"name": "signpost_staff", "value": session_of(site, lead), "url": f"{site.url}/console"}])
    fails("This form is out of date, so nothing was done.")
    page.route("**/note", lambda route: route.fulfill(status=502, body="Bad gateway"))
    fails(no_answer)
    page.unroute("**/note")
    one.context.clear_cookies()
    fails("Your session has ended, so nothing was sent.")
    assert told.get_by_role("link", name="Sign in").is_visible() and violations(page) == []
    assert page.evaluate("[window.opened, window.broken]") == ["once", []]
    page.evaluate("document.querySelector('#note').value = ''")


def test_a_reply_is_previewed_in_place(desk, site):
    id, lead, parent = ask(site)
    page = desk(lead).open(f"/console/queries/{id}")
    page.evaluate("window.opened = 'once'")
    page.get_by_label("Add a note").fill("Half a note")
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("Write a reply before you preview it.").wait_for()
    page.get_by_label("Reply to the parent").fill("I will ring **you**.")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("heading", name="As the parent will see it").wait_for()
    assert focused(page, "preview-title") == "preview-title" and page.get_by_text("Write a reply before").count() == 0
    page.get_by_label("Reply to the parent").fill("I will ring on Monday.")
    page.get_by_role("button", name="Preview").click()
    page.locator(".app-preview").get_by_text("I will ring on Monday.").wait_for()
    assert page.locator(".app-preview").count() == 1 and page.get_by_label("Add a note").input_value() == "Half a note"
    assert page.evaluate("[window.opened, window.broken]") == ["once", []] and violations(page) == []
    page.get_by_label("Add a note").fill("")
    page.get_by_role("button", name="Send reply").click()
    page.get_by_text("Your reply was sent").wait_for()
    assert "I will ring on Monday." in [m["text"] for m in parent.get("/api/chat/messages?after=0").json()["messages"]]


def test_a_conversation_is_reviewed_in_place(desk, site):
    with site.signpost.database.read() as session:
        conversation = session.scalar(select(Conversation.id).join(Query, Query.conversation_id == Conversation.id).limit(1))
    page = desk("Basil Hawthornden").open(f"/console/review/{conversation}")
    page.evaluate("window.opened = 'once'")
    page.get_by_label("Add tags").fill("half a tag")
    for button, told in (("Save for later", "Saved for later."), ("Do not save any more", "It is not saved any more."), ("Save for later", "Saved for later.")):
        page.get_by_role("button", name=button).click()
        page.locator("#review-told").get_by_text(told).wait_for()
        assert focused(page, "save-button") == "save-button"
    assert page.locator("#review-marks").get_by_text("Saved for later").is_visible() and page.get_by_label("Add tags").input_value() == "half a tag"
    page.get_by_label("Add tags").fill("$")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("cannot be a tag").wait_for()
    assert page.get_by_label("Add tags").input_value() == "$" and "cannot be a tag" in focused(page, "cannot be a tag")
    assert page.evaluate("[window.opened, window.broken]") == ["once", []] and violations(page) == []
    page.get_by_label("Add tags").fill("")


def test_an_alert_is_acknowledged_in_place(desk, site):
    _, lead, _ = ask(site)
    with site.signpost.database.write() as session:
        member = session.scalars(select(Staff).where(Staff.name == lead)).one()
        session.add(Alert(id=new_id(), key=new_id(), kind="urgent", step="lead", staff_id=member.id, at=site.signpost.clock.now()))

    def open_alerts() -> int:
        with site.signpost.database.read() as session:
            return len(session.scalars(select(Alert.id).where(Alert.staff_id == member.id, Alert.acknowledged_at.is_(None))).all())

    page = desk(lead).open("/console?view=all&kind=ordinary")
    page.evaluate("window.opened = 'once'")
    before = open_alerts()
    page.get_by_label("Search all queries").fill("half a word")
    page.get_by_role("button", name="Acknowledge").first.click()
    page.get_by_text("You have acknowledged it.").wait_for()
    # the list shows five: another may have moved up
    assert open_alerts() == before - 1 and page.locator(".app-alert").count() == min(5, before - 1)
    assert focused(page, "You have acknowledged it.") == "You have acknowledged it."
    assert page.get_by_label("Search all queries").input_value() == "half a word" and page.locator("nav#views").count() == 1
    assert page.evaluate("[window.opened, window.broken]") == ["once", []] and violations(page) == []


def test_the_same_forms_work_without_javascript(desk, site):
    id, lead, _ = ask(site)
    page = desk(lead, java_script_enabled=False).open(f"/console/queries/{id}")
    for label, text, button, told in (
        ("Add tags", "transition", "Add", "The tags are kept."),
        ("Summary", "Asks for a new therapist", "Keep the summary", "The summary is kept."),
        ("Add a note", "Rang the school", "Add the note", "The note is kept."),
    ):
        page.get_by_label(label).fill(text)
        page.get_by_role("button", name=button, exact=True).click()
        assert page.get_by_text(told).is_visible() and page.get_by_text(told).count() == 1
    page.get_by_role("button", name="Remove the tag transition").click()
    assert page.get_by_text("The tag is gone.").is_visible()
    page.get_by_label("Add tags").fill("$")
    page.get_by_role("button", name="Add", exact=True).click()
    assert page.locator("#notebook-tags-told").get_by_text("cannot be a tag").is_visible() and page.get_by_label("Add tags").input_value() == "$"
    page.get_by_role("link", name="Review this conversation").click()
    page.get_by_role("button", name="Mark as reviewed").click()
    assert page.locator("#review-told").get_by_text("Marked as reviewed.").is_visible()


def test_a_half_written_note_is_asked_about_before_the_page_goes(desk, site):
    id, lead, _ = ask(site)
    page = desk(lead).open(f"/console/queries/{id}")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_label("Add a note").press_sequentially("Rang the")
    page.get_by_label("Reply to the parent").fill("The whole reply")
    page.get_by_role("button", name="Send reply").click()
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"] and page.get_by_label("Add a note").input_value() == "Rang the"
    with site.signpost.database.read() as session:
        assert session.scalar(select(Reply.id).where(Reply.query_id == id)) is None, "nothing was sent"


def test_a_lost_connection_is_told_and_so_is_its_return(desk, site):
    id, lead, parent = ask(site)
    page = desk(lead).open(f"/console/queries/{id}")
    site.stop()
    page.get_by_text("No connection at present.").wait_for()
    site.start()
    page.locator("[data-cut]:empty").wait_for(state="attached")
    says(parent, "Still there?")
    page.get_by_text("Still there?", exact=True).wait_for()


def test_a_reply_of_an_earlier_session_is_given_back(desk, site):
    id, lead, _ = ask(site)
    first = desk(lead)
    page = first.open(f"/console/queries/{id}")
    page.get_by_label("Reply to the parent").fill("Written before")
    first.context.add_cookies([{"name": "signpost_staff", "value": session_of(site, lead), "url": f"{site.url}/console"}])
    page.get_by_role("button", name="Send reply").click()
    page.get_by_text("This form is out of date").wait_for()
    assert page.get_by_label("Text").input_value() == "Written before"


def test_a_reviewed_answer_is_inserted_and_can_be_changed(desk, site):
    id, lead, _ = ask(site)
    page = desk(lead, java_script_enabled=False).open(f"/console/queries/{id}")
    page.get_by_label("Reply to the parent").fill("Hello.")
    page.get_by_text("Reviewed answers at hand").click()
    page.get_by_role("button", name=re.compile("^Insert “How to complain”")).click()
    text = page.get_by_label("Reply to the parent").input_value()
    assert text.startswith("Hello.\n\n") and len(text) > 60 and "{" not in text


def test_new_queries_are_told_without_moving_the_list(desk, site):
    page = desk("Basil Hawthornden").open("/console?view=all")
    rows = page.locator("tbody tr").count()
    ask(site)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.get_by_text(re.compile(r"1 new query\. Show it")).wait_for()
    assert page.locator("tbody tr").count() == rows
    page.get_by_role("link", name="Show it").click()
    page.wait_for_load_state()
    assert page.locator("tbody tr").count() == rows + 1


def test_a_view_is_filtered_saved_and_found_again(desk, site):
    page = desk("Basil Hawthornden", java_script_enabled=False).open("/console?view=all")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Area").select_option("hampshire")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("Save this view").click()
    page.get_by_label("Name", exact=True).fill("Hampshire now")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Hampshire now").click()
    assert "area=hampshire" in page.url
    page.get_by_role("button", name="Remove saved view Hampshire now").click()
    assert page.get_by_role("link", name="Hampshire now").count() == 0


def test_the_month_report_prints_on_white_with_its_tables(desk, site):
    page = desk("Basil Hawthornden").open("/console/reports/month")
    page.emulate_media(media="print")
    assert page.locator("nav:visible").count() == 0
    assert page.locator("table:visible").count() > 3 and page.locator("svg:visible").count() > 3


def test_the_demo_has_queries_in_every_state(site):
    with site.signpost.database.read() as session:
        states = dict(session.execute(select(Query.state, func.count()).group_by(Query.state)).all())
    assert set(states) >= {"routed", "in_progress", "awaiting_parent", "replied", "confirmed", "partly", "reopened", "silent", "closed_by_manager"}

