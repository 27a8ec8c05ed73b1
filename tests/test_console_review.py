"""Review in the console: conversations are flagged, tagged and read through; what the bot read wrongly becomes examples, with two people."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bot.clock import new_id
from bot.console.clusters import clusters
from bot.console.examples import Examples
from bot.conversations.outbound import Outbound
from bot.knowledge.reading import read_yaml
from bot.privacy import erasure
from bot.settings import ROOT
from bot.store.console import ExampleProposal, Note, Review, Tag
from bot.store.tables import Conversation
from tests.conftest import add_staff
from tests.test_console import app, hidden, office, password_hash  # noqa: F401 - fixtures

WORDS = "will our sessions carry on across the long break in August"


def talk(office, text=WORDS, outcome="clarify", area="somerset", channel="web", intent="waiting_time"):
    """A conversation that the bot dealt with alone: (conversation id, number of the parent's message)."""
    log = office.signpost.log
    if channel == "web":
        conversation, _ = log.start("web", area, "parent")
    else:
        conversation = log.for_address(channel, new_id(), area, "parent")
    accepted = log.accept(conversation, new_id(), text)
    understood = {"intent": {"name": intent, "confidence": 0.4}, "intent_ranking": [{"name": intent, "confidence": 0.4}]}
    log.finish(accepted.message_id, [Outbound("Did you mean one of these?", outcome=outcome, topic=intent)], understood)
    return conversation, accepted.seq


def act(browser, conversation, name, **form):
    csrf = hidden(browser.get(f"/console/review/{conversation}"), "csrf")
    return browser.post(f"/console/review/{conversation}/{name}", data={"csrf": csrf, **form})


def listed(browser, view):
    return set(re.findall(r'<a href="/console/review/(\w{32})">', browser.get(f"/console/review?view={view}").text))


def wrong(browser, conversation, seq, topic="waiting_time", text=None):
    page = browser.get(f"/console/review/{conversation}/wrong/{seq}")
    written = re.search(r'<textarea[^>]*name="text"[^>]*>\n(.*?)</textarea>', page.text, re.S)[1]
    form = {"csrf": hidden(page, "csrf"), "topic": topic, "text": written if text is None else text}
    return browser.post(f"/console/review/{conversation}/wrong/{seq}", data=form)


def test_a_conversation_that_nobody_was_asked_about_can_be_reviewed(office):
    conversation, _ = talk(office)
    passed_on = office.ask()[1]
    browser = office.desk_of("Mo Carter")
    assert listed(browser, "new") == {conversation, passed_on} and listed(browser, "bot") == {conversation}
    for view, doing, undoing in (("flagged", "flag", "unflag"), ("reviewed", "reviewed", "not-reviewed"), ("saved", "save", "unsave")):
        assert act(browser, conversation, doing).status_code == 303
        assert listed(browser, view) == {conversation}
        assert act(browser, conversation, undoing).status_code == 303
        assert listed(browser, view) == set()
    act(browser, conversation, "save")
    assert listed(office.desk_of("Wren Larkspur"), "saved") == set(), "saved for oneself"


def test_tags_are_found_in_review_and_in_the_inbox_and_name_nobody(office):
    id, conversation = office.ask()
    browser = office.desk_of()
    assert act(browser, conversation, "tag", tags="School trip, Hydrotherapy").status_code == 303
    assert {t.tag for t in office.all(Tag)} == {"school trip", "hydrotherapy"}
    assert listed(browser, "all&tag=hydrotherapy") == {conversation}
    assert office.query(id).reference in browser.get("/console?search=HYDRO").text
    refused = act(browser, conversation, "tag", tags="07700 900123")
    assert refused.status_code == 422 and "07700 900123" in refused.text, "what was typed is kept"
    assert act(browser, conversation, "untag", about="school trip").status_code == 303
    assert {t.tag for t in office.all(Tag)} == {"hydrotherapy"}


def test_an_auditor_reads_conversations_and_changes_nothing(office):
    conversation, _ = talk(office)
    browser = office.desk_of("Ivy Kestrel")
    page = browser.get(f"/console/review/{conversation}")
    assert page.status_code == 200 and "Mark as reviewed" not in page.text and "The bot was wrong" not in page.text
    assert browser.post(f"/console/review/{conversation}/flag", data={"csrf": hidden(page, "csrf")}).status_code == 403
    assert not office.all(Review)


def test_conversations_of_other_areas_are_not_there(office):
    conversation, seq = talk(office, area="hampshire")
    browser = office.desk_of("Wren Larkspur")
    assert listed(browser, "all") == set()
    assert browser.get(f"/console/review/{conversation}").status_code == 404
    assert browser.get(f"/console/review/{conversation}/wrong/{seq}").status_code == 404


def test_a_wrong_reading_becomes_a_masked_example_that_a_second_person_approves(office, tmp_path):
    conversation, seq = talk(office, f"My name is Daniela Frost, NHS number 943 476 5919, {WORDS}")
    proposer, second = office.desk_of("Wren Larkspur"), office.desk_of("Mo Carter")
    page = proposer.get(f"/console/review/{conversation}/wrong/{seq}")
    assert "Daniela" not in page.text and "943" not in page.text
    assert wrong(proposer, conversation, seq, text=WORDS).status_code == 303
    [proposal] = office.all(ExampleProposal)
    assert (proposal.text, proposal.topic, proposal.understood, proposal.state) == (WORDS, "waiting_time", "waiting_time", "proposed")
    examples = Examples(office.signpost.database, office.signpost.clock, office.signpost.masker, office.signpost.topics, ROOT / "data" / "nlu")
    assert examples.export() == "", "one person is not enough"
    csrf = hidden(second.get("/console/review/examples"), "csrf")
    assert second.post(f"/console/examples/{proposal.id}/approve", data={"csrf": csrf}).status_code == 303
    written = tmp_path / "new.yml"
    written.write_text(examples.export())
    assert read_yaml(written)["nlu"] == [{"intent": "waiting_time", "examples": f"- {WORDS}\n"}]


def test_nobody_approves_their_own_proposal_or_decides_twice(office):
    conversation, seq = talk(office)
    manager = office.desk_of("Mo Carter")
    assert wrong(manager, conversation, seq).status_code == 303
    [proposal] = office.all(ExampleProposal)
    csrf = hidden(manager.get("/console/review/examples"), "csrf")
    own = manager.post(f"/console/examples/{proposal.id}/approve", data={"csrf": csrf})
    assert own.status_code == 409 and "second person" in own.text
    add_staff(office.signpost.database, "Tan Second", "coordinator")
    second = office.desk_of("Tan Second")
    csrf = hidden(second.get("/console/review/examples"), "csrf")
    assert second.post(f"/console/examples/{proposal.id}/refuse", data={"csrf": csrf, "comment": "too vague"}).status_code == 303
    late = second.post(f"/console/examples/{proposal.id}/refuse", data={"csrf": csrf, "comment": "and too long"})
    assert late.status_code == 409 and "and too long" in late.text, "what was typed is given back"
    assert office.all(ExampleProposal)[0].state == "refused"
    assert "too vague" in second.get("/console/review/examples?state=refused").text


@pytest.mark.parametrize(
    ("text", "topic", "told"),
    [
        ("my daughter is called Daniela Frost and waits", "waiting_time", "Take out the name"),
        ("", "waiting_time", "up to 300 characters"),
        ("x" * 301, "waiting_time", "up to 300 characters"),
        (WORDS, "no_such_topic", "Choose the topic"),
        ("NHS or council?", "waiting_time", "an example already, of responsibility check"),
    ],
)
def test_what_cannot_be_an_example_is_refused_and_kept_on_the_page(office, text, topic, told):
    conversation, seq = talk(office)
    refused = wrong(office.desk_of(), conversation, seq, topic, text)
    assert refused.status_code == 422 and told in refused.text and text[:40] in refused.text
    assert not office.all(ExampleProposal)


def test_telegram_messages_train_nothing(office):
    conversation, seq = talk(office, channel="telegram")
    browser = office.desk_of()
    assert "The bot was wrong" not in browser.get(f"/console/review/{conversation}").text
    refused = wrong(browser, conversation, seq)
    assert refused.status_code == 422 and "Telegram" in refused.text


def test_a_message_is_proposed_once(office):
    conversation, seq = talk(office)
    browser = office.desk_of()
    assert wrong(browser, conversation, seq).status_code == 303
    assert wrong(browser, conversation, seq, text="another wording of mine").status_code == 422
    assert len(office.all(ExampleProposal)) == 1


def test_an_export_marks_no_entity_by_accident(office):
    conversation, seq = talk(office, "what is [this](that) about then zebra")
    assert wrong(office.desk_of(), conversation, seq).status_code == 303
    with office.signpost.database.write() as session:
        session.execute(update(ExampleProposal).values(state="approved"))
    examples = Examples(office.signpost.database, office.signpost.clock, office.signpost.masker, office.signpost.topics, ROOT / "data" / "nlu")
    assert "] (that)" in examples.export() and "](" not in examples.export()


def test_erasing_a_conversation_takes_notes_and_undecided_proposals_with_it(office):
    id, conversation = office.ask(WORDS)
    browser = office.desk_of()
    seq = next(s for s in range(1, 9) if browser.get(f"/console/review/{conversation}/wrong/{s}").status_code == 200)
    wrong(browser, conversation, seq)
    browser.post(f"/console/queries/{id}/note", data={"csrf": hidden(browser.read(id), "csrf"), "note": "Rang the school"})
    assert office.all(Note) and office.all(ExampleProposal)
    with office.signpost.database.write() as session:
        erasure.empty(session, conversation, office.signpost.clock.now(), "parent")
    assert not office.all(Note) and not office.all(ExampleProposal)


def test_an_approved_example_outlives_its_conversation(office):
    conversation, seq = talk(office)
    wrong(office.desk_of(), conversation, seq)
    with office.signpost.database.write() as session:
        session.execute(update(ExampleProposal).values(state="approved"))
    with office.signpost.database.write() as session:
        erasure.remove(session, conversation, office.signpost.clock.now(), "retention")
    [left] = office.all(ExampleProposal)
    assert left.text == WORDS and left.conversation_id is None


def test_this_weeks_unread_messages_stand_together_where_they_are_alike(office, time):
    talk(office, "is there hydrotherapy in the summer holidays")
    time.now += timedelta(days=8)
    for text in ("do you run hydrotherapy during the holidays", "hydrotherapy in half term holidays?", "can a robot vacuum my kitchen"):
        talk(office, text)
    talk(office, "hydrotherapy holidays answered well", outcome="answer")
    page = office.desk_of("Mo Carter").get("/console/review/not-understood").text
    assert "3 messages in the last 7 days" in page
    assert re.search(r"2 messages\s+about hydrotherapy, holidays", page) and "a robot vacuum" not in page


def test_clusters_keep_apart_what_is_different():
    texts = ["who pays for splints", "splints and who pays", "waiting list length", "how long is the waiting list", "bananas"]
    assert [sorted(c.members) for c in clusters(texts)] == [[0, 1], [2, 3]]
    assert clusters([]) == [] and clusters(["the", "a", ""]) == []


def test_reviewers_act_on_conversations_that_exist(office):
    browser = office.desk_of()
    csrf = hidden(browser.get("/console/account"), "csrf")
    assert browser.post("/console/review/nothing/flag", data={"csrf": csrf}).status_code == 404
    with office.signpost.database.read() as session:
        assert session.scalar(select(Conversation.id)) is None
