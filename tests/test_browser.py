"""The pages in a real browser: the chat without JavaScript, the console by keyboard, nothing from elsewhere."""

from __future__ import annotations

import pytest

from bot.running import Running
from tests.test_whole_system import Parent, staff_sign_in

pytestmark = [pytest.mark.engine, pytest.mark.browser]


@pytest.fixture
def page(chromium, request):
    """A page that fails the test if anything is asked of another host or a script breaks."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, **getattr(request, "param", {}))
    page = context.new_page()
    asked, broken = [], []
    page.on("request", lambda r: asked.append(r.url))
    page.on("pageerror", lambda e: broken.append(str(e)))
    page.on("console", lambda m: broken.append(m.text) if m.type == "error" else None)
    yield page
    assert [url for url in asked if not url.startswith(("http://127.0.0.1", "data:"))] == []
    assert [b for b in broken if "Content Security Policy" in b or "Error" in b] == []
    context.close()


@pytest.mark.parametrize("page", [{"java_script_enabled": False}, {}], indirect=True, ids=["without JavaScript", "with JavaScript"])
def test_a_question_asked_on_the_chat_page_is_answered_with_its_source(page, system: Running):
    page.goto(f"{system.url}/chat")
    page.get_by_label("Your message").fill("He was discharged last year and has got worse again. Can we come back to the service?")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("children can come back").first.wait_for(timeout=15000)
    page.get_by_text("Where this comes from").last.click()
    assert page.get_by_text("move in and out of our service at different points in their lives").first.is_visible()


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True, ids=["without JavaScript"])
def test_the_way_to_a_person_and_back_works_without_javascript(page, system: Running, chromium):
    page.goto(f"{system.url}/chat")
    page.get_by_label("Your message").fill("I want to speak to a real person please")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Your reference is SP-").first.wait_for(timeout=15000)
    text = page.inner_text("main")
    reference = text.split("Your reference is ")[1][:11]
    lead = text.split("I have passed your question to ")[1].split(",")[0]

    desk = chromium.new_context(java_script_enabled=False).new_page()
    staff_sign_in(desk, system, lead)
    desk.get_by_role("link", name=reference).first.click()
    desk.get_by_label("Reply to the parent").fill("Hello, I will ring the school for you.")
    desk.get_by_role("button", name="Send reply").click()
    desk.get_by_text("Replied").first.wait_for(timeout=10000)
    desk.context.close()

    page.get_by_role("button", name="Check for a reply").click()
    page.get_by_text("I will ring the school for you").wait_for(timeout=10000)
    assert lead in page.inner_text("main").split("I will ring the school")[0][-400:]


@pytest.mark.parametrize("path", ["/", "/chat", "/embed", "/privacy", "/accessibility", "/console/sign-in"])
@pytest.mark.parametrize("width", [1280, 320])
def test_no_page_needs_sideways_scrolling(page, system: Running, path, width):
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(system.url + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").count() == 1 and page.locator("html").get_attribute("lang") == "en"


def test_the_chat_works_by_keyboard_alone(page, system: Running):
    page.goto(f"{system.url}/chat")
    page.locator("signpost-chat section").wait_for()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.shadowRoot?.activeElement?.tagName") == "TEXTAREA":
            break
    page.keyboard.type("thank you so much")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("You are welcome").first.wait_for(timeout=15000)


def test_two_families_do_not_see_each_other(page, system: Running):
    Parent(system.url).says("my own secret words zebra")
    page.goto(f"{system.url}/chat")
    assert "zebra" not in page.inner_text("body")
