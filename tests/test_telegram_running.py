"""Telegram in running systems: the webhook, apps that are killed or stand beside each other, a crowd, and the real engine."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import select

from bot.channels.telegram import LONGEST_BODY, PATH
from bot.clock import new_id
from bot.running import free_port, running
from bot.settings import ROOT
from bot.store.tables import Conversation, Message
from bot.store.telegram import TelegramUpdate
from tests.doubles.engine import EngineDouble, says
from tests.doubles.telegram import PER_SECOND, TOKEN, BotApiDouble, Shown
from tests.doubles.websites import Site
from tests.test_whole_system import reply_form, staff_browser
from tests.test_telegram import GREETING, log, made_site, rows, started

PUBLIC = "signpost.example.org"


@pytest.fixture
def api():
    with BotApiDouble() as double:
        yield double


@pytest.fixture
def engine():
    with EngineDouble() as double:
        yield double


# the webhook


@contextmanager
def behind_https(folder, empty, api, engine):
    """Signpost in webhook mode; the double stands for the TLS proxy too."""
    site = made_site(folder, empty, api, engine, telegram_mode="webhook", telegram_dpia="DPIA 12 of 3 November 2026", public_url=f"https://{PUBLIC}")
    api.hosts[PUBLIC] = site.url
    with started(site):
        api.wait(lambda: api.webhook)
        yield site


def test_the_webhook_takes_what_telegram_sends_and_nothing_else(tmp_path, empty_database, api, engine):
    with behind_https(tmp_path, empty_database, api, engine) as site:
        assert api.webhook["url"] == f"https://{PUBLIC}{PATH}" and set(api.webhook["allowed_updates"]) == {"message", "edited_message", "callback_query", "my_chat_member"}
        parent = api.phone()
        parent.starts()
        parent.sees(GREETING)
        parent.says("by webhook")
        parent.sees("you said: by webhook")
        secret = api.webhook["secret_token"]
        assert TOKEN not in secret and len(secret) == 64

        def posts(body, secret=secret, **headers) -> int:
            given = {"X-Telegram-Bot-Api-Secret-Token": secret, **headers} if secret is not None else headers
            content = body if isinstance(body, bytes) else None
            return httpx.post(f"{site.url}{PATH}", content=content, json=None if content is not None else body, headers=given, trust_env=False).status_code

        update = {"update_id": 1, "message": {"message_id": 1, "date": 0, "chat": parent.as_chat, "text": "forged"}}
        assert [posts(update, secret=wrong) for wrong in (None, "", "x", secret[:-1], secret + "0", b"\xfc")] == [403] * 6
        assert posts(b"x" * (LONGEST_BODY + 1)) == 413
        assert [posts(body) for body in (b"{", b"[]", b"\xff", {"update_id": "1"}, {"update_id": True}, {})] == [400] * 6
        assert httpx.get(f"{site.url}{PATH}", trust_env=False).status_code == 405
        channel = {"id": -5, "type": "channel", "title": "c"}
        for other in ({"channel_post": {"chat": channel, "text": "x"}}, {"poll": {"id": "1"}}, {"message": []}, {"message": {"chat": 5}}, {"callback_query": {"id": "1", "data": "x"}}):
            assert posts({"update_id": 2, **other}) == 200
        assert not [m for m in log(site, parent) if m.text == "forged"]
        assert {u.update_id for u in rows(site, select(TelegramUpdate))} == {700_000_001, 700_000_002}
        assert posts({**update, "update_id": 3}) == 200
        parent.sees("you said: forged")


def test_an_update_is_on_disk_when_the_webhook_says_200(tmp_path, empty_database, api, engine):
    with behind_https(tmp_path, empty_database, api, engine) as site:
        body = {"update_id": 9, "message": {"message_id": 1, "date": 0, "chat": {"id": 77, "type": "private"}, "text": "kept"}}
        with site.signpost.database.write():
            # While another writes, nothing can be kept: no answer may be given either.
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{site.url}{PATH}", json=body, headers={"X-Telegram-Bot-Api-Secret-Token": api.webhook["secret_token"]}, timeout=1, trust_env=False)
            assert not rows(site, select(TelegramUpdate))
        api.wait(lambda: rows(site, select(TelegramUpdate.update_id)) == [9])


# killed, or not alone


def app_alone(folder, api: BotApiDouble, engine: EngineDouble, port: int, **more: str) -> subprocess.Popen:
    """The app as a process on a folder that has its database."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("SIGNPOST_")},
        **dict(SIGNPOST_PORT=str(port), SIGNPOST_DATA_DIR=str(folder), SIGNPOST_ENGINE_URL=engine.url, SIGNPOST_ENGINE_TOKEN="t", SIGNPOST_RATE_LIMITS="off"),
        **dict(SIGNPOST_TELEGRAM_TOKEN=TOKEN, SIGNPOST_TELEGRAM_API_URL=api.url, SIGNPOST_LOG_LEVEL="DEBUG"),
        **more,
    }
    output = (folder / "output.txt").open("a")
    return subprocess.Popen([sys.executable, "-m", "bot.serve"], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)


def test_an_app_killed_between_200_and_the_answer_answers_exactly_once(tmp_path, empty_database, api, engine):
    site = made_site(tmp_path, empty_database, api, engine)
    port, parent = free_port(), api.phone()
    app = app_alone(tmp_path, api, engine, port)
    try:
        parent.starts()
        parent.sees(GREETING, 40)
        engine.hang = 30
        parent.says("are you there?")
        api.wait(lambda: engine.turns)
        # Telegram was told that we have it: it is not asked for again.
        api.wait(lambda: api.waiting == 0, 40)
        app.kill()
        app.wait()
        engine.hang = 0
        app = app_alone(tmp_path, api, engine, port)
        parent.sees("you said: are you there?", 40)
        parent.says("and now?")
        parent.sees("you said: and now?")
        assert parent.texts()[1:] == ["you said: are you there?", "you said: and now?"]
    finally:
        app.terminate()
        app.wait()
    assert TOKEN not in (tmp_path / "output.txt").read_text()


def test_an_app_killed_before_it_handled_an_update_handles_it_when_it_is_back(tmp_path, empty_database, api, engine):
    site = made_site(tmp_path, empty_database, api, engine)
    with started(site):
        parent = api.phone()
        parent.starts()
        parent.sees(GREETING)
        store = site.signpost.database
    with store.write() as session:
        body = {"update_id": 800_000_000, "message": {"message_id": 9, "date": 0, "chat": parent.as_chat, "text": "left behind"}}
        now = site.signpost.clock.now()
        session.add(TelegramUpdate(update_id=800_000_000, chat_id=parent.chat, body=body, claimed_by="the dead", claimed_until=now, received_at=now))
    store.close()
    with started(site):
        parent.sees("you said: left behind")


def test_a_second_program_that_polls_is_told_of_and_does_not_stop_us(tmp_path, empty_database, api, engine, caplog):
    with started(made_site(tmp_path, empty_database, api, engine)):
        parent = api.phone()
        parent.starts()
        parent.sees(GREETING)
        httpx.post(f"{api.url}/bot{TOKEN}/getUpdates", data={"timeout": "0"}, trust_env=False)
        api.wait(lambda: api.codes(409))
        parent.says("still here?")
        parent.sees("you said: still here?")
    assert "only one can" in caplog.text


@pytest.mark.postgresql
def test_of_two_apps_one_polls_and_the_other_takes_over(tmp_path, postgresql, api, engine, empty_database):
    from bot.store.database import Database
    from tests.conftest import _empty

    database = Database(postgresql)
    _empty(database)
    database.upgrade()
    database.close()
    one = made_site(tmp_path, empty_database, api, engine, database_url=postgresql)
    two = Site(replace(one.settings))
    one.start()
    parent = api.phone()
    parent.starts()
    parent.sees(GREETING)
    with started(two):
        parent.says("while there are two")
        parent.sees("you said: while there are two")
        assert not api.codes(409)
        one.stop()
        parent.says("after one has gone")
        parent.sees("you said: after one has gone", 40)
    assert Counter(parent.texts()).most_common(1)[0][1] == 1


# a crowd


def test_a_thousand_chats_at_once_are_answered_within_telegrams_limits(tmp_path, empty_database, api, engine):
    engine.reply = lambda turn: says(f"answer to {turn['text']}")
    with started(made_site(tmp_path, empty_database, api, engine)) as site:
        parents = [api.phone(chat) for chat in range(10_000, 11_000)]
        with site.signpost.database.write() as session:
            now = site.signpost.clock.now()
            session.add_all(
                Conversation(id=f"{p.chat:032}", channel="telegram", external_id=str(p.chat), area="somerset", role="parent", last_seq=0, created_at=now)
                for p in parents
            )
        for parent in parents:
            parent.says(f"question {parent.chat}")
        api.wait(lambda: all(p.texts() for p in parents), 240)
        with site.signpost.database.read() as session:
            waiting = session.scalars(select(Message.id).where(Message.turn_state == "asked")).all()
        assert not waiting
    assert [p.texts() for p in parents] == [[f"answer to question {p.chat}"] for p in parents]
    assert not api.codes(429)
    sent = sorted(call.at for call in api.calls if call.method == "sendMessage")
    assert max(sum(1 for _ in itertools.takewhile(lambda at: at < begun + 1.0, sent[i:])) for i, begun in enumerate(sent)) <= PER_SECOND


# the real engine


@pytest.fixture(scope="module")
def whole(model):
    """The whole system with the real engine, its Telegram being the double."""
    with BotApiDouble() as double, running(engine_timeout="30", telegram_token=TOKEN, telegram_api_url=double.url, undo_seconds="0", log_level="DEBUG") as system:
        yield system, double


@pytest.mark.engine
def test_the_whole_cycle_on_telegram_with_the_real_engine(whole):
    system, api = whole
    parent = api.phone()
    parent.starts()
    parent.sees(GREETING)
    # a question, answered with its source
    parent.says("He was discharged last year and has got worse again. Can we come back to the service?")
    answer = parent.sees("Where this comes from:")
    assert "<blockquote>The expectation of our commissioners is that children with long-term difficulties move in and out" in answer.html
    # a guide by its buttons, the council area first
    parent.says("Who is responsible for therapy?")
    for title in ("Somerset", "No plan", "No"):
        api.wait(lambda: any(title == button for button, _ in newest(parent).buttons), 30)
        parent.presses(title)
        parent.sees(f"You chose: {title}")
    result = parent.sees("You told us:")
    assert "does not have a plan" in result.text and "Where this comes from:" in result.text
    # a person
    parent.says("/person")
    told = parent.sees("Your reference is SP-")
    reference = re.search(r"SP-[0-9A-Z]{8}", told.text).group()
    lead = re.search(r"passed your question to ([^,]+),", told.text).group(1)
    parent.says("/status")
    parent.sees(f"Your question {reference}")
    # the lead replies, the parent judges
    with closing(staff_browser(system, lead)) as staff:
        path = query_path(staff, reference)
        replies(staff, path, "You can come back by asking the school.")
        reply = parent.sees("You can come back by asking the school.")
        assert reply.text.startswith(lead)
        parent.sees(f"Did this answer your question {reference}")
        parent.presses("No")
        parent.sees("is open again")
        parent.says("The school says that it is not theirs to do.")
        api.wait(lambda: "not theirs to do" in staff.get(path).text, 30)
        replies(staff, path, "Then I will ask for you.")
        parent.sees("Then I will ask for you.")
        api.wait(lambda: len([m for m in parent.messages if m.buttons and m.buttons[0][0] == "Yes"]) == 1)
        parent.presses("Yes")
        parent.sees(f"I have noted that your question {reference} was answered")
        # danger, while nothing else waits
        parent.says("my son is choking and his lips are going blue")
        api.wait(lambda: any(text.startswith("Call 999") for text in parent.texts()), 40)
        # everything deleted
        parent.says("/delete")
        parent.sees("Do you want to delete")
        parent.presses("Delete it")
        parent.sees("has been deleted from our computers")
        assert "not theirs to do" not in staff.get(path).text
    ledger = subprocess.run(
        [sys.executable, "-m", "bot.cli", "ledger", "--json"], cwd=ROOT, env={**os.environ, "SIGNPOST_DATA_DIR": str(system.folder)}, capture_output=True, text=True
    )
    assert ledger.returncode == 0 and '"balances": true' in ledger.stdout, ledger.stdout + ledger.stderr
    assert not api.codes(429) and not api.codes(400)


def newest(parent) -> Shown:
    """The newest message of the bot."""
    return [m for m in parent.messages if not m.mine][-1]


def query_path(staff: httpx.Client, reference: str) -> str:
    """Where a lead finds an open query."""
    return re.search(rf'href="(/console/queries/[0-9a-f]+)"[^>]*>\s*{reference}', staff.get("/console").text).group(1)


def replies(staff: httpx.Client, path: str, text: str) -> None:
    """Answer every open question of a query from its page."""
    page = staff.get(path).text
    form = reply_form(page)
    marks = {name: "answered" for name in re.findall(r'name="(mark-[^"]+)"', page)}
    sent = staff.post(form.pop("action"), data={**form, **marks, "kind": "answer", "text": text, "do": "send"})
    assert sent.status_code == 200, sent.text


@pytest.mark.engine
def test_the_same_conversation_gives_the_same_words_on_web_and_telegram(whole):
    system, api = whole
    said = ["hello there", "Who funds this service, is it paid for by the NHS?", "blorp frindle wex sprongle", "thank you so much"]
    client = httpx.Client(base_url=system.url, timeout=60, trust_env=False)
    client.headers["Authorization"] = f"Bearer {client.post('/api/chat/sessions', json={}).json()['token']}"
    parent = api.phone(9001)
    parent.starts()
    parent.sees(GREETING)
    for text in said:
        accepted = client.post("/api/chat/messages", json={"client_id": new_id(), "text": text}).json()["accepted"]
        while not (on_web := [m for m in client.get("/api/chat/messages", params={"after": accepted, "wait": 20}).json()["messages"]]):
            pass
        before = len(parent.texts())
        parent.says(text)
        api.wait(lambda: len(parent.texts()) >= before + len(on_web), 40)
        for message, shown in zip(on_web, parent.texts()[before:], strict=True):
            lines = [re.sub(r"^- ", "• ", line) for line in message["text"].split("\n")]
            assert shown.startswith("\n".join(lines))
            assert all(source["quote"].replace("\n", " ") in shown.replace("\n", " ") and source["title"] in shown for source in message["sources"])
            titles = [choice["title"] for choice in message["choices"]]
            on_phone = next(m for m in parent.messages if m.text == shown)
            assert len(on_phone.buttons) == len(titles) and all(title in shown or title in dict(on_phone.buttons) for title in titles)


@pytest.mark.engine
def test_the_token_is_in_nothing_that_the_whole_system_prints(whole):
    system, api = whole
    assert api.calls and TOKEN not in system.output.read_text()
    for file in system.folder.glob("*.db*"):
        assert TOKEN.encode() not in file.read_bytes()
