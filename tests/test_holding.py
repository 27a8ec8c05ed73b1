"""A person has the conversation: the bot is quiet, nothing is lost, danger still gets its reply. Over the API, with an engine double."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from bot.app import create_app
from bot.casework.replies import ReplyForm
from bot.store.cycle import Question
from bot.store.tables import Conversation, Query, Staff
from tests.test_web_api import Chat


class Held:
    """A parent whose question Ada has, and the app around them."""

    def __init__(self, client: TestClient, engine_double) -> None:
        self.client, self.engine = client, engine_double
        self.signpost = client.app.state.signpost
        self.chat = Chat(client)
        self.topics = ["waiting_time"]
        self.engine.reply = self._engine
        self.conversation = self.chat.started["session"]
        seq = self.chat.post(text="I want a person").json()["accepted"]
        self.card = self.signpost.desk.open(self.conversation, seq, reason="case", topic="talk_to_person")
        with self.signpost.database.read() as session:
            self.ada = session.scalars(select(Staff).where(Staff.name == "Ada Quill")).one()

    def _engine(self, turn):
        understanding = {"intent": {"name": self.topics[0]}, "understanding": {"topics": self.topics}}
        said = [] if turn.get("only_understand") else [{"text": "the bot speaks", "outcome": "answer", "topic": self.topics[0]}]
        return {"messages": said, "understanding": understanding}

    def start(self) -> None:
        self.signpost.office.supervision.start(self.card.id, self.query().version, self.ada)

    def query(self) -> Query:
        with self.signpost.database.read() as session:
            return session.get_one(Query, self.card.id)

    def says(self, text: str, *topics: str) -> list[dict]:
        self.topics = list(topics) or ["waiting_time"]
        answer = self.chat.post(text=text)
        assert answer.status_code == 200, "a quiet bot is no slow bot"
        return answer.json()["messages"]

    def taps(self, messages: list[dict], title: str) -> list[dict]:
        choice = next(c["id"] for m in messages for c in m["choices"] if c["title"] == title)
        return self.chat.post(choice=choice).json()["messages"]

    def replies(self, text: str = "Because.") -> None:
        with self.signpost.database.read() as session:
            query, conversation = session.get_one(Query, self.card.id), session.get_one(Conversation, self.conversation)
            marks = {q.id: "answered" for q in self.signpost.replies.open_questions(session, query.id)}
        self.signpost.replies.send(ReplyForm(query.id, text, f"key-{conversation.last_seq:020}", conversation.last_seq, query.version, "answer", marks), self.ada)

    def kept(self) -> list[str]:
        with self.signpost.database.read() as session:
            return list(session.scalars(select(Question.text).where(Question.query_id == self.card.id).order_by(Question.seq, Question.no)))


@pytest.fixture
def held(settings, signpost, engine_double):
    with TestClient(create_app(settings)) as client:
        yield Held(client, engine_double)


def test_before_a_person_has_it_the_bot_answers_and_after_it_is_quiet_and_says_so_once(held):
    assert held.says("how long is the wait")[0]["text"] == "the bot speaks"
    held.start()
    [notice] = held.says("he is 7")
    assert "Ada Quill has this conversation" in notice["text"] and notice["query"]["reference"] == held.card.reference
    assert held.says("and at Oak Lane") == [] and held.kept() == ["I want a person", "he is 7", "and at Oak Lane"]


@pytest.mark.parametrize("text", ["/restart", "/session_start", "/talk_to_person"])
def test_no_command_that_a_parent_types_wakes_the_bot(held, text):
    held.start()
    held.says("he is 7")
    assert held.says(text) == [] and text in held.kept()


def test_danger_gets_its_reply_whoever_has_the_conversation(held):
    held.start()
    assert held.says("he is choking", "urgent_medical")[0]["text"] == "the bot speaks"


def test_questions_about_the_query_are_answered_too(held):
    held.start()
    assert held.says("any news?", "query_status")[0]["text"] == "the bot speaks"


def test_the_parent_can_ask_the_bot_again_by_a_button_and_staff_can_hand_back(held):
    held.start()
    notice = held.says("he is 7")
    [status] = held.taps(notice, "What is happening with my question?")
    assert "a named person is working on it" in status["text"] and "Ada Quill" in status["text"] and "Next," in status["text"]
    assert "ask me something else" in held.taps(notice, "Ask the computer program something else")[0]["text"]
    assert held.says("how long is the wait")[0]["text"] == "the bot speaks"
    held.signpost.office.supervision.take_conversation(held.card.id, held.ada)
    assert len(held.says("hello?")) == 1, "told again, because it is a new holding"
    held.signpost.office.supervision.hand_back(held.card.id, held.ada)
    assert held.says("how long is the wait")[0]["text"] == "the bot speaks"


def test_when_the_engine_is_down_the_words_are_kept_and_the_emergency_line_is_said(held):
    held.start()
    held.says("he is 7")
    held.engine.status = 500
    [message] = held.says("and he is worse")
    assert "Call 999" in message["text"] and held.card.reference in message["text"] and "and he is worse" in held.kept()


def test_it_survives_a_restart_of_the_app(held, settings):
    held.start()
    held.says("he is 7")
    with TestClient(create_app(settings)) as again:
        answer = again.post("/api/chat/messages", headers=held.chat.headers, json={"client_id": "after-restart", "text": "hello?"})
        assert answer.json()["messages"] == []


@pytest.mark.parametrize(("title", "state"), [("Yes", "confirmed"), ("Partly", "partly"), ("No", "reopened")])
def test_one_tap_is_the_verdict_on_every_channel(held, title, state):
    held.start()
    held.replies()
    said = held.chat.after(0).json()["messages"]
    assert [c["title"] for c in said[-1]["choices"]] == ["Yes", "Partly", "No"]
    [told] = held.taps(said, title)
    assert held.query().state == state and told["query"]["state"] == state


@pytest.mark.parametrize(("words", "state"), [("yes thank you", "confirmed"), ("not really", "reopened"), ("Partly!", "partly")])
def test_the_verdict_may_be_in_words(held, words, state):
    held.start()
    held.replies()
    held.says(words)
    assert held.query().state == state


def test_after_yes_the_bot_speaks_again(held):
    held.start()
    held.replies()
    held.says("yes")
    assert held.says("how long is the wait")[0]["text"] == "the bot speaks"


def test_thanks_after_a_reply_is_no_verdict_and_other_words_open_it_again(held):
    held.start()
    held.replies()
    [asked] = held.says("thanks", "thank")
    assert [c["title"] for c in asked["choices"]] == ["Yes", "Partly", "No"] and held.query().state == "replied"
    [told] = held.says("but who rings the school")
    assert "opened it again" in told["text"] and held.query().state == "reopened"


def test_the_code_of_the_hand_off_opens_the_chat_on_another_device(held, settings):
    other = TestClient(held.client.app, base_url="http://testserver", follow_redirects=False)
    form = other.get("/return")
    assert form.status_code == 200 and "Your code" in form.text
    for wrong, status in (("", 422), ("SP-ACDE3479", 404), ("ACDE-3479-HJKM", 404), ("<b>", 404)):
        answer = other.post("/return", data={"code": wrong})
        assert answer.status_code == status and "There is a problem" in answer.text and "<b>" not in answer.text
    answer = other.post("/return", data={"code": held.card.return_code.lower().replace("-", " ")})
    assert answer.status_code == 303 and answer.headers["location"].startswith("/chat")
    held.start()
    held.replies("The answer, on another device.")
    assert "The answer, on another device." in other.get("/chat").text
    assert held.query().answered_at is not None, "what was fetched there has reached the parent"


def test_codes_cannot_be_guessed_by_trying(settings, signpost):
    from dataclasses import replace

    client = TestClient(create_app(replace(settings, rate_limits="on")))
    answers = [client.post("/return", data={"code": "ACDE-3479-HJKM"}).status_code for _ in range(12)]
    assert answers[:10] == [404] * 10 and answers[10:] == [429, 429]


def test_a_quiet_turn_is_not_shown_as_waiting_on_the_page(held):
    held.start()
    held.says("he is 7")
    held.says("and at Oak Lane")
    page = TestClient(held.client.app, cookies={"signpost_chat": held.chat.started["token"]}).get("/chat").text
    assert "and at Oak Lane" in page and "still working on an answer" not in page

