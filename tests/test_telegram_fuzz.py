"""Whatever is sent in Telegram's name: nothing is a fault of ours, and what a parent wrote is on disk and answered."""

from __future__ import annotations

import itertools
import json
import shutil
import time as clock
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings as hypothesis_settings, strategies as some
from sqlalchemy import select
from starlette.testclient import TestClient

from bot.app import create_app
from bot.channels.telegram import PATH
from bot.channels.telegram_updates import KINDS
from bot.settings import Settings
from bot.store.tables import Conversation, Message
from bot.store.telegram import TelegramUpdate
from tests.conftest import add_staff
from tests.doubles.engine import EngineDouble, says
from tests.doubles.telegram import TOKEN, BotApiDouble
from tests.hostile import MESSAGES
from tests.test_fuzz import ANYTHING
from tests.test_routes import secret_of

PUBLIC = "signpost.example.org"
_numbers, _chats = itertools.count(1000), itertools.count(700_000)
relaxed = hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def webhook(tmp_path_factory, empty_database):
    """A client of the app in webhook mode, with a double of the Bot API behind it."""
    folder = tmp_path_factory.mktemp("telegram-fuzz")
    shutil.copyfile(empty_database, folder / "signpost.db")
    with EngineDouble() as engine, BotApiDouble() as api:
        engine.reply = lambda turn: says("Which one?", outcome="clarify", choices=[{"title": "One", "command": "told", "topic": None, "value": None}])
        settings = Settings(data_dir=str(folder), engine_url=engine.url, engine_token="t", engine_timeout=2.0, rate_limits="off", undo_seconds=0)
        telegram = replace(settings, telegram_token=TOKEN, telegram_api_url=api.url, telegram_mode="webhook", telegram_dpia="DPIA 12", public_url=f"https://{PUBLIC}")
        api.hosts[PUBLIC] = "http://127.0.0.1:9"
        app = create_app(telegram)
        add_staff(app.state.signpost.database, "Mo Carter", role="manager", on_call=True)
        with TestClient(app, headers={"x-telegram-bot-api-secret-token": secret_of(app)}, raise_server_exceptions=False) as client:
            client.api = api
            yield client


def rows(webhook, asked) -> list:
    with webhook.app.state.signpost.database.read() as session:
        return list(session.scalars(asked))


def handled(webhook, update_id: int) -> TelegramUpdate:
    """An update once it has been handled, or once handling it has failed."""
    for _ in range(600):
        found = rows(webhook, select(TelegramUpdate).where(TelegramUpdate.update_id == update_id))
        if found and (found[0].state == "handled" or found[0].attempts):
            return found[0]
        clock.sleep(0.02)
    raise AssertionError("the update lies there")


def typed_by(webhook, chat: int) -> list[str]:
    return rows(webhook, select(Message.text).join(Conversation).where(Conversation.external_id == str(chat), Message.author == "parent"))


NUMBERS = some.integers(-(2**70), 2**70)
CHATS = some.fixed_dictionaries({"id": NUMBERS | ANYTHING, "type": some.sampled_from(["private", "group", "channel"]) | ANYTHING})


@relaxed
@given(
    update_id=NUMBERS | ANYTHING,
    kind=some.sampled_from([*KINDS, "channel_post", "poll", "inline_query"]),
    inner=ANYTHING | some.dictionaries(some.sampled_from(["chat", "text", "from", "message", "data", "entities", "date", "new_chat_member", "message_id"]), ANYTHING | CHATS, max_size=8),
    more=some.dictionaries(some.text(max_size=12), ANYTHING, max_size=3),
)
@example(update_id=2**64, kind="message", inner={"chat": {"id": 5, "type": "private"}, "text": "x"}, more={})
@example(update_id=-5, kind="message", inner={"chat": {"id": 2**80, "type": "private"}, "text": "x"}, more={})
@example(update_id=7, kind="message", inner={"chat": {"id": True, "type": "private"}}, more={})
@example(update_id=8, kind="callback_query", inner={"message": 5, "data": []}, more={})
@example(update_id=9, kind="message", inner={"chat": {"id": 6, "type": "private"}, "text": "\ud800"}, more={})
def test_no_update_is_a_fault(webhook, update_id, kind, inner, more):
    answer = webhook.post(PATH, content=json.dumps({**more, "update_id": update_id, kind: inner}))
    assert answer.status_code in (200, 400), answer.status_code


@relaxed
@given(raw=some.binary(max_size=400))
def test_no_bytes_are_a_fault(webhook, raw):
    assert webhook.post(PATH, content=raw).status_code in (200, 400)


def sent(webhook, chat: int, kind: str, about: dict) -> TelegramUpdate:
    update_id = next(_numbers)
    webhook.api.phone(chat).started = True
    answer = webhook.post(PATH, content=json.dumps({"update_id": update_id, kind: about}))
    assert answer.status_code == 200
    return handled(webhook, update_id)


def message(chat: int, **what) -> dict:
    person = {"id": chat, "is_bot": False, "first_name": "Pat"}
    return {"message_id": next(_numbers), "date": 1, "chat": {"id": chat, "type": "private", "first_name": "Pat"}, "from": person, **what}


TEXTS = some.text(min_size=1, max_size=200) | some.sampled_from([text for text in MESSAGES if text][:60])
ENTITIES = some.lists(some.fixed_dictionaries({"type": some.sampled_from(["bot_command", "bold", "url", "never_heard_of"]), "offset": some.integers(-3, 300), "length": some.integers(-3, 300)}), max_size=3)  # fmt: skip


@relaxed
@given(text=TEXTS, entities=ENTITIES)
@example(text="\ud800", entities=[])
@example(text="\x00", entities=[])
@example(text="/start \x00'; DROP TABLE x", entities=[{"type": "bot_command", "offset": 0, "length": 6}])
@example(text="/delete", entities=[{"type": "bot_command", "offset": 0, "length": 7}])
def test_every_text_is_handled_and_what_is_no_command_is_kept(webhook, text, entities):
    chat = next(_chats)
    assert sent(webhook, chat, "message", message(chat, text=text, entities=entities)).state == "handled"
    if not any(one["type"] == "bot_command" for one in entities) and text.isprintable() and text.strip():
        assert [kept.strip() for kept in typed_by(webhook, chat)] == [text.strip()]


@relaxed
@given(kind=some.sampled_from(["message", "edited_message"]), thing=some.sampled_from(["caption", "text", "location", "contact", "dice", "pinned_message", "nothing"]), text=TEXTS)
def test_things_that_are_not_words_are_handled(webhook, kind, thing, text):
    chat = next(_chats)
    things = {
        "caption": {"photo": [{"file_id": "f", "file_unique_id": "u", "width": 9, "height": 9}], "caption": text},
        "text": {"text": text},
        "location": {"location": {"latitude": 51.0, "longitude": -3.0}},
        "contact": {"contact": {"phone_number": text, "first_name": text}},
        "dice": {"dice": {"value": 3, "emoji": text}},
        "pinned_message": {"pinned_message": message(chat, text=text)},
        "nothing": {},
    }
    assert sent(webhook, chat, kind, message(chat, **things[thing])).state == "handled"


@relaxed
@given(data=some.text(max_size=64) | some.sampled_from(["delete:", "keep:", "delete:x", "keep:\x00"]) | some.none(), with_message=some.booleans())
def test_every_button_is_handled(webhook, data, with_message):
    chat = next(_chats)
    about = {"id": str(next(_numbers)), "from": {"id": chat, "is_bot": False, "first_name": "Pat"}, "chat_instance": "1", "data": data, "message": message(chat, text="Which one?")}
    assert sent(webhook, chat, "callback_query", about).state == "handled"
