"""The demo's phone: on a page without JavaScript and in the terminal."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.doubles.telegram import BotApiDouble
from tests.doubles.telegram_demo.__main__ import does, show
from tests.doubles.telegram_demo.page import page_app


@pytest.fixture
def phone():
    with BotApiDouble() as api:
        made = api.phone()
        made.starts()
        api.call("sendMessage", {"chat_id": "4711", "text": "<b>5 &lt; 6</b>", "parse_mode": "HTML", "reply_markup": {"inline_keyboard": [[{"text": "Yes", "callback_data": "id-1"}]]}})
        yield made


def taken(phone) -> list[dict]:
    return phone.api.call("getUpdates", {})


def test_the_page_shows_what_was_said_and_sends_what_the_parent_does(phone):
    page = TestClient(page_app(phone.api, phone))
    shown = page.get("/")
    assert "<b>5 &lt; 6</b>" in shown.text and 'value="id-1">Yes</button>' in shown.text and "default-src 'self'" in shown.headers["content-security-policy"]
    page.post("/", data={"do": "say", "text": "<script>hello</script>"})
    page.post("/", data={"do": "press", "message": str(phone.messages[1].id), "data": "id-1"})
    page.post("/", data={"do": "send", "thing": "photo"})
    assert "&lt;script&gt;hello" in page.get("/messages").text
    start, said, pressed, sent = taken(phone)
    assert said["message"]["text"] == "<script>hello</script>" and pressed["callback_query"]["data"] == "id-1" and "photo" in sent["message"]


def test_the_terminal_sends_words_presses_numbers_and_shows_messages(phone, capsys):
    for line in ("hello", "1", ":voice", ":again", ":block", ":nonsense", ""):
        does(phone, line)
    kinds = [(next(kind for kind in update if kind != "update_id"), update["update_id"]) for update in taken(phone)]
    assert [kind for kind, _ in kinds] == ["message", "message", "callback_query", "message", "message", "my_chat_member"]
    assert kinds[1][1] == kinds[4][1]
    show(4711, phone.messages[1])
    assert "Signpost:\n  5 < 6\n  [1] Yes" in capsys.readouterr().out
