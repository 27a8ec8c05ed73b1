"""The chat in a real browser: on a school's website under a strict policy, offline and back, asleep, in two tabs, by keyboard, small."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

import pytest

from bot.conversations.outbound import OfferedChoice, Outbound
from bot.setup import assets
from bot.widget.build import TARGET, build
from bot.widget.words import all_words
from tests.browsers import violations
from tests.doubles.engine import says
from tests.doubles.telegram import TOKEN, BotApiDouble
from tests.doubles.websites import SchoolSite, Site

pytestmark = pytest.mark.browser

LAUNCHER = "Ask about children's therapy"
SOURCE = {"id": "S4", "quote": "move in and out of our service", "title": "Service criteria", "url": "https://example.org/criteria"}
# what a page must not do is asked of the page itself: who broke the policy, and which messages were announced
WATCH = """
window.broken = []
document.addEventListener('securitypolicyviolation', (e) => window.broken.push(`${e.violatedDirective} ${e.blockedURI}`))
"""


@pytest.fixture(scope="module", autouse=True)
def built():
    """The script, made of the sources as they are now."""
    stamp = assets.TARGET / "lock.sha256"
    if not TARGET.exists() or not stamp.exists() or stamp.read_text() != assets.fingerprint():
        build()


@pytest.fixture
def school():
    """A school's website with the tag in its page, and a policy that allows Signpost's script and connections only."""
    site = SchoolSite()
    yield site
    site.stop()


@pytest.fixture
def site(settings, signpost, school, engine_double):
    """Signpost, letting the school's website in; the engine answers by what is asked."""
    engine_double.reply = answering
    started = Site(replace(settings, embed_origins=school.url, engine_timeout=20.0))
    started.start()
    script = f'<script src="{started.url}/widget/signpost-chat.js" defer></script>'
    body = f'{script}<main><h1>Hill School</h1><p><a href="#x">A link of the school</a></p></main><signpost-chat area="somerset" asking-as="parent"></signpost-chat>'
    school.pages["/"] = f'<!DOCTYPE html><html lang="en"><head><title>Hill School</title></head><body>{body}</body></html>'
    school.policy = f"default-src 'none'; script-src {started.url}; connect-src {started.url}; base-uri 'none'"
    yield started
    started.stop()


def answering(turn):
    text = (turn["text"] or "").lower()
    if "come back" in text:
        return says("Yes, children can come back.\n\nFor example:\n- one\n- two", outcome="answer", topic="core_offer_return", sources=[SOURCE])
    if "choking" in text:
        return says("Call 999 or go to A&E now\n\nCall 999 if a child:\n- is choking", outcome="urgent", topic="urgent_medical")
    if "which" in text:
        choices = [{"title": title, "command": "x", "topic": None, "value": None} for title in ("The plan", "None of these")]
        return says("Did you mean one of these?", outcome="clarify", choices=choices)
    return says(f"you said: {turn['text']}")


class Visit:
    """A browser on one page, and what it asked the network for."""

    def __init__(self, chromium, url: str, **context) -> None:
        self.context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        self.context.add_init_script(WATCH)
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page = self.tab(url)

    def tab(self, url: str):
        page = self.context.new_page()
        page.set_default_timeout(15000)
        page.on("request", lambda r: self.asked.append(r.url))
        page.on("pageerror", lambda e: self.errors.append(str(e)))
        page.goto(url)
        return page

    def open(self):
        self.page.get_by_role("button", name=LAUNCHER).click()
        self.page.get_by_label("Your message").wait_for()
        return self

    def says(self, text: str, page=None) -> None:
        page = page or self.page
        page.get_by_label("Your message").fill(text)
        page.get_by_role("button", name="Send").click()

    def says_in(self, words, text: str) -> None:
        self.page.get_by_label(words.say("message")).fill(text)
        self.page.get_by_role("button", name=words.say("send"), exact=True).click()

    def reads(self, text: str, page=None) -> None:
        (page or self.page).get_by_text(text).first.wait_for()

    def until(self, script: str, page=None) -> None:
        """Wait until `script` is true (Playwright's own way evaluates strings, which a strict policy forbids)."""
        for _ in range(150):
            if (page or self.page).evaluate(f"() => {{ const root = document.querySelector('signpost-chat').shadowRoot; return {script} }}"):
                return
            (page or self.page).wait_for_timeout(100)
        raise AssertionError(f"never true: {script}")

    @property
    def broken(self) -> list[str]:
        return self.page.evaluate("window.broken")

    @property
    def chat(self):
        return self.page.locator("signpost-chat")

    def shadow(self, script: str):
        return self.page.evaluate(f"(() => {{ const root = document.querySelector('signpost-chat').shadowRoot; {script} }})()")


@pytest.fixture
def visit(chromium):
    opened = []

    def start(url: str, **context) -> Visit:
        opened.append(Visit(chromium, url, **context))
        return opened[-1]

    yield start
    for one in opened:
        one.context.close()
        assert one.errors == []


def conversation_of(site, text: str) -> str:
    """The conversation in which a parent said `text`."""
    from sqlalchemy import select

    from bot.store.tables import Message

    with site.signpost.database.read() as session:
        [found] = {message.conversation_id for message in session.scalars(select(Message)) if message.text == text}
    return found


def staff_says(site, conversation_id: str, text: str, **fields) -> None:
    """Write a reply of staff into a conversation, as the console does."""
    log = site.signpost.log
    with site.signpost.database.write() as session:
        log.append(session, conversation_id, [Outbound(text, author="staff", name="Wren Larkspur, Speech therapist", **fields)])


def parents_messages(site) -> list[str]:
    from sqlalchemy import select

    from bot.store.tables import Message

    with site.signpost.database.read() as session:
        return list(session.scalars(select(Message.text).where(Message.author == "parent").order_by(Message.at, Message.seq)))


# --- on somebody else's website ---


def test_a_question_is_answered_on_a_school_website_with_a_strict_policy(visit, school, site):
    parent = visit(school.url).open()
    parent.says("Can we come back?")
    parent.reads("Yes, children can come back.")
    parent.page.get_by_text("Where this comes from").click()
    parent.reads("move in and out of our service")
    assert parent.page.get_by_role("link", name="Service criteria").get_attribute("href") == SOURCE["url"]
    assert parent.broken == []
    origins = {re.match(r"https?://[^/]+", url)[0] for url in parent.asked}
    assert origins == {school.url, site.url}
    assert parent.context.cookies() == [], "no cookie on a website of somebody else"


def test_a_website_that_was_not_let_in_shows_that_nothing_was_sent(visit, school, site, engine_double):
    site.stop()
    site.settings = replace(site.settings, embed_origins="")
    site.start()
    parent = visit(school.url).open()
    parent.says("Hello?")
    parent.reads("Not sent yet")
    assert engine_double.turns == []


def test_nothing_is_asked_of_the_server_before_the_parent_writes(visit, school, site):
    parent = visit(school.url).open()
    for line in all_words()["en"].given["about"]:
        assert parent.page.get_by_text(line).is_visible()
    assert [url for url in parent.asked if "/api/" in url] == []


def test_the_chat_cannot_be_broken_by_the_style_of_the_website(visit, school, site):
    school.pages["/"] = school.pages["/"].replace("</head>", "<style>*{color:red!important;font-size:4px!important;display:block}</style></head>")
    school.policy += "; style-src 'unsafe-inline'"
    parent = visit(school.url).open()
    assert parent.page.get_by_label("Your message").evaluate("(box) => getComputedStyle(box).fontSize") == "16px"


def test_what_the_website_chose_is_used_and_its_colours_are_made_readable(visit, school, site, engine_double):
    school.pages["/"] = school.pages["/"].replace("<signpost-chat ", '<signpost-chat heading="Ask Hill School" colour="#ffff99" text-colour="#ffffff" language="pl" position="left" ')
    parent = visit(school.url)
    launcher = parent.page.get_by_role("button", name="Ask Hill School")
    assert launcher.evaluate("(one) => getComputedStyle(one).color") == "rgb(0, 0, 0)"
    assert launcher.bounding_box()["x"] < 100
    launcher.click()
    parent.page.get_by_label(all_words()["pl"].say("message")).fill("Dzień dobry")
    parent.page.get_by_role("button", name=all_words()["pl"].say("send")).click()
    parent.reads("you said: Dzień dobry")
    assert engine_double.turns[0]["metadata"]["area"] == "somerset"


def test_a_browser_without_scripts_sees_the_link_between_the_tags(visit, school, site):
    from bot.widget.embedding import Embedding

    school.pages["/"] = f"<!DOCTYPE html><title>Hill</title>{Embedding(site.url, area='somerset').tag}"
    parent = visit(school.url, java_script_enabled=False)
    assert parent.page.get_by_role("link", name=LAUNCHER).get_attribute("href") == f"{site.url}/chat?area=somerset"


# --- everything the API can say ---


def test_an_emergency_is_a_care_card_with_numbers_that_can_be_tapped(visit, school, site):
    parent = visit(school.url).open()
    parent.says("He is choking")
    card = parent.page.get_by_role("heading", name="Immediate action required: Call 999 or go to A&E now")
    card.wait_for()
    assert parent.page.get_by_role("link", name="999").first.get_attribute("href") == "tel:999"


def test_a_question_passed_on_shows_reference_name_day_and_where_it_is_and_changes_with_it(visit, school, site, engine_double):
    engine_double.status = 500
    parent = visit(school.url).open()
    parent.says("Where is the report?")
    facts = parent.page.locator(".query")
    facts.wait_for()
    told = facts.inner_text()
    reference = re.search(r"SP-\w{8}", told)[0]
    assert "Ada Quill" in told and re.search(r"Reply by\s*\w+day \d+ \w+ 2026", told)
    assert parent.page.get_by_role("link", name="Read the reply later, on any device").first.get_attribute("href") == f"{site.url}/return"
    from sqlalchemy import select

    from bot.store.tables import Query

    with site.signpost.database.write() as session:
        query = session.scalars(select(Query).where(Query.reference == reference)).one()
        query.state = "in_progress"
    parent.page.evaluate("window.dispatchEvent(new Event('online'))")
    staff_says(site, conversation_of(site, "Where is the report?"), "I am looking for it.")
    parent.reads("a named person is working on it")


@pytest.mark.parametrize("embedded", [True, False], ids=["website", "own page"])
def test_the_chat_goes_on_in_telegram_by_a_link_made_when_asked_for(visit, school, settings, signpost, engine_double, embedded):
    engine_double.reply = answering
    with BotApiDouble() as api:
        site = Site(replace(settings, embed_origins=school.url, telegram_token=TOKEN, telegram_api_url=api.url))
        site.start()
        try:
            tag = f'<script src="{site.url}/widget/signpost-chat.js" defer></script><signpost-chat area="somerset" asking-as="parent"></signpost-chat>'
            school.pages["/"] = f'<!DOCTYPE html><html lang="en"><head><title>Hill School</title></head><body>{tag}</body></html>'
            school.policy = f"default-src 'none'; script-src {site.url}; connect-src {site.url}"
            parent = visit(school.url).open() if embedded else visit(f"{site.url}/chat?area=somerset&role=parent")
            parent.says("Is it the plan?")
            parent.reads("you said: Is it the plan?")
            parent.page.get_by_role("button", name="Options").click()
            parent.page.get_by_role("button", name="Carry on in Telegram").click()
            link = parent.page.get_by_role("link", name="Carry on in Telegram")
            parent.reads("Telegram is run by another company")
            assert link.evaluate("(link) => link.getRootNode().activeElement === link")
            code = link.get_attribute("href").partition("?start=")[2]
            phone = api.phone(4711)
            phone.starts(code)
            phone.sees("You can carry on here")
            phone.sees("you said: Is it the plan?")
        finally:
            site.stop()
    assert parent.broken == [] and parent.errors == []


def test_nothing_is_said_of_telegram_where_there_is_none(visit, school, site):
    parent = visit(school.url).open()
    parent.says("Is it the plan?")
    parent.reads("you said: Is it the plan?")
    parent.page.get_by_role("button", name="Options").click()
    parent.page.get_by_role("button", name="Clear this chat").wait_for()
    assert not parent.page.get_by_text("Telegram").is_visible()


def test_a_person_joins_by_name_and_asks_whether_it_was_answered(visit, school, site, engine_double):
    parent = visit(school.url).open()
    parent.says("Is it me?")
    parent.reads("you said: Is it me?")
    verdicts = (OfferedChoice("Yes", "verdict_yes"), OfferedChoice("No", "verdict_no"))
    staff_says(site, conversation_of(site, "Is it me?"), "It is not you. Did this answer your question?", choices=verdicts)
    parent.reads("Wren Larkspur, Speech therapist has joined the chat.")
    parent.reads("Staff reply")
    parent.says("Thank you")
    parent.reads("you said: Thank you")
    parent.page.get_by_role("button", name="Yes", exact=True).click()
    parent.reads("You chose: Yes")
    parent.reads("you said: Yes")
    assert engine_double.turns[-1]["command"] == "verdict_yes"
    assert not parent.page.get_by_role("button", name="No", exact=True).is_visible()


def test_one_of_two_questions_of_staff_is_answered_and_the_other_stays(visit, school, site):
    parent = visit(school.url).open()
    parent.says("Is it me?")
    parent.reads("you said: Is it me?")
    for number in ("one", "two"):
        verdicts = (OfferedChoice("Yes", f"verdict_{number}"), OfferedChoice("No", f"verdict_no_{number}"))
        staff_says(site, conversation_of(site, "Is it me?"), f"Did answer {number} help?", choices=verdicts)
        parent.reads(f"Did answer {number} help?")
    parent.page.get_by_role("button", name="Yes", exact=True).first.click()
    parent.reads("you said: Yes")
    assert parent.page.get_by_role("button", name="Yes", exact=True).count() == 1
    entry = parent.page.locator(".message.staff", has_text="Did answer one help?")
    assert "You chose: Yes" in entry.inner_text()


def test_somebody_who_writes_is_shown_to_write(visit, school, site, engine_double):
    engine_double.status = 500
    parent = visit(school.url).open()
    parent.says("Anyone?")
    parent.reads("Your reference is")
    from sqlalchemy import select

    from bot.clock import Clock
    from bot.store.tables import Draft, Query

    with site.signpost.database.write() as session:
        query = session.scalars(select(Query)).one()
        session.add(Draft(query_id=query.id, staff_id=query.lead_id, text="Hel", at=Clock().now()))
    staff_says(site, query.conversation_id, "One moment.")
    parent.reads("Ada Quill is writing a reply.")


def test_choices_stay_readable_once_chosen_and_the_focus_is_not_lost(visit, school, site):
    parent = visit(school.url).open()
    parent.says("which?")
    parent.page.get_by_role("button", name="The plan").click()
    parent.reads("You chose: The plan")
    parent.reads("you said: The plan")
    assert parent.shadow("return root.activeElement.id") == "text"
    assert not parent.page.get_by_role("button", name="None of these").is_visible()


def test_a_guides_question_and_result_are_shown(visit, school, site, engine_double):
    parent = visit(school.url).open()
    choice = {"title": "Section F", "command": "f", "topic": None, "value": "F"}
    engine_double.reply = lambda turn: (
        says("The council must arrange it.", outcome="check", result="B5", sources=[SOURCE])
        if turn["command"]
        else says("Which section is it in?", outcome="check", asks="section", choices=[choice])
    )
    parent.says("Who is responsible?")
    parent.page.get_by_role("button", name="Section F").click()
    parent.reads("What the guide found")
    parent.reads("The council must arrange it.")


def test_what_people_and_answers_write_is_text_and_never_markup(visit, school, site, engine_double):
    engine_double.reply = lambda turn: says(
        "<img src=x onerror=alert(1)> [a](javascript:alert(1))", outcome="answer", sources=[{**SOURCE, "url": "javascript:alert(1)", "title": "Bad"}]
    )
    parent = visit(school.url).open()
    parent.says("<b>bold</b>")
    parent.reads("<img src=x onerror=alert(1)>")
    assert parent.shadow("return root.querySelectorAll('img, b').length") == 0
    assert parent.shadow("return [...root.querySelectorAll('a')].filter((a) => a.href.startsWith('javascript')).length") == 0


# --- never loses a word ---


def test_what_is_written_offline_is_kept_in_order_and_sent_once_when_the_network_is_back(visit, school, site):
    parent = visit(school.url).open()
    parent.says("one")
    parent.reads("you said: one")
    parent.context.set_offline(True)
    parent.says("two")
    parent.says("three")
    parent.reads("Your message has not been sent. Check your internet connection.")
    assert parent.page.get_by_text("Not sent yet").count() == 2
    assert parent.page.get_by_role("button", name="Try again now").is_visible()
    parent.context.set_offline(False)
    parent.reads("you said: three")
    assert parents_messages(site) == ["one", "two", "three"]
    assert parent.page.get_by_text("Not sent yet").count() == 0
    assert parent.page.locator(".message.parent").count() == 3


def test_what_was_not_sent_outlives_a_reload(visit, school, site):
    parent = visit(school.url).open()
    parent.says("one")
    parent.reads("you said: one")
    site.stop()
    parent.says("two")
    parent.reads("Not sent yet")
    parent.page.get_by_label("Your message").fill("half a sent")
    parent.until("JSON.parse(Object.values(sessionStorage)[0]).draft === 'half a sent'")
    site.start()
    parent.page.reload()
    parent.reads("you said: two")
    assert parents_messages(site) == ["one", "two"]
    assert parent.page.get_by_label("Your message").input_value() == "half a sent"


def test_a_restart_of_the_server_in_mid_conversation_loses_and_doubles_nothing(visit, school, site, engine_double):
    parent = visit(school.url).open()
    parent.says("before")
    parent.reads("you said: before")
    engine_double.hang = 0.5
    parent.says("during")
    parent.page.locator(".message.parent").nth(1).wait_for()
    site.stop()
    site.start()
    engine_double.hang = 0
    parent.reads("you said: during")
    parent.says("after")
    parent.reads("you said: after")
    assert parents_messages(site) == ["before", "during", "after"]
    assert parent.page.get_by_text("you said: during").count() == 1


def test_a_slow_engine_is_waited_for_and_the_parent_knows_that_the_message_is_safe(visit, school, site, engine_double):
    site.stop()
    site.settings = replace(site.settings, reply_wait=0.2)
    site.start()
    parent = visit(school.url).open()
    release = threading.Event()
    engine_double.reply = lambda turn: release.wait(20) and says("at last")
    parent.says("slow?")
    parent.reads("Your message is safe. We are still working on an answer.")
    parent.page.reload()
    parent.reads("Signpost is working on an answer.")
    release.set()
    parent.reads("at last")
    parent.until("root.querySelector('[role=status]').textContent === ''")


def test_a_reply_that_came_while_the_phone_slept_is_there_when_it_wakes(visit, school, site):
    parent = visit(school.url).open()
    parent.says("Will somebody answer?")
    parent.reads("you said: Will somebody answer?")
    devtools = parent.context.new_cdp_session(parent.page)
    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    conversation = conversation_of(site, "Will somebody answer?")
    site.stop()
    site.start()
    staff_says(site, conversation, "Yes, I will.")
    devtools.send("Page.setWebLifecycleState", {"state": "active"})
    parent.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    parent.reads("Yes, I will.")


def test_where_events_are_held_back_the_chat_polls(visit, school, site):
    parent = visit(school.url)
    parent.page.route("**/api/chat/events*", lambda route: route.fulfill(status=200, content_type="text/html", body="no events here"))
    parent.open()
    parent.says("hello")
    parent.reads("you said: hello")
    staff_says(site, conversation_of(site, "hello"), "A reply without events.")
    parent.reads("A reply without events.")
    assert any("wait=25" in url for url in parent.asked)


def test_two_tabs_of_one_chat_are_in_step(visit, school, site):
    parent = visit(school.url).open()
    parent.page.get_by_role("button", name="Options").click()
    parent.page.get_by_label("Keep this chat on this device").check()
    parent.reads("This chat is kept on this device.")
    parent.page.get_by_role("button", name="Options").click()
    parent.says("from the first tab")
    parent.reads("you said: from the first tab")
    other = parent.tab(school.url)
    parent.reads("you said: from the first tab", other)
    parent.says("from the second tab", other)
    parent.reads("you said: from the second tab", other)
    parent.reads("you said: from the second tab")
    for page in (parent.page, other):
        assert page.locator(".message.parent .text").all_inner_texts() == ["from the first tab", "from the second tab"]
    other.get_by_label("Your message").fill("half")
    parent.until("root.querySelector('textarea').value === 'half'")
    other.get_by_role("button", name="Options").click()
    other.get_by_role("button", name="Clear this chat").click()
    other.get_by_role("button", name="Yes, clear this chat").click()
    parent.reads("This chat is cleared.")
    assert parent.page.locator(".message").count() == 0


def test_a_chat_is_kept_in_the_tab_only_unless_it_is_to_be_kept(visit, school, site):
    parent = visit(school.url).open()
    parent.says("private words")
    parent.reads("you said: private words")
    assert parent.page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 1]
    other = parent.tab(school.url)
    other.get_by_role("button", name=LAUNCHER).click()
    other.get_by_text("Before you start").wait_for()
    assert other.get_by_text("private words").count() == 0
    parent.page.get_by_role("button", name="Options").click()
    parent.page.get_by_label("Keep this chat on this device").check()
    parent.until("localStorage.length === 1 && sessionStorage.length === 0")


def test_a_chat_of_this_tab_is_not_taken_away_by_one_kept_in_another(visit, school, site):
    parent = visit(school.url).open()
    parent.says("chat one")
    parent.reads("you said: chat one")
    other = parent.tab(school.url)
    other.get_by_role("button", name=LAUNCHER).click()
    parent.says("chat two", other)
    parent.reads("you said: chat two", other)
    for page, kept in ((other, "This chat is kept on this device."), (parent.page, "Another chat is already kept on this device.")):
        page.get_by_role("button", name="Options").click()
        page.get_by_label("Keep this chat on this device").click()
        page.get_by_text(kept).first.wait_for()
        page.get_by_role("button", name="Options").click()
    parent.says("still chat one")
    parent.reads("you said: still chat one")
    assert parent.page.get_by_text("chat two").count() == 0


def test_clearing_asks_first_and_then_forgets_chat_and_draft(visit, school, site):
    parent = visit(school.url).open()
    parent.says("forget me")
    parent.reads("you said: forget me")
    parent.page.get_by_role("button", name="Options").click()
    parent.page.get_by_role("button", name="Clear this chat").click()
    parent.page.get_by_role("button", name="No, keep it").click()
    assert parent.page.get_by_text("you said: forget me").is_visible()
    parent.page.get_by_role("button", name="Clear this chat").click()
    parent.page.get_by_role("button", name="Yes, clear this chat").click()
    parent.reads("This chat is cleared.")
    assert parent.page.get_by_text("forget me").count() == 0 and parent.page.get_by_text("Before you start").is_visible()
    stored = parent.page.evaluate("JSON.stringify([...Object.values(localStorage), ...Object.values(sessionStorage)])")
    assert "token\\\":null" in stored or "token" not in stored
    parent.says("a new start")
    parent.reads("you said: a new start")
    assert conversation_of(site, "a new start") != conversation_of(site, "forget me")


def test_a_chat_that_the_server_does_not_know_any_more_goes_on_as_a_new_one(visit, school, site):
    parent = visit(school.url).open()
    parent.says("one")
    parent.reads("you said: one")
    from sqlalchemy import update

    from bot.store.tables import Conversation

    with site.signpost.database.write() as session:
        session.execute(update(Conversation).values(token_hash="gone"))
    parent.says("two")
    parent.reads("you said: two")
    assert conversation_of(site, "two") != conversation_of(site, "one")


@pytest.mark.parametrize("text", ["   ", "x" * 4001])
def test_what_cannot_be_sent_is_told_beside_the_box_and_kept(visit, school, site, text):
    parent = visit(school.url).open()
    parent.says(text)
    alert = parent.page.get_by_role("alert")
    alert.get_by_text("Error:").wait_for(state="attached")
    assert parent.page.get_by_label("Your message").input_value() == text
    assert parent.page.get_by_label("Your message").get_attribute("aria-invalid") is not None


def test_what_the_server_refuses_is_given_back_with_its_reason(visit, school, site):
    parent = visit(school.url).open()
    error = '{"error": {"code": "text", "message": "That cannot be sent because of a test."}}'
    parent.page.route(
        "**/api/chat/messages", lambda route: route.fulfill(status=422, content_type="application/json", body=error, headers={"access-control-allow-origin": "*"})
    )
    parent.says("my words")
    parent.reads("That cannot be sent because of a test.")
    assert parent.page.get_by_label("Your message").input_value() == "my words"


def test_too_many_messages_at_once_are_all_sent_in_the_end(visit, school, site):
    parent = visit(school.url).open()
    answers = iter([429])

    def limited(route):
        if route.request.method == "POST" and next(answers, 200) == 429:
            headers = {"access-control-allow-origin": "*", "access-control-expose-headers": "Retry-After", "retry-after": "1"}
            return route.fulfill(status=429, content_type="application/json", body='{"error": {"code": "too_fast", "message": "Slow."}}', headers=headers)
        return route.continue_()

    parent.page.route("**/api/chat/messages", limited)
    parent.says("quick")
    parent.reads("Too many messages at once. Your words are kept.")
    parent.reads("you said: quick")


def test_a_closed_chat_tells_how_many_messages_wait_and_does_not_fetch_them(visit, school, site):
    parent = visit(school.url).open()
    parent.says("hello")
    parent.reads("you said: hello")
    parent.page.get_by_role("button", name="Close chat").click()
    staff_says(site, conversation_of(site, "hello"), "Are you there?")
    parent.asked.clear()
    parent.page.evaluate("window.dispatchEvent(new Event('online'))")
    parent.page.get_by_role("button", name=f"{LAUNCHER} New messages: 1").wait_for()
    assert not [url for url in parent.asked if "/messages" in url or "/events" in url], "fetched would be delivered"
    parent.page.get_by_role("button", name=LAUNCHER).click()
    parent.reads("Are you there?")


# --- for everybody ---


@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing_in_the_widget(visit, school, site, engine_double, language):
    school.pages["/"] = school.pages["/"].replace("<signpost-chat ", f'<signpost-chat language="{language}" ')
    w = all_words()[language]
    parent = visit(school.url)
    parent.page.get_by_role("button", name=w.say("heading")).click()
    assert violations(parent.page) == []
    parent.says_in(w, "Can we come back?")
    parent.reads("Yes, children can come back.")
    parent.page.get_by_text(w.say("source")).click()
    parent.says_in(w, "He is choking")
    parent.reads("is choking")
    engine_double.status = 500
    parent.says_in(w, "Passed on")
    parent.reads("Your reference is")
    engine_double.status = 200
    parent.says_in(w, "which?")
    parent.page.get_by_role("button", name="The plan").wait_for()
    staff_says(site, conversation_of(site, "which?"), "Hello from a person.")
    parent.reads("Hello from a person.")
    parent.page.get_by_role("button", name=w.say("menu")).click()
    parent.page.get_by_role("button", name=w.say("clear"), exact=True).click()
    assert violations(parent.page) == []


@pytest.mark.parametrize("path", ["/", "/chat", "/chat?lang=ar", "/chat?embed=1", "/embed", "/embed?colour=red", "/privacy", "/accessibility", "/chat/clear"])
def test_axe_finds_nothing_on_the_pages(visit, site, path):
    parent = visit(site.url + path)
    if path in ("/chat", "/chat?lang=ar", "/chat?embed=1"):
        parent.page.locator("signpost-chat section").wait_for()
    assert violations(parent.page) == []


@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing_on_the_page_as_it_is_without_the_component(visit, site, language):
    parent = visit(f"{site.url}/privacy")
    parent.page.route("**/widget/signpost-chat.js", lambda route: route.abort())
    parent.page.goto(f"{site.url}/chat?lang={language}")
    assert violations(parent.page) == []
    parent.says_in(all_words()[language], "which?")
    parent.page.get_by_role("button", name="The plan").wait_for()
    parent.says_in(all_words()[language], "He is choking")
    parent.reads("is choking")
    assert violations(parent.page) == []


def test_keyboard_only(visit, school, site):
    parent = visit(school.url)
    page, active = parent.page, "const a = root.activeElement; return a && (a.textContent || a.id)"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "A link of the school"
    page.keyboard.press("Tab")
    assert LAUNCHER in parent.shadow(active)
    page.keyboard.press("Enter")
    assert parent.shadow("return root.activeElement.id") == "title"
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(parent.shadow("return root.activeElement?.textContent.trim().slice(0, 12) || root.activeElement?.id"))
        if seen[-1] == "text":
            break
    assert seen[:2] == ["Options", "Close chat"] and seen[-1] == "text"
    page.keyboard.type("which?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="The plan").wait_for()
    assert parent.shadow("return root.activeElement.id") == "text", "an answer takes no focus"
    for _ in range(2):
        page.keyboard.press("Shift+Tab")
    assert parent.shadow("return root.activeElement.textContent") == "The plan"
    page.keyboard.press("Space")
    parent.reads("you said: The plan")
    page.keyboard.press("Escape")
    assert not page.get_by_label("Your message").is_visible()
    assert LAUNCHER in parent.shadow(active)
    assert page.get_by_role("button", name=LAUNCHER).get_attribute("aria-expanded") == "false"


def test_escape_closes_the_options_first(visit, school, site):
    parent = visit(school.url).open()
    parent.page.get_by_role("button", name="Options").click()
    parent.page.keyboard.press("Escape")
    assert parent.page.get_by_label("Your message").is_visible() and not parent.page.get_by_label("Language").is_visible()
    assert parent.shadow("return root.activeElement.textContent") == "Options"


def test_the_log_gets_one_entry_for_each_new_message_and_none_for_old_ones(visit, school, site):
    parent = visit(school.url).open()
    parent.says("one")
    parent.reads("you said: one")
    parent.page.reload()
    parent.reads("you said: one")
    assert parent.shadow("return root.querySelectorAll('[role=log] li').length") == 0, "history is not read out again"
    parent.shadow("window.added = []; new MutationObserver((all) => all.forEach((m) => window.added.push(...m.addedNodes))).observe(root.querySelector('[role=log] ol'), {childList: true})")
    parent.says("two")
    parent.reads("you said: two")
    assert parent.page.evaluate("window.added.length") == 2
    assert parent.shadow("return [root.querySelectorAll('[role=log]').length, root.querySelectorAll('[role=status]').length]") == [1, 1]


@pytest.mark.parametrize("size", [(320, 256), (320, 640)])
def test_a_small_window_scrolls_in_one_direction_and_hides_nothing(visit, school, site, size):
    width, height = size
    parent = visit(site.url + "/chat", viewport={"width": width, "height": height})
    parent.page.locator("signpost-chat section").wait_for()
    parent.says("Can we come back? " + "w" * 60)
    parent.reads("Yes, children can come back.")
    page = parent.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inner = "return [...root.querySelectorAll('*')].filter((e) => ['auto', 'scroll'].includes(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight + 1 && e.tagName !== 'TEXTAREA').map((e) => e.className)"
    assert parent.shadow(inner) == []
    covering = "return [...root.querySelectorAll('*')].filter((e) => ['fixed', 'sticky'].includes(getComputedStyle(e).position)).map((e) => e.className)"
    assert parent.shadow(covering) == [], "nothing lies over what has the focus"
    for name in ("Send", "Options"):
        page.get_by_role("button", name=name).scroll_into_view_if_needed()
        assert page.get_by_role("button", name=name).evaluate("(b) => { const r = b.getBoundingClientRect(); const at = b.getRootNode().elementFromPoint(r.x + r.width / 2, r.y + r.height / 2); return at === b }")


def test_on_a_small_screen_the_launcher_is_a_link_to_the_chats_page(visit, school, site):
    parent = visit(school.url, viewport={"width": 360, "height": 640}, has_touch=True)
    link = parent.page.get_by_role("link", name=LAUNCHER)
    assert link.get_attribute("href") == f"{site.url}/chat?area=somerset&role=parent"
    link.click()
    parent.page.locator("signpost-chat section").wait_for()
    parent.says("from a phone")
    parent.reads("you said: from a phone")


def test_an_open_chat_that_is_zoomed_until_it_is_small_fills_the_window_in_one_scroll(visit, school, site):
    parent = visit(school.url).open()
    parent.says("Can we come back?")
    parent.reads("Yes, children can come back.")
    parent.page.set_viewport_size({"width": 320, "height": 256})
    assert parent.shadow("const s = root.querySelector('section'); return s.scrollWidth <= 320 && getComputedStyle(root.querySelector('.scroll')).overflowY") == "visible"
    parent.page.get_by_role("button", name="Close chat").click()
    assert parent.page.get_by_role("link", name=LAUNCHER).is_visible()


def test_nothing_moves_for_those_who_asked_for_that(visit, school, site, engine_double):
    parent = visit(school.url, reduced_motion="reduce").open()
    engine_double.hang = 1.5
    parent.says("slow")
    parent.page.locator(".dots").wait_for()
    assert parent.shadow("return root.getAnimations().length") == 0
    moving = visit(school.url, reduced_motion="no-preference").open()
    moving.says("slow")
    moving.page.locator(".dots").wait_for()
    lasts = moving.shadow("return Math.max(...root.getAnimations().map((a) => a.effect.getComputedTiming().endTime))")
    assert 0 < lasts <= 5000, "what moves stops within five seconds"


def test_wider_text_spacing_and_larger_text_cut_nothing_off(visit, site):
    parent = visit(site.url + "/chat", viewport={"width": 400, "height": 800})
    parent.page.locator("signpost-chat section").wait_for()
    parent.page.get_by_role("button", name="Options").click()
    parent.page.get_by_role("button", name="Very large").click()
    parent.says("Can we come back?")
    parent.reads("Yes, children can come back.")
    parent.shadow("const s = new CSSStyleSheet(); s.replaceSync('* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }'); root.adoptedStyleSheets = [...root.adoptedStyleSheets, s]")
    assert parent.page.evaluate("document.documentElement.scrollWidth") <= 400
    clipped = "return [...root.querySelectorAll('button, p, li, dd, h2, label')].filter((e) => !e.closest('[hidden]') && !e.matches('.hidden') && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible').map((e) => e.textContent)"
    assert parent.shadow(clipped) == []
    assert parent.page.get_by_text("Yes, children can come back.").evaluate("(e) => parseFloat(getComputedStyle(e).fontSize)") >= 24


def test_forced_colours_keep_every_border_that_carries_meaning(visit, school, site):
    parent = visit(school.url, forced_colors="active").open()
    parent.says("He is choking")
    parent.page.locator(".care").wait_for()
    borders = "return ['.panel', '.message', '.care', '.send', 'textarea'].map((s) => getComputedStyle(root.querySelector(s)).borderTopStyle)"
    assert set(parent.shadow(borders)) == {"solid"}
    assert violations(parent.page) == []


def test_the_language_can_be_switched_and_arabic_runs_from_right_to_left(visit, school, site):
    parent = visit(school.url).open()
    parent.says("hello")
    parent.reads("you said: hello")
    parent.page.get_by_role("button", name="Options").click()
    parent.page.get_by_label("Language").select_option("ar")
    parent.page.get_by_role("button", name="Change").click()
    w = all_words()["ar"]
    parent.page.get_by_label(w.say("message")).wait_for()
    assert parent.shadow("const s = root.querySelector('section'); return [s.dir, s.lang, getComputedStyle(s).direction]") == ["rtl", "ar", "rtl"]
    parent.reads("you said: hello")
    assert parent.shadow("return root.querySelector('.assistant .text').lang") == "en"
    parent.page.reload()
    parent.page.get_by_label(w.say("message")).wait_for()
    parent.page.get_by_role("button", name=w.say("menu")).click()
    parent.reads(w.say("keep_hint"))


def test_shorter_please_asks_for_the_short_wording(visit, school, site, engine_double):
    parent = visit(school.url).open()
    assert not parent.page.get_by_role("button", name="Shorter, please").is_visible()
    parent.says("Can we come back?")
    parent.reads("Yes, children can come back.")
    parent.page.get_by_role("button", name="Shorter, please").click()
    parent.reads("you said: Shorter, please")
    assert engine_double.turns[-1]["text"] == "Shorter, please"


VOICES = """
const spoken = window.spoken = []
const voice = (lang, localService) => ({ lang, localService, name: lang, default: false, voiceURI: lang })
const voices = VOICES
Object.defineProperty(window, 'speechSynthesis', { value: { getVoices: () => voices, speak: (said) => spoken.push([said.text, said.voice?.localService]), cancel: () => spoken.push('stopped'), addEventListener() {} } })
window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text } }
"""


def test_messages_can_be_read_aloud_by_a_voice_of_the_device(visit, school, site):
    parent = visit(school.url)
    parent.context.add_init_script(VOICES.replace("VOICES", "[voice('en-GB', false), voice('en-GB', true)]"))
    parent.page.reload()
    parent.open()
    parent.says("Can we come back?")
    parent.reads("Yes, children can come back.")
    parent.page.get_by_role("button", name="Read aloud").last.click()
    assert parent.page.evaluate("window.spoken.at(-1)") == ["Yes, children can come back.\n\nFor example:\n- one\n- two", True]
    parent.page.get_by_role("button", name="Stop reading").click()
    assert parent.page.evaluate("window.spoken.at(-1)") == "stopped"


def test_a_voice_that_sends_the_text_elsewhere_is_not_offered(visit, school, site):
    parent = visit(school.url)
    parent.context.add_init_script(VOICES.replace("VOICES", "[voice('en-GB', false)]"))
    parent.page.reload()
    parent.open()
    parent.says("Can we come back?")
    parent.reads("Yes, children can come back.")
    assert parent.page.get_by_role("button", name="Read aloud").count() == 0


# --- the page ---


def test_the_page_works_without_scripts_in_the_same_words(visit, site):
    parent = visit(site.url + "/chat", java_script_enabled=False)
    for line in all_words()["en"].given["about"]:
        assert parent.page.get_by_text(line).first.is_visible()
    parent.says("Can we come back?")
    parent.reads("Yes, children can come back.")
    parent.page.get_by_text("Where this comes from").click()
    parent.reads("move in and out of our service")
    parent.page.get_by_role("button", name="Shorter, please").click()
    parent.reads("you said: Shorter, please")
    staff_says(site, conversation_of(site, "Can we come back?"), "A person is here.")
    parent.page.get_by_role("button", name="Check for a reply").click()
    parent.reads("New messages: 1")
    parent.reads("Staff reply")


def test_the_page_goes_over_into_the_component_and_takes_along_what_was_being_written(visit, site):
    parent = visit(site.url + "/chat", java_script_enabled=False)
    parent.says("before scripts")
    parent.reads("you said: before scripts")
    scripted = visit(site.url, storage_state=parent.context.storage_state())
    held = []
    scripted.page.route("**/chat/api/messages*", lambda route: held.append(route) if not held else route.continue_())
    scripted.page.goto(site.url + "/chat")
    scripted.page.locator("form#write textarea").fill("half a")
    held[0].continue_()
    scripted.page.locator("signpost-chat section").wait_for()
    assert scripted.page.get_by_label("Your message").input_value() == "half a"
    scripted.reads("you said: before scripts")
    scripted.says("with scripts")
    scripted.reads("you said: with scripts")
    assert conversation_of(site, "with scripts") == conversation_of(site, "before scripts")
    assert scripted.broken == []


def test_the_page_queues_what_is_written_offline_too(visit, site):
    parent = visit(site.url + "/chat")
    parent.page.locator("signpost-chat section").wait_for()
    parent.context.set_offline(True)
    parent.says("on the train")
    parent.reads("Not sent yet")
    parent.context.set_offline(False)
    parent.reads("you said: on the train")
    assert parents_messages(site) == ["on the train"]


def test_the_page_can_keep_and_clear_its_chat(visit, site):
    parent = visit(site.url + "/chat")
    parent.page.locator("signpost-chat section").wait_for()
    parent.says("a private thing")
    parent.reads("you said: a private thing")
    assert all(cookie["expires"] == -1 for cookie in parent.context.cookies(site.url + "/chat"))
    parent.page.get_by_role("button", name="Options").click()
    parent.page.get_by_label("Keep this chat on this device").check()
    parent.reads("This chat is kept on this device.")
    assert all(cookie["expires"] > 0 for cookie in parent.context.cookies(site.url + "/chat"))
    parent.page.get_by_role("button", name="Clear this chat").click()
    parent.page.get_by_role("button", name="Yes, clear this chat").click()
    parent.reads("Before you start")
    assert parent.page.get_by_text("a private thing").count() == 0
    parent.says("something else")
    parent.reads("you said: something else")
    assert conversation_of(site, "something else") != conversation_of(site, "a private thing")


def test_the_chat_in_a_frame_of_another_website_needs_no_cookie(visit, school, site):
    school.pages["/"] = f'<!DOCTYPE html><html lang="en"><title>Hill</title><iframe src="{site.url}/chat?embed=1&area=hampshire" title="Chat" width="420" height="680"></iframe></html>'
    school.policy = f"default-src 'none'; frame-src {site.url}"
    parent = visit(school.url)
    frame = parent.page.frame_locator("iframe")
    frame.get_by_label("Your message").fill("from a frame")
    frame.get_by_role("button", name="Send").click()
    frame.get_by_text("you said: from a frame").wait_for()


def test_a_website_that_was_not_let_in_cannot_frame_the_chat(visit, school, site):
    other = SchoolSite()
    other.pages["/"] = f'<!DOCTYPE html><title>Elsewhere</title><iframe src="{site.url}/chat?embed=1" title="Chat"></iframe>'
    try:
        parent = visit(other.url)
        parent.page.wait_for_timeout(300)
        assert parent.page.frames[1].url.startswith("chrome-error:") or not parent.page.frames[1].locator("h1").count()
    finally:
        other.stop()


def test_the_demo_page_shows_the_widget_and_asks_for_area_and_role(visit, site, engine_double):
    parent = visit(site.url + "/").open()
    parent.chat.get_by_label("Area").select_option("hampshire")
    parent.chat.get_by_label("I am asking as").select_option("school")
    parent.says("hello from a school")
    parent.reads("you said: hello from a school")
    assert (engine_double.turns[0]["metadata"]["area"], engine_double.turns[0]["metadata"]["role"]) == ("hampshire", "school")
    assert parent.broken == []


def test_the_page_for_schools_shows_the_widget_as_chosen(visit, site):
    parent = visit(site.url + "/embed")
    parent.page.get_by_label("Words on the button").fill("Ask Hill School")
    parent.page.get_by_label("Colour").fill("#663399")
    parent.page.get_by_role("button", name="Make the lines").click()
    assert 'heading="Ask Hill School"' in parent.page.get_by_label("Lines for your page").input_value()
    launcher = parent.page.get_by_role("button", name="Ask Hill School")
    assert launcher.evaluate("(one) => getComputedStyle(one).backgroundColor") == "rgb(102, 51, 153)"


def test_an_answer_that_comes_after_the_chat_was_cleared_is_not_shown(visit, school, site, engine_double):
    parent = visit(school.url).open()
    release = threading.Event()
    engine_double.reply = lambda turn: release.wait(20) and says("too late")
    parent.says("a slow private question")
    parent.page.get_by_role("button", name="Options").click()
    parent.page.get_by_role("button", name="Clear this chat").click()
    parent.page.get_by_role("button", name="Yes, clear this chat").click()
    parent.reads("This chat is cleared.")
    release.set()
    parent.page.wait_for_timeout(1500)
    assert parent.page.locator(".message").count() == 0


def test_a_page_of_a_proxy_instead_of_an_answer_loses_nothing(visit, school, site):
    parent = visit(school.url).open()
    answers = iter([403, 401])
    headers = {"access-control-allow-origin": "*", "content-type": "text/html"}

    def portal(route):
        status = next(answers, None) if route.request.method == "POST" else None
        return route.fulfill(status=status, body="<h1>Sign in to the wireless network</h1>", headers=headers) if status else route.continue_()

    parent.says("first")
    parent.reads("you said: first")
    parent.page.route("**/api/chat/messages", portal)
    parent.says("through the portal")
    parent.reads("Not sent yet")
    parent.reads("you said: through the portal")
    assert conversation_of(site, "first") == conversation_of(site, "through the portal")


def test_a_chat_closed_and_opened_again_still_hears_what_is_new(visit, school, site):
    parent = visit(school.url).open()
    parent.says("hello")
    parent.reads("you said: hello")
    parent.page.get_by_role("button", name="Close chat").click()
    parent.open()
    staff_says(site, conversation_of(site, "hello"), "Still with you.")
    parent.reads("Still with you.")
