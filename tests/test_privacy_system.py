"""The whole system with its real engine: it asks nothing of the outside world, keeps the engine to itself, and forgets what was deleted."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx
import pytest

from bot.running import Running, running
from bot.settings import ROOT
from tests.hostile import MESSAGES

pytestmark = pytest.mark.engine
WORD = "zebrafinchery"
TOKEN = "a-token-that-only-the-app-knows"


@pytest.fixture(scope="module")
def guard(tmp_path_factory) -> tuple[Path, Path]:
    """The library that keeps processes to loopback, compiled, and the file in which it writes what it refused."""
    folder = tmp_path_factory.mktemp("guard")
    library = folder / "loopback_only.so"
    source = ROOT / "tests" / "doubles" / "loopback_only.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl"], check=True)
    return library, folder / "refused.txt"


@pytest.fixture(scope="module")
def guarded(model, guard):
    """A system that can reach loopback only."""
    library, refused = guard
    before = {name: os.environ.get(name) for name in ("LD_PRELOAD", "LOOPBACK_ONLY_LOG")}
    os.environ.update(LD_PRELOAD=str(library), LOOPBACK_ONLY_LOG=str(refused))
    try:
        with running(engine_token=TOKEN, engine_timeout="6", log_level="DEBUG") as system:
            yield system
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


class Family:
    """A parent's conversation."""

    def __init__(self, system: Running) -> None:
        self.client = httpx.Client(base_url=system.url, timeout=60, trust_env=False)
        started = self.client.post("/api/chat/sessions").json()
        self.id = started["session"]
        self.client.headers["Authorization"] = f"Bearer {started['token']}"

    def says(self, text: str, **more) -> httpx.Response:
        return self.client.post("/api/chat/messages", json={"client_id": uuid.uuid4().hex, "text": text, **more})


def engine_port(system: Running) -> int:
    command = Path(f"/proc/{system.children()['engine']}/cmdline").read_text().split("\0")
    return int(command[command.index("--port") + 1])


def test_the_guard_itself_refuses_and_writes_down(guard):
    library, refused = guard
    code = "import socket; socket.create_connection(('203.0.113.1', 80), 2)"
    own = refused.with_name("own.txt")
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "LD_PRELOAD": str(library), "LOOPBACK_ONLY_LOG": str(own)}, capture_output=True, text=True)
    assert "Network is unreachable" in done.stderr and "connect to 203.0.113.1" in own.read_text()


def test_a_full_conversation_asks_nothing_of_the_outside_world(guarded, guard):
    library, refused = guard
    for name in ("engine", "app"):
        assert str(library) in Path(f"/proc/{guarded.children()[name]}/maps").read_text()
    family = Family(guarded)
    for text in ("hello", "what does the core offer include", "he is choking", "who is responsible for therapy in section F", "I want to speak to a person", "Proszę o pomoc dla syna"):
        answer = family.says(text)
        assert answer.status_code == 200 and answer.json()["messages"], text
    for path in ("/", "/chat", "/privacy", "/console/sign-in", "/widget/embed.js"):
        assert family.client.get(path).status_code < 500
    assert not refused.exists(), refused.read_text()


def test_the_engine_answers_nobody_without_the_token_and_has_no_other_routes(guarded):
    base = f"http://127.0.0.1:{engine_port(guarded)}"
    with httpx.Client(base_url=base, trust_env=False) as anybody:
        for path in ("/model", "/status", "/domain", "/conversations/x/tracker", "/conversations/x/tracker/events", "/webhooks/rest/webhook", "/model/parse"):
            for method in ("GET", "POST", "PUT", "DELETE"):
                assert anybody.request(method, path).status_code in (404, 405), (method, path)
        turn = {"conversation": "x", "message_id": "m", "text": "hello", "metadata": {}}
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert anybody.post("/webhooks/turn/", json=turn, headers=headers).status_code == 403
            assert anybody.delete("/webhooks/turn/conversations/x", headers=headers).status_code == 403


def test_the_engine_and_the_app_listen_on_loopback_only(guarded):
    listening = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A":
                address, _, port = local.partition(":")
                listening.setdefault(int(port, 16), set()).add(address)
    for port in (engine_port(guarded), int(guarded.url.rpartition(":")[2])):
        assert listening[port] == {"0100007F"}


def test_what_was_deleted_is_in_no_file_no_log_and_not_in_the_tracker(guarded):
    family = Family(guarded)
    first = family.says(f"my son likes {WORD} and cannot talk").json()
    understood = f"http://127.0.0.1:{engine_port(guarded)}/webhooks/turn/"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert first["messages"]
    with sqlite3.connect(f"file:{guarded.folder / 'signpost.db'}?mode=ro", uri=True) as database:
        [(message_id,)] = database.execute("SELECT id FROM messages WHERE conversation_id = ? AND author = 'parent'", (family.id,)).fetchall()
    asked = {"conversation": family.id, "message_id": message_id, "text": "x", "metadata": {"area": "somerset", "seq": 2}, "again": True}
    before = httpx.post(understood, json=asked, headers=headers, timeout=30, trust_env=False).json()
    assert before["messages"][0]["text"] == first["messages"][0]["text"], "the tracker knew the turn"
    assert family.client.post("/api/chat/erase", json={"confirm": True}).status_code == 200
    for _ in range(300):
        with sqlite3.connect(f"file:{guarded.folder / 'signpost.db'}?mode=ro", uri=True) as database:
            if database.execute("SELECT count(*) FROM forgettings WHERE conversation_id = ?", (family.id,)).fetchone() == (0,):
                break
        time.sleep(0.2)
    else:
        raise AssertionError("the engine has not forgotten")
    after = httpx.post(understood, json={**asked, "text": "thank you"}, headers=headers, timeout=30, trust_env=False).json()
    assert after["messages"][0]["text"] != first["messages"][0]["text"], "the turn is taken anew: the tracker knows of none"
    for path in guarded.folder.rglob("*"):
        if path.is_file():
            assert WORD.encode() not in path.read_bytes(), path


def test_hostile_messages_break_nothing_leak_nothing_and_are_all_kept(guarded):
    family = Family(guarded)
    accepted = []
    for text in MESSAGES:
        answer = family.says(text)
        assert answer.status_code in (200, 202, 413, 422), (answer.status_code, text[:60])
        if answer.status_code < 300:
            accepted.append(text)
            said = " ".join(message["text"] for message in answer.json()["messages"])
            assert not re.search(r"Traceback|sqlalchemy|/bot/|Bearer|\{\{|\b49\b|root:", said), (text[:60], said[:200])
        else:
            assert set(answer.json()["error"]) == {"code", "message"}
    kept = [m["text"] for m in family.client.get("/api/chat/messages", params={"after": 0}).json()["messages"] if m["author"] == "parent"]
    assert len(kept) == len(accepted) >= 25
    assert family.says("what does the core offer include").json()["messages"][0]["outcome"] in ("answer", "clarify")
    environment = {**os.environ, "SIGNPOST_DATA_DIR": str(guarded.folder), "LD_PRELOAD": ""}
    done = subprocess.run([sys.executable, "-m", "bot.cli", "ledger", "--json"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_logs_of_all_this_hold_no_words(guarded):
    written = (guarded.folder / "output.txt").read_text()
    for word in (WORD, "choking", "DROP TABLE", "ignore all previous", TOKEN):
        assert word not in written, word
