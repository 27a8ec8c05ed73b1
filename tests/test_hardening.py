"""What the service withstands: slow clients, big bodies, foreign origins; and what every answer of it carries."""

from __future__ import annotations

import re
import socket
import threading
import time as clock
from contextlib import contextmanager
from dataclasses import replace

import pytest
import uvicorn
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from bot.app import create_app
from bot.channels import requests
from bot.channels.web import LONGEST_BODY
from bot.running import free_port
from bot.slow_clients import ImpatientProtocol
from tests.test_web_api import Chat

INLINE = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/(?:ld\+)?json\")[^>]*>|<style|\sstyle=|\son[a-z]+=\"|javascript:", re.IGNORECASE)


def every_get_route(app) -> list[str]:
    """Paths of all pages and addresses that are fetched, with something in the place of their parameters."""

    def walk(routes, before=""):
        for route in routes:
            if isinstance(route, Mount):
                yield from walk(route.routes or [], before + route.path)
            elif isinstance(route, Route) and "GET" in (route.methods or ()):
                yield before + re.sub(r"\{[^}]*\}", "x", route.path)

    return sorted(set(walk(app.routes)))


def test_every_answer_carries_the_headers_and_no_page_has_anything_inline(settings, signpost):
    app = create_app(settings)
    with TestClient(app, headers={"accept": "text/html"}, raise_server_exceptions=False) as client:
        paths = [path for path in every_get_route(app) if not path.endswith("/events")]
        assert {"/", "/chat", "/chat/own", "/privacy", "/console"} <= set(paths) and len(paths) > 15
        for path in (*paths, "/nothing/here", "/static/nothing.css"):
            answer = client.get(path, follow_redirects=False)
            # the widget is there once set-up has built it
            assert answer.status_code < 500 or path.startswith("/widget/"), path
            policy = answer.headers["content-security-policy"]
            assert "default-src 'self'" in policy and "unsafe" not in policy and "object-src 'none'" in policy, path
            assert "frame-ancestors 'self'" in policy and answer.headers["x-content-type-options"] == "nosniff", path
            assert answer.headers["referrer-policy"] == "same-origin" and "server" not in answer.headers, path
            if not path.startswith("/static/") and not path.startswith("/widget"):
                assert "no-store" in answer.headers["cache-control"], path
            if "text/html" in answer.headers.get("content-type", ""):
                assert not (found := INLINE.search(answer.text)), (path, found and found.group())


def test_browsers_are_kept_to_https_where_the_service_has_it(settings, signpost):
    for secure, told in (("on", "max-age=31536000; includeSubDomains"), ("off", None)):
        with TestClient(create_app(replace(settings, secure_cookies=secure))) as client:
            assert client.get("/chat").headers.get("strict-transport-security") == told


def test_only_the_configured_websites_may_use_the_api_and_never_the_console(settings, signpost):
    friend, stranger = "https://www.example.sch.uk", "https://evil.example"
    with TestClient(create_app(replace(settings, embed_origins=friend))) as client:

        def allowed(path: str, origin: str) -> str | None:
            asked = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
            return client.options(path, headers=asked).headers.get("access-control-allow-origin")

        assert allowed("/api/chat/sessions", friend) == friend and allowed("/api/chat/sessions", stranger) is None
        for path in ("/console/sign-in", "/chat", "/engine/actions", "/chat/api/messages"):
            assert allowed(path, friend) is None
        answer = client.post("/api/chat/sessions", headers={"origin": friend})
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/api/chat/sessions", "/chat/api/messages", "/chat", "/chat/own/delete", "/console/sign-in", "/engine/actions"])
def test_a_body_that_is_too_big_is_refused(settings, signpost, path):
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.get("/chat")
        answer = client.post(path, content=b"x" * 6_000_000, headers={"authorization": "Bearer token", "content-type": "application/json"})
        assert answer.status_code in (401, 403, 413), (path, answer.status_code)


def test_a_message_at_the_limit_is_taken_and_one_over_is_told(settings, signpost):
    with TestClient(create_app(settings)) as client:
        chat = Chat(client)
        assert chat.post(text="a" * 4000).status_code == 200
        assert chat.post(text="a" * 4001).json()["error"]["code"] == "too_long"
        assert chat.post(text="a" * LONGEST_BODY).status_code == 413


@contextmanager
def served(app, **options):
    """An app on a real socket in a thread."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, http=ImpatientProtocol, log_config=None, lifespan="off", **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        clock.sleep(0.02)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(10)


def ended(connection: socket.socket) -> bytes:
    """What comes before the other side closes."""
    connection.settimeout(10)
    got = b""
    while piece := connection.recv(4096):
        got += piece
    return got


async def hello(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_connection_on_which_no_head_arrives_is_closed(monkeypatch, sent):
    monkeypatch.setattr(ImpatientProtocol, "head_seconds", 0.3)
    with served(hello) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        assert ended(connection) == b""


def test_a_kept_connection_waits_between_requests_and_not_within_one(monkeypatch):
    monkeypatch.setattr(ImpatientProtocol, "head_seconds", 0.3)
    with served(hello, timeout_keep_alive=5) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"ok"):
                answer += connection.recv(4096)
            assert b"200" in answer
            clock.sleep(0.6)
        connection.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert ended(connection) == b""


def test_a_body_that_trickles_is_given_up_and_told(settings, signpost, monkeypatch):
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.4)
    monkeypatch.setattr(requests.SlowBodies.__init__, "__defaults__", (0.4,))
    with served(create_app(settings)) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /api/chat/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        answer = ended(connection)
        assert b" 408 " in answer.split(b"\r\n")[0] and b"too_slow" in answer
