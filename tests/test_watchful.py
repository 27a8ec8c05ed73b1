"""Danger half heard: the emergency line follows a reply that is about something else, and only then."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from bot.app import create_app
from tests.doubles.engine import says
from tests.test_web_api import Chat


def reply_to(settings, engine_double, reply: dict, **typed: str) -> list[dict]:
    engine_double.reply = lambda turn: reply
    with TestClient(create_app(settings)) as client:
        return Chat(client).post(**{"text": "he came home with marks and nobody says why", **typed}).json()["messages"]


def heard(text: str, may_be_danger: object, **fields: str) -> dict:
    return {**says(text, **fields), "understanding": {"intent": {"name": "ask_back"}, "understanding": {"may_be_danger": may_be_danger}}}


def test_who_may_be_in_danger_is_told_where_help_is_beside_the_answer(settings, signpost, engine_double):
    answer, line = reply_to(settings, engine_double, heard("Did you mean one of these?", True, outcome="clarify"))
    assert answer["outcome"] == "clarify"
    assert "999" in line["text"] and "111" in line["text"] and "option 2" in line["text"]
    assert (line["author"], line["outcome"]) == ("system", None)


@pytest.mark.parametrize(
    "reply",
    [
        heard("Call 999", True, outcome="urgent"),
        heard("It takes a while.", False),
        heard("Which section is it in?", True, outcome="check", asks="section"),
        {**says("hello"), "understanding": {"understanding": None}},
        {**says("hello"), "understanding": {"understanding": "nonsense"}},
    ],
)
def test_otherwise_nothing_is_added(settings, signpost, engine_double, reply):
    assert len(reply_to(settings, engine_double, reply)) == 1
