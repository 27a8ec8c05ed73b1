"""Websites for tests of the chat in a browser: Signpost on a port of its own that can be stopped and started, and a school's website."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import uvicorn

from bot.app import create_app
from bot.running import free_port
from bot.settings import Settings


class Site:
    """Signpost over real HTTP at `url`; `stop` and `start` are a restart on the same database."""

    def __init__(self, settings: Settings) -> None:
        self.settings = replace(settings, port=free_port())
        self.url = f"http://127.0.0.1:{self.settings.port}"
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; returns when it does."""
        self.app = create_app(self.settings)
        config = uvicorn.Config(self.app, port=self.settings.port, log_level="error", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop listening and cut what is open."""
        self._server.should_exit = True
        self._thread.join(20)

    @property
    def signpost(self):
        """The parts of the app that runs now."""
        return self.app.state.signpost


class SchoolSite:
    """A website of somebody else: every page has the given body and a Content-Security-Policy that allows Signpost's origin and no more."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.policy = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(site):  # noqa: N805 - the handler's own self is needed inside
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = site.pages.get(self.path, "").encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Security-Policy", site.policy)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
