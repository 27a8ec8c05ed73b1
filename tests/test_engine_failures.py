"""The engine down, hanging or talking nonsense: nothing is lost and the parent is told the truth."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from bot.app import create_app
from tests.doubles.engine import says
from tests.test_web_api import Chat


def told_the_truth(message: dict) -> None:
    assert message["outcome"] == "handoff"
    assert message["query"]["reference"].startswith("SP-") and message["query"]["reference"] in message["text"]
    assert message["query"]["lead"] in message["text"]
    assert "999" in message["text"] and "Your message is safe" in message["text"]


@pytest.mark.parametrize(
    "reply",
    [b"", b"not json", b"[]", b"null", {"messages": []}, {"messages": [{}], "understanding": {}}, {"messages": [{"text": ""}], "understanding": {}},
     {"messages": ["x"], "understanding": {}}, {"messages": [{"text": "x", "outcome": "party"}], "understanding": {}},
     {"messages": [{"text": "x", "choices": [{"nope": 1}]}], "understanding": {}}, {"understanding": {}}],
)  # fmt: skip
def test_nonsense_opens_a_query(settings, signpost, engine_double, reply):
    engine_double.reply = lambda turn: reply
    with TestClient(create_app(settings)) as client:
        [message] = Chat(client).post(text="who pays").json()["messages"]
    told_the_truth(message)


def test_an_error_status_opens_a_query_and_the_next_message_works(settings, signpost, engine_double):
    with TestClient(create_app(settings)) as client:
        chat = Chat(client)
        engine_double.status = 500
        told_the_truth(chat.post(text="who pays").json()["messages"][0])
        engine_double.status = 200
        assert chat.post(text="and now").json()["messages"][0]["text"] == "you said: and now"


def test_a_connection_that_breaks_is_tried_once_more_as_the_same_turn(settings, signpost, engine_double):
    engine_double.break_connections = 1
    with TestClient(create_app(settings)) as client:
        [message] = Chat(client).post(text="hello").json()["messages"]
    assert message["text"] == "you said: hello"
    first, second = engine_double.turns
    assert (first["again"], second["again"]) == (False, True) and first["message_id"] == second["message_id"]


def test_a_connection_that_breaks_again_opens_a_query(settings, signpost, engine_double):
    engine_double.break_connections = 2
    with TestClient(create_app(settings)) as client:
        told_the_truth(Chat(client).post(text="hello").json()["messages"][0])


def test_an_engine_that_is_not_there_opens_a_query(settings, signpost, engine_double):
    engine_double.stop()
    with TestClient(create_app(settings)) as client:
        chat = Chat(client)
        told_the_truth(chat.post(text="who pays").json()["messages"][0])
        assert [m["text"] for m in chat.after(1).json()["messages"]][0] == "who pays"


def test_a_slow_turn_is_202_with_what_there_is_and_its_answer_comes_by_fetching(settings, signpost, engine_double):
    engine_double.hang = 0.6
    with TestClient(create_app(replace(settings, reply_wait=0.1, engine_timeout=5.0))) as client:
        chat = Chat(client)
        answer = chat.post(text="hello")
        assert answer.status_code == 202 and answer.json() == {"accepted": 2, "messages": []}
        messages = []
        while not [m for m in messages if m["author"] == "assistant"]:
            messages = chat.after(2, wait=5).json()["messages"]
        assert messages[0]["text"] == "you said: hello"
        assert len(engine_double.turns) == 1


def test_a_hanging_engine_is_given_up_and_the_parent_told(settings, signpost, engine_double):
    engine_double.hang = 3.0
    with TestClient(create_app(replace(settings, engine_timeout=0.3))) as client:
        told_the_truth(Chat(client).post(text="hello").json()["messages"][0])


def test_the_message_is_on_disk_before_the_engine_is_asked(settings, signpost, engine_double):
    seen = []

    def look(turn):
        seen.append([m["text"] for m in signpost.log.after(turn["conversation"], 1)])
        return says("hello")

    engine_double.reply = look
    with TestClient(create_app(settings)) as client:
        Chat(client).post(text="is it there?")
    assert seen == [["is it there?"]]


def test_a_turn_left_by_a_dead_app_is_taken_once(settings, signpost, engine_double):
    conversation, token = signpost.log.start("web", "somerset", "parent")
    accepted = signpost.log.accept(conversation, uuid.uuid4().hex, "left behind")
    app = create_app(settings)
    with TestClient(app) as client:
        answers = client.get("/api/chat/messages", headers={"Authorization": f"Bearer {token}"}, params={"after": accepted.seq, "wait": 10}).json()["messages"]
    assert [a["text"] for a in answers] == ["you said: left behind"]
    with TestClient(create_app(settings)):
        pass
    assert len(engine_double.turns) == 1


def test_a_turn_is_closed_only_once(signpost):
    conversation, _ = signpost.log.start("web", "somerset", "parent")
    accepted = signpost.log.accept(conversation, uuid.uuid4().hex, "hello")
    from bot.conversations.outbound import Outbound

    assert [m["text"] for m in signpost.log.finish(accepted.message_id, [Outbound("one")], None)] == ["one"]
    assert signpost.log.finish(accepted.message_id, [Outbound("two")], None) is None
    assert [m["text"] for m in signpost.log.after(conversation, 1)] == ["one"]
