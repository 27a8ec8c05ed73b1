"""Every address of the app with everybody who may come: what is not in the table is refused by the test, so a new route must be thought about."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from bot.app import create_app
from bot.clock import new_secret
from bot.console.sign_in import SESSION
from bot.conversations.log import token_hash
from bot.store.tables import StaffSession
from tests.conftest import add_staff
from tests.doubles.telegram import TOKEN

STAFF = {"lead", "coordinator", "manager", "auditor"}
EVERYBODY = {"nobody", "parent", "engine", "telegram", *STAFF}
PARENT = {"parent"}

# What each may open. The console's pages by role: test_console_sign_in.
OPEN = {
    *("/", "/chat", "/chat/clear", "/chat/keep", "/chat/own", "/chat/own/delete", "/chat/api/forget", "/chat/api/keep", "/privacy", "/accessibility", "/return"),
    *("/guides", "/guides/{path}", "/chat/guide/{path}", "/embed", "/widget/signpost-chat.js", "/widget/words/{code:str}.json", "/widget/areas.json"),
    *("/api/chat/sessions", "/healthz", "/readyz"),
    *("/console/sign-in", "/console/sign-in/code", "/console/sign-in/set-up", "/console/sign-in/organisation", "/console/sign-in/organisation/back"),
}
CHAT = {"typing", "copy", "erase", "messages", "events", "standing"}
ALLOWED = {
    **{path: EVERYBODY for path in OPEN},
    **{f"/api/chat/{name}": PARENT for name in (*CHAT, "telegram")},
    **{f"/chat/api/{name}": PARENT for name in (*CHAT, "telegram")},
    **{path: PARENT for path in ("/chat/messages", "/chat/own/copy", "/chat/telegram")},
    "/engine/actions": {"engine"},
    "/webhooks/telegram": {"telegram"},
}
# Sign-in's own answers are 401 and 403 for whoever brings no form; they open nothing, which test_console_sign_in shows.
ASKS = {"/console/sign-in", "/console/sign-in/code", "/console/sign-in/set-up", "/console/sign-in/organisation/back"}


@pytest.fixture
def app(settings, signpost):
    return create_app(replace(settings, telegram_token=TOKEN, telegram_mode="webhook", telegram_dpia="DPIA 12", telegram_api_url="http://127.0.0.1:9", public_url="https://signpost.example.org"))


def a_parent(app) -> dict[str, str]:
    """Somebody with a chat of their own, and both ways of opening it."""
    _, token = app.state.signpost.log.start("web", "somerset", "parent")
    return {"cookie": f"signpost_chat={token}", "authorization": f"Bearer {token}"}


def everybody(app) -> dict[str, dict[str, str]]:
    """The headers that each brings along."""
    signpost = app.state.signpost
    people = {
        "nobody": {},
        "parent": a_parent(app),
        "engine": {"authorization": f"Bearer {signpost.settings.engine_token}"},
        "telegram": {"x-telegram-bot-api-secret-token": secret_of(app)},
    }
    now = signpost.clock.now()
    for role in sorted(STAFF):
        cookie, member = new_secret(), add_staff(signpost.database, f"Walker {role}", role)
        with signpost.database.write() as session:
            session.add(StaffSession(token_hash=token_hash(cookie), staff_id=member.id, csrf="c", created_at=now, expires_at=now + SESSION))
        people[role] = {"cookie": f"signpost_staff={cookie}", "authorization": f"Bearer {cookie}"}
    return people


def secret_of(app) -> str:
    [route] = [route for route in app.routes if getattr(route, "path", "") == "/webhooks/telegram"]
    return route.endpoint.__self__.secret


def addresses(app) -> list[tuple[str, str]]:
    assert [route.path for route in app.routes if isinstance(route, Mount)] == ["/static"], "only the files of the pages are mounted"
    return [(method, route.path) for route in app.routes if isinstance(route, Route) for method in sorted(route.methods - {"HEAD"})]


def is_refused(answer) -> bool:
    return answer.status_code in (401, 403) or answer.status_code == 303 and answer.headers["location"].startswith("/console/sign-in")


def test_every_address_is_open_to_whom_it_should_be_and_to_nobody_else(app):
    people, walked = everybody(app), 0
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:
        for method, path in addresses(app):
            allowed = ALLOWED.get(path) or (STAFF if path.startswith("/console") else None)
            assert allowed is not None, f"{path}: who may open this?"
            for name, brings in people.items():
                if path in ASKS or path.endswith("/events") and name in allowed:
                    continue
                client.cookies.clear()
                brought = a_parent(app) if name == "parent" and path == "/chat/own/delete" else brings
                body = {} if path.startswith(("/api", "/chat/api", "/engine")) else None
                answer = client.request(method, re.sub(r"\{[^}]*\}", "nothing-there", path), json=body, headers=brought)
                check(name, method, path, name in allowed, answer)
                walked += 1
    assert walked > 700


def check(name: str, method: str, path: str, opens: bool, answer) -> None:
    told = (name, method, path, answer.status_code)
    if opens and path.startswith("/console/") and method == "POST":
        assert answer.status_code == 403 and "out of date" in answer.text, f"{told}: a form without its token"
    elif not (opens and path.startswith("/console") and answer.status_code == 403 and "Your account cannot" in answer.text):
        assert is_refused(answer) != opens, told
    assert answer.status_code < 500 or answer.status_code == 503 or path.startswith("/widget/"), told


def test_no_address_of_the_app_takes_a_method_that_it_has_not(app):
    client, known = TestClient(app, raise_server_exceptions=False), addresses(app)
    for path in sorted({path for _, path in known}):
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
            assert client.request(method, re.sub(r"\{[^}]*\}", "x", path)).status_code == 405, (method, path)
