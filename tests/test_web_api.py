"""Contract 2: the web chat API."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from bot.app import create_app
from tests.conftest import add_staff
from tests.doubles.engine import says


@pytest.fixture
def client(settings, signpost):
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def chat(client):
    return Chat(client)


class Chat:
    """One conversation over the API."""

    def __init__(self, client: TestClient, **body) -> None:
        self.client = client
        answer = client.post("/api/chat/sessions", json=body)
        assert answer.status_code == 201
        self.started = answer.json()
        self.headers = {"Authorization": f"Bearer {self.started['token']}"}

    def post(self, client_id: str | None = None, **body):
        return self.client.post("/api/chat/messages", headers=self.headers, json={"client_id": client_id or uuid.uuid4().hex, **body})

    def after(self, seq: int, **params):
        return self.client.get("/api/chat/messages", headers=self.headers, params={"after": seq, **params})


def test_a_session_begins_with_what_this_is_and_what_it_is_not(chat):
    assert set(chat.started) == {"session", "token", "messages"}
    [welcome] = chat.started["messages"]
    assert "computer program" in welcome["text"] and "not for emergencies" in welcome["text"]
    assert welcome["seq"] == 1 and welcome["author"] == "assistant"


def test_a_message_has_every_field_of_the_contract(chat, engine_double):
    source = {"id": "S4", "quote": "q", "title": "t", "url": "u"}
    choice = {"title": "Talk to a person", "command": "talk_to_person", "topic": "talk_to_person", "value": None}
    engine_double.reply = lambda turn: says("yes", outcome="answer", topic="core_offer_return", sources=[source], choices=[choice])
    answer = chat.post(text="can we come back")
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    [message] = answer.json()["messages"]
    assert set(message) == {"seq", "author", "name", "text", "at", "choices", "outcome", "topic", "sources", "query"}
    assert (message["seq"], message["outcome"], message["topic"], message["sources"]) == (3, "answer", "core_offer_return", [source])
    assert message["query"] is None
    assert message["choices"][0]["title"] == "Talk to a person" and message["choices"][0]["topic"] == "talk_to_person"
    assert "command" not in message["choices"][0]


def test_the_engine_gets_the_area_and_the_role_and_our_token(client, engine_double):
    Chat(client, area="hampshire", role="school").post(text="hello")
    turn = engine_double.turns[0]
    assert turn["metadata"]["area"] == "hampshire" and turn["metadata"]["role"] == "school"
    assert turn["authorization"] == "Bearer token"


def test_the_same_client_id_gives_the_same_answer_and_no_second_turn(chat, engine_double):
    first = chat.post("client-id-1", text="hello")
    again = chat.post("client-id-1", text="hello")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert len(engine_double.turns) == 1


def test_the_same_client_id_at_the_same_moment_makes_one_message(chat, engine_double):
    engine_double.hang = 0.2
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(chat.post("client-id-2", text="hello").json())) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len({json.dumps(a) for a in answers}) == 1
    assert len(engine_double.turns) == 1


def test_messages_of_one_conversation_are_answered_in_their_order_one_at_a_time(chat, engine_double):
    engine_double.hang = 0.05
    threads = [threading.Thread(target=chat.post, kwargs={"text": f"message {n}"}) for n in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    messages = chat.after(1).json()["messages"]
    assert sorted(m["seq"] for m in messages) == list(range(2, 18))
    assert sorted(m["text"] for m in messages if m["author"] == "parent") == [f"message {n}" for n in range(8)]
    assert len(engine_double.turns) == 8


def test_a_pressed_choice_is_the_command_it_stood_for_and_its_title_stays_readable(chat, engine_double):
    engine_double.reply = lambda turn: says("which?", outcome="clarify", choices=[{"title": "Coming back", "command": "core_offer_return"}])
    choice = chat.post(text="hm").json()["messages"][0]["choices"][0]
    chat.post(choice=choice["id"])
    assert engine_double.turns[-1]["command"] == "core_offer_return"
    assert chat.after(3).json()["messages"][0]["text"] == "Coming back"


def test_a_choice_of_another_conversation_is_refused(client, engine_double):
    engine_double.reply = lambda turn: says("which?", outcome="clarify", choices=[{"title": "Coming back", "command": "core_offer_return"}])
    choice = Chat(client).post(text="hm").json()["messages"][0]["choices"][0]
    answer = Chat(client).post(choice=choice["id"])
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "choice"


def test_fetching_by_sequence_gives_what_is_newer_and_nothing_else(chat):
    chat.post(text="one")
    chat.post(text="two")
    assert [m["seq"] for m in chat.after(3).json()["messages"]] == [4, 5]
    assert chat.after(5).json() == {"messages": []}


def test_a_long_poll_returns_as_soon_as_something_is_said(chat, engine_double):
    threading.Timer(0.3, chat.post, kwargs={"text": "hello"}).start()
    messages = chat.after(1, wait=20).json()["messages"]
    assert messages and messages[0]["seq"] == 2


def test_a_conversation_opens_only_with_its_own_token(client, chat):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": chat.started["token"]}, {"Authorization": "Basic eA=="}):
        answer = client.get("/api/chat/messages", headers=headers)
        assert answer.status_code == 401 and answer.json()["error"]["code"] == "no_session"
    assert client.post("/api/chat/messages", json={"client_id": "x" * 10, "text": "x"}).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"[" * 5000,
        b"{}",
        b'{"text": "x"}',
        b'{"client_id": "12345678"}',
        b'{"client_id": "12345678", "text": ""}',
        b'{"client_id": "12345678", "text": "   "}',
        b'{"client_id": "12345678", "text": 7}',
        b'{"client_id": "12345678", "text": null}',
        b'{"client_id": "12345678", "text": "\\u0000"}',
        b'{"client_id": "12345678", "text": "x", "choice": "y"}',
        b'{"client_id": "12345678", "choice": "made-up"}',
        b'{"client_id": "12345678", "choice": {}}',
        b'{"client_id": "short", "text": "x"}',
        b'{"client_id": 12345678, "text": "x"}',
        b'{"client_id": "1234\\n5678", "text": "x"}',
        json.dumps({"client_id": "12345678", "text": "x" * 4001}).encode(),
        json.dumps({"client_id": "x" * 65, "text": "x"}).encode(),
        json.dumps({"client_id": "12345678", "text": "x" * 200_000}).encode(),
    ],
)
def test_bad_input_is_refused_in_plain_english_and_leaves_no_message(chat, engine_double, body):
    answer = chat.client.post("/api/chat/messages", headers=chat.headers, content=body)
    assert 400 <= answer.status_code < 500
    error = answer.json()["error"]
    assert error["code"] and error["message"].endswith(".") and "Traceback" not in answer.text
    assert chat.after(1).json()["messages"] == [] and engine_double.turns == []


def test_a_lone_surrogate_is_not_lost_and_breaks_nothing(chat):
    answer = chat.client.post("/api/chat/messages", headers=chat.headers, content=b'{"client_id": "12345678", "text": "hi \\ud83d there"}')
    assert answer.status_code == 200
    assert chat.after(1).json()["messages"][0]["text"] == "hi  there"


@pytest.mark.parametrize("params", [{"after": "x"}, {"after": -1}, {"after": "nan"}, {"wait": "soon"}, {"after": "9" * 30}])
def test_a_bad_number_is_refused(chat, params):
    answer = chat.client.get("/api/chat/messages", headers=chat.headers, params=params)
    assert answer.status_code == 422 and "number" in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [{"area": "mars"}, {"area": 3}, {"role": "robot"}, {"role": []}])
def test_an_unknown_area_or_role_is_refused(client, body):
    answer = client.post("/api/chat/sessions", json=body)
    assert answer.status_code == 422 and answer.json()["error"]["message"]


def test_unknown_addresses_and_methods_answer_in_the_same_form(client):
    assert client.get("/api/nothing").json()["error"]["code"] == "http_404"
    assert client.delete("/api/chat/messages").json()["error"]["code"] == "http_405"


def test_the_actions_are_for_the_engine_only(client):
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong"}):
        assert client.post("/engine/actions", headers=headers, json={"next_action": "action_answer"}).status_code == 403


def test_a_reply_of_staff_comes_by_fetching_with_the_name_of_who_wrote_it(chat, signpost):
    from bot.casework.replies import ReplyForm

    conversation = signpost.log.by_token(chat.started["token"])
    card = signpost.desk.open(conversation.id, 2, reason="unresolved")
    member = add_staff(signpost.database, "Cy Vale", title="Occupational therapist")
    signpost.replies.send(ReplyForm(card.id, "Here is your answer.", "key-1", 99, 2), member)
    message, asked = chat.after(1).json()["messages"]
    assert asked["author"] == "system" and [c["title"] for c in asked["choices"]] == ["Yes", "Partly", "No"]
    assert (message["author"], message["name"]) == ("staff", "Cy Vale, Occupational therapist")
    assert message["query"]["state"] == "replied" and message["query"]["reference"] == card.reference


def test_rate_limits_hold_and_say_when_to_try_again(settings, signpost, time):
    with TestClient(create_app(replace(settings, rate_limits="on"), time.clock())) as client:
        chat = Chat(client)
        answers = [chat.post(text="x") for _ in range(31)]
    assert [a.status_code for a in answers[:30]] == [200] * 30
    assert answers[30].status_code == 429 and int(answers[30].headers["Retry-After"]) > 0
