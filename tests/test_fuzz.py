"""Whatever is sent, nothing breaks: the chat API against its own document, what channels are sent, sessions that are not ours."""

from __future__ import annotations

import json
import shutil
import uuid

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as some
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from starlette.testclient import TestClient

from bot.app import create_app
from bot.conversations.outbound import Outbound
from bot.pages.forms import MOST_FIELDS
from bot.settings import ROOT, Settings
from tests.conftest import add_staff
from tests.doubles.engine import EngineDouble, says
from tests.hostile import MESSAGES
from tests.test_hardening import served
from tests.test_web_api import Chat

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
SCHEMA = schemathesis.openapi.from_dict({**DOCUMENT, "paths": {path: about for path, about in DOCUMENT["paths"].items() if not path.endswith("/events")}})
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def office(tmp_path_factory, empty_database):
    """An app with an engine double and a lead, on a real socket: its address, and a conversation's token."""
    folder = tmp_path_factory.mktemp("fuzz")
    shutil.copyfile(empty_database, folder / "signpost.db")
    with EngineDouble() as engine:
        engine.reply = lambda turn: says("hello", outcome="answer", topic="consent", choices=[{"title": "Talk to a person", "command": "talk_to_person", "topic": None, "value": None}])
        app = create_app(Settings(data_dir=str(folder), engine_url=engine.url, engine_token="t", engine_timeout=2.0, reply_wait=2.0, rate_limits="off"))
        add_staff(app.state.signpost.database, "Mo Carter", role="manager", on_call=True)
        with served(app) as port:
            yield f"http://127.0.0.1:{port}", app


def test_every_route_of_the_api_is_in_its_document(office):
    _, app = office
    chat = [route for route in app.routes if getattr(route, "path", "").startswith("/api/chat/")]
    routes = {(route.path, method) for route in chat for method in route.methods - {"HEAD"}}
    documented = {(path, method.upper()) for path, about in DOCUMENT["paths"].items() for method in about}
    assert routes == documented


@SCHEMA.parametrize()
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_does_what_its_document_says_with_a_token(office, case):
    url, app = office
    _, token = app.state.signpost.log.start("web", "somerset", "parent", [Outbound("welcome", outcome="talk")])
    case.query = {**(case.query or {}), **({"wait": 0} if "wait" in (case.query or {}) else {})}
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}
    case.call_and_validate(base_url=url, checks=CHECKS, timeout=30)


@SCHEMA.parametrize()
@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_opens_nothing_without_one(office, case):
    url, _ = office
    answer = case.call(base_url=url, timeout=30)
    assert answer.status_code < 500
    if not case.path.endswith("/sessions"):
        assert answer.status_code in (400, 401, 405, 413), answer.status_code


# what people send


@pytest.fixture(scope="module")
def browser(office):
    with httpx.Client(base_url=office[0], timeout=30, trust_env=False, follow_redirects=True) as client:
        yield client


ANYTHING = some.recursive(some.none() | some.booleans() | some.floats() | some.integers() | some.text(max_size=40), lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=10), inner, max_size=4), max_leaves=12)  # fmt: skip


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=ANYTHING | some.fixed_dictionaries({"client_id": some.text(max_size=70) | ANYTHING, "text": some.text(max_size=300) | ANYTHING, "choice": some.text(max_size=30)}))
def test_no_json_is_a_fault(browser, body):
    headers = Chat(browser).headers if body == {} else _chat(browser)
    answer = browser.post("/api/chat/messages", headers=headers, content=json.dumps(body))
    assert answer.status_code in (200, 202, 400, 413, 422)
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"code", "message"}


@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=some.binary(max_size=300), path=some.sampled_from(["/api/chat/messages", "/api/chat/sessions", "/api/chat/erase", "/chat/api/messages", "/chat", "/chat/own/delete", "/chat/keep", "/return", "/console/sign-in", "/engine/actions"]))
def test_no_bytes_are_a_fault(browser, raw, path):
    assert browser.post(path, content=raw, headers=_chat(browser)).status_code < 500


@hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(fields=some.dictionaries(some.sampled_from(["text", "choice", "client_id", "do", "area", "role", "lang", "embed", "newest"]), some.text(max_size=80), max_size=8))
def test_no_form_of_the_page_is_a_fault(browser, fields):
    assert browser.post("/chat", data=fields).status_code < 500
    assert browser.get("/chat", params=fields).status_code < 500


@pytest.mark.parametrize("text", MESSAGES, ids=range(len(MESSAGES)))
def test_every_hostile_message_is_kept_and_shown_as_text(browser, text):
    with httpx.Client(base_url=browser.base_url, timeout=30, trust_env=False, follow_redirects=True) as page:
        page.get("/chat")
        answer = page.post("/chat", data={"client_id": uuid.uuid4().hex, "text": text, "do": "send"})
    assert answer.status_code in (200, 413, 422)
    assert "<script>alert" not in answer.text and "<img src=x" not in answer.text and "onerror=alert(1)>" not in answer.text.replace("&gt;", "")


def test_more_fields_than_any_form_has_are_refused(browser):
    assert browser.post("/chat", data={f"f{n}": "x" for n in range(MOST_FIELDS + 1)}).status_code in (400, 413)


_tokens: dict[str, dict[str, str]] = {}


def _chat(browser: httpx.Client) -> dict[str, str]:
    """One conversation's headers for many tries, begun anew after it was deleted."""
    known = _tokens.get(str(browser.base_url))
    if known is None or browser.get("/api/chat/standing", headers=known).status_code == 401:
        known = _tokens[str(browser.base_url)] = Chat(browser).headers
    return known


# sessions


def test_a_cookie_that_somebody_else_chose_opens_nothing_and_is_replaced(settings, signpost):
    """Session fixation: the server never takes up a token that it did not make."""
    with TestClient(create_app(settings)) as client:
        client.cookies.set("signpost_chat", "chosen-by-somebody-else", path="/chat")
        answer = client.get("/chat")
        assert answer.status_code == 200
        assert "chosen-by-somebody-else" not in answer.headers.get("set-cookie", "")
        assert [cookie.value for cookie in client.cookies.jar if cookie.name == "signpost_chat" and cookie.value != "chosen-by-somebody-else"]


def test_nobodys_token_opens_anothers_chat(settings, signpost, engine_double):
    with TestClient(create_app(settings)) as client:
        mine, theirs = Chat(client), Chat(client)
        theirs.post(text="a secret of theirs")
        assert "secret of theirs" not in mine.after(0).text
        for path in ("/api/chat/messages", "/api/chat/copy", "/api/chat/standing"):
            for token in (mine.started["session"], theirs.started["session"], "", "x" * 43, mine.started["token"][:-1]):
                assert client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_choice_offered_in_one_chat_is_not_one_in_another(settings, signpost, engine_double):
    engine_double.reply = lambda turn: says("hello", choices=[{"title": "Talk to a person", "command": "talk_to_person", "topic": None, "value": None}])
    with TestClient(create_app(settings)) as client:
        [said] = Chat(client).post(text="hello").json()["messages"]
        assert Chat(client).post(choice=said["choices"][0]["id"]).status_code == 422
