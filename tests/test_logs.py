"""Logs, security events and figures: what happened can be followed by its request, and nobody's words are in any of it."""

from __future__ import annotations

import io
import json
import logging
import os
import stat
import subprocess
import sys
import urllib.request
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import select
from starlette.testclient import TestClient

from bot import metrics
from bot.app import create_app
from bot.conversations.outbound import Outbound
from bot.conversations.senders import Part, TryAgain
from bot.logs import SECURITY, JsonLines, request_id, requested, security_event, valid_request
from bot.running import free_port
from bot.settings import ROOT
from bot.store.tables import Message, Staff
from tests.test_web_api import Chat

WORD = "zebrafinch"


@pytest.fixture
def lines():
    """What is logged, as lines of JSON."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines("test"))
    root, security = logging.getLogger(), logging.getLogger(SECURITY)
    levels = root.level, security.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    security.setLevel(logging.INFO)
    try:
        yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        security.setLevel(levels[1])


def test_an_errors_words_stay_out_unless_they_are_about_machines(lines):
    try:
        try:
            raise ValueError(f"cannot read {WORD}")
        except ValueError as cause:
            raise OSError("no space left") from cause
    except OSError:
        logging.getLogger("x").exception("it failed")
    [line] = lines()
    assert line["error"]["says"] == "no space left" and line["error"]["cause"]["kind"] == "ValueError"
    assert WORD not in json.dumps(line) and "test_logs.py" in line["error"]["at"][-1]


def test_a_line_carries_its_request_and_its_facts(lines):
    with requested("ab" * 16):
        logging.getLogger("x").warning("a thing", extra={"delivery": "d1"})
    logging.getLogger("x").warning("another")
    first, second = lines()
    assert (first["request"], first["delivery"], first["process"], first["level"]) == ("ab" * 16, "d1", "test", "warning")
    assert second["request"] is None


@pytest.mark.parametrize("given", [None, "", "x", "AB" * 8, "ab\n" * 8, "ab" * 17, '{"a": 1}'])
def test_an_id_that_is_none_of_ours_is_not_used(given):
    assert valid_request(given) is None


def test_one_id_goes_from_channel_to_engine_to_action_to_delivery(settings, signpost, engine_double, lines):
    with TestClient(create_app(settings)) as client:
        chat = Chat(client)
        answer = chat.post(text="hello")
        id = answer.headers["x-request-id"]
        assert valid_request(id) and engine_double.turns[-1]["request"] == id
        with signpost.database.read() as session:
            asked = session.scalars(select(Message).where(Message.author == "parent")).one()
            said = session.scalars(select(Message).where(Message.answers_seq == asked.seq)).one()
            assert asked.request_id == said.request_id == id
        tracker = {"sender_id": "x", "slots": {}, "latest_message": {}, "events": [], "paused": False, "followup_action": None, "active_loop": {}, "latest_action_name": None}
        call = {"next_action": "action_repeat", "sender_id": "x", "tracker": tracker}
        called = client.post("/engine/actions", headers={"x-request-id": id, "authorization": "Bearer token"}, json=call)
        assert called.headers["x-request-id"] == id
        # from elsewhere, an id is not taken over
        assert chat.client.get("/healthz", headers={"x-request-id": id}).headers["x-request-id"] != id


@pytest.mark.anyio
async def test_what_a_sender_logs_belongs_to_the_request(signpost):
    seen = []

    class Sender:
        channel = "telegram"

        def split(self, text):
            return [text]

        async def send(self, part: Part):
            seen.append(request_id.get())
            return TryAgain("later")

    deliveries = signpost.office.deliveries
    deliveries.add(Sender())
    with requested("cd" * 16):
        id = signpost.log.for_address("telegram", "4711", "somerset", "parent", [Outbound("hello")])
    with signpost.database.write() as session:
        deliveries.dispatch(session, id)
    [part] = deliveries.claim()
    await deliveries.send(part)
    assert seen == ["cd" * 16] and request_id.get() is None


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_nothing_that_people_write_and_no_token_is_in_any_log(settings, signpost, engine_double, lines):
    engine_double.reply = lambda turn: {"messages": [{"text": WORD, "outcome": WORD}]}
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        chat = Chat(client)
        chat.post(text=f"about {WORD}")
        chat.post(text={"not": WORD})
        client.post("/api/chat/messages", headers={"Authorization": f"Bearer {WORD}"}, json={"text": WORD})
        client.post("/console/sign-in", data={"email": f"{WORD}@example.org", "password": WORD})
        signpost.own_words.erase(chat.started["session"])
        written = json.dumps([line for line in lines() if line["logger"].startswith(("bot", "signpost", "sqlalchemy", "uvicorn"))])
    assert written != "[]" and WORD not in written and chat.started["token"] not in written


def test_security_events_are_apart_and_name_ids_only(settings, signpost, lines):
    with TestClient(create_app(replace(settings, rate_limits="on"))) as client:
        client.get("/api/chat/messages", headers={"Authorization": "Bearer nonsense"})
        client.post("/engine/actions", headers={"Authorization": "Bearer nonsense"})
        chat = Chat(client)
        for _ in range(31):
            chat.post(text="hello")
        client.post("/api/chat/erase", headers=chat.headers, json={"confirm": True})
    events = {line["said"] for line in lines() if line["logger"] == SECURITY}
    assert {"unknown_token", "engine_address_refused", "limited", "erased"} <= events
    assert "nonsense" not in json.dumps(lines())


def test_what_the_audit_log_holds_is_a_security_event_too(signpost, lines):
    from bot.console.audit import AuditLog

    with signpost.database.read() as session:
        member = session.scalars(select(Staff)).first()
    AuditLog(signpost.database, signpost.clock).record(member, "read_query", "SP-34AC79DE")
    [line] = [line for line in lines() if line["logger"] == SECURITY]
    assert (line["said"], line["staff"]) == ("read_query", member.id) and member.name not in json.dumps(line)


def test_the_security_log_is_a_file_of_its_own_for_its_owner(tmp_path):
    path = tmp_path / "security.log"
    code = "from bot.logs import configure, security_event; configure('app'); security_event('signed_in', staff='s1')"
    environment = {**os.environ, "SIGNPOST_SECURITY_LOG": str(path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == "" and stat.S_IMODE(path.stat().st_mode) == 0o600
    line = json.loads(path.read_text())
    assert (line["said"], line["staff"], line["process"]) == ("signed_in", "s1", "app")


# figures


def test_figures_count_turns_problems_and_how_the_service_stands(settings, signpost, engine_double):
    metrics.count_security_events()
    registry = CollectorRegistry()
    registry.register(metrics.Standing(signpost.database, signpost.clock))
    before = metrics.REGISTRY.get_sample_value("signpost_turns_total", {"outcome": "talk"}) or 0
    with TestClient(create_app(settings)) as client:
        chat = Chat(client)
        chat.post(text="my name is Sarah")
        engine_double.status = 500
        chat.post(text="hello?")
        security_event("signed_in")
        value = metrics.REGISTRY.get_sample_value
        assert value("signpost_turns_total", {"outcome": "talk"}) == before + 1
        assert value("signpost_masked_total", {"kind": "name"}) >= 1 and value("signpost_engine_problems_total", {"kind": "nonsense"}) >= 1
        assert value("signpost_security_events_total", {"event": "signed_in"}) >= 1
        assert value("signpost_requests_total", {"method": "POST", "route": "/api/chat/messages", "status": "200"}) >= 1
        told = generate_latest(registry).decode()
    assert "signpost_open_queries 1.0" in told and "signpost_database_up 1.0" in told and "signpost_worker_seconds_ago -1.0" in told


def test_figures_are_on_a_port_of_their_own_and_not_on_the_public_one(settings, signpost, monkeypatch):
    monkeypatch.setattr(metrics, "REGISTRY", CollectorRegistry())
    port = free_port()
    metrics.serve(signpost.database, signpost.clock, port, "127.0.0.1")
    told = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    assert "signpost_open_queries" in told
    with TestClient(create_app(settings)) as client:
        assert client.get("/metrics").status_code == 404


def test_a_database_that_is_down_is_a_figure_too(settings, signpost):
    registry = CollectorRegistry()

    class Down:
        def read(self):
            raise OSError("gone")

    registry.register(metrics.Standing(Down(), signpost.clock))
    assert generate_latest(registry).decode().strip().endswith("signpost_database_up 0.0")
