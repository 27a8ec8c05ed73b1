"""The parts of the Telegram channel: words cut and escaped, the pace, what errors mean, updates and leases kept, settings, tokens in logs."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from datetime import timedelta

import httpx
import pytest
from hypothesis import given, strategies as st
from sqlalchemy import select
from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError, TimedOut

from bot.app import create_app
from bot.casework.ledger import take
from bot.channels.telegram import check, make_bot
from bot.channels.telegram_pace import Pace
from bot.channels.telegram_sender import outcome_of
from bot.channels.telegram_text import as_html, buttons, split, units
from bot.channels.telegram_updates import KEPT_FOR, LEASE, MOST_ATTEMPTS, Updates
from bot.conversations.erasure import erase
from bot.conversations.senders import Refused, TryAgain, Unknown
from bot.settings import ROOT, SettingProblem, Settings
from bot.store.cycle import ReturnCode
from bot.store.leases import LASTS, Leases
from bot.store.tables import Base, Conversation, Message, Query
from tests.conftest import add_staff, build_office
from tests.doubles.telegram import TOKEN, BotApiDouble, Refusal
from tests.doubles.telegram_html import NotHtml, plain

WORDS = st.text(st.sampled_from("ab .!?\n\"'é😀👩\u200d\u0301-<>&"), max_size=400)


# words


@given(WORDS, st.integers(4, 60))
def test_parts_fit_and_lose_nothing_but_the_space_at_the_cuts(text, longest):
    parts = split(text, longest)
    assert all(units(part) <= longest for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "longest", "parts"),
    [
        ("short", 10, ["short"]),
        ("One two. Three four.", 12, ["One two.", "Three four."]),
        ('He said "no." Then he left.', 18, ['He said "no."', "Then he left."]),
        ("one\n\ntwo. three", 11, ["one\n\ntwo.", "three"]),
        ("aaa bbb\n\nccc ddd", 10, ["aaa bbb", "ccc ddd"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("😀😀😀", 4, ["😀😀", "😀"]),
        ("", 4, [""]),
    ],
)
def test_cuts_are_where_a_reader_pauses(text, longest, parts):
    assert split(text, longest) == parts


@given(st.text(max_size=200))
def test_whatever_is_written_is_html_that_telegram_reads(text):
    assert plain(as_html(text)).replace("• ", "- ").replace("\n", "") is not None


def test_html_says_what_the_text_says():
    assert plain(as_html("<b>5 < 6 & 7</b>")) == "<b>5 < 6 & 7</b>"
    assert as_html("- one\n- two\n> said & done\n> twice\nend") == "• one\n• two\n<blockquote>said &amp; done\ntwice</blockquote>\nend"


def test_long_titles_of_buttons_are_written_out_and_numbered():
    assert buttons(["Yes", "No"]) == ("", ["Yes", "No"])
    long = "Can my child come back to the service after they were discharged from it?"
    listed, titles = buttons([long, "Talk to a person"])
    assert listed == f"1. {long}\n2. Talk to a person"
    assert titles[1] == "2. Talk to a person" and titles[0].startswith("1. Can my child") and len(titles[0]) <= 60


# the pace


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_no_more_than_so_many_in_a_second_and_one_a_second_in_a_chat():
    time = Time()
    pace = Pace(per_second=3, now=time)

    async def sends(chat: int, takes: float) -> None:
        async with pace.turn(chat):
            time.now += takes

    for chat in (1, 2, 3):
        asyncio.run(sends(chat, 0.1))
    assert pace.room() == 0 and pace.wait_for(4) == pytest.approx(0.8)
    time.now += 0.81
    assert pace.room() == 1 and pace.wait_for(4) == 0 and pace.wait_for(1) > 0 and pace.wait_for(3) > 0.2


def test_a_call_counts_until_a_second_after_its_answer():
    time = Time()
    pace = Pace(per_second=1, now=time)

    async def slow() -> None:
        async with pace.turn(1):
            time.now += 5
            assert pace.room() == 0 and pace.wait_for(2) > 0
        assert pace.room() == 0 and pace.wait_for(2) == pytest.approx(1.0)

    asyncio.run(slow())


def test_a_429_holds_its_chat_and_two_hold_everybody():
    time = Time()
    pace = Pace(now=time)
    pace.told_to_wait(1, 30)
    assert pace.wait_for(1) == 30 and pace.wait_for(2) == 0
    pace.told_to_wait(2, 40)
    assert pace.wait_for(3) == 40 and pace.room() == 0


# what errors mean


def raised(problem: TelegramError, cause: Exception) -> TelegramError:
    problem.__cause__ = cause
    return problem


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        (RetryAfter(7), TryAgain("RetryAfter", 7.0)),
        (Forbidden("Forbidden: bot was blocked by the user"), Refused("Forbidden: bot was blocked by the user", unreachable=True)),
        (BadRequest("Chat not found"), Refused("Chat not found", unreachable=True)),
        (BadRequest("message is too long"), Refused("message is too long")),
        (InvalidToken("x"), TryAgain("InvalidToken", 60.0)),
        (NetworkError("Internal Server Error"), TryAgain("Internal Server Error")),
        (raised(NetworkError("httpx.ConnectError"), httpx.ConnectError("no")), TryAgain("ConnectError")),
        (raised(TimedOut(), httpx.ConnectTimeout("no")), TryAgain("ConnectTimeout")),
        (raised(TimedOut("Pool timeout"), httpx.PoolTimeout("no")), TryAgain("PoolTimeout")),
        (raised(TimedOut(), httpx.ReadTimeout("no")), Unknown("ReadTimeout")),
        (raised(NetworkError("httpx.ReadError"), httpx.ReadError("no")), Unknown("ReadError")),
        (raised(NetworkError("httpx.RemoteProtocolError"), httpx.RemoteProtocolError("no")), Unknown("RemoteProtocolError")),
        (raised(NetworkError("Bad Gateway"), TelegramError("Invalid server response")), Unknown("TelegramError")),
    ],
)
def test_an_error_is_sent_again_only_when_the_message_was_certainly_not_taken(problem, outcome):
    assert outcome_of(problem) == outcome


# updates and leases, on both databases


def words(update_id: int, chat: int = 1) -> dict:
    return {"update_id": update_id, "message": {"chat": {"id": chat, "type": "private"}, "text": "hi"}}


def test_an_update_is_kept_once_handled_in_order_and_its_words_go(any_database, time):
    updates = Updates(any_database, time.clock(), "one")
    assert updates.keep([words(12), words(11), words(12, 1), words(20, 2)]) == [1, 2]
    assert updates.keep([words(11)]) == []
    first = updates.next_of(1, -1)
    assert (first.update_id, first.body["message"]["text"]) == (11, "hi")
    with any_database.write() as session:
        assert updates.is_waiting(session, 11)
        updates.handled(session, 11)
    assert updates.next_of(1, -1).update_id == 12
    assert updates.keep([words(11), words(13)]) == [1]
    with any_database.read() as session:
        assert not updates.is_waiting(session, 11)


def test_what_a_dead_app_left_is_taken_over_and_what_fails_is_set_aside_in_the_end(any_database, time):
    one, two = (Updates(any_database, time.clock(), name) for name in ("one", "two"))
    one.keep([words(1)])
    assert two.next_of(1, -1) is None and two.left_behind() == []
    time.now += LEASE + timedelta(seconds=1)
    assert two.left_behind() == [1] and two.next_of(1, -1).update_id == 1 and one.next_of(1, -1) is None
    assert [two.failed(1) for _ in range(MOST_ATTEMPTS)] == [False] * (MOST_ATTEMPTS - 1) + [True]
    assert two.next_of(1, -1) is None
    assert one.left_behind(including_fresh=True) == []


def test_numbers_of_old_updates_are_forgotten(any_database, time):
    updates = Updates(any_database, time.clock(), "one")
    updates.keep([words(1), words(2)])
    with any_database.write() as session:
        updates.handled(session, 1)
    time.now += KEPT_FOR + timedelta(seconds=1)
    updates.prune()
    assert updates.keep([words(1)]) == [1] and updates.keep([words(2)]) == []


def test_one_app_has_a_lease_until_it_dies_or_gives_it_back(any_database, time):
    one, two = (Leases(any_database, time.clock(), name) for name in ("one", "two"))
    assert one.take("telegram") and not two.take("telegram")
    time.now += LASTS - timedelta(seconds=1)
    assert one.take("telegram")
    time.now += timedelta(seconds=5)
    assert not two.take("telegram")
    time.now += LASTS
    assert two.take("telegram") and not one.take("telegram")
    two.give_back("telegram")
    assert one.take("telegram")
    assert Leases(any_database, time.clock(), "three", alone=True).take("telegram")


# deleting


def test_erasing_takes_words_addresses_and_keys_and_the_ledger_balances(any_database, time):
    add_staff(any_database, "Ada Quill")
    add_staff(any_database, "Mo Carter", role="manager")
    office = build_office(any_database, time.clock(), "test", 0)
    log = office.cycle.log
    ids = [log.for_address("telegram", address, "somerset", "parent") for address in ("1", "2")]
    for id in ids:
        office.desk.open(id, log.accept(id, "client-id", "my secret words?").seq, reason="case", topic="waiting_time")
    secret = [table for table, count in held(any_database).items() if count]
    assert {"messages", "questions"} <= {*secret}
    before = held(any_database)
    with any_database.write() as session:
        erase(session, office.cycle, ids[0])
    assert held(any_database) == {table: count // 2 for table, count in before.items()}
    with any_database.read() as session:
        gone = session.get_one(Conversation, ids[0])
        assert (gone.external_id, gone.token_hash) == (None, None)
        assert session.scalars(select(Query.state).order_by(Query.state)).all() == ["routed", "withdrawn"]
        assert session.scalars(select(ReturnCode.conversation_id)).all() == [ids[1]]
        assert session.scalars(select(Message.turn_state).where(Message.conversation_id == ids[0])).all() == ["done"]
    assert take(any_database, time.clock()).balances
    assert log.for_address("telegram", "1", "somerset", "parent") not in ids


def held(database) -> dict[str, int]:
    """How many rows of each table hold the parent's words."""
    with database.read() as session:
        rows = {name: session.execute(select(table)).all() for name, table in Base.metadata.tables.items()}
    return {name: sum("secret" in repr(row) for row in found) for name, found in rows.items()}


# settings


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (dict(telegram_mode="pigeon"), "SIGNPOST_TELEGRAM_MODE"),
        (dict(telegram_staff_replies="maybe"), "SIGNPOST_TELEGRAM_STAFF_REPLIES"),
        (dict(telegram_mode="webhook", public_url="http://example.org", telegram_dpia="x"), "https"),
        (dict(telegram_mode="webhook", public_url="https://example.org:9000", telegram_dpia="x"), "8443"),
        (dict(telegram_mode="webhook", public_url="https://example.org"), "SIGNPOST_TELEGRAM_DPIA"),
    ],
)
def test_settings_that_cannot_be_used_are_told(settings, told):
    with pytest.raises(SettingProblem, match=told):
        check(Settings(telegram_token=TOKEN, **settings))


def test_a_start_with_settings_that_cannot_be_used_ends_with_a_sentence():
    environment = {"PATH": "/usr/bin:/bin", "SIGNPOST_TELEGRAM_TOKEN": TOKEN, "SIGNPOST_TELEGRAM_MODE": "webhook"}
    started = subprocess.run([sys.executable, "-m", "bot.cli", "run"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert started.returncode == 1 and "SIGNPOST_PUBLIC_URL must be an https address" in started.stderr and "Traceback" not in started.stderr


def test_telegram_is_off_unless_it_is_configured(signpost, settings):
    paths = {getattr(route, "path", "") for route in create_app(settings).routes}
    assert not any("telegram" in path for path in paths)
    loaded = "import bot.app, sys; sys.exit('telegram' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=ROOT).returncode == 0


def test_settings_are_printed_without_the_token():
    environment = {"PATH": "/usr/bin:/bin", "SIGNPOST_TELEGRAM_TOKEN": TOKEN}
    printed = subprocess.run([sys.executable, "-m", "bot.cli", "settings"], cwd=ROOT, env=environment, capture_output=True, text=True).stdout
    assert "SIGNPOST_TELEGRAM_TOKEN" in printed and TOKEN not in printed


# the token


def test_the_token_is_in_no_log_at_any_level(caplog):
    caplog.set_level(logging.DEBUG)
    with BotApiDouble(token="1:other") as api:
        bot = make_bot(Settings(telegram_token=TOKEN, telegram_api_url=api.url))
        for name in ("httpx", "httpcore", "telegram"):
            logging.getLogger(name).setLevel(logging.DEBUG)

        async def talk() -> None:
            for call in (bot.initialize(), bot.send_message(1, "hi"), bot.get_updates()):
                try:
                    await call
                except TelegramError:
                    logging.getLogger("app").exception("it failed: %s", bot.base_url)
            await bot.shutdown()

        asyncio.run(talk())
    logging.getLogger("httpx").setLevel(logging.WARNING)
    told = "\n".join(logging.Formatter("%(name)s %(message)s").format(record) for record in caplog.records)
    assert "was rejected by the server" in told and "httpx" in told and "httpcore" in told
    assert TOKEN not in told and TOKEN not in caplog.text and "[hidden]" in told


# the double itself


@pytest.fixture
def double():
    with BotApiDouble() as api:
        api.phone(1).started = True
        yield api


def sent(api: BotApiDouble, **given) -> dict:
    return api.call("sendMessage", {"chat_id": "1", "text": "hi", **given})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (dict(text="x" * 4097), "too long"),
        (dict(text="<b>" + "x" * 4097 + "</b>", parse_mode="HTML"), "too long"),
        (dict(text=" "), "empty"),
        (dict(text="a < b", parse_mode="HTML"), "parse entities"),
        (dict(text="<b>a</i>", parse_mode="HTML"), "parse entities"),
        (dict(text="<b>a", parse_mode="HTML"), "parse entities"),
        (dict(text="<script>a</script>", parse_mode="HTML"), "parse entities"),
        (dict(text="a &nbsp; b", parse_mode="HTML"), "parse entities"),
        (dict(reply_markup={"inline_keyboard": [[{"text": "a", "callback_data": "x" * 65}]]}), "BUTTON_DATA_INVALID"),
        (dict(reply_markup={"inline_keyboard": [[{"text": "a", "callback_data": "é" * 33}]]}), "BUTTON_DATA_INVALID"),
        (dict(reply_markup={"inline_keyboard": [[{"text": " ", "callback_data": "x"}]]}), "empty"),
        (dict(chat_id="2"), "chat not found"),
    ],
)
def test_the_double_refuses_what_telegram_refuses(double, given, told):
    with pytest.raises(Refusal, match=told):
        sent(double, **given)


def test_the_double_takes_what_telegram_takes(double):
    assert sent(double, text=f"<b>{'x' * 4096}</b>", parse_mode="HTML", reply_markup={"inline_keyboard": [[{"text": "a", "callback_data": "x" * 64}]]})
    assert plain('<a href="https://example.org">a &amp; b</a>') == "a & b"
    with pytest.raises(NotHtml):
        plain("<a href='x'>")


def test_the_double_keeps_the_rate_limits(double):
    sent(double)
    with pytest.raises(Refusal) as refused:
        sent(double)
    assert refused.value.code == 429 and refused.value.parameters == {"retry_after": 1}
    for chat in range(100, 129):
        double.phone(chat).started = True
        sent(double, chat_id=str(chat))
    double.phone(999).started = True
    with pytest.raises(Refusal, match="Too Many"):
        sent(double, chat_id="999")


def test_the_double_lets_one_poll_at_a_time_and_none_beside_a_webhook(double):
    import threading

    told = []
    first = threading.Thread(target=lambda: told.append(pytest.raises(Refusal, double.call, "getUpdates", {"timeout": "10"}).value.code))
    first.start()
    double.wait(lambda: double._poller == 1)
    double.call("getUpdates", {"timeout": "0"})
    first.join(5)
    assert told == [409]
    double.call("setWebhook", {"url": "https://example.org/x", "secret_token": "s"})
    with pytest.raises(Refusal, match="webhook is active"):
        double.call("getUpdates", {})
    for bad in ("http://example.org", "https://example.org:444/"):
        with pytest.raises(Refusal, match="webhook"):
            double.call("setWebhook", {"url": bad})
    double.phone(1).blocked = True
    with pytest.raises(Refusal, match="blocked"):
        sent(double)
