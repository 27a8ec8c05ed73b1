"""Telegram over a double of the Bot API that keeps its limits: what parents see there is what the web says, once, whatever breaks."""

from __future__ import annotations

import itertools
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from bot.casework.replies import ReplyForm
from bot.clock import new_id
from bot.settings import Settings
from bot.store.cycle import Alert, Delivery, Question
from bot.store.database import Database
from bot.store.tables import Conversation, Message, Query, Staff
from bot.store.telegram import TelegramCode, TelegramUpdate
from tests.conftest import add_staff
from tests.doubles.engine import EngineDouble, says
from tests.doubles.telegram import TOKEN, BotApiDouble, Phone, Refusal
from tests.doubles.websites import Site

GREETING = "Ask me about children's speech and language therapy"
_chats = itertools.count(5000)


def made_site(folder: Path, empty: Path, api: BotApiDouble, engine: EngineDouble, **more) -> Site:
    """Signpost with Telegram on, in a folder of its own; not started."""
    shutil.copyfile(empty, folder / "signpost.db")
    settings = Settings(data_dir=str(folder), engine_url=engine.url, engine_token="token", engine_timeout=2.0, rate_limits="off", undo_seconds=0)
    site = Site(replace(settings, telegram_token=TOKEN, telegram_api_url=api.url, **more))
    database = Database(site.settings.database)
    add_staff(database, "Ada Quill", areas=["somerset"])
    add_staff(database, "Ben Marsh", areas=["hampshire"], on_call=True)
    add_staff(database, "Mo Carter", role="manager", title="Service manager")
    database.close()
    return site


@contextmanager
def started(site: Site):
    site.start()
    try:
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="module")
def api():
    with BotApiDouble() as double:
        yield double


@pytest.fixture(scope="module")
def engine():
    with EngineDouble() as double:
        double.reply = reply
        yield double


def reply(turn: dict):
    """What the engine double says: buttons when asked for, a long text, text full of mark-up, or an echo."""
    text = turn["command"] or turn["text"]
    if text.startswith("buttons"):
        return says("Which one?", outcome="clarify", choices=[{"title": t, "command": f"told{{{t}}}"} for t in ("One & only", "Two")])
    if text == "long":
        return says("\n\n".join(f"This is paragraph {n}. It has two sentences." for n in range(200)))
    if text == "markup":
        return says("<b>bold & brash</b> _under_ 5 < 6 &amp;\n- one\n- two")
    if text == "source":
        return says("You can come back.", outcome="answer", sources=[{"id": "S4", "quote": "move in & out", "title": "Core offer", "url": "https://example.org/s4"}])
    return says(f"you said: {text}")


@pytest.fixture(scope="module")
def site(tmp_path_factory, empty_database, api, engine):
    with started(made_site(tmp_path_factory.mktemp("telegram"), empty_database, api, engine)) as made:
        yield made


@pytest.fixture
def parent(site, api) -> Phone:
    """A parent who has pressed Start and been welcomed."""
    phone = api.phone(next(_chats))
    phone.starts()
    phone.sees(GREETING)
    yield phone
    api.fault = lambda method, chat: None


def rows(site: Site, asked) -> list:
    with site.signpost.database.read() as session:
        return list(session.scalars(asked))


def conversation(site: Site, parent: Phone) -> Conversation:
    [found] = rows(site, select(Conversation).where(Conversation.external_id == str(parent.chat)))
    return found


def log(site: Site, parent: Phone) -> list[Message]:
    return rows(site, select(Message).where(Message.conversation_id == conversation(site, parent).id).order_by(Message.seq))


def deliveries(site: Site, parent: Phone) -> list[Delivery]:
    return rows(site, select(Delivery).where(Delivery.conversation_id == conversation(site, parent).id).order_by(Delivery.seq, Delivery.part))


def taken(site: Site, api: BotApiDouble, update_id: int) -> None:
    """Wait until an update has been handled."""
    api.wait(lambda: rows(site, select(TelegramUpdate.state).where(TelegramUpdate.update_id == update_id)) == ["handled"])


def opened_query(site: Site, parent: Phone) -> Query:
    """A query about the newest message of the parent, as a hand-off opens it."""
    last = [m for m in log(site, parent) if m.author == "parent"][-1]
    card = site.signpost.desk.open(last.conversation_id, last.seq, reason="case", topic="waiting_time")
    [query] = rows(site, select(Query).where(Query.id == card.id))
    return query


def staff_reply(site: Site, query: Query, text: str) -> None:
    """A reply of the lead that answers each question, released at once."""
    signpost = site.signpost
    [query] = rows(site, select(Query).where(Query.id == query.id))
    marks = {q.id: "answered" for q in rows(site, select(Question).where(Question.query_id == query.id))}
    [newest] = rows(site, select(Conversation.last_seq).where(Conversation.id == query.conversation_id))
    [lead] = rows(site, select(Staff).where(Staff.id == query.lead_id))
    signpost.replies.send(ReplyForm(query.id, text, new_id(), newest, query.version, "answer", marks), lead)
    signpost.replies.release_due()


# words


def test_a_parent_starts_and_is_answered(site, api, parent):
    assert "Telegram is run by another company" in parent.texts()[0] and "999" in parent.texts()[0]
    parent.says("can we come back?")
    parent.sees("you said: can we come back?")
    assert len(parent.texts()) == 2
    assert [m.author for m in log(site, parent)] == ["assistant", "parent", "assistant"]


def test_the_first_words_of_somebody_who_never_pressed_start_are_answered_after_the_welcome(site, api):
    parent = api.phone(next(_chats))
    parent.says("hello?")
    parent.sees("you said: hello?")
    assert GREETING in parent.texts()[0]


def test_an_update_that_comes_twice_is_one_message(site, api, parent):
    update_id = parent.says("only once")
    taken(site, api, update_id)
    parent.says("only once", update_id=update_id)
    parent.says("the next")
    parent.sees("you said: the next")
    assert [m.text for m in log(site, parent) if m.author == "parent"] == ["only once", "the next"]
    assert sum("only once" in text for text in parent.texts()) == 1


def test_updates_out_of_order_are_all_answered(site, api, parent):
    last = parent.says("third")
    taken(site, api, last)
    parent.says("first", update_id=last - 2000)
    parent.says("second", update_id=last - 1000)
    for words in ("first", "second", "third"):
        parent.sees(f"you said: {words}")


def test_messages_in_a_row_are_answered_in_their_order(site, api, parent):
    for number in range(5):
        parent.says(f"number {number}")
    parent.sees("you said: number 4", 30)
    assert parent.texts()[1:] == [f"you said: number {n}" for n in range(5)]


def test_an_answer_comes_with_the_sentence_that_it_rests_on(site, api, parent):
    parent.says("source")
    shown = parent.sees("You can come back.")
    assert "Where this comes from:" in shown.text and "Core offer\nhttps://example.org/s4" in shown.text
    assert "<blockquote>move in &amp; out</blockquote>" in shown.html


def test_markup_in_an_answer_is_shown_as_it_was_written(site, api, parent):
    parent.says("markup")
    assert parent.sees("bold & brash").text == "<b>bold & brash</b> _under_ 5 < 6 &amp;\n• one\n• two"


def test_a_long_answer_comes_in_parts_that_end_with_a_sentence(site, api, parent):
    parent.says("long")
    parent.sees("paragraph 199", 30)
    parts = [text for text in parent.texts() if "paragraph" in text]
    assert len(parts) > 1 and all(part.endswith("sentences.") for part in parts)
    assert "\n\n".join(parts) == "\n\n".join(f"This is paragraph {n}. It has two sentences." for n in range(200))


def test_typing_is_shown_while_an_answer_is_made(site, api, engine, parent):
    engine.hang = 1.2
    try:
        parent.says("think about it")
        parent.sees("you said: think about it")
    finally:
        engine.hang = 0.0
    assert parent.chat in api.typing


def test_an_engine_that_is_down_is_told_of_and_the_question_is_kept(site, api, engine, parent):
    engine.status = 500
    try:
        parent.says("is anybody there?")
        told = parent.sees("Something went wrong on our side")
    finally:
        engine.status = 200
    assert "Your message is safe" in told.text and "SP-" in told.text


# things that are not opened


@pytest.mark.parametrize(
    ("kind", "words"),
    [("photo", "a picture"), ("voice", "a voice message"), ("video", "a video"), ("document", "a file"), ("location", "a location"), ("contact", "a contact")],
)
def test_what_is_not_words_is_answered_in_plain_words_and_never_downloaded(site, api, parent, kind, words):
    parent.sends(kind)
    assert words in parent.sees("I can only read words").text
    assert not [call for call in api.calls if call.method == "getFile"]
    assert [m.text for m in log(site, parent) if m.author == "parent"] == [f"[I sent {words}. It was not opened.]"]


def test_a_sticker_is_met_with_few_words(site, api, parent):
    parent.sends("sticker")
    assert parent.sees("I can only read words").text == "I can only read words. Please write your question."


def test_an_album_of_pictures_is_answered_once(site, api, parent):
    ids = [parent.sends("photo", media_group_id="7") for _ in range(6)]
    taken(site, api, ids[-1])
    parent.says("that is all")
    parent.sees("you said: that is all")
    assert sum("I can only read words" in text for text in parent.texts()) == 1
    assert sum("I sent a picture" in m.text for m in log(site, parent)) == 6


def test_the_words_under_a_picture_are_read(site, api, parent):
    parent.sends("photo", caption="what does this letter mean?")
    parent.sees("you said: what does this letter mean?")
    parent.sees("I have read your words")


def test_an_edited_message_is_said_to_have_been_read_before(site, api, parent):
    parent.says("frist")
    parent.sees("you said: frist")
    parent.edits("first")
    parent.sees("I only read the first version")
    assert "you said: first" not in parent.texts()


def test_a_group_is_left_without_a_word(site, api):
    group = {"id": -100123, "type": "supergroup", "title": "Parents"}
    api.update("message", {"message_id": 1, "date": 0, "chat": group, "from": {"id": 1, "is_bot": False, "first_name": "P"}, "text": "hi"})
    api.wait(lambda: -100123 in api.left)
    assert not rows(site, select(TelegramUpdate).where(TelegramUpdate.chat_id == -100123))


# commands


def test_the_commands_are_told_to_telegram(site, api):
    assert {c["command"] for c in api.wait(lambda: api.commands)} == {"help", "person", "status", "privacy", "delete", "stop"}


def test_help_lists_what_works(site, api, parent):
    parent.says("/help")
    shown = parent.sees("Write your question in your own words")
    assert all(f"/{c['command']}" in shown.text for c in api.commands) and "999" in shown.text


def test_privacy_is_told_with_what_telegram_keeps(site, api, parent):
    parent.says("/privacy")
    parent.sees("Only the staff who answer read them")
    assert f"{site.settings.site}/privacy" in parent.sees("It keeps its own copy").text


def test_an_unknown_command_is_told_what_works(site, api, parent):
    parent.says("/restart")
    assert "/help" in parent.sees("I do not know that command").text


def test_words_behind_any_command_are_read(site, api, parent):
    parent.says("/question can we come back?")
    parent.sees("you said: can we come back?")
    parent.says("/person he cannot breathe")
    parent.sees("you said: he cannot breathe")
    parent.sees("you said: I want to talk to a person")


def test_status_tells_of_the_question_even_without_the_engine(site, api, engine, parent):
    parent.says("/status")
    parent.sees("I cannot find an open question")
    parent.says("why must we wait?")
    parent.sees("you said: why")
    query = opened_query(site, parent)
    engine.status = 500
    try:
        parent.says("/status")
        assert "Ada Quill" in parent.sees(query.reference).text
    finally:
        engine.status = 200


# buttons


def test_a_choice_is_made_once_and_stays_to_be_seen(site, api, engine, parent):
    parent.says("buttons")
    shown = parent.sees("Which one?")
    data = [data for _, data in shown.buttons]
    assert [title for title, _ in shown.buttons] == ["One & only", "Two"] and len({*data}) == 2
    assert not any("told" in d or "One" in d for d in data) and all(len(d.encode()) <= 64 for d in data)
    parent.presses("One & only")
    parent.sees("you said: told{One & only}")
    api.wait(lambda: not shown.buttons)
    assert shown.text == "Which one?\n\nYou chose: One & only"
    parent.presses_data(shown, data[1])
    api.wait(lambda: any("from earlier" in a.get("text", "") for a in api.answered))
    assert [m.text for m in log(site, parent) if m.author == "parent"] == ["buttons", "One & only"]


def test_a_press_that_comes_twice_is_one_choice(site, api, parent):
    parent.says("buttons")
    shown = parent.sees("Which one?")
    data = shown.buttons[1][1]
    update_id = parent.presses("Two")
    parent.sees("you said: told{Two}")
    parent.presses_data(shown, data, update_id=update_id)
    parent.says("and now?")
    parent.sees("you said: and now?")
    assert [m.text for m in log(site, parent) if m.author == "parent"] == ["buttons", "Two", "and now?"]


def test_buttons_go_when_the_parent_types_instead(site, api, parent):
    parent.says("buttons")
    shown = parent.sees("Which one?")
    parent.says("something else")
    parent.sees("you said: something else")
    api.wait(lambda: not shown.buttons)
    assert shown.text == "Which one?"


def test_a_forged_button_and_somebody_elses_do_nothing(site, api, parent):
    parent.says("buttons")
    shown = parent.sees("Which one?")
    other = api.phone(next(_chats))
    other.starts()
    hers = other.sees(GREETING)
    for data in ("hand_over", "/restart", shown.buttons[0][1], "delete:x", "query:withdraw:1"):
        update_id = other.presses_data(hers, data)
        taken(site, api, update_id)
    assert [m.author for m in log(site, other)] == ["assistant"]
    assert len([m for m in log(site, parent) if m.author == "parent"]) == 1


# deleting, stopping


def test_delete_asks_first_and_then_nothing_is_left(site, api, parent):
    parent.says("my secret")
    parent.sees("you said: my secret")
    query = opened_query(site, parent)
    id = conversation(site, parent).id
    parent.says("/delete")
    asked = parent.sees("Do you want to delete what you wrote here?")
    assert query.reference in asked.text and "nobody will reply" in asked.text
    parent.presses("Delete it")
    parent.sees("has been deleted from our computers")
    api.wait(lambda: not asked.buttons)
    assert not rows(site, select(Conversation).where(Conversation.external_id == str(parent.chat)))
    assert all(m.text == "(deleted)" for m in rows(site, select(Message).where(Message.conversation_id == id)))
    [query] = rows(site, select(Query).where(Query.id == query.id))
    assert query.state == "withdrawn"
    parent.says("hello again")
    parent.sees("you said: hello again")
    assert sum(GREETING in text for text in parent.texts()) == 2


def test_delete_can_be_thought_better_of_and_its_buttons_hold_once(site, api, parent):
    parent.says("keep me")
    parent.sees("you said: keep me")
    parent.says("/delete")
    asked = parent.sees("Do you want to delete")
    yes = asked.buttons[0][1]
    parent.presses("Keep it")
    parent.sees("Nothing was deleted")
    taken(site, api, parent.presses_data(asked, yes))
    assert "keep me" in [m.text for m in log(site, parent)]


def test_stop_is_kept_until_the_parent_writes_again(site, api, parent):
    parent.says("why must we wait?")
    parent.sees("you said: why")
    query = opened_query(site, parent)
    parent.says("/stop")
    assert query.reference in parent.sees("I will not write here again until you write first").text
    staff_reply(site, query, "Because of the list.")
    api.wait(lambda: [d for d in deliveries(site, parent) if d.state == "refused"])
    assert not parent.said("Because of the list")
    assert rows(site, select(Alert).where(Alert.query_id == query.id, Alert.kind == "undelivered"))
    parent.says("I am back")
    parent.sees("Because of the list")


# staff


def test_a_reply_of_staff_has_a_name_and_a_verdict_and_stops_the_clock(site, api, parent):
    parent.says("why must we wait?")
    parent.sees("you said: why")
    query = opened_query(site, parent)
    staff_reply(site, query, "Because of <the list> & holidays.")
    shown = parent.sees("Because of <the list> & holidays.")
    assert shown.text.startswith("Ada Quill, Therapist\n\n") and shown.html.startswith("<b>Ada Quill, Therapist</b>")
    asked = parent.sees("Did this answer your question")
    assert [title for title, _ in asked.buttons] == ["Yes", "Partly", "No"]
    api.wait(lambda: rows(site, select(Query.answered_at).where(Query.id == query.id)) != [None])
    parent.presses("No")
    parent.sees("open again")
    [query] = rows(site, select(Query).where(Query.id == query.id))
    assert query.state == "reopened" and "You chose: No" in parent.sees("You chose: No").text


def test_staff_replies_kept_off_telegram_are_announced_and_count_when_they_are_read(tmp_path, empty_database, engine):
    with BotApiDouble() as api, started(made_site(tmp_path, empty_database, api, engine, telegram_staff_replies="off")) as site:
        parent = api.phone()
        parent.says("why must we wait?")
        parent.sees("you said: why")
        query = opened_query(site, parent)
        staff_reply(site, query, "Something about a child. " * 150)
        notice = parent.sees("has replied to your question")
        assert query.reference in notice.text and "/return" in notice.text and "Something" not in notice.text and not notice.buttons
        api.wait(lambda: [d for d in deliveries(site, parent) if d.provider_id == str(notice.id)])
        assert rows(site, select(Query.answered_at).where(Query.id == query.id)) == [None]
        parent.says("thanks")
        api.wait(lambda: len(log(site, parent)) >= 5)
        site.signpost.log.after(query.conversation_id, 0)
        assert rows(site, select(Query.answered_at).where(Query.id == query.id)) != [None]
        assert not [text for text in parent.texts() if "about a child" in text]


# what goes wrong on the way


def failing(api: BotApiDouble, parent: Phone, what, times: int = 1) -> None:
    """Have the next messages to a parent go wrong."""
    left = iter([what] * times)
    api.fault = lambda method, chat: next(left, None) if method == "sendMessage" and chat == parent.chat else None


def test_429_is_obeyed_and_the_message_comes_once(site, api, parent):
    failing(api, parent, Refusal(429, "Too Many Requests: retry after 3", retry_after=3))
    parent.says("slowly")
    parent.sees("you said: slowly", 30)
    tries = [call for call in api.calls if call.method == "sendMessage" and call.chat == parent.chat][-2:]
    assert [call.code for call in tries] == [429, 200] and tries[1].at - tries[0].at >= 3
    assert sum("slowly" in text for text in parent.texts()) == 1


def test_what_telegram_itself_refused_for_now_is_sent_again(site, api, parent):
    failing(api, parent, Refusal(500, "Internal Server Error"))
    parent.says("try again")
    parent.sees("you said: try again", 40)


@pytest.mark.parametrize("what", ["gone", b"<html>bad gateway</html>"])
def test_what_may_have_been_taken_is_not_sent_again_and_is_somebodys_decision(site, api, parent, what):
    failing(api, parent, what)
    parent.says("who knows")
    api.wait(lambda: [d for d in deliveries(site, parent) if d.state == "unknown"])
    parent.says("go on")
    parent.sees("you said: go on")
    assert not parent.said("you said: who knows")


def test_an_answer_of_telegram_that_gets_lost_is_no_reason_to_send_twice(site, api, parent):
    failing(api, parent, "lost")
    parent.says("lost on the way")
    api.wait(lambda: [d for d in deliveries(site, parent) if d.state == "unknown"])
    parent.says("go on")
    parent.sees("you said: go on")
    assert sum("lost on the way" in text for text in parent.texts()) == 1


def test_a_parent_who_blocked_the_bot_is_work_for_a_person_and_gets_the_reply_when_they_are_back(site, api, parent):
    parent.says("why must we wait?")
    parent.sees("you said: why")
    query = opened_query(site, parent)
    taken(site, api, parent.blocks())
    assert conversation(site, parent).unreachable_since is not None
    staff_reply(site, query, "You will read this later.")
    api.wait(lambda: rows(site, select(Alert).where(Alert.query_id == query.id, Alert.kind == "undelivered")))
    taken(site, api, parent.unblocks())
    assert conversation(site, parent).unreachable_since is None
    parent.sees("You will read this later.")


def test_403_marks_the_channel_dead(site, api, parent):
    parent.blocked = True
    parent.says("I am away")
    api.wait(lambda: conversation(site, parent).unreachable_since is not None)
    assert [d.state for d in deliveries(site, parent)][-1] == "refused"
    parent.blocked = False


def test_an_update_that_cannot_be_handled_holds_up_nothing(site, api, parent):
    broken = {"message_id": "not a number", "date": "never", "chat": parent.as_chat, "text": 5}
    update_id = api.update("message", broken)
    parent.says("and this?")
    parent.sees("you said: and this?")
    api.wait(lambda: rows(site, select(TelegramUpdate.attempts).where(TelegramUpdate.update_id == update_id)) > [0])


# from the web


def web_chat(site: Site) -> httpx.Client:
    client = httpx.Client(base_url=site.url, trust_env=False, timeout=30)
    begun = client.post("/api/chat/sessions", json={}).json()
    client.headers["Authorization"] = f"Bearer {begun['token']}"
    return client


def web_says(client: httpx.Client, **said) -> list[dict]:
    return client.post("/api/chat/messages", json={"client_id": new_id(), **said}).json()["messages"]


def test_a_web_chat_is_carried_on_by_a_link_that_holds_once(site, api):
    client = web_chat(site)
    web_says(client, text="buttons")
    link = client.post("/api/chat/telegram").json()
    assert link["url"].startswith(f"https://t.me/{api.username}?start=") and link["minutes"] == 60
    assert "another company" in link["note"] and client.get("/api/chat/standing").json()["telegram"] is True
    code = link["url"].partition("start=")[2]
    assert 0 < len(code) <= 64
    parent = api.phone(next(_chats))
    parent.starts(code)
    parent.sees("You can carry on here")
    assert parent.texts()[0].startswith("Which one?")
    parent.presses("Two")
    parent.sees("you said: told{Two}")
    assert [m["text"] for m in client.get("/api/chat/messages", params={"after": 1}).json()["messages"]][-2:] == ["Two", "you said: told{Two}"]
    web_says(client, text="from the web")
    parent.sees("you said: from the web")
    thief = api.phone(next(_chats))
    thief.starts(code)
    thief.sees("That link was used before")
    assert not thief.said("Which one?")


def test_an_old_link_does_not_open_a_chat(site, api):
    client = web_chat(site)
    web_says(client, text="private")
    code = client.post("/api/chat/telegram").json()["url"].partition("start=")[2]
    with site.signpost.database.write() as session:
        session.execute(update(TelegramCode).values(expires_at=site.signpost.clock.now()))
    parent = api.phone(next(_chats))
    parent.starts(code)
    parent.sees("That link was used before or is too old")
    assert not parent.said("private")


def test_what_is_owed_to_an_earlier_chat_still_arrives_after_another_is_carried_on(site, api, parent):
    parent.says("why must we wait?")
    parent.sees("you said: why")
    query = opened_query(site, parent)
    client = web_chat(site)
    parent.starts(client.post("/api/chat/telegram").json()["url"].partition("start=")[2])
    parent.sees("You can carry on here")
    staff_reply(site, query, "About your first question.")
    parent.sees("About your first question.")
    parent.sees("Did this answer your question")
    parent.presses("Yes")
    parent.sees("was answered")
    assert rows(site, select(Query.state).where(Query.id == query.id)) == ["confirmed"]


def test_a_reply_that_was_not_read_on_the_web_comes_to_telegram(site, api):
    client = web_chat(site)
    web_says(client, text="why must we wait?")
    [message] = [m for m in rows(site, select(Message).order_by(Message.at.desc())) if m.text == "why must we wait?"][:1]
    card = site.signpost.desk.open(message.conversation_id, message.seq, reason="case", topic="waiting_time")
    [query] = rows(site, select(Query).where(Query.id == card.id))
    staff_reply(site, query, "You have not seen this.")
    parent = api.phone(next(_chats))
    parent.starts(client.post("/api/chat/telegram").json()["url"].partition("start=")[2])
    parent.sees("You have not seen this.")
    api.wait(lambda: rows(site, select(Query.answered_at).where(Query.id == query.id)) != [None])


def test_the_page_without_javascript_gives_the_link_too(site, api):
    browser = httpx.Client(base_url=site.url, trust_env=False, follow_redirects=True, headers={"accept": "text/html", "origin": site.url})
    assert 'action="/chat/telegram"' in browser.get("/chat").text
    page = browser.post("/chat/telegram")
    assert f"https://t.me/{api.username}?start=" in page.text and "works once" in page.text
    assert httpx.post(f"{site.url}/chat/telegram", headers={"accept": "text/html"}, trust_env=False).status_code == 401
    assert httpx.post(f"{site.url}/api/chat/telegram", trust_env=False).status_code == 401


def test_a_link_of_an_area_begins_there(site, api):
    parent = api.phone(next(_chats))
    parent.starts("hampshire")
    parent.sees(GREETING)
    assert conversation(site, parent).area == "hampshire"
