"""The guides as plain web forms: one question a page, without JavaScript, and a person with everything that was told."""

from __future__ import annotations

import re
from html import unescape

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from bot.app import create_app
from bot.store.tables import Query, QueryEvent

SCRIPT_OR_STYLE = re.compile(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=", re.IGNORECASE)


@pytest.fixture
def browser(signpost, settings):
    with TestClient(create_app(settings)) as client:
        yield client


def form(page) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)}


def walk(browser, path: str, start: dict[str, str], answers: dict[str, str]):
    """Answer each page's question until there is none; the pages' questions, and the last page."""
    page, asked = browser.get(f"/guides/{path}", params=start), []
    while 'name="asked"' in page.text:
        fields = form(page)
        asked.append(fields["asked"])
        page = browser.get(f"/guides/{path}", params={**fields, fields["asked"]: answers[fields["asked"]]})
        assert page.status_code == 200
    return asked, page


def test_one_question_a_page_to_the_result_with_its_sentences(browser):
    answers = dict(area="somerset", plan="final", bounced="no", need_in_plan="yes", section="F", over_core="yes", provider="nobody")
    asked, page = walk(browser, "responsibility", {"role": "parent"}, answers)
    assert asked == list(answers)
    assert "The council must make sure it happens" in page.text and "they are not the responsibility of the Integrated Therapy Service" in page.text
    assert "By law the council must make sure therapy in Section F happens." in page.text


def test_what_cannot_change_the_result_is_not_asked(browser):
    assert walk(browser, "responsibility", {"role": "parent"}, dict(area="somerset", bounced="no", plan="none"))[0] == ["area", "plan", "bounced"]
    assert walk(browser, "responsibility", {"role": "parent"}, dict(area="outside England"))[0] == ["area"]


def test_the_five_questions_end_with_the_status_line_and_the_way_on(browser):
    _, page = walk(browser, "five-questions", {"role": "parent", "area": "somerset"}, dict(q1="no", q2="yes", q3="no", q4="no", q5="yes"))
    assert "It is not a decision." in page.text and "It looks worth contacting them." in page.text
    assert "You can still contact or refer to the service whatever you answered." in page.text


def test_a_page_without_an_answer_asks_again_and_loses_nothing(browser):
    page = browser.get("/guides/responsibility", params={"role": "parent", "area": "somerset", "asked": "plan"})
    assert page.status_code == 422 and "There is a problem" in page.text and form(page)["area"] == "somerset"


def test_an_answer_can_be_changed(browser):
    _, page = walk(browser, "responsibility", {"role": "parent"}, dict(area="somerset", bounced="no", plan="final", need_in_plan="yes", section="G"))
    link = unescape(re.search(r'href="(/guides/responsibility\?[^"]*ask=section)"', page.text)[1])
    question = browser.get(link)
    assert "Section F (education) or Section G (health)" in question.text and "section" not in form(question)
    changed = browser.get("/guides/responsibility", params={**form(question), "section": "both"})
    assert "Find out what is in Section F and what is in Section G" in changed.text


@pytest.mark.parametrize("given", [{"plan": "nonsense"}, {"ask": "nothing"}, {"plan": "none", "q1": "yes", "x": "<b>"}])
def test_made_up_answers_are_not_taken(browser, given):
    page = browser.get("/guides/responsibility", params={"role": "parent", "area": "somerset", **given})
    assert page.status_code == 200 and re.search("have an EHC plan\\?|other&#39;s job\\?", page.text) and "<b>" not in page.text


def test_an_unknown_guide_is_told_in_words(browser):
    page = browser.get("/guides/nothing", headers={"accept": "text/html"})
    assert page.status_code == 404 and "There is no guide at this address" in page.text


def test_a_school_gets_a_colleagues_words_and_a_summary_without_a_name(browser):
    _, page = walk(browser, "responsibility", {"role": "school", "wish": "Tomasz", "name": "Tomasz"}, dict(area="somerset", bounced="no", plan="final", need_in_plan="no"))
    assert "Tomasz" not in page.text
    assert "A summary to copy" in page.text and "Sources:" in page.text and "The pupil has a final EHC plan." in page.text and "your child" not in page.text.lower()


def test_a_person_gets_everything_that_was_told(browser, signpost):
    told = dict(area="hampshire", bounced="no", plan="final", need_in_plan="yes", section="F")
    _, page = walk(browser, "responsibility", {"role": "parent"}, told)
    posted = {**form(page), "wish": "She starts school in May."}
    for _ in range(2):
        chat = browser.post("/chat/guide/responsibility", data=posted)
        assert chat.status_code == 200 and chat.url.path == "/chat" and "Your reference is" in chat.text
    with signpost.database.read() as session:
        [query] = session.scalars(select(Query))
        events = {e.kind: e.detail for e in session.scalars(select(QueryEvent).where(QueryEvent.query_id == query.id))}
    assert query.area == "hampshire" and query.lead_id == _lead(signpost, "Ben Marsh")
    assert "It is in Section F." in events["told"]["told"] and "She starts school in May." in events["told"]["told"]


def _lead(signpost, name: str) -> str:
    from bot.store.tables import Staff

    with signpost.database.read() as session:
        return session.scalar(select(Staff.id).where(Staff.name == name))


def test_being_sent_to_and_fro_is_a_priority(browser, signpost):
    _, page = walk(browser, "responsibility", {"role": "parent"}, dict(area="somerset", plan="final", bounced="yes"))
    assert "A person needs to look at this" in page.text and "Nothing has been sent yet." in page.text
    browser.post("/chat/guide/responsibility", data=form(page))
    with signpost.database.read() as session:
        assert session.scalars(select(Query)).one().kind == "priority"


def test_an_unfinished_guide_or_another_sites_form_opens_no_query(browser, signpost):
    assert browser.post("/chat/guide/responsibility", data={"role": "parent", "area": "somerset"}).status_code == 422
    refused = browser.post("/chat/guide/five-questions", data={}, headers={"origin": "https://elsewhere.example"})
    too_long = browser.post("/chat/guide/responsibility", data={"area": "outside England", "wish": "x" * 1001})
    assert refused.status_code == 403 and too_long.status_code == 422
    with signpost.database.read() as session:
        assert session.scalars(select(Query)).first() is None


@pytest.mark.parametrize("address", ["/guides", "/guides/responsibility", "/guides/five-questions", "/guides/responsibility?role=parent", "/guides/responsibility?role=school&area=somerset&bounced=yes"])
def test_the_pages_run_nothing_inline(browser, address):
    page = browser.get(address)
    assert page.status_code == 200 and not SCRIPT_OR_STYLE.search(page.text) and page.text.count("<h1") == 1
