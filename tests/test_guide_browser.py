"""The guides' pages in a real browser: by keyboard, on the smallest screen, on paper, for axe, with and without JavaScript."""

from __future__ import annotations

import pytest

from tests.browsers import violations
from tests.doubles.websites import Site

pytestmark = pytest.mark.browser


@pytest.fixture
def site(settings, signpost):
    started = Site(settings)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def opened(chromium, site):
    """Opens a page; afterwards nothing was asked of another host and no script broke."""
    contexts, asked, broken = [], [], []

    def start(path: str, **context):
        contexts.append(chromium.new_context(**context))
        page = contexts[-1].new_page()
        page.set_default_timeout(15000)
        page.on("request", lambda r: asked.append(r.url))
        page.on("pageerror", lambda e: broken.append(str(e)))
        page.goto(f"{site.url}{path}")
        return page

    yield start
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith((site.url, "data:"))] == [] and broken == []


def is_narrow_enough(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def walk(page, at_each=lambda page: None) -> list[str]:
    """Answer until the result is there, with the first choice where it does not end the guide; the questions' headings."""
    headings = []
    while page.get_by_role("button", name="Continue").count():
        headings.append(page.get_by_role("heading", level=1).inner_text())
        at_each(page)
        page.get_by_role("radio").nth(1 if "two organisations" in headings[-1] else 0).check()
        with page.expect_navigation():
            page.get_by_role("button", name="Continue").click()
        assert len(headings) < 12
    return headings


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("guide", ["responsibility", "five-questions"])
def test_axe_finds_nothing_and_nothing_goes_over_the_edge(opened, guide, width):
    page = opened("/guides", viewport={"width": width, "height": 256 if width == 320 else 900})

    def looks_right(page):
        assert violations(page) == [] and is_narrow_enough(page)

    looks_right(page)
    page.locator(f'main a[href^="/guides/{guide}"]').first.click()
    looks_right(page)
    page.get_by_role("button", name="Start").click()
    page.get_by_role("button", name="Continue").wait_for()
    asked = walk(page, looks_right)
    assert len(asked) >= 3
    looks_right(page)
    assert page.get_by_role("heading", name="What you told us").is_visible()


@pytest.mark.parametrize("scripts", [False, True], ids=["without JavaScript", "with JavaScript"])
def test_a_guide_is_answered_by_keyboard_alone(opened, scripts):
    page = opened("/guides/responsibility?role=parent&area=somerset", java_script_enabled=scripts)
    for _ in range(12):
        if not page.get_by_role("button", name="Continue").count():
            break
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.locator("input[type=radio]:focus").count():
                break
        page.keyboard.press("Space")
        with page.expect_navigation():
            page.keyboard.press("Enter")
    assert page.get_by_role("heading", name="What you told us").is_visible()


def test_an_answer_that_is_missing_is_named_and_the_question_can_be_answered_from_the_link(opened):
    page = opened("/guides/responsibility?role=parent&area=somerset")
    page.get_by_role("button", name="Continue").click()
    summary = page.get_by_role("alert")
    assert "There is a problem" in summary.inner_text() and violations(page) == []
    summary.get_by_role("link").click()
    assert page.locator("input[type=radio]:focus").count() == 1


def test_the_printed_result_is_what_was_found_and_not_the_page_around_it(opened):
    page = opened("/guides/responsibility?role=school&area=somerset")
    walk(page)
    result = page.url
    page.emulate_media(media="print")
    seen = page.inner_text("body")
    assert "What you told us" in seen and "Where this comes from" in seen
    for control in ("Start again", "Change", "Pass this to a person"):
        assert control not in seen, control
    page.emulate_media(media="screen")
    assert "Start again" in page.inner_text("body") and page.url == result
