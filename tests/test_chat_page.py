"""The chat page: it works without JavaScript, loses nothing that was typed, and shows who said what."""

from __future__ import annotations

import re
import shutil
import socket
from contextlib import ExitStack
from dataclasses import replace
from html import unescape

import pytest
from starlette.testclient import TestClient

from bot.app import create_app
from bot.clock import Clock
from bot.channels.web import LONGEST_TEXT
from bot.conversations.outbound import OfferedChoice, Outbound
from bot.settings import Settings
from tests.conftest import add_staff

ENGINE_DOWN = Settings(engine_url="http://127.0.0.1:9", engine_timeout=1.0, reply_wait=5.0, rate_limits="off")
PAGES = ("/", "/chat", "/chat?embed=1", "/chat/clear", "/privacy", "/accessibility", "/embed")


@pytest.fixture(scope="module")
def open_browser(tmp_path_factory, empty_database):
    """Makes a browser on a running app of its own; settings can be given by name."""
    with ExitStack() as opened:

        def open_it(clock: Clock = Clock(), **changes) -> TestClient:
            folder = tmp_path_factory.mktemp("chat_page")
            shutil.copyfile(empty_database, folder / "signpost.db")
            app = create_app(replace(ENGINE_DOWN, data_dir=str(folder), **changes), clock)
            add_staff(app.state.signpost.database, "Wren Larkspur", role="manager", title="Service manager", on_call=True)
            return opened.enter_context(TestClient(app))

        yield open_it


@pytest.fixture(scope="module")
def one_app(open_browser) -> TestClient:
    return open_browser()


@pytest.fixture
def browser(one_app) -> TestClient:
    """A browser that has not been here before."""
    one_app.cookies.clear()
    return one_app


def signpost_of(browser):
    return browser.app.state.signpost


def conversation(browser):
    return signpost_of(browser).log.by_token(browser.cookies["signpost_chat"])


def messages(browser):
    return signpost_of(browser).log.after(conversation(browser).id, 0)


def said_by_parent(browser):
    return [m["text"] for m in messages(browser) if m["author"] == "parent"]


def answer(browser, *said, text="A question"):
    """Write a question and its answer straight into the log."""
    signpost = signpost_of(browser)
    accepted = signpost.log.accept(conversation(browser).id, f"test-{len(messages(browser)):08d}", text)
    signpost.log.finish(accepted.message_id, said, None)
    return accepted


def field(page, name):
    return re.search(rf'name="{name}" value="([^"]*)"', page.text)[1]


def test_a_first_visit_starts_a_chat_whose_secret_no_script_can_read(browser):
    page = browser.get("/chat")
    cookie = page.headers["set-cookie"]
    assert page.status_code == 200 and "Ask me about" in page.text
    assert page.text.count("Staff who answer questions can read this chat") == 1 and page.text.count("do not type names") == 1
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie
    assert browser.cookies["signpost_chat"] not in page.text


def test_the_cookie_is_secure_where_people_come_by_https(open_browser):
    page = open_browser(secure_cookies="on").get("/chat")
    assert "Secure" in page.headers["set-cookie"]


def test_area_and_role_can_be_chosen_at_the_start(browser):
    browser.get("/chat?area=hampshire&role=school")
    assert (conversation(browser).area, conversation(browser).role) == ("hampshire", "school")


def test_a_chat_that_goes_on_says_so_when_another_area_is_asked_for(browser):
    browser.get("/chat?area=hampshire")
    assert "already have a chat" not in browser.get("/chat?area=hampshire").text
    assert "already have a chat" in browser.get("/chat?area=somerset").text
    assert conversation(browser).area == "hampshire"


def test_an_unknown_area_is_told_on_a_page(browser):
    page = browser.get("/chat?area=atlantis")
    assert page.status_code == 422 and "<h1>There is a problem</h1>" in page.text


def test_an_unknown_cookie_starts_a_new_chat(browser):
    browser.cookies.set("signpost_chat", "made-up", path="/chat")
    page = browser.get("/chat")
    assert page.status_code == 200 and "made-up" not in page.headers["set-cookie"]


def test_a_message_is_answered_on_the_same_page_without_javascript(browser):
    form = browser.get("/chat")
    posted = browser.post("/chat", data={"client_id": field(form, "client_id"), "text": "Who decides?"}, follow_redirects=False)
    assert posted.status_code == 303 and posted.headers["location"] == "/chat#latest"
    page = browser.get("/chat")
    assert "Who decides?" in page.text
    assert messages(browser)[-1]["outcome"] == "handoff", "the engine is down here, so a person has it"
    assert messages(browser)[-1]["query"]["reference"] in page.text and "Wren Larkspur" in page.text


def test_what_was_typed_is_shown_escaped(browser):
    browser.get("/chat")
    answer(browser, Outbound("<img src=x onerror=alert(1)>"), text="<script>alert(1)</script>")
    page = browser.get("/chat").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "&lt;img src=x" in page
    assert "<script>alert" not in page and "<img" not in page


def test_a_form_sent_twice_makes_one_message(browser):
    form = {"client_id": field(browser.get("/chat"), "client_id"), "text": "Is it me?"}
    browser.post("/chat", data=form)
    browser.post("/chat", data=form)
    assert said_by_parent(browser) == ["Is it me?"]


def test_an_old_form_with_other_words_is_another_message(browser):
    client_id = field(browser.get("/chat"), "client_id")
    browser.post("/chat", data={"client_id": client_id, "text": "First"})
    browser.post("/chat", data={"client_id": client_id, "text": "Second"})
    assert said_by_parent(browser) == ["First", "Second"]


def test_a_message_without_any_cookie_is_kept_and_answered(browser):
    page = browser.post("/chat", data={"text": "Sent from an old tab"})
    assert page.status_code == 200 and "Sent from an old tab" in page.text
    assert said_by_parent(browser) == ["Sent from an old tab"]


def test_a_browser_that_keeps_no_cookie_is_told_why_it_sees_no_answer(browser):
    posted = browser.post("/chat", data={"text": "No cookies here"}, follow_redirects=False)
    browser.cookies.clear()
    page = browser.get(posted.headers["location"])
    assert "did not keep this chat" in page.text and "999" in page.text


@pytest.mark.parametrize("text", ["", "   \n "])
def test_an_empty_message_is_refused_in_plain_words(browser, text):
    browser.get("/chat")
    page = browser.post("/chat", data={"text": text})
    assert page.status_code == 422 and "Please write a message" in page.text and "<title>Error:" in page.text
    assert said_by_parent(browser) == []


def test_a_message_that_is_too_long_is_given_back(browser):
    browser.get("/chat")
    page = browser.post("/chat", data={"text": "é" * (LONGEST_TEXT + 1)})
    assert page.status_code == 422 and "too long" in page.text
    assert "é" * (LONGEST_TEXT + 1) in page.text


def test_a_limit_that_is_reached_does_not_lose_the_words(open_browser, time):
    browser = open_browser(time.clock(), rate_limits="on")
    browser.get("/chat")
    for number in range(31):
        page = browser.post("/chat", data={"text": f"message {number}"}, follow_redirects=False)
    assert page.status_code == 429 and "message 30</textarea>" in page.text and page.headers["retry-after"]


@pytest.mark.parametrize("headers", [{"origin": "https://elsewhere.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}])
@pytest.mark.parametrize("path", ["/chat", "/chat/clear"])
def test_a_post_from_another_site_is_refused(browser, path, headers):
    browser.get("/chat")
    page = browser.post(path, data={"text": "Not mine"}, headers=headers)
    assert page.status_code == 403
    assert said_by_parent(browser) == []


def test_a_post_from_our_own_page_is_taken(browser):
    browser.get("/chat")
    browser.post("/chat", data={"text": "Mine"}, headers={"origin": "http://testserver", "sec-fetch-site": "same-origin"})
    assert said_by_parent(browser) == ["Mine"]


def test_the_page_says_so_when_the_answer_takes_long(open_browser):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        browser = open_browser(engine_url=f"http://127.0.0.1:{silent.getsockname()[1]}", engine_timeout=4.0, reply_wait=0.1)
        page = browser.post("/chat", data={"text": "Slow?"})
        assert "Your message is safe." in page.text and "Check for a reply" in page.text


def test_checking_for_a_reply_tells_what_is_new_and_keeps_what_is_being_written(browser):
    newest = field(browser.get("/chat"), "newest")
    assert "There is no new reply yet" in browser.post("/chat", data={"do": "check", "newest": newest, "text": ""}).text
    answer(browser, Outbound("Here it is"))
    page = browser.post("/chat", data={"do": "check", "newest": newest, "text": "half a sent"})
    assert "New messages: 1" in page.text and "half a sent</textarea>" in page.text
    assert said_by_parent(browser) == ["A question"]


def test_lists_and_paragraphs_are_real_ones(browser):
    browser.get("/chat")
    answer(browser, Outbound("First.\n\nThen:\n- one\n- two\nLast."))
    page = re.sub(r">\s+<", "><", browser.get("/chat").text)
    assert "<p>First.</p><p>Then:</p><ul class=\"nhsuk-list nhsuk-list--bullet\"><li>one</li><li>two</li></ul><p>Last.</p>" in page


def test_sources_are_quoted_with_their_page_and_only_web_addresses_become_links(browser):
    browser.get("/chat")
    good = {"id": "S1", "quote": "for all children", "title": "The offer", "url": "https://example.org/offer"}
    bad = {"id": "S2", "quote": "click", "title": "Bad", "url": "javascript:alert(1)"}
    answer(browser, Outbound("An answer.", outcome="answer", sources=(good, bad)))
    page = browser.get("/chat").text
    assert "Where this comes from" in page and "“for all children”" in page and 'href="https://example.org/offer"' in page
    assert "javascript:" not in page


def test_a_choice_is_a_button_that_sends_it(browser):
    browser.get("/chat")
    answer(browser, Outbound("Did you mean?", outcome="clarify", choices=(OfferedChoice("The plan", "ehcp_what_is"),)))
    page = browser.get("/chat")
    id = re.search(r'name="choice" value="([^"]+)">The plan<', page.text)[1]
    browser.post("/chat", data={"client_id": field(page, "client_id"), "choice": id})
    assert said_by_parent(browser)[-1] == "The plan"
    assert 'name="choice"' not in browser.get("/chat").text, "an old choice is no longer offered"


def test_a_question_of_staff_stays_until_it_is_answered(browser):
    browser.get("/chat")
    verdicts = (OfferedChoice("Yes", "verdict_yes"), OfferedChoice("No", "verdict_no"))
    answer(browser, Outbound("Did this help?", author="staff", name="Wren Larkspur", choices=verdicts))
    answer(browser, Outbound("You said something else"), text="What about Monday?")
    assert ">Yes</button>" in browser.get("/chat").text
    answer(browser, Outbound("Thank you"), text="Yes")
    page = browser.get("/chat").text
    assert ">Yes</button>" not in page and "You chose: Yes" in page


def test_a_choice_of_another_chat_is_refused(browser):
    browser.get("/chat")
    page = browser.post("/chat", data={"choice": "made-up"})
    assert page.status_code == 422 and "does not belong to this chat" in page.text


def test_urgent_messages_are_a_care_card(browser):
    browser.get("/chat")
    answer(browser, Outbound("Call 999 or go to A&E now\n\nCall 999 if a child:\n- is choking", outcome="urgent"))
    page = browser.get("/chat").text
    assert "nhsuk-card--care--emergency" in page and "Immediate action required" in page
    heading = re.search(r"<h3[^>]*>(.*?)</h3>", page, re.S)[1]
    assert "Call 999 or go to A&amp;E now" in heading


def test_a_staff_reply_says_who_wrote_it(browser):
    browser.get("/chat")
    answer(browser, Outbound("I will ring you.", author="staff", name="Wren Larkspur, Service manager"))
    page = browser.get("/chat").text
    assert "Wren Larkspur, Service manager" in page and "Staff reply" in page


def test_the_script_is_given_only_newer_messages_and_only_with_the_cookie(browser):
    newest = field(browser.get("/chat"), "newest")
    assert browser.get(f"/chat/messages?after={newest}").status_code == 204
    answer(browser, Outbound("Something new"))
    added = browser.get(f"/chat/messages?after={newest}").text
    assert "Something new" in added and "Ask me about" not in added
    browser.cookies.clear()
    assert browser.get("/chat/messages?after=0").status_code == 401


def test_clearing_asks_first_and_then_forgets(browser):
    browser.post("/chat", data={"text": "Something private"})
    reference = messages(browser)[-1]["query"]["reference"]
    assert reference in browser.get("/chat/clear").text
    assert "Something private" in browser.get("/chat").text, "asking alone forgets nothing"
    browser.post("/chat/clear")
    assert "Something private" not in browser.get("/chat").text


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_nothing_from_elsewhere_and_run_no_inline_script(browser, path):
    page = browser.get(path).text
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//", page)
    assert not re.search(r"<script(?![^>]*\bsrc=)", page) and not re.search(r"\sstyle=|\son\w+=", page)
    assert "nhsuk-header__logo" not in page, "the NHS logo is not ours to show"


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_a_language_a_skip_link_and_headings_in_order(browser, path):
    page = browser.get(path).text
    assert '<html lang="en"' in page and '<main class="nhsuk-main-wrapper" id="maincontent">' in page
    assert ('href="#maincontent"' in page) == ("embed=1" not in path), "a frame has nothing to skip"
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))


@pytest.mark.parametrize("path", PAGES)
def test_sentences_of_our_pages_are_short(browser, path):
    page = re.sub(r"<pre.*?</pre>|<ol class=\"app-messages\".*?</ol>", "", browser.get(path).text, flags=re.S)
    main = re.search(r"<main.*</main>", page, re.S)[0]
    texts = [unescape(re.sub(r"<[^>]+>", "", part)) for part in re.findall(r"<(?:p|li|h\d)\b[^>]*>(.*?)</(?:p|li|h\d)>", main, re.S)]
    sentences = [s for text in texts for s in re.split(r"[.!?](?:\s|$)", text)]
    assert [s for s in sentences if len(s.split()) > 20] == []
